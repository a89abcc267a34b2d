"""Kinds of jobs: a line a kind. Each handler takes a `Work` and returns the job's result."""

JOBS = {
    "ingest": "service.document_stores.jobs:ingest",
    "purge_store": "service.document_stores.jobs:purge_store",
    "compact": "service.document_stores.jobs:compact",
}

GIVE_UP = {
    "ingest": "service.document_stores.jobs:give_up",
}
"""What a kind notes in the very transaction that records a job's failure: takes the scope, the job and its error."""

AFTERMATH = {
    "ingest": "service.document_stores.jobs:abandon",
}
"""What is done after a job of a kind has failed or was cancelled, as a handler. May be run twice."""
