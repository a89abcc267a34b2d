"""Retrying an upsert: a new job over the documents that failed and those that were to leave, and no others."""

from dataclasses import replace
from uuid import uuid4

from service.document_stores import records as stores
from service.document_stores.gathering.types import Errand, lock_of
from service.document_stores.retrying import records
from service.errors import NotFound
from service.jobs import service as jobs
from service.jobs.types import Job
from service.worker.queue import Queue
from stores.records.database import Scope


async def retry(scope: Scope, queue: Queue, job: Job) -> Job | None:
    """A new job over the documents of `job` that failed and that no later upload has replaced; what these were to take
    the place of leaves with it. None when there are neither. Raises `NotFound` when the document store was deleted."""
    if job.store_id is None or await stores.lock(scope, job.store_id) is None:
        raise NotFound("The document store of this job was deleted")
    failed = await records.failed_of(scope, job.id)
    errands = [
        Errand.from_json(value) for value in job.payload.get("fetch", ()) if value["docId"] in map(str, failed.values())
    ]
    asking = {errand.loader_id for errand in errands}
    # A loader that is asked again says itself what leaves it.
    outlived = await records.outlived(scope, job.id, but=sorted(asking))
    if not failed and not outlived:
        return None
    again = await jobs.reserve(scope, uuid4(), job.kind, store_id=job.store_id)
    await records.claim(scope, [document for document, loader in failed.items() if loader not in asking], again.id)
    blobs = await records.leave(scope, outlived, again.id)
    # What a place brought is taken up as it is asked again: only what failed is not as it should be.
    fetch = [replace(errand, every=False, remake=False).as_json() for errand in errands]
    payload = {**job.payload, "blobs": blobs, "fetch": fetch, "gathered": {}}
    lock = lock_of(errands[0].loader_id) if errands else None
    return await jobs.enqueue(scope, queue, again.id, payload, lock=lock)
