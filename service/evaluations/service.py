"""Make evaluations, steer them, and read what came of them. The work itself is a job (`jobs.py`)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid4

from service.chatflows import service as chatflows
from service.datasets import service as datasets
from service.document_stores import service as document_stores
from service.errors import Conflict, NotFound, TooLarge, Unprocessable
from service.evaluations import records, summing
from service.evaluations.cases import records as cases
from service.evaluations.planning import MAX_MEASURES as MAX_MEASURES
from service.evaluations.planning import MAX_REPEATS as MAX_REPEATS
from service.evaluations.planning import MAX_RETRIES as MAX_RETRIES
from service.evaluations.planning import MAX_TARGETS as MAX_TARGETS
from service.evaluations.planning import planned, target_of
from service.evaluations.sight import check_reader as check_reader
from service.evaluations.types import (
    OPEN,
    CaseResult,
    EvaluatedRow,
    Evaluation,
    EvaluationState,
    EvaluationType,
    Measure,
    Outdated,
    OutdatedTarget,
    Plan,
    Progress,
    Result,
    ResultFilter,
    RunSummary,
    ScoreRow,
    Sort,
    Target,
    TargetKind,
    Wish,
)
from service.jobs import service as jobs
from service.jobs.types import Job
from service.metrics.base import Better
from service.resources import Resources
from service.worker.queue import Queue
from stores.records.database import Database, Scope

KIND = "evaluate"
"""The kind of its jobs."""

MAX_EVALUATIONS = 10_000
"""Evaluations of a workspace, versions included."""
BATCH = 200
"""Rows whose results are in memory at once where all are gone through."""


def missing(evaluation_id: object) -> NotFound:
    """There is no such evaluation: the message names it."""
    return NotFound(f"Evaluation {evaluation_id} not found")


# Making


async def create(resources: Resources, workspace: UUID, wish: Wish) -> Evaluation:
    """A new evaluation, and its job. The rows are copied as they are now: what is changed of the dataset later changes
    nothing of it. Drafts are left out. With a name that there is already it is the next version.

    Raises `NotFound` for an unknown dataset, chatflow, document store or evaluator, `Unprocessable` that names the
    field, `TooLarge` for too many cases, `Conflict` for too many evaluations, `QueueFull`.
    """
    plan = await planned(resources, workspace, wish)
    return await _made(resources, workspace, wish.name, wish.dataset, wish.type, plan)


async def run_again(resources: Resources, workspace: UUID, evaluation_id: UUID) -> Evaluation:
    """The next version of an evaluation: the same plan, judge included, over the dataset, the flows and the document
    stores as they are now. Raises `NotFound`, for those of them too that are gone, and what `create` raises."""
    before = await get(resources.database, workspace, evaluation_id)
    now = [await target_of(resources, workspace, item) for item in before.plan.targets]
    plan = replace(before.plan, targets=tuple(now))
    return await _made(resources, workspace, before.name, before.dataset, before.type, plan)


async def _made(
    resources: Resources, workspace: UUID, name: str, dataset_id: UUID, kind: EvaluationType, plan: Plan
) -> Evaluation:
    dataset = await datasets.get(resources.database, workspace, dataset_id)
    new, settings = uuid4(), resources.settings
    async with resources.database.write(workspace) as scope:
        if await records.count(scope) >= MAX_EVALUATIONS:
            raise Conflict(f"evaluations: a workspace may have {MAX_EVALUATIONS}")
        await jobs.check_room(scope, settings.max_queued_jobs)
        job = await jobs.reserve(scope, uuid4(), KIND)
        await records.insert(scope, new, name, kind, dataset, plan, job.id)
        rows = await cases.copy_rows(scope, new, dataset_id)
        if not rows:
            raise Unprocessable("datasetId: the dataset has no rows that are no drafts")
        total = rows * len(plan.targets) * plan.repeats
        if total > settings.max_evaluation_cases:
            raise TooLarge(
                f"max_evaluation_cases: {rows} rows x {len(plan.targets)} targets x {plan.repeats} repeats are {total}"
                f" cases, the limit is {settings.max_evaluation_cases}"
            )
        await records.size(scope, new, rows, total)
        await jobs.enqueue(scope, resources.queue, job.id, {"evaluationId": str(new)})
        made = await records.get(scope, new)
    assert made is not None
    return made


# Reading


async def get(database: Database, workspace: UUID, evaluation_id: UUID) -> Evaluation:
    """An evaluation of the workspace. Raises `NotFound`."""
    async with database.read(workspace) as scope:
        found = await records.get(scope, evaluation_id)
    if found is None:
        raise missing(evaluation_id)
    return found


async def page(database: Database, workspace: UUID, offset: int, size: int) -> tuple[list[Evaluation], int]:
    """All versions of a page of names, the name that was used last first, its newest version first; and how many names
    there are in all (contract 5.3)."""
    async with database.read(workspace) as scope:
        return await records.page(scope, offset, size)


async def versions(database: Database, workspace: UUID, evaluation_id: UUID) -> list[Evaluation]:
    """The evaluations that have the name of this one, oldest first, itself included. Raises `NotFound`."""
    async with database.read(workspace) as scope:
        found = await records.versions(scope, evaluation_id)
    if not found:
        raise missing(evaluation_id)
    return found


async def progress(database: Database, workspace: UUID, evaluation_id: UUID) -> Progress:
    """How far an evaluation is. Raises `NotFound`."""
    found = await get(database, workspace, evaluation_id)
    job = None
    if found.job is not None:
        async with database.read(workspace) as scope:
            job = await jobs.find_in(scope, found.job)
    return Progress(
        id=found.id,
        state=found.state,
        stage=job.stage if job else found.state.value,
        done=found.done,
        total=found.total,
        failed=found.failed,
        rate=job.rate if job else None,
        eta_seconds=job.eta_seconds if job else None,
        job=found.job,
    )


async def rows(
    database: Database, workspace: UUID, evaluation_id: UUID, offset: int, size: int
) -> list[tuple[EvaluatedRow, list[Result]]]:
    """Rows from this place on, each with its results so far by target and repeat: every page costs the same. Raises
    `NotFound`."""
    found = await get(database, workspace, evaluation_id)
    async with database.read(workspace) as scope:
        return await _rows(scope, found, offset, size)


async def _rows(
    scope: Scope, evaluation: Evaluation, offset: int, size: int
) -> list[tuple[EvaluatedRow, list[Result]]]:
    asked = await cases.rows(scope, evaluation.id, offset, size)
    results = await cases.of_rows(scope, evaluation.id, offset, offset + size, evaluation.plan.labels)
    by_place: dict[int, list[Result]] = {}
    for item in results:
        by_place.setdefault(item.place, []).append(item)
    return [(row, by_place.get(row.place, [])) for row in asked]


async def batches(
    database: Database, workspace: UUID, evaluation_id: UUID, *, size: int = BATCH
) -> AsyncIterator[list[tuple[EvaluatedRow, list[Result]]]]:
    """All rows with their results, `size` at a time: no more are in memory. Raises `NotFound`."""
    evaluation = await get(database, workspace, evaluation_id)
    start = 0
    while True:
        async with database.read(workspace) as scope:
            found = await _rows(scope, evaluation, start, size)
        if found:
            yield found
        if len(found) < size:
            return
        start += size


async def results(
    database: Database, workspace: UUID, evaluation_id: UUID, chosen: ResultFilter, offset: int, size: int
) -> tuple[list[CaseResult], int]:
    """Results with their rows, and how many there are that fit. Raises `NotFound`, `Unprocessable` for an unknown
    measure or target."""
    found = await get(database, workspace, evaluation_id)
    if chosen.target is not None and not 0 <= chosen.target < len(found.plan.targets):
        raise Unprocessable(f"target: the evaluation has the targets 0 to {len(found.plan.targets) - 1}")
    lower = chosen.sort is Sort.SCORE and measure_of(found, chosen.label).better is Better.LOWER
    async with database.read(workspace) as scope:
        return await cases.page(
            scope, evaluation_id, chosen, offset, size, labels=found.plan.labels, lower_is_better=lower
        )


def measure_of(evaluation: Evaluation, label: str) -> Measure:
    """The measure of this label. Raises `Unprocessable` that lists those that there are."""
    for item in evaluation.plan.measures:
        if item.label == label:
            return item
    known = ", ".join(item.label for item in evaluation.plan.measures)
    raise Unprocessable(f"metric: '{label[:100]}' is none of this evaluation's: {known}")


async def scores(database: Database, workspace: UUID, evaluation_id: UUID, target: int, label: str) -> list[ScoreRow]:
    """The scores of a target by one measure, in the order of the rows, without details: what comparisons are made of.
    Raises `NotFound`, `Unprocessable`."""
    measure_of(await get(database, workspace, evaluation_id), label)
    async with database.read(workspace) as scope:
        return await cases.scores(scope, evaluation_id, target, label)


async def summary(database: Database, workspace: UUID, evaluation_id: UUID) -> RunSummary:
    """What the scores say so far; kept once the evaluation has ended. Raises `NotFound`."""
    return await summing.summed(database, workspace, await get(database, workspace, evaluation_id))


async def outdated(resources: Resources, workspace: UUID, evaluation_id: UUID) -> Outdated:
    """What was changed since an evaluation was made: its dataset, the flows and document stores. Raises `NotFound`."""
    found = await get(resources.database, workspace, evaluation_id)
    try:
        dataset = await datasets.get(resources.database, workspace, found.dataset)
    except NotFound:
        changed: bool | None = None
    else:
        changed = dataset.updated_at > found.dataset_updated_at
    targets = []
    for target in found.plan.targets:
        now = await _updated_at(resources, workspace, target)
        told = None if now is None else target.updated_at is None or now > target.updated_at
        targets.append(OutdatedTarget(target, told))
    return Outdated(changed, tuple(targets))


async def _updated_at(resources: Resources, workspace: UUID, target: Target) -> datetime | None:
    """When a target was last changed; None: it is gone."""
    try:
        if target.kind is TargetKind.CHATFLOW:
            return (await chatflows.get(resources.database, workspace, target.id)).updated_at
        return (await document_stores.get(resources, workspace, target.id)).updated_at
    except NotFound:
        return None


# Steering


async def delete(
    resources: Resources, workspace: UUID, evaluation_ids: Sequence[UUID], *, all_versions: bool = False
) -> int:
    """Remove evaluations, their jobs stopped; `all_versions`: and all others of their names. Says how many. Unknown
    ones are left out."""
    async with resources.database.read(workspace) as scope:
        wanted = await records.with_versions(scope, evaluation_ids) if all_versions else sorted(set(evaluation_ids))
    gone = 0
    for evaluation_id in wanted:
        async with resources.database.write(workspace) as scope:
            held = await records.lock(scope, evaluation_id)
            if held is None:
                continue
            if held.job is not None:
                await jobs.cancel_in(scope, resources.queue, held.job)
            gone += await records.delete(scope, evaluation_id)
    return gone


async def cancel(resources: Resources, workspace: UUID, evaluation_id: UUID) -> Evaluation:
    """Stop an evaluation within seconds; the results so far stay. One that has ended stays as it is. Raises
    `NotFound`."""
    async with resources.database.write(workspace) as scope:
        held = await records.lock(scope, evaluation_id)
        if held is None:
            raise missing(evaluation_id)
        if held.job is not None and held.outcome is None:
            await jobs.cancel_in(scope, resources.queue, held.job)
    return await get(resources.database, workspace, evaluation_id)


async def pause(resources: Resources, workspace: UUID, evaluation_id: UUID) -> Evaluation:
    """Let an evaluation rest after the cases it is at. Raises `NotFound`, `Conflict` when it has ended."""
    found = await get(resources.database, workspace, evaluation_id)
    if found.job is None or found.state not in OPEN:
        raise Conflict(f"The evaluation has ended ({found.state}); only an open one can be paused")
    await jobs.pause(resources.database, workspace, found.job)
    return await get(resources.database, workspace, evaluation_id)


async def resume(resources: Resources, workspace: UUID, evaluation_id: UUID) -> Evaluation:
    """Let an evaluation go on: a paused one with what it has not asked yet; one that has ended with that and with the
    cases that failed or hold errors, which are asked again, as a new job. One that runs stays as it is.

    Raises `NotFound`, `NothingToRetry` when every case was answered and scored.
    """
    found = await get(resources.database, workspace, evaluation_id)
    if found.state is EvaluationState.PAUSED and found.job is not None:
        await jobs.resume(resources.database, resources.queue, workspace, found.job)
    elif found.state not in OPEN:
        async with resources.database.write(workspace) as scope:
            held = await records.lock(scope, evaluation_id)
            if held is None:
                raise missing(evaluation_id)
            if held.outcome is not None and await reopen(scope, resources.queue, evaluation_id) is None:
                raise jobs.NothingToRetry
    return await get(resources.database, workspace, evaluation_id)


async def reopen(scope: Scope, queue: Queue, evaluation_id: UUID) -> Job | None:
    """Queue a job, in the caller's transaction, for what an evaluation that has ended has not asked yet, and for cases
    that failed or hold errors: their results go. Of a conversation everything goes that was said behind such a case.
    None when there is nothing of the kind. The caller holds the evaluation."""
    found = await records.get(scope, evaluation_id)
    if found is None:
        return None
    await (cases.forget_after if found.plan.conversation else cases.forget_broken)(scope, evaluation_id)
    done, failed = await cases.counts(scope, evaluation_id)
    if done >= found.total:
        return None
    job = await jobs.submit(scope, queue, KIND, payload={"evaluationId": str(evaluation_id), "before": done})
    await records.reopen(scope, evaluation_id, job.id, done=done, failed=failed)
    return job
