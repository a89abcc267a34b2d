"""Retrying an upsert: a new job over the documents that failed, and no others."""

from uuid import uuid4

from service.document_stores import records as stores
from service.document_stores.retrying import records
from service.errors import NotFound
from service.jobs import service as jobs
from service.jobs.types import Job
from service.worker.queue import Queue
from stores.records.database import Scope


async def retry(scope: Scope, queue: Queue, job: Job) -> Job | None:
    """A new job over the documents of `job` that failed and that no later upload has replaced; None when there are
    none. Raises `NotFound` when the document store was deleted."""
    if job.store_id is None or await stores.lock(scope, job.store_id) is None:
        raise NotFound("The document store of this job was deleted")
    failed = await records.failed_of(scope, job.id)
    if not failed:
        return None
    again = await jobs.reserve(scope, uuid4(), job.kind, store_id=job.store_id)
    await records.claim(scope, failed, again.id)
    return await jobs.enqueue(scope, queue, again.id, {**job.payload, "blobs": []})
