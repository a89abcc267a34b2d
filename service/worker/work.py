"""What a job's handler is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.jobs import service as jobs
from service.jobs.types import Job
from service.resources import Resources
from stores.records.database import Scope


class Stopped(Exception):
    """This attempt is to stop: the job was cancelled, or another worker took it up."""


@dataclass(frozen=True, slots=True)
class Work:
    """One run of a job. Handlers may be run twice: what a first run committed must not be done again."""

    job: Job
    resources: Resources

    @property
    def payload(self) -> Mapping[str, Any]:
        """What was submitted with the job."""
        return self.job.payload

    async def note(
        self, scope: Scope, stage: str, done: int, total: int | None, result: Mapping[str, Any] | None = None
    ) -> None:
        """Note how far the job got in the transaction of the work itself. Raises `Stopped` when it is to stop."""
        if not await jobs.note(scope, self.job, stage, done, total, result):
            raise Stopped
