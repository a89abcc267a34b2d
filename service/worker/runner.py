"""Takes jobs off the queue, runs their handlers, and records how they ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from service.errors import ServiceError, StorageFull
from service.jobs import service as jobs
from service.jobs.types import FINAL, Job, JobState
from service.limits.room import out_of_room
from service.plugins import resolve_aside
from service.resources import Resources
from service.secret_names import redacted_text
from service.worker import records
from service.worker.housekeeping import keep_house
from service.worker.jobs import AFTERMATH, CONCLUDE, JOBS, MOST_EVALUATIONS
from service.worker.postgres import (
    EVALUATIONS_LANE,
    JOBS_LANE,
    OUT_OF_REACH,
    RUNS_LANE,
    PostgresQueue,
    Superseded,
)
from service.worker.schedules import queue_due
from service.worker.work import Stopped, Work
from stores.records.database import Scope
from stores.vector.base import Unavailable

log = logging.getLogger("ragstone.worker")

MAX_IDLE_STARTS = 5
"""A job that killed or lost its worker this often without getting further ends as failed."""

HEARTBEAT_SECONDS = 2.0
STALLED_SECONDS = 10.0

POLL_SECONDS = 2.0
"""How often the queue is looked at without being told: jobs that were handed back come without a notice."""

GRACE_SECONDS = 2.0
"""What running jobs get to end when the worker is stopped; what does not goes on elsewhere, from its last commit."""

LEASE_SECONDS = 2.0
"""How often a running job's lease is renewed: so soon, too, a job that was cancelled stops."""

TIDY_SECONDS = 600.0
"""How often rows are removed that have had their time."""

NO_ROOM = "The disk is full; make room, and retry the job. What it did until then is kept."

Handler = Callable[[Work], Awaitable[Mapping[str, Any]]]

Conclude = Callable[[Scope, Job, Mapping[str, Any]], Awaitable[None]]

TRY_AGAIN = (*OUT_OF_REACH, Unavailable)
"""Raised by a handler that has not failed itself: the job is run again, from where it stands."""


