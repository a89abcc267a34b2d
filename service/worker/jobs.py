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

RETRY = {
    "ingest": "service.document_stores.retrying.service:retry",
}
"""What a kind does again of a job that has ended, in the caller's transaction: takes the scope, the queue and the job,
returns a new job, or None when nothing of it failed. Kinds that are not named repeat the whole of a failed job."""

HOUSEKEEPING = {
    "idempotency": "service.idempotency.service:forget_expired",
    "jobs": "service.worker.housekeeping:forget_jobs",
}
"""What workers do every few minutes: takes the resources, returns how many rows went."""
