"""Queues the job that keeps the indexes of a document store quick to search."""

from uuid import UUID

from service.document_stores.collections.records import incomplete
from service.jobs import service as jobs
from service.worker.queue import Queue
from stores.lexical.compaction import needs_compaction
from stores.records.database import Scope


async def compact_soon(scope: Scope, queue: Queue, store_id: UUID) -> None:
    """Queue it in the caller's transaction, where it is worth it and does not wait already."""
    wanted = await needs_compaction(scope, store_id) or await incomplete(scope, store_id) is not None
    if wanted and not await jobs.waiting(scope, store_id, "compact"):
        payload, lock = {"storeId": str(store_id)}, f"compact:{store_id}"
        await jobs.submit(scope, queue, "compact", store_id=store_id, payload=payload, lock=lock)