class Runner:
    """Runs jobs in this process until it is stopped."""

    def __init__(self, resources: Resources, *, alone: bool = False) -> None:
        """`alone`: no other worker uses this database, so jobs in progress at the start belong to a dead one."""
        self._resources = resources
        self._alone = alone
        self._queue = PostgresQueue(resources.database, self._run)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then running jobs get a short grace and go back onto the queue."""
        await self._queue.open()
        if self._alone:
            freed = await self._queue.free_stalled(0)
            if freed:
                log.info("Taking up %d job(s) of a worker that died", freed)
        settings = self._resources.settings
        lanes = {JOBS_LANE: settings.worker_concurrency, RUNS_LANE: settings.run_concurrency}
        lanes[EVALUATIONS_LANE] = MOST_EVALUATIONS
        workers = [asyncio.create_task(self._work(lane, places)) for lane, places in lanes.items()]
        watch = asyncio.create_task(self._every(STALLED_SECONDS / 2, self._watch_over_jobs))
        tidy = asyncio.create_task(self._every(TIDY_SECONDS, self._tidy))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({*workers, stopped}, return_when=asyncio.FIRST_COMPLETED)
            died = not stop.is_set()
        finally:
            for task in (watch, tidy, stopped, *workers):
                task.cancel()
            await asyncio.gather(watch, tidy, stopped, *workers, return_exceptions=True)
        if died:
            raise RuntimeError("The queue's worker ended by itself; the log has the reason")

    async def _work(self, lane: str, places: int) -> None:
        """Take jobs off one of the queues, so many at a time."""
        await self._queue.app.run_worker_async(
            queues=[lane],
            concurrency=places,
            install_signal_handlers=False,
            fetch_job_polling_interval=POLL_SECONDS,
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            stalled_worker_timeout=STALLED_SECONDS,
            shutdown_graceful_timeout=GRACE_SECONDS,
            delete_jobs="successful",
        )

    # What is due, and jobs that somebody else dropped

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work again and again, whatever becomes of it; the first time soon after the start."""
        await asyncio.sleep(STALLED_SECONDS / 2)
        while True:
            try:
                await work()
            except OUT_OF_REACH as error:
                log.warning("Cannot look after the jobs: %s", error)
            except Exception:
                log.exception("Looking after the jobs failed")
            await asyncio.sleep(seconds)

    async def _tidy(self) -> None:
        await keep_house(self._resources)

    async def _watch_over_jobs(self) -> None:
        await queue_due(self._resources)
        freed = await self._queue.free_stalled(STALLED_SECONDS) + await self._queue_forgotten()
        await self._queue.forget_old()
        if freed:
            log.warning("Took %d job(s) from workers that no longer answer", freed)

    async def _queue_forgotten(self) -> int:
        """Queue open jobs again that the queue has lost; says how many."""
        async with self._resources.database.transaction() as connection:
            lost = await records.forgotten_jobs(connection, STALLED_SECONDS)
            for job_id, (kind, lock) in lost.items():
                await self._queue.put(connection, job_id, kind, lock=lock)
        return len(lost)

    # One job

    async def _run(self, job_id: str) -> None:
        async with self._resources.database.connection() as connection:
            job = await jobs.begin(connection, UUID(job_id))
        if job is None:
            await self._clear_up(UUID(job_id))
            return
        try:
            await self._attempt(job)
        except asyncio.CancelledError:
            async with self._resources.database.connection() as connection:
                await jobs.release(connection, job)
            raise

    async def _attempt(self, job: Job) -> None:
        if job.idle_starts > MAX_IDLE_STARTS:
            message = f"The job was started {MAX_IDLE_STARTS} times and each time lost its worker or a part it needs."
            await self._fail(job, 500, "worker_lost", message)
            return
        try:
            handler: Handler = await resolve_aside(JOBS, job.kind, "job")
            result = await self._leased(job, handler)
        except Stopped:
            await self._clear_up(job.id)
        except ServiceError as error:
            await self._fail(job, error.status, error.code, error.message, error.withheld())
        except TRY_AGAIN as error:
            if out_of_room(error) and job.idle_starts >= MAX_IDLE_STARTS:
                await self._fail(job, StorageFull.status, StorageFull.code, NO_ROOM)
                return
            log.warning("Job %s will be tried again: %s", job.id, error)
            raise
        except Exception as error:
            log.exception("Job %s failed", job.id)
            if out_of_room(error):
                await self._fail(job, StorageFull.status, StorageFull.code, NO_ROOM)
                return
            await self._fail(job, 500, "internal", "The job failed on an internal error; the log has the details.")
        else:
            async with self._resources.database.write(job.workspace) as scope:
                done = await jobs.finish(scope, job, JobState.DONE, result=result)
                if done and job.kind in CONCLUDE:
                    conclude: Conclude = await resolve_aside(CONCLUDE, job.kind, "job")
                    await conclude(scope, job, result)
            if not done:
                await self._clear_up(job.id)

    async def _leased(self, job: Job, handler: Handler) -> Mapping[str, Any]:
        """The handler's result; `Stopped` as soon as the lease cannot be renewed."""
        work = asyncio.ensure_future(handler(Work(job, self._resources)))
        lease = asyncio.create_task(self._renew(job, work))
        try:
            await asyncio.wait({work, lease}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Stopped
            return work.result()
        finally:
            for task in (work, lease):
                task.cancel()
            await asyncio.gather(work, lease, return_exceptions=True)

    async def _renew(self, job: Job, work: asyncio.Future[Any]) -> None:
        """Renew the job's lease until it is no longer this attempt's, or the work is done, should a library have lost
        the cancellation that says so."""
        held = True
        while held and not work.done():
            await asyncio.sleep(LEASE_SECONDS)
            with suppress(*OUT_OF_REACH):  # the lease runs on for a while
                async with self._resources.database.connection() as connection:
                    held = await jobs.renew(connection, job)

    async def _fail(self, job: Job, status: int, code: str, message: str, public: str | None = None) -> None:
        error = {"status": status, "code": code, "message": redacted_text(message)}
        if public not in (None, message):
            error["public"] = public
        with suppress(Stopped):
            async with self._resources.database.write(job.workspace) as scope:
                await jobs.give_up(scope, job, error)
                if not await jobs.finish(scope, job, JobState.FAILED, error=error):
                    raise Stopped  # which undoes the transaction: the job is not this attempt's any more
        await self._clear_up(job.id)

    async def _clear_up(self, job_id: UUID) -> None:
        """After a job that ended without success. Raises `Superseded` when it has not ended: another attempt runs.

        One that is paused is left as it is; it comes onto the queue again when it is resumed."""
        async with self._resources.database.connection() as connection:
            job = await jobs.find(connection, job_id)
        if job is None or job.state in (JobState.DONE, JobState.PAUSED):
            return
        if job.state not in FINAL:
            raise Superseded(f"job {job_id}")
        log.info("Job %s ended: %s", job_id, (job.error or {}).get("message", job.state))
        if job.kind in AFTERMATH:
            aftermath: Handler = await resolve_aside(AFTERMATH, job.kind, "job")
            await aftermath(Work(job, self._resources))
