"""Asks for a re-index; the work is a job's."""

from contextlib import suppress
from uuid import UUID

from service.document_stores import records
from service.document_stores.secrets import restored
from service.document_stores.space import DEFAULT_EMBEDDING, embedder_of, fingerprint_of
from service.document_stores.types import Component
from service.document_stores.vectors import backend_of, same_place, vectors_at
from service.errors import Conflict, NotFound
from service.jobs import service as jobs
from service.jobs.types import Job, JobState
from service.resources import Resources
from service.worker.queue import Queue
from stores.records.database import Scope
from stores.vector.base import UnknownCollection

KIND = "reindex"


class AlreadyReindexing(Conflict):
    """The document store is being re-indexed already."""

    code = "already_reindexing"


async def reindex(
    resources: Resources,
    workspace: UUID,
    store_id: UUID,
    embedding: Component | None = None,
    vector_store: Component | None = None,
) -> Job:
    """Queue the job that makes the vectors of a document store anew by `embedding`, in `vector_store`, each the
    configured one for None. Vectors that only move to another vector store are taken over and not made anew.

    Both are tried before anything is written. Queries are answered from the vectors that are there until the new ones
    are complete; a job that fails or is cancelled leaves them as they are.

    Raises `NotFound`, `AlreadyReindexing`, what the embedder raises for a configuration that cannot be used, and what
    `backend_of` and the vector store raise.
    """
    async with resources.database.read(workspace) as scope:
        store = await records.get(scope, store_id)
        if store is None:
            raise NotFound(f"Document store {store_id} not found")
        if vector_store is not None:
            vector_store = restored(vector_store, store.vector_store, "vectorStoreConfig")
        backend = await backend_of(resources, scope, vector_store or store.vector_store)
        vectors = await vectors_at(resources, scope, backend)
    if not same_place(backend, store.backend):
        with suppress(UnknownCollection):
            await vectors.ids("ds_none", limit=1)  # is it there?
    held = store.embedding or DEFAULT_EMBEDDING
    wanted = restored(embedding, held, "embeddingConfig") if embedding else held
    await fingerprint_of(await embedder_of(resources, workspace, wanted, store.fingerprint))
    async with resources.database.write(workspace) as scope:
        await _lock_idle(scope, store_id)
        payload = {
            "storeId": str(store_id),
            "embedding": wanted.as_json(),
            "embeddingNamed": embedding is not None,
            "vectorStore": vector_store.as_json() if vector_store else None,
        }
        return await jobs.submit(scope, resources.queue, KIND, store_id=store_id, payload=payload)


async def retry(scope: Scope, queue: Queue, job: Job) -> Job | None:
    """The same re-index from its beginning, unless it was done: what the former attempt filled goes with its clearing
    up, which may still be to come. Raises `NotFound`, `AlreadyReindexing`."""
    if job.state is JobState.DONE or job.store_id is None:
        return None
    await _lock_idle(scope, job.store_id)
    payload = {key: value for key, value in job.payload.items() if key != "collection"}
    return await jobs.submit(scope, queue, KIND, store_id=job.store_id, payload=payload)


async def _lock_idle(scope: Scope, store_id: UUID) -> None:
    """Lock a document store that no job re-indexes."""
    if await records.lock(scope, store_id) is None:
        raise NotFound(f"Document store {store_id} not found")
    running = [job for job in await jobs.open_jobs(scope, store_id) if job.kind == KIND]
    if running:
        raise AlreadyReindexing(
            f"Document store {store_id} is being re-indexed by job {running[0].id}; wait for it, or cancel it"
        )
