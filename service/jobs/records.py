"""The rows of jobs."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.jobs.types import Job, JobId, JobState
from stores.records.database import Connection, Scope

CHANNEL = "ragstone_jobs"
"""Signals about jobs: the id of a job that has ended, or an id and `+` of one that got further or changed its state."""


def _job(connection: Connection, row: DictRow) -> Job:
    return Job(
        id=JobId(row["id"]),
        workspace=row["workspace_id"],
        kind=row["kind"],
        store_id=row["store_id"],
        state=JobState(row["state"]),
        stage=row["stage"],
        done=row["done"],
        total=row["total"],
        result=row["result"],
        error=row["error"],
        payload=connection.sealer.open(row["payload"], row["workspace_id"]),
        attempts=row["attempts"],
        idle_starts=row["idle_starts"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        updated_at=row["updated_at"],
        finished_at=row["finished_at"],
        paused_at=row["paused_at"],
        paused_seconds=row["paused_seconds"],
    )


async def insert(scope: Scope, job_id: UUID, kind: str, store_id: UUID | None) -> Job:
    """A new queued job."""
    row = await scope.one(
        "INSERT INTO jobs (id, workspace_id, kind, store_id) VALUES (%(id)s, %(workspace)s, %(kind)s, %(store)s)"
        " RETURNING *",
        id=job_id,
        kind=kind,
        store=store_id,
    )
    assert row is not None
    return _job(scope.connection, row)


async def set_payload(scope: Scope, job_id: UUID, payload: Mapping[str, Any]) -> Job:
    """What the job's handler will be given."""
    row = await scope.one(
        "UPDATE jobs SET payload = %(payload)s WHERE workspace_id = %(workspace)s AND id = %(id)s RETURNING *",
        id=job_id,
        payload=Jsonb(scope.sealed(payload)),
    )
    assert row is not None
    return _job(scope.connection, row)


async def get(scope: Scope, job_id: UUID) -> Job | None:
    """A job of the workspace."""
    row = await scope.one("SELECT * FROM jobs WHERE workspace_id = %(workspace)s AND id = %(id)s", id=job_id)
    return _job(scope.connection, row) if row else None


async def everything(
    scope: Scope, *, store_id: UUID | None, state: JobState | None, offset: int, limit: int
) -> tuple[list[Job], int]:
    """The workspace's jobs, newest first, and how many there are in all."""
    rows = await scope.all(
        "SELECT * FROM jobs WHERE workspace_id = %(workspace)s"
        " AND (%(store)s::uuid IS NULL OR store_id = %(store)s) AND (%(state)s::text IS NULL OR state = %(state)s)"
        " ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(offset)s",
        store=store_id,
        state=state,
        limit=limit,
        offset=offset,
    )
    count = await scope.one(
        "SELECT count(*) AS total FROM jobs WHERE workspace_id = %(workspace)s"
        " AND (%(store)s::uuid IS NULL OR store_id = %(store)s) AND (%(state)s::text IS NULL OR state = %(state)s)",
        store=store_id,
        state=state,
    )
    assert count is not None
    return [_job(scope.connection, row) for row in rows], count["total"]


async def open_jobs(scope: Scope, store_id: UUID) -> list[Job]:
    """Jobs of a document store that have not ended, oldest first."""
    rows = await scope.all(
        "SELECT * FROM jobs WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND state IN ('queued', 'running', 'paused') ORDER BY created_at",
        store=store_id,
    )
    return [_job(scope.connection, row) for row in rows]


async def waiting(scope: Scope, store_id: UUID, kind: str) -> bool:
    """Whether a job of this kind is queued for the document store and has not begun."""
    row = await scope.one(
        "SELECT 1 AS one FROM jobs WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND kind = %(kind)s"
        " AND state = 'queued' LIMIT 1",
        store=store_id,
        kind=kind,
    )
    return row is not None


async def unfinished(scope: Scope, most: int) -> int:
    """How many jobs of the workspace have not ended; counted up to `most`."""
    row = await scope.one(
        "SELECT count(*) AS n FROM (SELECT 1 FROM jobs WHERE workspace_id = %(workspace)s"
        " AND state IN ('queued', 'running', 'paused') LIMIT %(most)s) AS open",
        most=most,
    )
    return int(row["n"]) if row else 0


async def start(connection: Connection, job_id: UUID) -> Job | None:
    """Mark as running and count the attempt; None when the job is final already (a repeat after its work was done), or
    paused."""
    cursor = await connection.execute(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1, idle_starts = idle_starts + 1,"
        " started_at = coalesce(started_at, now()), updated_at = now()"
        " WHERE id = %(id)s AND state IN ('queued', 'running') RETURNING *, pg_notify(%(channel)s, id::text || '+')",
        {"id": job_id, "channel": CHANNEL},
    )
    row = await cursor.fetchone()
    return _job(connection, row) if row else None


