"""Queues the job that forgets removed chunks in the keyword index of a document store."""

from uuid import UUID

from service.jobs import service as jobs
from service.worker.queue import Queue
from stores.lexical.compaction import needs_compaction
from stores.records.database import Scope


async def compact_soon(scope: Scope, queue: Queue, store_id: UUID) -> None:
    """Queue it in the caller's transaction, where it is worth it and does not wait already."""
    if await needs_compaction(scope, store_id) and not await jobs.waiting(scope, store_id, "compact"):
        await jobs.submit(scope, queue, "compact", store_id=store_id, payload={"storeId": str(store_id)})
