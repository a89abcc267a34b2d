"""Retrieval strategies: one port (`base`), one file a strategy."""

RETRIEVERS = {
    "hybrid": "service.retrieval.hybrid:HybridRetriever",
    "similarity": "service.retrieval.similarity:SimilarityRetriever",
}
"""Name to the class, a `Retriever` made from the `Sources` of a document store."""
