"""The background work of sync sources."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.connectors import open_connector
from service.document_stores.gathering import service as documents
from service.document_stores.types import Component
from service.errors import NotFound
from service.jobs.types import Job
from service.sync import records, service
from service.sync.run import Run, counts_of, tidy
from service.worker.queue import Queue
from service.worker.work import Work
from stores.records.database import Scope


async def sync(work: Work) -> Mapping[str, Any]:
    """Bring a document store in step with a sync source; the result counts items and, as an upsert's, chunks.

    An attempt that finds everything gathered goes on with indexing. Raises `NotFound` when source or loader are gone,
    and the connector's error when it cannot list anything.
    """
    store_id, sync_id = UUID(work.payload["storeId"]), UUID(work.payload["syncId"])
    if "gathered" not in work.payload:
        work = await _gather(work, sync_id)
    result = await documents.index(work)
    await tidy(work, store_id, sync_id)
    return {**result, **counts_of(work.payload)}


async def _gather(work: Work, sync_id: UUID) -> Work:
    resources, workspace = work.resources, work.job.workspace
    async with resources.database.read(workspace) as scope:
        source = await records.get(scope, sync_id)
        loaders = await documents.loaders_of(scope, source.store_id) if source else {}
    if source is None or source.loader_id not in loaders:
        raise NotFound(f"Sync source {sync_id} was removed")
    loader = loaders[source.loader_id]
    async with open_connector(resources, workspace, loader.component, loader.config) as connector:
        component = Component(loader.component, loader.config)
        recipe = documents.recipe_of(resources, workspace, component, loader.splitter)
        target = documents.Target(source.store_id, loader.id, work.job.id, recipe.as_json())
        return await Run(work, source, connector, target, force=bool(work.payload.get("force"))).gather()


async def give_up(scope: Scope, job: Job, error: Mapping[str, Any]) -> None:
    """What waits for a run that fails, fails with its reason; what was to leave stays."""
    await documents.give_up(scope, job, error)


async def abandon(work: Work) -> Mapping[str, Any]:
    """After a run that failed or was cancelled: nothing half done stays, the next run takes it up."""
    await documents.abandon(work)
    await tidy(work, UUID(work.payload["storeId"]), UUID(work.payload["syncId"]))
    return {}


async def retry(scope: Scope, queue: Queue, job: Job) -> Job | None:
    """Another run of the same source; None when the source is gone. A run under way is the answer."""
    source = await records.lock(scope, UUID(job.payload["syncId"]))
    if source is None:
        return None
    under_way = await service.open_run(scope, source)
    return under_way or await service.begin(scope, queue, source, source.next_run_at, await records.clock(scope))
