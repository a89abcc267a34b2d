"""Asks for a re-index; the work is a job's."""

from uuid import UUID

from service.document_stores import records
from service.document_stores.secrets import restored
from service.document_stores.space import DEFAULT_EMBEDDING, embedder_of, fingerprint_of
from service.document_stores.types import Component
from service.errors import Conflict, NotFound
from service.jobs import service as jobs
from service.jobs.types import Job
from service.resources import Resources

KIND = "reindex"


class AlreadyReindexing(Conflict):
    """The document store is being re-indexed already."""

    code = "already_reindexing"


async def reindex(resources: Resources, workspace: UUID, store_id: UUID, embedding: Component | None) -> Job:
    """Queue the job that makes the vectors of a document store anew by `embedding`, or by its configured one for None.

    The embedding is tried before anything is written. Queries are answered from the vectors that are there until the
    new ones are complete; a job that fails or is cancelled leaves them as they are.

    Raises `NotFound`, `AlreadyReindexing`, and what the embedder raises for a configuration that cannot be used.
    """
    async with resources.database.read(workspace) as scope:
        store = await records.get(scope, store_id)
    if store is None:
        raise NotFound(f"Document store {store_id} not found")
    held = store.embedding or DEFAULT_EMBEDDING
    wanted = restored(embedding, held, "embeddingConfig") if embedding else held
    await fingerprint_of(await embedder_of(resources, workspace, wanted))
    async with resources.database.write(workspace) as scope:
        if await records.lock(scope, store_id) is None:
            raise NotFound(f"Document store {store_id} not found")
        running = [job for job in await jobs.open_jobs(scope, store_id) if job.kind == KIND]
        if running:
            raise AlreadyReindexing(
                f"Document store {store_id} is being re-indexed by job {running[0].id}; wait for it, or cancel it"
            )
        payload = {"storeId": str(store_id), "embedding": wanted.as_json()}
        return await jobs.submit(scope, resources.queue, KIND, store_id=store_id, payload=payload)
