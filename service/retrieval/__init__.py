"""Retrieval: one port (`base`), one file a stage, `pipeline` which runs them one after the other."""

STAGES = {
    "hybrid": "service.retrieval.hybrid:Hybrid",
    "similarity": "service.retrieval.similarity:Similarity",
}
"""Name to the class of a stage, a `Stage` made from its options."""
