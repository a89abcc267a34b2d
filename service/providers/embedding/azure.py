"""Embeds with OpenAI's models that are deployed in Azure: the deployment stands in the credential."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from service.providers.defaults import Defaults
from service.providers.embedding.base import TextKind
from service.providers.embedding.endpoint import EndpointEmbedder, by_index
from service.providers.errors import RequestRefused
from service.providers.options import text

VERSION = "2024-10-21"
"""Of the API, where the credential names none."""


class AzureEmbedder(EndpointEmbedder):
    """A deployment's vectors. Credential azureOpenAIApi."""

    name = "azure"
    batch = 100

    def __init__(self, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> None:
        """Raises `RequestRefused` for a credential without a deployment."""
        deployment = text(credential, "azureOpenAIApiDeploymentName") or text(config, "modelName")
        if not deployment:
            raise RequestRefused("azureOpenAIApiDeploymentName: the credential must name the deployment.")
        super().__init__({**config, "modelName": deployment}, credential, defaults)

    @property
    def url(self) -> str:
        """Where requests go."""
        version = quote(text(self.credential, "azureOpenAIApiVersion") or VERSION, safe="")
        return f"{self.place}/openai/deployments/{quote(self.model, safe='')}/embeddings?api-version={version}"

    def proof(self) -> dict[str, str]:
        """Azure's own header."""
        return {"api-key": self.key} if self.key else {}

    def body(self, texts: Sequence[str], kind: TextKind) -> dict[str, Any]:
        """The request."""
        return {"input": list(texts)}

    def rows(self, answer: Any) -> list[Any]:
        """The vectors."""
        return by_index(answer)
