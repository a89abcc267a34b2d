"""Runs that a clock starts.

A run is begun once: whoever takes up its job after a crash does not run the flow again, which may have sent mails and
moved money, but notes what became of it.
"""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from service.chatflows.types import RunStatus as State
from service.errors import ServiceError
from service.executions import service as executions
from service.jobs.types import Job
from service.predictions import service as predictions
from service.predictions.types import ChatType, Occasion, Question
from service.predictions.writing import answer
from service.resources import Resources
from service.schedules import records
from service.schedules.types import RunStatus
from service.worker.work import Work
from stores.records.database import Scope

BEGUN, ENDED = "running", "ended"
"""Stages of the job."""

LOST = "The process that ran the flow ended before the flow did; it was not run again."

GOOD = (State.FINISHED, State.STOPPED)


async def run(work: Work) -> Mapping[str, Any]:
    """Run a flow whose time has come, and note what became of it."""
    payload, resources, workspace = work.payload, work.resources, work.job.workspace
    if work.job.stage == ENDED:
        return {}
    run_id, execution = UUID(payload["runId"]), UUID(payload["executionId"])
    began = time.monotonic()
    known = await executions.ended(resources.database, workspace, execution) if work.job.stage == BEGUN else None
    if known is None:
        async with resources.database.write(workspace) as scope:
            await work.note(scope, BEGUN, 0, 1)
            await records.note(scope, run_id, RunStatus.RUNNING)
        error = await _run(resources, workspace, execution, payload)
        elapsed: int | None = round((time.monotonic() - began) * 1000)
    else:
        error = None if known[0] in GOOD else known[1] or LOST
        elapsed = None
    status = RunStatus.SUCCEEDED if error is None else RunStatus.FAILED
    ran = known is not None or await executions.ended(resources.database, workspace, execution) is not None
    async with resources.database.write(workspace) as scope:
        await work.note(scope, ENDED, 1, 1)
        await records.note(scope, run_id, status, execution=execution if ran else None, error=error, elapsed_ms=elapsed)
    return {"status": status.value}


async def _run(resources: Resources, workspace: UUID, execution: UUID, payload: Mapping[str, Any]) -> str | None:
    """Run the flow to its end; what went wrong, if so."""
    question = Question(payload["question"], chat=str(uuid4()), form=payload["form"])
    occasion = Occasion(ChatType.SCHEDULED, predictions.SCHEDULE, execution)
    try:
        prediction = await predictions.ask(
            resources,
            UUID(payload["flowId"]),
            question,
            token=None,
            origin=None,
            member=workspace,
            occasion=occasion,
        )
    except ServiceError as error:
        return error.message
    leave = prediction.running.attend()
    try:
        await prediction.running.wait()
    finally:
        leave()
    try:
        answer(prediction)
    except ServiceError as error:
        return error.message
    ended = await executions.ended(resources.database, workspace, execution)
    return None if ended is None or ended[0] in GOOD else ended[1] or LOST  # None: its flow keeps nothing


async def give_up(scope: Scope, job: Job, error: Mapping[str, Any]) -> None:
    """A run whose job failed, or was cancelled, has failed."""
    run_id, message = UUID(job.payload["runId"]), str(error.get("message") or LOST)
    await records.note(scope, run_id, RunStatus.FAILED, error=message)
