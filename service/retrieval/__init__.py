"""Retrieval: one port (`base`), one file a stage, `pipeline` which runs them one after the other."""

STAGES = {
    "hybrid": "service.retrieval.hybrid:Hybrid",
    "similarity": "service.retrieval.similarity:Similarity",
    "threshold": "service.retrieval.threshold:Threshold",
    "mmr": "service.retrieval.mmr:Mmr",
    "neighbours": "service.retrieval.neighbours:Neighbours",
    "parents": "service.retrieval.parents:Parents",
}
"""Name to the class of a stage, a `Stage` made from its options."""