async def find(connection: Connection, job_id: UUID) -> Job | None:
    """A job of whatever workspace, for the worker that was given its id."""
    cursor = await connection.execute("SELECT * FROM jobs WHERE id = %(id)s", {"id": job_id})
    row = await cursor.fetchone()
    return _job(connection, row) if row else None


async def renew(connection: Connection, job_id: UUID, attempt: int) -> bool:
    """Renew the lease of a running attempt; False when the job has ended or was taken up by another worker."""
    cursor = await connection.execute(
        "UPDATE jobs SET updated_at = now() WHERE id = %(id)s AND attempts = %(attempt)s AND state = 'running'",
        {"id": job_id, "attempt": attempt},
    )
    return cursor.rowcount == 1


async def release(connection: Connection, job_id: UUID, attempt: int) -> None:
    """Give a running attempt back: it waits again, and the start is not held against it."""
    await connection.execute(
        "UPDATE jobs SET state = 'queued', idle_starts = greatest(idle_starts - 1, 0), updated_at = now()"
        " WHERE id = %(id)s AND attempts = %(attempt)s AND state = 'running'"
        " RETURNING pg_notify(%(channel)s, id::text || '+')",
        {"id": job_id, "attempt": attempt, "channel": CHANNEL},
    )


async def pause(scope: Scope, job_id: UUID) -> bool:
    """Take an open job off its worker; False when it is paused already or has ended."""
    touched = await scope.run(
        "UPDATE jobs SET state = 'paused', paused_at = now(), updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND state IN ('queued', 'running')"
        " RETURNING pg_notify(%(channel)s, id::text || '+')",
        id=job_id,
        channel=CHANNEL,
    )
    return touched == 1


async def resume(scope: Scope, job_id: UUID) -> bool:
    """Let a paused job wait for a worker again, as if none of its starts had been in vain; False when it is not
    paused."""
    touched = await scope.run(
        "UPDATE jobs SET state = 'queued', idle_starts = 0, updated_at = now(), paused_at = NULL,"
        " paused_seconds = paused_seconds + CASE WHEN started_at IS NULL THEN 0"
        " ELSE extract(epoch FROM now() - paused_at) END"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND state = 'paused'"
        " RETURNING pg_notify(%(channel)s, id::text || '+')",
        id=job_id,
        channel=CHANNEL,
    )
    return touched == 1


async def progress(
    scope: Scope, job: Job, stage: str, done: int, total: int | None, result: Mapping[str, Any] | None
) -> bool:
    """Note how far an attempt got, and its result so far; False when the job has ended (cancelled) or another attempt
    of it has begun."""
    touched = await scope.run(
        "UPDATE jobs SET stage = %(stage)s, done = %(done)s, total = %(total)s,"
        " idle_starts = CASE WHEN result IS DISTINCT FROM coalesce(%(result)s, result) THEN 0 ELSE idle_starts END,"
        " result = coalesce(%(result)s, result), updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND attempts = %(attempt)s AND state = 'running'"
        " RETURNING pg_notify(%(channel)s, id::text || '+')",
        channel=CHANNEL,
        id=job.id,
        attempt=job.attempts,
        stage=stage,
        done=done,
        total=total,
        result=Jsonb(dict(result)) if result is not None else None,
    )
    return touched == 1


async def finish(
    scope: Scope,
    job_id: UUID,
    state: JobState,
    *,
    attempt: int | None,
    result: Mapping[str, Any] | None,
    error: Mapping[str, Any] | None,
) -> bool:
    """End a job and wake whoever waits for it; False when it had ended already, or `attempt` is no longer the one that
    may (a paused job is ended by nobody's attempt)."""
    touched = await scope.run(
        "UPDATE jobs SET state = %(state)s, stage = %(state)s, result = %(result)s, error = %(error)s,"
        " updated_at = now(), finished_at = now(), paused_at = NULL, paused_seconds = paused_seconds"
        " + CASE WHEN started_at IS NULL OR paused_at IS NULL THEN 0 ELSE extract(epoch FROM now() - paused_at) END"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s"
        " AND (state IN ('queued', 'running') OR (state = 'paused' AND %(attempt)s::int IS NULL))"
        " AND (%(attempt)s::int IS NULL OR attempts = %(attempt)s)"
        " RETURNING pg_notify(%(channel)s, id::text)",
        id=job_id,
        attempt=attempt,
        channel=CHANNEL,
        state=state.value,
        result=Jsonb(dict(result)) if result is not None else None,
        error=Jsonb(dict(error)) if error is not None else None,
    )
    return touched == 1


async def forget(connection: Connection, days: float, most: int) -> int:
    """Remove up to `most` jobs, of whatever workspace, that ended `days` ago; says how many."""
    cursor = await connection.execute(
        "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE finished_at < now() - make_interval(secs => %(age)s)"
        " LIMIT %(most)s FOR UPDATE SKIP LOCKED)",
        {"age": days * 86_400, "most": most},
    )
    return cursor.rowcount
