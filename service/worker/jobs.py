"""Kinds of jobs: a line a kind. Each handler takes a `Work` and returns the job's result."""

JOBS = {
    "ingest": "service.document_stores.jobs:ingest",
    "purge_store": "service.document_stores.jobs:purge_store",
    "drop_vectors": "service.document_stores.jobs:drop_vectors",
    "compact": "service.document_stores.jobs:compact",
    "import": "service.document_stores.archive.jobs:load",
    "copy": "service.document_stores.copying.jobs:copy",
    "sync": "service.sync.jobs:sync",
    "index": "service.document_stores.indexing.jobs:index",
    "reindex": "service.document_stores.reindexing.jobs:reindex",
    "remove_blobs": "service.document_stores.deleting.jobs:remove_blobs",
    "purge_attachments": "service.attachments.jobs:purge",
    "webhook": "service.webhooks.jobs:run",
    "callback": "service.webhooks.jobs:deliver",
    "scheduled": "service.schedules.jobs:run",
    "evaluate": "service.evaluations.jobs:run",
}

RUNS = frozenset({"webhook", "callback", "scheduled"})
"""Kinds that wait for models and other hosts for as long as these take: they have places of their own
(`run_concurrency`), so that they keep no document waiting."""

EVALUATIONS = frozenset({"evaluate"})
"""Kinds that go on for as long as a dataset is large: a worker takes up to `MOST_EVALUATIONS` of them beside all other
work, and these share what `evaluation_concurrency` gives them (ADR 0050)."""

MOST_EVALUATIONS = 16

CONCLUDE = {
    "ingest": "service.upsert_history.service:conclude",
    "index": "service.upsert_history.service:conclude",
}
"""What a kind notes in the very transaction that records a job's success: takes the scope, the job and its result."""

GIVE_UP = {
    "ingest": "service.document_stores.jobs:give_up",
    "copy": "service.document_stores.jobs:give_up",
    "sync": "service.sync.jobs:give_up",
    "webhook": "service.webhooks.jobs:give_up",
    "scheduled": "service.schedules.jobs:give_up",
    "evaluate": "service.evaluations.jobs:give_up",
}
"""What a kind notes in the very transaction that records a job's failure: takes the scope, the job and its error."""

AFTERMATH = {
    "import": "service.document_stores.archive.jobs:abandon",
    "ingest": "service.document_stores.jobs:abandon",
    "remove_blobs": "service.document_stores.deleting.jobs:remove_blobs",
    "copy": "service.document_stores.jobs:abandon",
    "reindex": "service.document_stores.reindexing.jobs:abandon",
    "sync": "service.sync.jobs:abandon",
}
"""What is done after a job of a kind has failed or was cancelled, as a handler. May be run twice."""

RETRY = {
    "ingest": "service.document_stores.retrying.service:retry",
    "sync": "service.sync.jobs:retry",
    "evaluate": "service.evaluations.jobs:retry",
    "reindex": "service.document_stores.reindexing.service:retry",
    "import": "service.document_stores.archive.jobs:retry",
}
"""What a kind does again of a job that has ended, in the caller's transaction: takes the scope, the queue and the job,
returns a new job, or None when nothing of it failed. Kinds that are not named repeat the whole of a failed job."""

HOUSEKEEPING = {
    "leftovers": "service.document_stores.check.leftovers:tidy",
    "orphans": "service.document_stores.check.repair:tidy",
    "attachments": "service.attachments.service:forget_expired",
    "copies": "service.document_stores.copying.service:forget_expired",
    "idempotency": "service.idempotency.service:forget_expired",
    "jobs": "service.worker.housekeeping:forget_jobs",
    "messages": "service.predictions.keeping:forget_old",
    "windows of rate limits": "service.rate_limits.service:forget_ended",
    "executions": "service.executions.service:end_lost",
    "callbacks": "service.webhooks.service:forget_old",
    "schedules of older flows": "service.schedules.service:follow_rest",
    "scheduled runs": "service.schedules.service:forget_old",
    "uses of document stores": "service.chatflows.uses:note_rest",
    "sealing": "service.sealing.service:seal_rest",
}
"""What workers do every few minutes: takes the resources, returns how many rows went or were put in order."""

SCHEDULES = {
    "sync": "service.sync.service:queue_due",
    "callbacks": "service.webhooks.service:queue_due",
    "agentflows": "service.schedules.service:queue_due",
}
"""What workers look at every few seconds: takes the resources, queues the jobs whose time has come, says how many."""
