"""The work behind evaluations: jobs of the kind `service.KIND`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.evaluations import records, summing
from service.evaluations.judging import lender
from service.evaluations.patience import Patience
from service.evaluations.running import Runner
from service.evaluations.service import reopen
from service.evaluations.types import Evaluation, EvaluationState
from service.jobs.types import Job
from service.worker.queue import Queue
from service.worker.work import Stopped, Work
from stores.records.database import Scope

SUMMING = "summing"


async def run(work: Work) -> Mapping[str, Any]:
    """Ask what has no result yet, then sum up. May be run any number of times."""
    evaluation_id = UUID(str(work.payload["evaluationId"]))
    database, workspace = work.resources.database, work.job.workspace
    async with database.write(workspace) as scope:
        begun = await records.begin(scope, evaluation_id)
        evaluation = await records.get(scope, evaluation_id)
    if evaluation is None:
        raise Stopped  # it was deleted: its job is cancelled
    if begun:
        await _run(work, evaluation)
    async with database.read(workspace) as scope:
        ended = await records.get(scope, evaluation_id)
    if ended is None:
        raise Stopped
    await summing.summed(database, workspace, ended)
    return {"evaluationId": str(ended.id), "numCases": ended.done, "numFailed": ended.failed}


async def _run(work: Work, evaluation: Evaluation) -> None:
    turns, retries = work.resources.evaluating, evaluation.plan.retries
    patience = [Patience(turns, evaluation.id, retries) for _ in evaluation.plan.targets]
    judging = Patience(turns, evaluation.id, retries)
    async with lender(work.resources, work.job.workspace, evaluation.plan.judge, judging) as lent:
        await Runner(work, evaluation, lent, patience).run()
    async with work.resources.database.write(work.job.workspace) as scope:
        await records.end(scope, work.job.id, EvaluationState.COMPLETED, None)
        left = int(work.payload.get("before") or 0)
        told = {"done": evaluation.total, "total": evaluation.total}
        await work.note(scope, SUMMING, evaluation.total - left, evaluation.total - left, told)


async def give_up(scope: Scope, job: Job, error: Mapping[str, Any]) -> None:
    """The evaluation of a job that failed or was cancelled says so; what it has stays."""
    cancelled = error.get("code") == "cancelled"
    state = EvaluationState.CANCELLED if cancelled else EvaluationState.FAILED
    await records.end(scope, job.id, state, error)


async def retry(scope: Scope, queue: Queue, job: Job) -> Job | None:
    """A new job for what the evaluation of a job that has ended has not asked, and for cases that failed."""
    evaluation_id = await records.of_job(scope, job.id)
    if evaluation_id is None or (held := await records.lock(scope, evaluation_id)) is None or held.outcome is None:
        return None
    return await reopen(scope, queue, evaluation_id)
