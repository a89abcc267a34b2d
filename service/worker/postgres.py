"""The queue on Postgres, by Procrastinate: jobs are rows, workers hold heartbeats, a worker's death frees its jobs."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException

from stores.records.database import Connection, Database

TASK = "ragstone.job"


async def _elsewhere(job_id: str) -> None:
    raise RuntimeError(f"job {job_id} was run in a process that only queues")


class PostgresQueue:
    """Puts jobs onto Procrastinate's tables. Implements `service.worker.queue.Queue`."""

    def __init__(self, database: Database, run: Callable[[str], Awaitable[None]] = _elsewhere) -> None:
        """`run` does one job, named by its id; processes that only queue jobs leave it out."""
        self._database = database
        self.app = App(connector=PsycopgConnector())
        self.app.task(name=TASK, queue="ragstone")(run)

    async def open(self) -> None:
        """Use the process's pool; call once before `put` or `work`."""
        await self.app.open_async(self._database.pool)

    async def put(self, connection: Connection, job_id: UUID, *, lock: str | None = None) -> None:
        """See `service.worker.queue.Queue.put`."""
        options: dict[str, Any] = {"connection": connection}
        if lock is not None:
            options["lock"] = lock
        await self.app.configure_task(TASK, **options).defer_async(job_id=str(job_id))

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
