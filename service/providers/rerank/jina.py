"""Jina's rerank API, and the many servers that speak as it does (llama.cpp, vLLM, Infinity)."""

from collections.abc import Sequence
from typing import Any

from service.providers.rerank.endpoint import EndpointReranker


class JinaReranker(EndpointReranker):
    """Scores are Jina's relevance, 0 to 1."""

    name = "jina"
    default_model = "jina-reranker-v2-base-multilingual"
    key_field = "jinaAIAPIKey"

    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        return {"model": self._model, "query": query, "documents": list(texts), "return_documents": False}
