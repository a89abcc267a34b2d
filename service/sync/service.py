"""Sync sources: made, changed, removed, run on demand or when they are due."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from service.connectors import CONNECTORS, canonical, open_connector
from service.document_stores.gathering import service as documents
from service.document_stores.gathering.types import Setup
from service.document_stores.secrets import laid_over
from service.document_stores.types import Component
from service.errors import Conflict, NotFound, Unprocessable
from service.jobs import service as jobs
from service.jobs.types import FINAL, Job
from service.resources import Resources
from service.sync import records
from service.sync.types import Asked, Every, Schedule, Shown, SyncSource
from service.timetable import next_after
from service.worker.queue import Queue
from stores.records.database import Scope

DUE_AT_ONCE = 50
"""Runs that a worker queues at a time."""


class AlreadySynced(Conflict):
    """The loader has a sync source already."""

    code = "already_synced"


async def create(resources: Resources, workspace: UUID, store_id: UUID, asked: Asked) -> Shown:
    """A new sync source: over a loader that the document store has (`doc_id`), or with a new loader.

    Nothing runs yet, unless its schedule says so. Raises errors that name the field, before anything is written.
    """
    if asked.principals is not None and asked.doc_id is not None:
        raise Unprocessable("principals: a loader that is there keeps its own; change them at its document store")
    async with resources.database.read(workspace) as scope:
        loaders = await documents.setups(scope, store_id, [asked.doc_id] if asked.doc_id else [])
    component, label, splitter = _wanted(asked, _loader(loaders, asked, store_id))
    check_config(resources, workspace, component, splitter)
    sync_id = uuid4()
    async with resources.database.write(workspace) as scope:
        await documents.hold(scope, store_id)
        if asked.doc_id is None:
            name = label or documents.place_of(component.name, component.config)
            loader_id = await documents.add_loader(scope, store_id, component, name, splitter, asked.principals)
        else:
            loader_id = asked.doc_id
            await documents.change_loader(scope, loader_id, component, label, splitter)
            if await records.of_loader(scope, loader_id):
                raise AlreadySynced(f"docId: loader {loader_id} has a sync source already")
        enabled = asked.enabled is not False
        await records.insert(
            scope,
            sync_id,
            store_id,
            loader_id,
            asked.schedule,
            first_run(asked.schedule, await records.clock(scope), enabled=enabled),
            enabled=enabled,
            delete_missing=asked.delete_missing is not False,
        )
    return await get(resources, workspace, sync_id)


def _loader(loaders: Mapping[UUID, Setup], asked: Asked, store_id: UUID) -> Setup | None:
    if asked.doc_id is None:
        return None
    if asked.doc_id not in loaders:
        raise NotFound(f"docId: loader {asked.doc_id} not found in document store {store_id}")
    return loaders[asked.doc_id]


def _wanted(asked: Asked, loader: Setup | None) -> tuple[Component, str | None, Component | None]:
    """Connector with config, label and splitter: what is asked for, over what the loader has."""
    name = asked.connector or (loader.component if loader else "")
    known = canonical(name)
    if known is None:
        what = f"'{name}' fetches nothing by itself" if name else "say where the documents come from"
        raise Unprocessable(f"connector: {what}; use one of {', '.join(sorted(CONNECTORS))}")
    if loader is not None and canonical(loader.component) != known:
        raise Unprocessable(f"connector: the loader's is '{loader.component}'; make another sync source for '{name}'")
    config = laid_over(asked.config or {}, loader.config if loader else {}, "config")
    splitter = asked.splitter if asked.splitter is not None else loader.splitter if loader else None
    return Component(known, config), asked.name, splitter


def check_config(resources: Resources, workspace: UUID, component: Component, splitter: Component | None) -> None:
    """Raises an error that names the field which cannot be used. Asks nobody outside."""
    open_connector(resources, workspace, component.name, component.config)
    documents.check_recipe(resources, workspace, component, splitter)


def first_run(schedule: Schedule | None, now: datetime, *, enabled: bool) -> datetime | None:
    """When a new schedule is due first: an interval at once, a cron expression at its time."""
    if schedule is None or not enabled:
        return None
    return now if isinstance(schedule, Every) else next_after(schedule, now)


async def get(resources: Resources, workspace: UUID, sync_id: UUID) -> Shown:
    """A sync source with its newest run, else `NotFound`."""
    async with resources.database.read(workspace) as scope:
        source = await records.get(scope, sync_id)
        shown = await _shown(scope, source.store_id, [source]) if source else []
    if not shown:
        raise NotFound(f"Sync source {sync_id} not found")
    return shown[0]


async def of_store(resources: Resources, workspace: UUID, store_id: UUID) -> list[Shown]:
    """The sync sources of a document store, oldest first. Raises `NotFound`."""
    async with resources.database.read(workspace) as scope:
        return await _shown(scope, store_id, await records.of_store(scope, store_id))


async def _shown(scope: Scope, store_id: UUID, sources: Sequence[SyncSource]) -> list[Shown]:
    loaders = await documents.setups(scope, store_id, [source.loader_id for source in sources])
    counts = await documents.counts(scope, [source.loader_id for source in sources])
    return [
        Shown(
            source=source,
            name=loaders[source.loader_id].name,
            connector=loaders[source.loader_id].component,
            config=loaders[source.loader_id].config,
            splitter=loaders[source.loader_id].splitter,
            documents=counts.get(source.loader_id, 0),
            run=await jobs.find_in(scope, source.run) if source.run else None,
        )
        for source in sources
        if source.loader_id in loaders
    ]


async def update(resources: Resources, workspace: UUID, sync_id: UUID, asked: Asked) -> Shown:
    """Change what is given; what is left out stays. A new schedule counts from now.

    Another configuration or splitter takes effect with the next run. Raises errors that name the field.
    """
    shown = await get(resources, workspace, sync_id)
    async with resources.database.read(workspace) as scope:
        loaders = await documents.setups(scope, shown.source.store_id, [shown.source.loader_id])
    component, label, splitter = _wanted(asked, loaders.get(shown.source.loader_id))
    check_config(resources, workspace, component, splitter)
    async with resources.database.write(workspace) as scope:
        source = await _locked(scope, sync_id, store_id=shown.source.store_id)
        await documents.change_loader(scope, source.loader_id, component, label, splitter)
        schedule = asked.schedule if asked.has_schedule else source.schedule
        enabled = source.enabled if asked.enabled is None else asked.enabled
        next_run = source.next_run_at
        if schedule != source.schedule or enabled != source.enabled:
            next_run = first_run(schedule, await records.clock(scope), enabled=enabled)
        await records.update(
            scope,
            sync_id,
            schedule,
            next_run,
            enabled=enabled,
            delete_missing=source.delete_missing if asked.delete_missing is None else asked.delete_missing,
        )
    return await get(resources, workspace, sync_id)


async def delete(resources: Resources, workspace: UUID, sync_id: UUID) -> None:
    """Stop keeping a loader in step; a run under way is cancelled, what was brought stays. Raises `NotFound`."""
    shown = await get(resources, workspace, sync_id)
    async with resources.database.write(workspace) as scope:
        source = await _locked(scope, sync_id, store_id=shown.source.store_id)
        run = await jobs.find_in(scope, source.run) if source.run else None
        if run is not None and run.state not in FINAL:
            await jobs.cancel_in(scope, resources.queue, run.id)
        await records.delete(scope, sync_id)


async def _locked(scope: Scope, sync_id: UUID, *, store_id: UUID | None = None) -> SyncSource:
    """A source, which nobody else changes. Whoever goes on to its loader or its documents holds the document store
    before: who deletes the loader has that, and comes to the source last."""
    if store_id is not None:
        await documents.hold(scope, store_id)
    source = await records.lock(scope, sync_id)
    if source is None:
        raise NotFound(f"Sync source {sync_id} not found")
    return source


# Runs


async def run(resources: Resources, workspace: UUID, sync_id: UUID, *, force: bool = False) -> Job:
    """Queue a run now; one that is under way is the answer. The schedule stays as it is.

    `force`: documents leave even when the source lists nothing. Raises `NotFound`, `Conflict` when a forced run is
    asked for while another one is under way, `QueueFull`.
    """
    async with resources.database.write(workspace) as scope:
        source = await _locked(scope, sync_id)
        job = await open_run(scope, source)
        if job is not None:
            if force and not job.payload.get("force"):
                raise Conflict("force: another run is under way; ask again when it has ended")
            return job
        await jobs.check_room(scope, resources.settings.max_queued_jobs)
        return await begin(scope, resources.queue, source, source.next_run_at, await records.clock(scope), force=force)


async def open_run(scope: Scope, source: SyncSource) -> Job | None:
    """The run that is under way; the caller has the source locked, so that no other one begins."""
    job = await jobs.find_in(scope, source.run) if source.run else None
    return job if job is not None and job.state not in FINAL else None


async def begin(
    scope: Scope, queue: Queue, source: SyncSource, next_run_at: datetime | None, now: datetime, *, force: bool = False
) -> Job:
    """Queue a run of a locked source that has none under way, and note when the next one is due."""
    payload = {**documents.payload_of(source.store_id, source.loader_id), "syncId": str(source.id), "force": force}
    lock = documents.lock_of(source.loader_id)
    job = await jobs.submit(scope, queue, "sync", store_id=source.store_id, payload=payload, lock=lock)
    await records.begun(scope, source.id, job.id, next_run_at, now)
    return job


async def queue_due(resources: Resources, now: datetime | None = None) -> int:
    """Queue a run of every source whose time has come; says how many. Any number of workers may do so.

    `now` stands in for the database's clock. A source that missed its time more than once runs once; one whose former
    run is still under way waits for its next time; one that was queued in the future (the clock was set back) gets a
    new next time and no run.
    """
    queued = 0
    async with resources.database.transaction() as connection:
        for found in await records.due(connection, now, DUE_AT_ONCE):
            source, clock = found.source, found.clock
            scope = Scope(connection, found.workspace)
            following = _following(source, clock)
            is_due = source.next_run_at is not None and source.next_run_at <= clock
            if is_due and await open_run(scope, source) is None:
                await begin(scope, resources.queue, source, following, clock)
                queued += 1
            else:
                await records.postpone(scope, source.id, following, min(source.queued_at or clock, clock))
    return queued


def _following(source: SyncSource, now: datetime) -> datetime | None:
    """When the source is due after `now`; never again by itself when its schedule names no time any more."""
    if source.schedule is None:
        return None
    try:
        return next_after(source.schedule, now, source.next_run_at)
    except Unprocessable:
        return None
