"""Cohere's rerank API, version 2, and servers that speak as it does."""

from collections.abc import Sequence
from typing import Any

from service.providers.options import whole
from service.providers.rerank.endpoint import EndpointReranker

CHUNK_TOKENS = 512
"""Tokens of a chunk in version 1 of the API, where a request bounds a text in chunks; version 2 counts tokens."""


class CohereReranker(EndpointReranker):
    """Scores are Cohere's relevance, 0 to 1. Field `maxChunksPerDoc` bounds what is read of a text."""

    name = "cohere"
    default_model = "rerank-v3.5"
    key_field = "cohereApiKey"

    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        chunks = whole(self._config, "maxChunksPerDoc")
        bound = {} if chunks is None else {"max_tokens_per_doc": chunks * CHUNK_TOKENS}
        return {"model": self._model, "query": query, "documents": list(texts), **bound}
