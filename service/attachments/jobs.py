"""The background work of attachments."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.attachments import records
from service.worker.work import Work

AT_ONCE = 500


async def purge(work: Work) -> Mapping[str, Any]:
    """Remove the attachments of a deleted chatflow: blobs, then rows, in an order that can be repeated."""
    flow_id = UUID(work.payload["flowId"])
    database, gone = work.resources.database, 0
    while True:
        async with database.read(work.job.workspace) as scope:
            found = await records.some_of_flow(scope, flow_id, AT_ONCE)
        if not found:
            return {"removed": gone}
        for attachment in found:
            if attachment.blob:
                await work.resources.blobs.delete(attachment.blob)
        async with database.connection() as connection:
            gone += await records.forget(connection, [attachment.id for attachment in found])
