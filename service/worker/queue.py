"""The queue port: what a feature needs to have work done in the background."""

from typing import Protocol
from uuid import UUID

from stores.records.database import Connection


class Queue(Protocol):
    """Puts jobs on the queue, on the connection that writes their data."""

    async def put(self, connection: Connection, job_id: UUID, kind: str, *, lock: str | None = None) -> None:
        """Queue a job that has its row in `jobs`; jobs with one lock run one at a time, in order. Kinds of `RUNS` and
        of `EVALUATIONS` wait apart from the others, and flows or workspaces take turns there."""
        ...

    async def put_if_missing(self, connection: Connection, job_id: UUID, kind: str, *, lock: str | None = None) -> None:
        """Queue a job again, under its lock, unless it waits on the queue already; one more entry than needed does no
        harm. What only clears up after a job needs no lock."""
        ...
