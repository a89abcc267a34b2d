"""Submit background work, and wait for it without polling."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from service.errors import NotFound
from service.jobs import records
from service.jobs.types import FINAL, Job, JobState
from service.worker.queue import Queue
from stores.records.database import Connection, Database, Scope

LOOK_SECONDS = 2.0
"""How often a waiter looks for himself, should a signal be lost."""


async def reserve(scope: Scope, job_id: UUID, kind: str, *, store_id: UUID | None = None) -> Job:
    """A job's row, before its payload is known; `enqueue` must follow in the same transaction."""
    return await records.insert(scope, job_id, kind, store_id)


async def enqueue(
    scope: Scope, queue: Queue, job_id: UUID, payload: Mapping[str, Any], *, lock: str | None = None
) -> Job:
    """Give a reserved job its payload and put it on the queue."""
    job = await records.set_payload(scope, job_id, payload)
    await queue.put(scope.connection, job.id, lock=lock)
    return job


async def submit(
    scope: Scope,
    queue: Queue,
    kind: str,
    *,
    store_id: UUID | None = None,
    payload: Mapping[str, Any] | None = None,
    lock: str | None = None,
) -> Job:
    """Queue a job in the caller's transaction: it exists if and only if the data that it works on does.

    Jobs with the same `lock` run one after another.
    """
    job = await reserve(scope, uuid4(), kind, store_id=store_id)
    return await enqueue(scope, queue, job.id, payload or {}, lock=lock)


async def open_jobs(scope: Scope, store_id: UUID) -> list[Job]:
    """Jobs of a document store that are queued or running, oldest first."""
    return await records.open_jobs(scope, store_id)


async def waiting(scope: Scope, store_id: UUID, kind: str) -> bool:
    """Whether a job of this kind is queued for the document store and has not begun."""
    return await records.waiting(scope, store_id, kind)


async def cancel_in(scope: Scope, job_id: UUID) -> None:
    """Cancel a job in the caller's transaction: a queued one never starts, a running one ends within seconds."""
    error = {"status": 409, "code": "cancelled", "message": "The job was cancelled."}
    await records.finish(scope, job_id, JobState.CANCELLED, attempt=None, result=None, error=error)


async def note(
    scope: Scope, job: Job, stage: str, done: int, total: int | None, result: Mapping[str, Any] | None = None
) -> bool:
    """Note how far an attempt got, and its result so far, in the caller's transaction.

    False when it is to stop: the job was cancelled, or another worker took it up.
    """
    return await records.progress(scope, job, stage, done, total, result)


async def finish(
    scope: Scope,
    job: Job,
    state: JobState,
    *,
    result: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
) -> bool:
    """End a job in its worker's transaction and wake whoever waits for it; False when that is no longer its to do."""
    return await records.finish(scope, job.id, state, attempt=job.attempts, result=result, error=error)


async def begin(connection: Connection, job_id: UUID) -> Job | None:
    """Start, or start again, a queued or running job; None when it is final already."""
    return await records.start(connection, job_id)


async def find(connection: Connection, job_id: UUID) -> Job | None:
    """A job of whatever workspace, for the worker that was given its id."""
    return await records.find(connection, job_id)


async def renew(connection: Connection, job: Job) -> bool:
    """Renew an attempt's lease; False when it is to stop: the job has ended, or another worker took it up."""
    return await records.renew(connection, job.id, job.attempts)


async def release(connection: Connection, job: Job) -> None:
    """Give an attempt back: the job waits again, and the start is not held against it."""
    await records.release(connection, job.id, job.attempts)


async def get(database: Database, workspace: UUID, job_id: UUID) -> Job:
    """A job of the workspace, else `NotFound`."""
    async with database.read(workspace) as scope:
        job = await records.get(scope, job_id)
    if job is None:
        raise NotFound(f"Job {job_id} not found")
    return job


async def everything(
    database: Database,
    workspace: UUID,
    *,
    store_id: UUID | None = None,
    state: JobState | None = None,
    offset: int = 0,
    limit: int,
) -> tuple[list[Job], int]:
    """The workspace's jobs, newest first, and how many there are in all."""
    async with database.read(workspace) as scope:
        return await records.everything(scope, store_id=store_id, state=state, offset=offset, limit=limit)


async def cancel(database: Database, workspace: UUID, job_id: UUID) -> Job:
    """Ask a job to stop: a queued one never starts, a running one ends within seconds."""
    async with database.write(workspace) as scope:
        await cancel_in(scope, job_id)
    return await get(database, workspace, job_id)


class JobWatch:
    """Wakes waiters when a job ends. `notify` is the callback for the signals channel `records.CHANNEL`."""

    def __init__(self, database: Database) -> None:
        """`database` is where waiters look for the job's row."""
        self._database = database
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def notify(self, payload: str) -> None:
        """A job, named by its id, has ended."""
        for event in self._events.get(payload, ()):
            event.set()

    async def wait(self, workspace: UUID, job_id: UUID, seconds: float) -> Job:
        """The job when it has ended, or as it stands after `seconds`."""
        event = asyncio.Event()
        key = str(job_id)
        self._events[key].add(event)
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            while True:
                job = await get(self._database, workspace, job_id)
                left = deadline - asyncio.get_running_loop().time()
                if job.state in FINAL or left <= 0:
                    return job
                try:
                    await asyncio.wait_for(event.wait(), min(left, LOOK_SECONDS))
                except TimeoutError:
                    continue
                event.clear()
        finally:
            self._events[key].discard(event)
            if not self._events[key]:
                del self._events[key]
