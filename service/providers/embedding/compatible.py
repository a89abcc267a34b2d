"""Embedders whose providers speak as OpenAI does, each with a little of its own: Mistral, Together, Jina, Voyage."""

from collections.abc import Sequence
from typing import Any

from service.providers.embedding.base import TextKind
from service.providers.embedding.endpoint import EndpointEmbedder, by_index
from service.providers.options import whole


class CompatibleEmbedder(EndpointEmbedder):
    """`POST /embeddings` with `model` and `input`."""

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self.place}/embeddings"

    def body(self, texts: Sequence[str], kind: TextKind) -> dict[str, Any]:
        """The request."""
        return {"model": self.model, "input": list(texts)}

    def rows(self, answer: Any) -> list[Any]:
        """The vectors."""
        return by_index(answer)


class MistralEmbedder(CompatibleEmbedder):
    """Models of Mistral. Credential mistralAIApi."""

    name = "mistral"
    default_model = "mistral-embed"
    strips = True
    most = 512


class TogetherEmbedder(CompatibleEmbedder):
    """Models of Together AI. Credential togetherAIApi."""

    name = "together"


class JinaEmbedder(CompatibleEmbedder):
    """Models of Jina; those that know the difference embed questions and passages differently. Credential jinaAIApi."""

    name = "jina"
    default_model = "jina-embeddings-v3"

    def body(self, texts: Sequence[str], kind: TextKind) -> dict[str, Any]:
        """The request, with the node's dimensions."""
        asked = super().body(texts, kind)
        if (dimensions := whole(self.config, "modelDimensions")) is not None:
            asked["dimensions"] = dimensions
        if self.model.startswith(("jina-embeddings-v3", "jina-embeddings-v4")):
            asked["task"] = "retrieval.query" if kind is TextKind.QUERY else "retrieval.passage"
        return asked


class VoyageEmbedder(CompatibleEmbedder):
    """Models of Voyage AI, which embed questions and passages differently. Credential voyageAIApi."""

    name = "voyage"
    default_model = "voyage-2"
    most = 128

    def body(self, texts: Sequence[str], kind: TextKind) -> dict[str, Any]:
        """The request."""
        return {**super().body(texts, kind), "input_type": kind.value}
