"""Retrieval: one port (`base`), one file a stage, `pipeline` which runs them one after the other."""

STAGES = {
    "rewrite": "service.retrieval.rewrite:Rewrite",
    "multiQuery": "service.retrieval.multi_query:MultiQuery",
    "decompose": "service.retrieval.decompose:Decompose",
    "hyde": "service.retrieval.hyde:Hyde",
    "hybrid": "service.retrieval.hybrid:Hybrid",
    "similarity": "service.retrieval.similarity:Similarity",
    "threshold": "service.retrieval.threshold:Threshold",
    "mmr": "service.retrieval.mmr:Mmr",
    "rerank": "service.retrieval.rerank:RerankStage",
    "compress": "service.retrieval.compress:Compress",
    "neighbours": "service.retrieval.neighbours:Neighbours",
    "parents": "service.retrieval.parents:Parents",
}
"""Name to the class of a stage, a `Stage` made from its options."""
