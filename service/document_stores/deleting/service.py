"""Deletes loaders and documents, with everything that was made from them."""

from collections.abc import Sequence
from uuid import UUID

from service.document_stores.compacting import compact_soon
from service.document_stores.deleting import records
from service.document_stores.gathering.types import left_of
from service.document_stores.indexing.records import has_loader
from service.document_stores.shelf import Shelf, changing
from service.errors import NotFound
from service.jobs import service as jobs
from service.jobs.types import Job
from service.resources import Resources


async def delete_loader(resources: Resources, workspace: UUID, store_id: UUID, loader_id: UUID) -> None:
    """Delete a loader with its documents. Nobody finds or lists anything of it from the commit on; a job removes the
    uploads. Jobs that have nothing left to work on are cancelled.

    Raises `NotFound` for an unknown document store or loader, or one that was deleted.
    """
    async with changing(resources, workspace, store_id, alone=True) as shelf:
        if not await has_loader(shelf.scope, store_id, loader_id):
            raise NotFound(f"Loader {loader_id} not found in document store {store_id}")
        await _delete(shelf, await records.documents_of(shelf.scope, loader_id), loader_id)
        await records.delete_loader(shelf.scope, loader_id)


async def delete_document(resources: Resources, workspace: UUID, store_id: UUID, document_id: UUID) -> None:
    """Delete a document of a loader; as `delete_loader`."""
    async with changing(resources, workspace, store_id, alone=True) as shelf:
        if not await records.has_document(shelf.scope, store_id, document_id):
            raise NotFound(f"Document {document_id} not found in document store {store_id}")
        await _delete(shelf, [document_id])


async def _delete(shelf: Shelf, documents: Sequence[UUID], loader_id: UUID | None = None) -> None:
    scope, resources = shelf.scope, shelf.resources
    busy = [job for job in await jobs.open_jobs(scope, shelf.store_id) if job.kind in ("ingest", "index", "sync")]
    working = {job.id for job in busy if await records.has_documents(scope, job.id) or _asks(job, loader_id)}
    await shelf.forget(await records.delete_chunks(scope, shelf.store_id, documents))
    blobs = await records.delete_documents(scope, documents)
    for job in busy:
        if job.kind == "ingest":
            idle = not await records.has_documents(scope, job.id) and not left_of(job.payload, but=loader_id)
            unneeded = job.id in working and idle
        else:
            unneeded = loader_id is not None and job.payload.get("docId") == str(loader_id)
        if unneeded:
            await jobs.cancel_in(scope, resources.queue, job.id)
    if blobs:
        payload = {"storeId": str(shelf.store_id), "blobs": blobs}
        await jobs.submit(scope, resources.queue, "remove_blobs", store_id=shelf.store_id, payload=payload)
    await compact_soon(scope, resources.queue, shelf.store_id)


def _asks(job: Job, loader_id: UUID | None) -> bool:
    """Whether a job is to fetch for a loader."""
    return any(errand.loader_id == loader_id for errand in left_of(job.payload))
