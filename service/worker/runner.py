"""Takes jobs off the queue, runs their handlers, and records how they ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from service.errors import ServiceError
from service.jobs import service as jobs
from service.jobs.types import Job, JobState
from service.plugins import resolve
from service.resources import Resources
from service.worker.jobs import JOBS
from service.worker.postgres import PostgresQueue
from service.worker.work import Cancelled, Work

log = logging.getLogger("ragstone.worker")

MAX_ATTEMPTS = 5
"""A job that killed or lost its worker this often ends as failed."""

HEARTBEAT_SECONDS = 2.0
STALLED_SECONDS = 10.0

Handler = Callable[[Work], Awaitable[Mapping[str, Any]]]


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
        worker = asyncio.create_task(
            self._queue.app.run_worker_async(
                concurrency=self._resources.settings.worker_concurrency,
                install_signal_handlers=False,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=STALLED_SECONDS,
                shutdown_graceful_timeout=5.0,
                delete_jobs="successful",
            )
        )
        watch = asyncio.create_task(self._free_stalled())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({worker, stopped}, return_when=asyncio.FIRST_COMPLETED)
        died = worker.done() and not stop.is_set()
        for task in (watch, stopped, worker):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if died:
            raise RuntimeError("The queue's worker ended by itself; the log has the reason")

    async def _free_stalled(self) -> None:
        while True:
            await asyncio.sleep(STALLED_SECONDS / 2)
            freed = await self._queue.free_stalled(STALLED_SECONDS)
            if freed:
                log.warning("Took %d job(s) from workers that no longer answer", freed)

    async def _run(self, job_id: str) -> None:
        async with self._resources.database.connection() as connection:
            job = await jobs.begin(connection, UUID(job_id))
        if job is None:
            return
        if job.attempts > MAX_ATTEMPTS:
            await self._fail(job, 500, "worker_lost", f"The job lost its worker {MAX_ATTEMPTS} times.")
            return
        try:
            handler: Handler = resolve(JOBS, job.kind, "job")
            result = await handler(Work(job, self._resources))
        except Cancelled:
            log.info("Job %s was cancelled", job_id)
        except ServiceError as error:
            await self._fail(job, error.status, error.code, error.message)
        except Exception:
            log.exception("Job %s failed", job_id)
            await self._fail(job, 500, "internal", "The job failed on an internal error; the log has the details.")
        else:
            async with self._resources.database.write(job.workspace) as scope:
                await jobs.finish(scope, job.id, JobState.DONE, result=result, error=None)

    async def _fail(self, job: Job, status: int, code: str, message: str) -> None:
        async with self._resources.database.write(job.workspace) as scope:
            error = {"status": status, "code": code, "message": message}
            await jobs.finish(scope, job.id, JobState.FAILED, result=None, error=error)
