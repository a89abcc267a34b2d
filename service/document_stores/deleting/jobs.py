"""What is left to do after a delete."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.document_stores.ledger import records as ledger
from service.worker.work import Work


async def remove_blobs(work: Work) -> Mapping[str, Any]:
    """Remove the uploads of deleted documents, but for those that a document has again by now. Done also when the job
    was cancelled, as it is with its document store: nothing else knows of them."""
    blobs: list[str] = work.payload["blobs"]
    async with work.resources.database.read(work.job.workspace) as scope:
        used = await ledger.blobs_in_use(scope, UUID(work.payload["storeId"]), blobs)
    for key in blobs:
        if key not in used:
            await work.resources.blobs.delete(key)
    return {"removed": len(set(blobs) - used)}
