"""Submit background work, and steer it: cancel, pause, resume, retry."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

from service.errors import Conflict, NotFound, TooManyRequests
from service.jobs import records
from service.jobs.types import FINAL, Job, JobState
from service.plugins import resolve
from service.worker.jobs import GIVE_UP, RETRY
from service.worker.queue import Queue
from stores.records.database import Connection, Database, Scope

GiveUp = Callable[[Scope, Job, Mapping[str, Any]], Awaitable[None]]
Retry = Callable[[Scope, Queue, Job], Awaitable[Job | None]]

LOCK = "lock"
"""The part of a payload that names the job's lock on the queue."""

FORGOTTEN_AT_ONCE = 1000
"""Old jobs removed in one statement."""


class NothingToRetry(Conflict):
    """Nothing of the job failed, so there is nothing to retry."""

    code = "nothing_to_retry"


class QueueFull(TooManyRequests):
    """Too many jobs wait."""

    code = "queue_full"


async def reserve(scope: Scope, job_id: UUID, kind: str, *, store_id: UUID | None = None) -> Job:
    """A job's row, before its payload is known; `enqueue` must follow in the same transaction."""
    return await records.insert(scope, job_id, kind, store_id)


async def enqueue(
    scope: Scope, queue: Queue, job_id: UUID, payload: Mapping[str, Any], *, lock: str | None = None
) -> Job:
    """Give a reserved job its payload and put it on the queue. The payload keeps the lock, for when the job has to be
    put there again."""
    others = {key: value for key, value in payload.items() if key != LOCK}
    job = await records.set_payload(scope, job_id, others if lock is None else {**others, LOCK: lock})
    await queue.put(scope.connection, job.id, job.kind, lock=lock)
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


async def set_payload(scope: Scope, job_id: UUID, payload: Mapping[str, Any]) -> Job:
    """Give a job that runs another payload in the caller's transaction: what its next attempt will be told."""
    return await records.set_payload(scope, job_id, payload)


async def find_in(scope: Scope, job_id: UUID) -> Job | None:
    """A job of the workspace, as the caller's transaction sees it."""
    return await records.get(scope, job_id)


async def open_jobs(scope: Scope, store_id: UUID) -> list[Job]:
    """Jobs of a document store that have not ended, oldest first."""
    return await records.open_jobs(scope, store_id)


async def waiting(scope: Scope, store_id: UUID, kind: str) -> bool:
    """Whether a job of this kind is queued for the document store and has not begun."""
    return await records.waiting(scope, store_id, kind)


async def check_room(scope: Scope, most: int) -> None:
    """Raises `QueueFull` when the workspace has `most` jobs that have not ended: call it before taking an upload in."""
    if await records.unfinished(scope, most) >= most:
        raise QueueFull(
            f"max_queued_jobs: {most} jobs of this workspace have not ended yet; send this again when some have",
            headers={"Retry-After": "5"},
        )


async def cancel_in(scope: Scope, queue: Queue, job_id: UUID) -> bool:
    """Cancel a job in the caller's transaction: one that waits or is paused never starts, a running one ends within
    seconds. What waited for it fails with this reason in the same transaction. False when it had ended already."""
    error = {"status": 409, "code": "cancelled", "message": "The job was cancelled."}
    job = await records.get(scope, job_id)
    if job is None or job.state in FINAL:
        return False
    async with scope.connection.transaction() as undoable:
        # In the order in which workers take these locks: first what the job works on, then the job.
        await give_up(scope, job, error)
        cancelled = await records.finish(scope, job_id, JobState.CANCELLED, attempt=None, result=None, error=error)
        if not cancelled:
            undoable.force_rollback = True
    if cancelled and job.state is not JobState.RUNNING:
        await queue.put_if_missing(scope.connection, job.id, job.kind)  # for what is to be cleared up after it
    return cancelled


async def give_up(scope: Scope, job: Job, error: Mapping[str, Any]) -> None:
    """What waits for a job that ends without success learns why, in the caller's transaction."""
    if job.kind in GIVE_UP:
        handler: GiveUp = resolve(GIVE_UP, job.kind, "job")
        await handler(scope, job, error)


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


async def cancel(database: Database, queue: Queue, workspace: UUID, job_id: UUID) -> Job:
    """Ask a job to stop: one that waits or is paused never starts, a running one ends within seconds."""
    async with database.write(workspace) as scope:
        await cancel_in(scope, queue, job_id)
    return await get(database, workspace, job_id)


async def pause(database: Database, workspace: UUID, job_id: UUID) -> Job:
    """Take a job off its worker: a waiting one does not start, a running one stops before its next commit; what it has
    committed stays. Raises `Conflict` when it has ended."""
    async with database.write(workspace) as scope:
        await records.pause(scope, job_id)
    job = await get(database, workspace, job_id)
    if job.state in FINAL:
        raise Conflict(f"The job has ended ({job.state}); only an open one can be paused")
    return job


async def resume(database: Database, queue: Queue, workspace: UUID, job_id: UUID) -> Job:
    """Let a paused job go on after what it has committed; one that is not paused stays as it is.

    Raises `Conflict` when it has ended."""
    async with database.write(workspace) as scope:
        if await records.resume(scope, job_id):
            paused = await records.get(scope, job_id)
            if paused is not None:
                await queue.put_if_missing(scope.connection, job_id, paused.kind, lock=paused.payload.get(LOCK))
    job = await get(database, workspace, job_id)
    if job.state in FINAL:
        raise Conflict(f"The job has ended ({job.state}); `retry` does again what failed")
    return job


async def retry(database: Database, queue: Queue, workspace: UUID, job_id: UUID) -> Job:
    """A new job over what failed of one that has ended; of a kind without such parts, the whole job again.

    Raises `Conflict` for an open job, `NothingToRetry`, `NotFound`.
    """
    async with database.write(workspace) as scope:
        job = await records.get(scope, job_id)
        if job is None:
            raise NotFound(f"Job {job_id} not found")
        if job.state not in FINAL:
            raise Conflict(f"The job is still open ({job.state}); cancel it, or wait for its end")
        if job.kind in RETRY:
            handler: Retry = resolve(RETRY, job.kind, "job")
            again = await handler(scope, queue, job)
        elif job.state is JobState.DONE:
            again = None
        else:
            lock = job.payload.get(LOCK)
            again = await submit(scope, queue, job.kind, store_id=job.store_id, payload=job.payload, lock=lock)
        if again is None:
            raise NothingToRetry
    return again


async def forget_old(database: Database, days: float) -> int:
    """Remove the jobs of every workspace that ended `days` ago, some at a time; says how many. Documents keep the
    reason of a failure."""
    forgotten = 0
    while True:
        async with database.connection() as connection:
            count = await records.forget(connection, days, FORGOTTEN_AT_ONCE)
        forgotten += count
        if count < FORGOTTEN_AT_ONCE:
            return forgotten
