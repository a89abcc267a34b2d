"""The rows of workers, and of jobs that no worker knows of."""

from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from stores.records.database import Connection

Session = psycopg.Connection[TupleRow]


def newest_worker(connection: Session) -> int:
    """The number of the worker that registered last, 0 when none is registered. Numbers only grow."""
    row = connection.execute("SELECT coalesce(max(id), 0) FROM procrastinate_workers").fetchone()
    assert row is not None
    return int(row[0])


def living_workers(connection: Session, seconds: float) -> int:
    """How many workers gave a heartbeat in the last `seconds`; each is registered once a lane."""
    row = connection.execute(
        "SELECT ceil(count(*) / 3.0) FROM procrastinate_workers"
        " WHERE last_heartbeat > now() - make_interval(secs => %s)",
        (seconds,),
    ).fetchone()
    assert row is not None
    return int(row[0])


async def waits(connection: Connection, job_id: UUID) -> bool:
    """Whether a job is on the queue and no worker has taken it."""
    cursor = await connection.execute(
        "SELECT 1 AS one FROM procrastinate_jobs WHERE args ->> 'job_id' = %(job)s AND status = 'todo' LIMIT 1",
        {"job": str(job_id)},
    )
    return await cursor.fetchone() is not None


async def turn(connection: Connection, job_id: UUID, lane: str) -> int:
    """When a job's turn on a lane is, among those that wait there: after what its flow has waiting already, or its
    workspace where it runs no flow, and not before anybody's. So flows and workspaces take turns however much one of
    them has waiting, and nobody waits for ever."""
    cursor = await connection.execute(
        "WITH waiting AS (SELECT -q.priority AS turn, coalesce(j.payload ->> 'flowId', j.workspace_id::text) AS party"
        " FROM procrastinate_jobs q JOIN jobs j ON j.id = (q.args ->> 'job_id')::uuid"
        " WHERE q.queue_name = %(lane)s AND q.status = 'todo')"
        " SELECT greatest(min(turn), 1 + max(turn) FILTER (WHERE party = (SELECT"
        " coalesce(payload ->> 'flowId', workspace_id::text) FROM jobs WHERE id = %(job)s)), 0) AS turn FROM waiting",
        {"lane": lane, "job": job_id},
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row["turn"])


async def forgotten_jobs(connection: Connection, seconds: float) -> dict[UUID, tuple[str, str | None]]:
    """Open jobs that are not on the queue and whose lease ran out `seconds` ago, with kinds and locks; themselves
    locked until the transaction ends, jobs that somebody else has locked left out. Their leases begin anew."""
    cursor = await connection.execute(
        "UPDATE jobs SET updated_at = now() WHERE id IN (SELECT id FROM jobs j"
        " WHERE state IN ('queued', 'running') AND updated_at < now() - make_interval(secs => %(seconds)s)"
        " AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs q WHERE q.args ->> 'job_id' = j.id::text"
        " AND q.status IN ('todo', 'doing')) LIMIT 100 FOR UPDATE SKIP LOCKED)"
        " RETURNING id, kind, payload ->> 'lock' AS lock",
        {"seconds": seconds},
    )
    return {row["id"]: (row["kind"], row["lock"]) for row in await cursor.fetchall()}
