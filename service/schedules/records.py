"""The rows of schedules, and of the times at which flows were due."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.schedules.types import Cron, FlowSchedule, InputMode, Plan, RunStatus, ScheduledRun
from stores.records.database import Connection, Scope


def _schedule(connection: Connection, row: DictRow) -> FlowSchedule:
    plan = Plan(
        node=row["node_id"],
        cron=Cron(row["cron"], row["time_zone"]),
        mode=InputMode(row["input_mode"]),
        input=row["input"],
        form=connection.sealer.open(row["form"], row["workspace_id"]),
        end_at=row["end_at"],
    )
    return FlowSchedule(
        id=row["id"],
        workspace=row["workspace_id"],
        chatflow=row["chatflow_id"],
        plan=plan,
        enabled=row["enabled"],
        last_run_at=row["last_run_at"],
        next_run_at=row["next_run_at"],
        queued_at=row["queued_at"],
        run=row["run_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _run(row: DictRow) -> ScheduledRun:
    return ScheduledRun(
        id=row["id"],
        workspace=row["workspace_id"],
        chatflow=row["chatflow_id"],
        schedule=row["schedule_id"],
        execution=row["execution_id"],
        status=RunStatus(row["status"]),
        error=row["error"],
        elapsed_ms=row["elapsed_ms"],
        scheduled_at=row["scheduled_at"],
        created_at=row["created_at"],
    )


# Schedules


async def clock(scope: Scope) -> datetime:
    """The moment by the database's clock: one clock for all workers."""
    row = await scope.one("SELECT now() AS now")
    assert row is not None
    moment: datetime = row["now"]
    return moment


async def of_flow(scope: Scope, chatflow: UUID, *, lock: bool = False) -> FlowSchedule | None:
    """The schedule of a flow; `lock` keeps it as it is until the transaction ends."""
    if lock:
        row = await scope.one(
            "SELECT * FROM flow_schedules WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s FOR UPDATE",
            chatflow=chatflow,
        )
    else:
        row = await scope.one(
            "SELECT * FROM flow_schedules WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s",
            chatflow=chatflow,
        )
    return _schedule(scope.connection, row) if row else None


async def without(connection: Connection, after: UUID, limit: int) -> list[tuple[UUID, UUID]]:
    """Agentflows of all workspaces without a schedule, by id: workspace and flow."""
    cursor = await connection.execute(
        "SELECT f.workspace_id, f.id FROM chatflows f WHERE f.type = 'AGENTFLOW' AND f.id > %(after)s"
        " AND NOT EXISTS (SELECT 1 FROM flow_schedules s WHERE s.chatflow_id = f.id) ORDER BY f.id LIMIT %(limit)s",
        {"after": after, "limit": limit},
    )
    return [(row["workspace_id"], row["id"]) for row in await cursor.fetchall()]


async def put(
    scope: Scope, schedule: UUID, chatflow: UUID, plan: Plan, next_run_at: datetime | None, *, enabled: bool
) -> None:
    """The schedule of a flow, new or in place of what it was."""
    await scope.run(
        "INSERT INTO flow_schedules (id, workspace_id, chatflow_id, node_id, cron, time_zone, input_mode, input, form,"
        " enabled, end_at, next_run_at) VALUES (%(id)s, %(workspace)s, %(chatflow)s, %(node)s, %(cron)s, %(zone)s,"
        " %(mode)s, %(input)s, %(form)s, %(enabled)s, %(end)s, %(next)s)"
        " ON CONFLICT (chatflow_id) DO UPDATE SET node_id = excluded.node_id, cron = excluded.cron,"
        " time_zone = excluded.time_zone, input_mode = excluded.input_mode, input = excluded.input,"
        " form = excluded.form, enabled = excluded.enabled, end_at = excluded.end_at,"
        " next_run_at = excluded.next_run_at, updated_at = now()",
        id=schedule,
        chatflow=chatflow,
        node=plan.node,
        cron=plan.cron.expression,
        zone=plan.cron.timezone,
        mode=plan.mode.value,
        input=plan.input,
        form=None if plan.form is None else Jsonb(scope.sealed(dict(plan.form))),
        enabled=enabled,
        end=plan.end_at,
        next=next_run_at,
    )


async def switch(scope: Scope, chatflow: UUID, next_run_at: datetime | None, *, enabled: bool) -> None:
    """Switch a schedule on or off."""
    await scope.run(
        "UPDATE flow_schedules SET enabled = %(enabled)s, next_run_at = %(next)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s",
        chatflow=chatflow,
        enabled=enabled,
        next=next_run_at,
    )


async def drop(scope: Scope, chatflow: UUID) -> int:
    """Take the schedule of a flow away; what ran stays."""
    return await scope.run(
        "DELETE FROM flow_schedules WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s",
        chatflow=chatflow,
    )


async def begun(scope: Scope, schedule: UUID, run: UUID, next_run_at: datetime | None, at: datetime) -> None:
    """A run was queued."""
    await scope.run(
        "UPDATE flow_schedules SET run_id = %(run)s, next_run_at = %(next)s, queued_at = %(at)s, last_run_at = %(at)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=schedule,
        run=run,
        next=next_run_at,
        at=at,
    )


