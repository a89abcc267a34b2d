"""The background work of document stores."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.document_stores import records
from service.document_stores.ingest import Ingestion
from service.document_stores.ledger import records as ledger
from service.document_stores.space import open_space
from service.errors import NotFound, ServiceError, Unprocessable
from service.jobs import service as jobs
from service.retrieval.base import point_id
from service.worker.work import Work
from stores.lexical.compaction import compact as compact_index
from stores.lexical.compaction import needs_compaction
from stores.vector.base import Capability


class NothingLoaded(Unprocessable):
    """None of the files could be loaded."""

    code = "nothing_loaded"


async def ingest(work: Work) -> Mapping[str, Any]:
    """Index the documents of an upsert. Raises `NothingLoaded` when every one of them failed."""
    job, resources = work.job, work.resources
    assert job.store_id is not None
    async with resources.database.read(job.workspace) as scope:
        store = await records.get(scope, job.store_id)
    if store is None:
        raise NotFound(f"Document store {job.store_id} was deleted")
    ingestion = None
    try:
        space = await open_space(resources, store)
        ingestion = Ingestion(work, space)
        outcome = await ingestion.run()
    except ServiceError as error:
        await _give_up(work, error)
        raise
    await _drop_blobs(work)
    result = outcome.as_json()
    if outcome.failed and not outcome.documents:
        reasons = "; ".join(f"{item['name']}: {item['message']}" for item in outcome.failed[:5])
        raise NothingLoaded(reasons)
    if replaced := work.payload.get("replaceLoader"):
        result["numDeleted"] += await _remove_others(work, space.collection, UUID(replaced))
    async with resources.database.write(job.workspace) as scope:
        await records.drop_empty_loaders(scope, store.id)
        result["totalKeys"] = await ledger.count_chunks(scope, store.id)
        if await needs_compaction(scope, store.id):
            await jobs.submit(scope, resources.queue, "compact", store_id=store.id, lock=f"compact:{store.id}")
    return result


async def _give_up(work: Work, error: ServiceError) -> None:
    async with work.resources.database.write(work.job.workspace) as scope:
        for document in await ledger.of_job(scope, work.job.id):
            await ledger.fail(scope, document.id, work.job.id, error.code, error.message)


async def _drop_blobs(work: Work) -> None:
    """Uploads that this job's replaced."""
    for key in work.payload.get("replacedBlobs", ()):
        await work.resources.blobs.delete(key)


async def _remove_others(work: Work, collection: str, loader_id: UUID) -> int:
    """`replaceExisting`: the loader then holds what this upsert brought, and nothing else."""
    resources, job = work.resources, work.job
    assert job.store_id is not None
    async with resources.database.write(job.workspace) as scope:
        blobs, numbers = await ledger.remove_others(scope, job.store_id, loader_id, job.id)
        await resources.lexical.remove(scope, job.store_id, numbers)
        ids = [point_id(number) for number in numbers]
        if Capability.TRANSACTION in resources.vectors.capabilities:
            await resources.vectors.within(scope.connection).delete(collection, ids)
    if Capability.TRANSACTION not in resources.vectors.capabilities:
        await resources.vectors.delete(collection, ids)
    for blob in blobs:
        await resources.blobs.delete(blob)
    return len(numbers)


async def purge_store(work: Work) -> Mapping[str, Any]:
    """Remove what a deleted document store left: vectors, postings, uploads, rows, in an order that can be repeated."""
    job, resources = work.job, work.resources
    store_id = UUID(work.payload["storeId"])
    async with resources.database.read(job.workspace) as scope:
        store = await records.deleted(scope, store_id)
        if store is None:
            return {"purged": True}
        blobs = await ledger.blobs_of_store(scope, store_id)
    if store.collection:
        await resources.vectors.drop(store.collection)
    for key in blobs:
        await resources.blobs.delete(key)
    async with resources.database.write(job.workspace) as scope:
        await resources.lexical.drop(scope, store_id)
        await records.purge(scope, store_id)
    return {"purged": True}


async def compact(work: Work) -> Mapping[str, Any]:
    """Merge the keyword index's segments and forget deleted chunks."""
    if work.job.store_id is None:
        return {"compacted": False}
    async with work.resources.database.write(work.job.workspace) as scope:
        await compact_index(scope, work.job.store_id)
    return {"compacted": True}
