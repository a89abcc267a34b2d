"""What a vector store that was out of reach for long left undone: collections to drop, purges to end.

Jobs try it for a while and then say that they failed; this looks after it for good.
"""

import logging

from service.document_stores.check import records
from service.document_stores.space import drop_collections
from service.errors import ServiceError
from service.jobs import service as jobs
from service.resources import Resources
from stores.vector.base import Unavailable

log = logging.getLogger("ragstone.ingest")


async def tidy(resources: Resources) -> int:
    """Drop collections that nobody searches and no job works on, and queue purges anew that have failed; says how many
    there were."""
    tidied = 0
    async with resources.database.connection() as connection:
        workspaces = await records.workspaces(connection)
    for workspace in workspaces:
        async with resources.database.write(workspace) as scope:
            names = await records.forgotten_collections(scope)
            stores = await records.unpurged(scope)
            for store_id in stores:
                await jobs.submit(scope, resources.queue, "purge_store", payload={"storeId": str(store_id)})
        tidied += len(stores)
        for name in names:
            try:
                await drop_collections(resources, workspace, [name])
            except (Unavailable, ServiceError) as error:
                log.warning("The vectors in %s cannot be removed yet: %s", name, error)
            else:
                tidied += 1
    return tidied
