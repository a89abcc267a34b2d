"""The background work of document stores."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from service.document_stores import records
from service.document_stores.collections import records as collections
from service.document_stores.compacting import compact_soon
from service.document_stores.gathering.gathering import counts_of, gather_all
from service.document_stores.indexing.jobs import index_rest
from service.document_stores.ingest import Ingestion
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.loading import records as loader_rows
from service.document_stores.pacing import paced
from service.document_stores.shelf import changing
from service.document_stores.space import (
    Space,
    complete_collection,
    current_space,
    drop_collections,
    open_space,
    undecided,
)
from service.errors import NotFound, Unprocessable
from service.jobs.types import Job
from service.worker.work import Work
from stores.lexical.compaction import compact as compact_index
from stores.records.database import Scope
from stores.vector.base import UnknownCollection

log = logging.getLogger("ragstone.ingest")


class NothingLoaded(Unprocessable):
    """None of the files could be loaded."""

    code = "nothing_loaded"


async def ingest(work: Work) -> Mapping[str, Any]:
    """Index the documents of an upsert; of one that only makes chunks, if the document store has vectors.

    Raises `NothingLoaded` when every one of them failed, unless the payload says that some of it may (`partly`).
    """
    store_id = UUID(work.payload["storeId"])
    work = await gather_all(work)
    job, resources = work.job, work.resources
    ingestion = await _ingestion(work, store_id)
    outcome = await ingestion.run()
    if outcome.failed and not outcome.documents and not work.payload.get("partly"):
        reasons = "; ".join(f"{item['name']}: {item['message']}" for item in outcome.failed[:5])
        raise NothingLoaded(reasons)

    async def note(scope: Scope, count: int) -> None:
        outcome.counts.added += count
        outcome.counts.skipped = max(outcome.counts.skipped - count, 0)
        await work.note(scope, "indexing", ingestion.done, ingestion.done, outcome.as_json())

    await index_rest(work, store_id, note)
    async with changing(resources, job.workspace, store_id) as shelf:
        gone = await ledger.leaving(shelf.scope, job.id)
        chunks = await chunk_rows.of_documents(shelf.scope, gone)
        await shelf.remove(chunks)
        await ledger.delete_documents(shelf.scope, gone)
        outcome.counts.deleted += len(chunks)
        result = {**counts_of(work.payload), **outcome.as_json()}
        result["totalKeys"] = await ledger.count_live(shelf.scope, store_id)
        loaders = [UUID(loader) for loader in work.payload.get("docIds", ())]
        await loader_rows.processed(shelf.scope, loaders, job.created_at)
        # Noted in this very transaction: an attempt that dies after it has nothing to remove and must know the counts.
        await work.note(shelf.scope, "indexing", result["totalKeys"], result["totalKeys"], result)
    await _tidy(work, store_id)
    return result


async def _ingestion(work: Work, store_id: UUID) -> Ingestion:
    """The run, with its vector space, or with the way to it where the first texts are to choose the embedder."""
    resources, workspace = work.resources, work.job.workspace

    async def find(texts: Sequence[str] | None) -> Space:
        return await paced(lambda: open_space(resources, workspace, store_id, texts), lambda: _note_waiting(work))

    if work.payload.get("chunkOnly"):
        return Ingestion(work, store_id, await current_space(resources, workspace, store_id))
    async with resources.database.read(workspace) as scope:
        store = await records.get(scope, store_id)
    if store is not None and undecided(resources, store):
        return Ingestion(work, store_id, None, find)
    return Ingestion(work, store_id, await find(None))


async def _note_waiting(work: Work) -> None:
    async with work.resources.database.write(work.job.workspace) as scope:
        await work.note(scope, "waiting", work.job.done, work.job.total)


async def _tidy(work: Work, store_id: UUID) -> None:
    """Remove uploads that were replaced and loaders that hold nothing any more, and see to the keyword index."""
    blobs: list[str] = work.payload["blobs"]
    async with work.resources.database.write(work.job.workspace) as scope:
        used = await ledger.blobs_in_use(scope, store_id, blobs) if blobs else set()
        if await records.lock(scope, store_id) is not None:
            await records.drop_empty_loaders(scope, store_id)
            await compact_soon(scope, work.resources.queue, store_id)
    for key in blobs:
        if key not in used:
            await work.resources.blobs.delete(key)


async def give_up(scope: Scope, job: Job, error: Mapping[str, Any]) -> None:
    """What waits for an upsert that fails, fails with its reason."""
    await ledger.give_up(scope, job.id, error.get("code", "internal"), error.get("message", ""))


async def abandon(work: Work) -> Mapping[str, Any]:
    """After an upsert that failed or was cancelled: documents say why, and what nobody was shown goes away."""
    job = work.job
    store_id = UUID(work.payload["storeId"])
    try:
        async with changing(work.resources, job.workspace, store_id) as shelf:
            await give_up(shelf.scope, job, job.error or {})
            await shelf.remove(await chunk_rows.hidden_of_job(shelf.scope, store_id, job.id))
    except NotFound:  # deleted, with everything in it
        log.debug("Document store %s is gone", store_id)
    await _tidy(work, store_id)
    return {}


async def purge_store(work: Work) -> Mapping[str, Any]:
    """Remove what a deleted document store left: uploads, postings, rows, vectors, in an order that can be repeated. A
    vector store that is away keeps nothing here but the names of the collections in it."""
    job, resources = work.job, work.resources
    store_id = UUID(work.payload["storeId"])
    async with resources.database.read(job.workspace) as scope:
        store = await records.deleted(scope, store_id)
        if store is None:
            return {"purged": True}
        blobs = await ledger.blobs_of_store(scope, store_id)
        names = await collections.of_store(scope, store_id)
    for key in blobs:
        await resources.blobs.delete(key)
    async with resources.database.write(job.workspace) as scope:
        await resources.lexical.drop(scope, store_id)
        await records.empty(scope, store_id)
    await drop_collections(resources, job.workspace, names)
    async with resources.database.write(job.workspace) as scope:
        await records.purge(scope, store_id)
    return {"purged": True}


async def drop_vectors(work: Work) -> Mapping[str, Any]:
    """Drop collections that nobody searches, in vector stores that did not answer when they were given up."""
    await drop_collections(work.resources, work.job.workspace, work.payload["collections"])
    return {"dropped": len(work.payload["collections"])}


async def compact(work: Work) -> Mapping[str, Any]:
    """Merge the keyword index's segments, forget deleted chunks in it, and complete a collection that has grown."""
    resources, store_id = work.resources, UUID(work.payload["storeId"])
    async with resources.database.write(work.job.workspace) as scope:
        await compact_index(scope, store_id)
    async with resources.database.read(work.job.workspace) as scope:
        name = await collections.incomplete(scope, store_id)
    if name is not None:
        with suppress(UnknownCollection):  # another has taken its place
            await complete_collection(resources, work.job.workspace, name)
    return {"compacted": True}
