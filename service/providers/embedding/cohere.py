"""Embeds with Cohere's models, which embed questions and passages differently."""

from collections.abc import Sequence
from typing import Any

from service.providers.embedding.base import TextKind
from service.providers.embedding.endpoint import EndpointEmbedder
from service.providers.options import text

_OTHER = frozenset({"classification", "clustering"})


class CohereEmbedder(EndpointEmbedder):
    """Cohere's vectors. Credential cohereApi."""

    name = "cohere"
    default_model = "embed-english-v2.0"
    most = 96

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self.place}/embed"

    def body(self, texts: Sequence[str], kind: TextKind) -> dict[str, Any]:
        """The request; a node that is for something else than a search says so for all texts."""
        wanted = text(self.config, "inputType")
        searched = "search_query" if kind is TextKind.QUERY else "search_document"
        return {
            "model": self.model,
            "texts": list(texts),
            "input_type": wanted if wanted in _OTHER else searched,
            "embedding_types": ["float"],
        }

    def rows(self, answer: Any) -> list[Any]:
        """The vectors."""
        return list(answer["embeddings"]["float"])
