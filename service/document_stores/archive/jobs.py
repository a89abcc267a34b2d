"""The background work of an import."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.document_stores import records as stores
from service.document_stores.archive.checking import check
from service.document_stores.archive.importing import Import
from service.errors import Conflict, NotFound
from service.jobs import service as jobs
from service.jobs.types import Job, JobState
from service.worker.queue import Queue
from service.worker.work import Work
from stores.blobs.base import UnknownBlob
from stores.records.database import Scope


class ArchiveGone(Conflict):
    """The archive is no longer kept; send it again."""

    code = "archive_gone"


async def load(work: Work) -> Mapping[str, Any]:
    """Check an archive from end to end, write it into the document store that waits for it, and show this.

    Raises `BadArchive`, `TooLarge`; `abandon` then removes what was written.
    """
    store_id, key = UUID(work.payload["storeId"]), work.payload["blob"]
    result = work.job.result or {}
    if not result.get("shown"):
        try:
            async with work.resources.blobs.path(key) as path:
                manifest = await asyncio.to_thread(check, path, work.resources.settings)
                result = await Import(work, store_id, manifest, work.payload.get("name")).run(path)
        except UnknownBlob:
            raise NotFound("The archive is no longer kept; send it again") from None
    await work.resources.blobs.delete(key)
    return result


async def abandon(work: Work) -> Mapping[str, Any]:
    """After an import that failed or was cancelled: the archive goes, and what there is of the document store."""
    store_id = UUID(work.payload["storeId"])
    await work.resources.blobs.delete(work.payload["blob"])
    async with work.resources.database.write(work.job.workspace) as scope:
        if await stores.deleted(scope, store_id) is not None:
            await jobs.submit(scope, work.resources.queue, "purge_store", payload={"storeId": str(store_id)})
    return {}


async def retry(_scope: Scope, _queue: Queue, job: Job) -> Job | None:
    """None: nothing of it failed. Raises `ArchiveGone` for any other: archive and document store go with its end, and
    are not to be written into while they do."""
    if job.state is JobState.DONE:
        return None
    raise ArchiveGone
