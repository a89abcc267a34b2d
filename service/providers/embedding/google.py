"""Embeds with Google's models, by the REST interface of the Gemini API."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from service.providers.embedding.base import TextKind
from service.providers.embedding.endpoint import EndpointEmbedder
from service.providers.options import text

_SEARCH = frozenset({"", "TASK_TYPE_UNSPECIFIED", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"})


class GoogleEmbedder(EndpointEmbedder):
    """Google's vectors. Credential googleGenerativeAI."""

    name = "google"
    default_model = "gemini-embedding-001"
    most = 100

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self.place}/v1beta/{self._model}:batchEmbedContents"

    @property
    def _model(self) -> str:
        return f"models/{quote(self.model.removeprefix('models/'), safe='')}"

    def proof(self) -> dict[str, str]:
        """Google's own header."""
        return {"x-goog-api-key": self.key} if self.key else {}

    def body(self, texts: Sequence[str], kind: TextKind) -> dict[str, Any]:
        """The request; a node that is for something else than a search says so for all texts."""
        wanted = text(self.config, "tasktype")
        task = wanted if wanted not in _SEARCH else f"RETRIEVAL_{kind.name}"
        return {
            "requests": [
                {"model": self._model, "content": {"parts": [{"text": item}]}, "taskType": task} for item in texts
            ]
        }

    def rows(self, answer: Any) -> list[Any]:
        """The vectors."""
        return [item["values"] for item in answer["embeddings"]]
