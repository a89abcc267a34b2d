"""The queue on Postgres, by Procrastinate: jobs are rows, workers hold heartbeats, a worker's death frees its jobs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from psycopg import InterfaceError, OperationalError
from psycopg_pool import PoolClosed, PoolTimeout

from service.worker import records
from service.worker.jobs import EVALUATIONS, RUNS
from stores.records.database import Connection, Database

TASK = "ragstone.job"

JOBS_LANE, RUNS_LANE, EVALUATIONS_LANE = "ragstone", "ragstone.runs", "ragstone.evaluations"
"""The queues of the tables: a worker has places for each."""

OUT_OF_REACH = (OperationalError, InterfaceError, PoolTimeout, PoolClosed, ConnectorException)
"""What is raised while Postgres is away, restarts, or breaks a deadlock: the same may succeed later."""

AGAIN_SECONDS = 5
"""Pause before a job whose database or vector store was out of reach is tried again."""

KEEP_HOURS = 24
"""How long the queue keeps what ended other than well, for people who look at its tables."""


class Superseded(Exception):
    """Another worker took the job up meanwhile: its queue entry is that worker's now."""


class _Retry(BaseRetryStrategy):
    """Failures of the work itself are recorded in `jobs` and never get here: a job that raises is to run again."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, Superseded):
            return None
        if isinstance(exception, asyncio.CancelledError):  # the worker is being stopped
            return RetryDecision()
        return RetryDecision(retry_in={"seconds": AGAIN_SECONDS})


async def _elsewhere(job_id: str) -> None:
    raise RuntimeError(f"job {job_id} was run in a process that only queues")


class PostgresQueue:
    """Puts jobs onto Procrastinate's tables. Implements `service.worker.queue.Queue`."""

    def __init__(self, database: Database, run: Callable[[str], Awaitable[None]] = _elsewhere) -> None:
        """`run` does one job, named by its id; processes that only queue jobs leave it out."""
        self._database = database
        self.app = App(connector=PsycopgConnector())
        self.app.task(name=TASK, queue=JOBS_LANE, retry=_Retry())(run)

    async def open(self) -> None:
        """Use the process's pool; call once before `put` or `work`."""
        await self.app.open_async(self._database.pool)

    async def put(self, connection: Connection, job_id: UUID, kind: str, *, lock: str | None = None) -> None:
        """See `service.worker.queue.Queue.put`."""
        options: dict[str, Any] = {"connection": connection}
        lane = RUNS_LANE if kind in RUNS else EVALUATIONS_LANE if kind in EVALUATIONS else JOBS_LANE
        if lane != JOBS_LANE:
            turn = await records.turn(connection, job_id, lane)
            options |= {"queue": lane, "priority": -turn}
        if lock is not None:
            options["lock"] = lock
        await self.app.configure_task(TASK, **options).defer_async(job_id=str(job_id))

    async def put_if_missing(self, connection: Connection, job_id: UUID, kind: str, *, lock: str | None = None) -> None:
        """See `service.worker.queue.Queue.put_if_missing`."""
        if not await records.waits(connection, job_id):
            await self.put(connection, job_id, kind, lock=lock)

    async def free_stalled(self, seconds: float) -> int:
        """Put the jobs of workers that gave no heartbeat for `seconds` back onto the queue; says how many."""
        freed = 0
        for job in await self.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds):
            try:
                await self.app.job_manager.retry_job(job)
            except ConnectorException:  # another worker was quicker
                continue
            freed += 1
        return freed

    async def forget_old(self) -> None:
        """Drop entries that ended other than well long ago; what became of the job itself is in `jobs`."""
        await self.app.job_manager.delete_old_jobs(
            KEEP_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )
