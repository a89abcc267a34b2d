"""The rows of sync sources."""

from datetime import datetime
from uuid import UUID

from psycopg.rows import DictRow

from service.sync.types import Cron, Due, Every, Schedule, SyncSource
from stores.records.database import Connection, Scope


def _schedule(row: DictRow) -> Schedule | None:
    if row["cron"] is not None:
        return Cron(row["cron"], row["time_zone"])
    return Every(row["every_seconds"]) if row["every_seconds"] is not None else None


def _source(row: DictRow) -> SyncSource:
    return SyncSource(
        id=row["id"],
        store_id=row["store_id"],
        loader_id=row["loader_id"],
        schedule=_schedule(row),
        enabled=row["enabled"],
        delete_missing=row["delete_missing"],
        next_run_at=row["next_run_at"],
        queued_at=row["queued_at"],
        run=row["job_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


# Sources


async def clock(scope: Scope) -> datetime:
    """The moment by the database's clock: one clock for all workers."""
    row = await scope.one("SELECT now() AS now")
    assert row is not None
    moment: datetime = row["now"]
    return moment


async def insert(
    scope: Scope,
    sync_id: UUID,
    store_id: UUID,
    loader_id: UUID,
    schedule: Schedule | None,
    next_run_at: datetime | None,
    *,
    enabled: bool,
    delete_missing: bool,
) -> None:
    """A new sync source of a loader that has none."""
    await scope.run(
        "INSERT INTO sync_sources (id, workspace_id, store_id, loader_id, cron, time_zone, every_seconds, enabled,"
        " delete_missing, next_run_at) VALUES (%(id)s, %(workspace)s, %(store)s, %(loader)s, %(cron)s, %(zone)s,"
        " %(every)s, %(enabled)s, %(delete_missing)s, %(next)s)",
        id=sync_id,
        store=store_id,
        loader=loader_id,
        cron=schedule.expression if isinstance(schedule, Cron) else None,
        zone=schedule.timezone if isinstance(schedule, Cron) else "UTC",
        every=schedule.seconds if isinstance(schedule, Every) else None,
        enabled=enabled,
        delete_missing=delete_missing,
        next=next_run_at,
    )


async def update(
    scope: Scope,
    sync_id: UUID,
    schedule: Schedule | None,
    next_run_at: datetime | None,
    *,
    enabled: bool,
    delete_missing: bool,
) -> None:
    """Change when a sync source runs and what it may remove."""
    await scope.run(
        "UPDATE sync_sources SET cron = %(cron)s, time_zone = %(zone)s, every_seconds = %(every)s,"
        " enabled = %(enabled)s, delete_missing = %(delete_missing)s, next_run_at = %(next)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=sync_id,
        cron=schedule.expression if isinstance(schedule, Cron) else None,
        zone=schedule.timezone if isinstance(schedule, Cron) else "UTC",
        every=schedule.seconds if isinstance(schedule, Every) else None,
        enabled=enabled,
        delete_missing=delete_missing,
        next=next_run_at,
    )


async def get(scope: Scope, sync_id: UUID) -> SyncSource | None:
    """A sync source of a document store that is there."""
    row = await scope.one(
        "SELECT y.* FROM sync_sources y JOIN document_stores s ON s.id = y.store_id AND s.deleted_at IS NULL"
        " WHERE y.workspace_id = %(workspace)s AND y.id = %(id)s",
        id=sync_id,
    )
    return _source(row) if row else None


async def lock(scope: Scope, sync_id: UUID) -> SyncSource | None:
    """As `get`, and nobody else changes it or begins a run of it until the transaction ends."""
    row = await scope.one(
        "SELECT y.* FROM sync_sources y JOIN document_stores s ON s.id = y.store_id AND s.deleted_at IS NULL"
        " WHERE y.workspace_id = %(workspace)s AND y.id = %(id)s FOR UPDATE OF y",
        id=sync_id,
    )
    return _source(row) if row else None


async def of_store(scope: Scope, store_id: UUID) -> list[SyncSource]:
    """The sync sources of a document store, oldest first."""
    rows = await scope.all(
        "SELECT * FROM sync_sources WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " ORDER BY created_at, id",
        store=store_id,
    )
    return [_source(row) for row in rows]


async def of_loader(scope: Scope, loader_id: UUID) -> UUID | None:
    """The sync source of a loader."""
    row = await scope.one(
        "SELECT id FROM sync_sources WHERE workspace_id = %(workspace)s AND loader_id = %(loader)s", loader=loader_id
    )
    return row["id"] if row else None


async def delete(scope: Scope, sync_id: UUID) -> int:
    """Remove a sync source; what it brought stays with its loader."""
    return await scope.run("DELETE FROM sync_sources WHERE workspace_id = %(workspace)s AND id = %(id)s", id=sync_id)


async def begun(scope: Scope, sync_id: UUID, job_id: UUID, next_run_at: datetime | None, at: datetime) -> None:
    """A run was queued."""
    await scope.run(
        "UPDATE sync_sources SET job_id = %(job)s, next_run_at = %(next)s, queued_at = %(at)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=sync_id,
        job=job_id,
        next=next_run_at,
        at=at,
    )


async def postpone(scope: Scope, sync_id: UUID, next_run_at: datetime | None, queued_at: datetime | None) -> None:
    """No run this time; the next one is due then."""
    await scope.run(
        "UPDATE sync_sources SET next_run_at = %(next)s, queued_at = %(queued)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=sync_id,
        next=next_run_at,
        queued=queued_at,
    )


async def due(connection: Connection, now: datetime | None, limit: int) -> list[Due]:
    """Sync sources of all workspaces whose time has come by `now`, or by the database's clock when that is None. They
    are locked until the transaction ends; those that another worker has locked are left out.

    Also those that were queued at a moment which still lies ahead: the clock was set back, so that what they wait for
    may be far away.
    """
    cursor = await connection.execute(
        "SELECT y.*, coalesce(%(now)s::timestamptz, now()) AS clock FROM sync_sources y"
        " JOIN document_stores s ON s.id = y.store_id AND s.deleted_at IS NULL"
        " WHERE y.enabled AND y.next_run_at IS NOT NULL AND (y.next_run_at <= coalesce(%(now)s::timestamptz, now())"
        " OR y.queued_at > coalesce(%(now)s::timestamptz, now()) + interval '1 minute')"
        " ORDER BY y.next_run_at, y.id LIMIT %(limit)s FOR UPDATE OF y SKIP LOCKED",
        {"now": now, "limit": limit},
    )
    return [Due(row["clock"], row["workspace_id"], _source(row)) for row in await cursor.fetchall()]
