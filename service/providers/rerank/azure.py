"""Cohere's rerank models in Azure AI Foundry: the address is the credential's."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from service.providers.defaults import Defaults
from service.providers.errors import RequestRefused
from service.providers.options import text
from service.providers.rerank.endpoint import EndpointReranker

PATH = "/providers/cohere/v2/rerank"
"""Of the rerank API of a resource, where the credential gives no path."""


class AzureReranker(EndpointReranker):
    """Scores are Cohere's relevance, 0 to 1. Credential azureFoundryApi, whose endpoint is called as it stands."""

    name = "azure"
    default_model = "Cohere-rerank-v4.0-fast"
    key_field = "azureFoundryApiKey"

    def __init__(self, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> None:
        """Fields as everywhere, but for the base URL. Raises `RequestRefused` for a credential without an address."""
        super().__init__(config, credential, defaults)
        self._own = True
        endpoint = text(credential, "azureFoundryEndpoint").rstrip("/")
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RequestRefused("azureFoundryEndpoint: the credential must hold the http(s) URL of the reranker.")
        self._endpoint = endpoint if parts.path.strip("/") else endpoint + PATH

    @property
    def url(self) -> str:
        """The credential's address."""
        return self._endpoint

    def _headers(self) -> dict[str, str]:
        return {"api-key": self._key}

    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        return {"model": self._model, "query": query, "documents": list(texts)}
