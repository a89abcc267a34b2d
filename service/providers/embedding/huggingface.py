"""Embeds by Hugging Face's router, or at an inference endpoint of one's own (text-embeddings-inference)."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from service.providers.embedding.base import TextKind
from service.providers.embedding.endpoint import EndpointEmbedder
from service.providers.embedding.services import HOMES


class HuggingFaceEmbedder(EndpointEmbedder):
    """Vectors of sentences; token vectors are refused as of a wrong shape. Credential huggingFaceApi."""

    name = "huggingface"
    default_model = "sentence-transformers/all-MiniLM-L6-v2"
    batch = 32

    @property
    def url(self) -> str:
        """An endpoint is called as it stands."""
        if self.place != HOMES[self.name]:
            return self.place
        return f"{self.place}/models/{quote(self.model, safe='/')}/pipeline/feature-extraction"

    def body(self, texts: Sequence[str], kind: TextKind) -> dict[str, Any]:
        """The request."""
        return {"inputs": list(texts)}

    def rows(self, answer: Any) -> list[Any]:
        """The vectors."""
        return list(answer)
