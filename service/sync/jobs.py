"""The background work of sync sources."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from service.document_stores.gathering import service as documents
from service.document_stores.gathering.service import Empty, Errand
from service.errors import NotFound
from service.jobs.types import Job, JobState
from service.sync import records, service
from service.worker.queue import Queue
from service.worker.work import Work
from stores.records.database import Scope


async def sync(work: Work) -> Mapping[str, Any]:
    """Bring a document store in step with a sync source; the result counts documents and, as an upsert's, chunks.

    What may leave is decided when the run looks, not when it was queued. Raises `NotFound` when source or loader are
    gone, and the connector's error when it cannot list anything.
    """
    if "gathered" not in work.payload:
        work = await _sent(work)
    return await documents.index(work)


async def _sent(work: Work) -> Work:
    """The work with its errand."""
    sync_id = UUID(work.payload["syncId"])
    async with work.resources.database.read(work.job.workspace) as scope:
        source = await records.get(scope, sync_id)
    if source is None:
        raise NotFound(f"Sync source {sync_id} was removed")
    empty = Empty.REMOVES if work.payload["force"] else Empty.KEEPS
    errand = Errand(source.loader_id, empty=empty, may_remove=source.delete_missing)
    return replace(work, job=replace(work.job, payload={**work.payload, "fetch": [errand.as_json()]}))


async def give_up(scope: Scope, job: Job, error: Mapping[str, Any]) -> None:
    """What waits for a run that fails, fails with its reason; what was to leave stays."""
    await documents.give_up(scope, job, error)


async def abandon(work: Work) -> Mapping[str, Any]:
    """After a run that failed or was cancelled: nothing half done stays, the next run takes it up."""
    await documents.abandon(work)
    return {}


async def retry(scope: Scope, queue: Queue, job: Job) -> Job | None:
    """Another run of the same source, forced if this one was; None when the source is gone, or when nothing of this run
    failed. A run under way is the answer."""
    result = job.result or {}
    if job.state is JobState.DONE and result.get("complete") and not result.get("failed"):
        return None
    source = await records.lock(scope, UUID(job.payload["syncId"]))
    if source is None:
        return None
    under_way = await service.open_run(scope, source)
    if under_way is not None:
        return under_way
    now = await records.clock(scope)
    return await service.begin(scope, queue, source, source.next_run_at, now, force=job.payload["force"])
