"""What a job's handler is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.jobs import records
from service.jobs.types import Job
from service.resources import Resources


class Cancelled(Exception):
    """The job was cancelled while it ran."""


@dataclass(frozen=True, slots=True)
class Work:
    """One run of a job. Handlers may be run twice: what a first run committed must not be done again."""

    job: Job
    resources: Resources

    @property
    def payload(self) -> Mapping[str, Any]:
        """What was submitted with the job."""
        return self.job.payload

    async def progress(self, stage: str, done: int, total: int | None) -> None:
        """Note how far the job got. Raises `Cancelled` when it is to stop."""
        async with self.resources.database.read(self.job.workspace) as scope:
            running = await records.progress(scope, self.job.id, stage, done, total)
        if not running:
            raise Cancelled