async def postpone(scope: Scope, schedule: UUID, next_run_at: datetime | None, queued_at: datetime | None) -> None:
    """No run this time; the next one is due then."""
    await scope.run(
        "UPDATE flow_schedules SET next_run_at = %(next)s, queued_at = %(queued)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=schedule,
        next=next_run_at,
        queued=queued_at,
    )


async def due(connection: Connection, now: datetime | None, limit: int) -> list[tuple[datetime, FlowSchedule]]:
    """Schedules of all workspaces whose time has come by `now`, or by the database's clock when that is None, with what
    the clock shows. They are locked until the transaction ends, and their flows cannot be deleted; those that another
    worker has locked are left out, and those of flows that are being deleted.

    Also those that were queued at a moment which still lies ahead: the clock was set back.
    """
    cursor = await connection.execute(
        "SELECT s.*, coalesce(%(now)s::timestamptz, now()) AS clock FROM flow_schedules s"
        " JOIN chatflows f ON f.id = s.chatflow_id"
        " WHERE s.enabled AND s.next_run_at IS NOT NULL AND (s.next_run_at <= coalesce(%(now)s::timestamptz, now())"
        " OR s.queued_at > coalesce(%(now)s::timestamptz, now()) + interval '1 minute')"
        # the flow first, as those take these locks who keep or delete one
        " ORDER BY s.next_run_at, s.id LIMIT %(limit)s FOR KEY SHARE OF f SKIP LOCKED FOR UPDATE OF s SKIP LOCKED",
        {"now": now, "limit": limit},
    )
    return [(row["clock"], _schedule(connection, row)) for row in await cursor.fetchall()]


# Runs


async def insert(scope: Scope, run: ScheduledRun) -> None:
    """A time at which a flow is due."""
    await scope.run(
        "INSERT INTO flow_schedule_runs (id, workspace_id, chatflow_id, schedule_id, status, error, scheduled_at)"
        " VALUES (%(id)s, %(workspace)s, %(chatflow)s, %(schedule)s, %(status)s, %(error)s, %(at)s)",
        id=run.id,
        chatflow=run.chatflow,
        schedule=run.schedule,
        status=run.status.value,
        error=run.error,
        at=run.scheduled_at,
    )


async def get(scope: Scope, run: UUID) -> ScheduledRun | None:
    """A run of the workspace."""
    row = await scope.one("SELECT * FROM flow_schedule_runs WHERE workspace_id = %(workspace)s AND id = %(id)s", id=run)
    return _run(row) if row else None


async def note(
    scope: Scope,
    run: UUID,
    status: RunStatus,
    *,
    execution: UUID | None = None,
    error: str | None = None,
    elapsed_ms: int | None = None,
) -> None:
    """What became of a run that has not ended; one that has stays as it is."""
    await scope.run(
        "UPDATE flow_schedule_runs SET status = %(status)s, error = %(error)s, elapsed_ms = %(elapsed)s,"
        " execution_id = coalesce(%(execution)s, execution_id)"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND status IN ('QUEUED', 'RUNNING')",
        id=run,
        status=status.value,
        execution=execution,
        error=error,
        elapsed=elapsed_ms,
    )


async def page(
    scope: Scope, chatflow: UUID, statuses: Sequence[str], offset: int, size: int
) -> tuple[list[ScheduledRun], int]:
    """The times of a flow, newest first, and how many there are in all."""
    rows = await scope.all(
        "SELECT * FROM flow_schedule_runs WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s"
        " AND (%(statuses)s::text[] = '{}' OR status = ANY(%(statuses)s))"
        " ORDER BY scheduled_at DESC, id OFFSET %(offset)s LIMIT %(size)s",
        chatflow=chatflow,
        statuses=list(statuses),
        offset=offset,
        size=size,
    )
    counted = await scope.one(
        "SELECT count(*) AS total FROM flow_schedule_runs WHERE workspace_id = %(workspace)s"
        " AND chatflow_id = %(chatflow)s AND (%(statuses)s::text[] = '{}' OR status = ANY(%(statuses)s))",
        chatflow=chatflow,
        statuses=list(statuses),
    )
    return [_run(row) for row in rows], counted["total"] if counted else 0


async def delete(scope: Scope, chatflow: UUID, runs: Sequence[UUID]) -> tuple[int, list[UUID]]:
    """Remove rows of a flow's runs; how many, and their executions."""
    rows = await scope.all(
        "DELETE FROM flow_schedule_runs WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s"
        " AND id = ANY(%(runs)s) RETURNING execution_id",
        chatflow=chatflow,
        runs=list(runs),
    )
    return len(rows), [row["execution_id"] for row in rows if row["execution_id"] is not None]


async def forget(connection: Connection, days: float) -> int:
    """Remove the rows of runs that ended long ago; says how many. Their executions stay as long as messages do."""
    cursor = await connection.execute(
        "DELETE FROM flow_schedule_runs WHERE status NOT IN ('QUEUED', 'RUNNING')"
        " AND created_at < now() - make_interval(secs => 86400 * %(days)s)",
        {"days": days},
    )
    return cursor.rowcount
