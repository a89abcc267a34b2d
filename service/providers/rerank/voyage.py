"""Voyage AI's rerank API."""

from collections.abc import Sequence
from typing import Any

from service.providers.rerank.endpoint import EndpointReranker


class VoyageReranker(EndpointReranker):
    """Scores are Voyage's relevance, 0 to 1. What is too long for the model is cut there."""

    name = "voyage"
    rows = "data"
    default_model = "rerank-2.5-lite"
    key_field = "apiKey"

    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        return {
            "model": self._model,
            "query": query,
            "documents": list(texts),
            "return_documents": False,
            "truncation": True,
        }
