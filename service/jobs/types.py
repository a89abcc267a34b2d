"""What a job is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType
from uuid import UUID

JobId = NewType("JobId", UUID)


class JobState(StrEnum):
    """Where a job stands. QUEUED, RUNNING and PAUSED are open; a RUNNING one has a lease, which its worker renews every
    few seconds: `updated_at`. A PAUSED one belongs to no worker and waits for its `resume` or its `cancel`."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of background work and how far it got. `done` and `total` count the units of `stage` (chunks, files)."""

    id: JobId
    workspace: UUID
    kind: str
    store_id: UUID | None
    state: JobState
    stage: str
    done: int
    total: int | None
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    payload: Mapping[str, Any]
    attempts: int
    """Starts so far. The newest one alone may write: its number is the fence against a worker that was given up."""
    idle_starts: int
    """Starts since the job last got further."""
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None
    paused_at: datetime | None
    """Since when it is paused."""
    paused_seconds: float
    """In all former pauses."""

    @property
    def rate(self) -> float | None:
        """Units a second since the job started, pauses left out; None before it has done any."""
        if self.started_at is None or not self.done:
            return None
        until = self.finished_at or self.paused_at or self.updated_at
        seconds = (until - self.started_at).total_seconds() - self.paused_seconds
        return self.done / seconds if seconds > 0 else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left at the present rate; None when it cannot be told."""
        if self.state is not JobState.RUNNING or self.total is None or not self.rate:
            return None
        return max(0.0, (self.total - self.done) / self.rate)
