"""The JSON shapes of what came of evaluations."""

from typing import Any
from uuid import UUID

from pydantic import Field

from service.evaluations.files import shown
from service.evaluations.runs import called
from service.evaluations.types import (
    CaseResult,
    Evaluation,
    EvaluationState,
    Figures,
    Progress,
    RunSummary,
    Target,
    TargetKind,
)
from service.evaluations.wire import ID, EvaluationRun, ListedEvaluation, columns, version
from service.executions.wire import masked
from service.http.wire import Date, Wire
from service.jobs.wire import PATH as JOB
from service.metrics.base import Metric

SCORES = {"recall@5": {"value": 1.0}, "tokenF1": {"notApplicable": "the row has no expected answer"}}
SUMMARY = {
    "unit": "",
    "rows": 20,
    "scores": 20,
    "notApplicable": 0,
    "errors": 0,
    "mean": 0.85,
    "low": 0.7,
    "high": 0.95,
    "method": "bca",
    "deviation": 0.3,
    "min": 0.0,
    "max": 1.0,
}


class TargetEntity(Wire):
    """What answers, as it was when the evaluation was made."""

    kind: TargetKind = Field(examples=["chatflow"])
    id: UUID
    name: str = Field(examples=["Handbook"])
    type: str = Field(examples=["Chatflow"])
    label: str = Field(description="What results call it", examples=["Handbook"])
    options: dict[str, Any]


class MeasureEntity(Wire):
    """What cases are scored by."""

    label: str = Field(description="Its name among the scores", examples=["recall@5"])
    metric: str = Field(examples=["recall"])
    options: dict[str, Any] = Field(examples=[{"k": 5}])
    better: str = Field(description="`higher`, `lower` or `neither`", examples=["higher"])
    unit: str = Field(examples=[""])
    evaluator_id: UUID | None = None
    evaluator_type: str | None = None


class EvaluationDetail(ListedEvaluation):
    """An evaluation with how it is run."""

    targets: list[TargetEntity]
    measures: list[MeasureEntity]
    repeats: int = Field(examples=[1])
    row_count: int = Field(description="Rows of the dataset that are asked", examples=[20])
    error: dict[str, Any] | None = Field(description="Why it failed or was cancelled")
    started_date: Date | None
    finished_date: Date | None


class EvaluationWithRuns(EvaluationDetail):
    """An evaluation with the runs of its rows, or a page of them."""

    version_count: int = Field(examples=[1])
    version_no: int = Field(examples=[1])
    rows: list[EvaluationRun]


class StartedEvaluation(EvaluationDetail):
    """An evaluation that has been queued."""

    url: str = Field(description="Where it is read", examples=[f"/api/v1/evaluations/{ID}"])


class EvaluationProgress(Wire):
    """How far an evaluation is."""

    id: UUID
    state: EvaluationState = Field(examples=["running"])
    stage: str = Field(examples=["evaluating"])
    done: int = Field(description="Cases that have a result", examples=[640])
    total: int = Field(examples=[1280])
    failed: int = Field(description="Cases whose flow or search failed", examples=[0])
    rate: float | None = Field(description="Cases a second", examples=[12.5])
    eta_seconds: float | None = Field(examples=[51.2])
    job_id: UUID | None
    events: str | None = Field(description="Where its job is followed", examples=[f"/api/v1/jobs/{ID}/events"])


class FoundPassage(Wire):
    """What was found. Texts are cut, and kept of the first passages alone."""

    id: str = Field(description="Of the chunk", examples=[ID])
    document_id: str = Field(examples=[ID])
    sources: list[str] = Field(examples=[["handbook.md"]])
    score: float | None = Field(examples=[0.83])
    number: int | None = Field(description="What the answer cites it by", examples=[1])
    text: str = Field(examples=["Every employee has 30 days of paid leave a year."])


class CaseEntity(Wire):
    """What came of a case: a row of the dataset that was put to a target once."""

    place: int = Field(description="Of the row, from 0", examples=[0])
    row_id: UUID = Field(description="Of the dataset's row")
    target: int = Field(description="Place of the target, from 0", examples=[0])
    target_label: str = Field(examples=["Handbook"])
    repeat: int = Field(examples=[0])
    question: str = Field(examples=["How many days of leave?"])
    expected: str = Field(examples=["30 days"])
    sources: list[dict[str, Any]] = Field(description="What must be found", examples=[[{"source": "handbook.md"}]])
    metadata: dict[str, Any] = Field(examples=[{"topic": "leave"}])
    answer: str | None = Field(description="null: only passages were asked for", examples=["You have 30 days."])
    error: str = Field(description="Why the flow or the search failed; else empty", examples=[""])
    passages: list[FoundPassage] | None = Field(description="null: the flow does not say")
    scores: dict[str, dict[str, Any]] = Field(
        description="By label: `value`, `notApplicable` or `error`, and `details`", examples=[SCORES]
    )
    taken: dict[str, float | None] = Field(
        description="Times, tokens and cost; null: nobody measured", examples=[{"latencyMs": 12.25, "cost": None}]
    )
    details: dict[str, Any]
    attempts: list[dict[str, Any]] = Field(description="Tries that failed and were repeated")
    finished_date: Date | None


class CasePage(Wire):
    """A page of results, and how many there are."""

    total: int
    data: list[CaseEntity]


class TargetSummaryEntity(Wire):
    """What an evaluation says of a target."""

    target: int = Field(examples=[0])
    label: str = Field(examples=["Handbook"])
    cases: int = Field(description="With a result", examples=[20])
    failed: int = Field(examples=[0])
    measures: dict[str, dict[str, Any]] = Field(
        description="By label: the mean of the rows with its 95 % interval (`low`, `high`), what it is of, and errors",
        examples=[{"recall@5": SUMMARY}],
    )


class SummaryEntity(Wire):
    """What an evaluation says."""

    id: UUID
    name: str = Field(examples=["Leave"])
    version: int = Field(examples=[1])
    state: EvaluationState = Field(examples=["completed"])
    complete: bool = Field(description="It has ended: this will not change", examples=[True])
    rows: int = Field(examples=[20])
    done: int = Field(examples=[20])
    total: int = Field(examples=[20])
    failed: int = Field(examples=[0])
    passed: int = Field(description="Verdicts of evaluators that pass", examples=[18])
    refused: int = Field(description="Verdicts that do not", examples=[2])
    broken: int = Field(description="Verdicts that could not be had", examples=[0])
    latency_ms: float | None = Field(description="Of an answer, on average", examples=[12.25])
    targets: list[TargetSummaryEntity]


class MetricEntity(Wire):
    """A metric that can be chosen."""

    name: str = Field(examples=["recall"])
    description: str = Field(examples=["Share of the gold sources that were found."])
    better: str = Field(examples=["higher"])
    unit: str = Field(examples=[""])
    needs_model: bool = Field(examples=[False])
    options: dict[str, Any] = Field(description="A JSON Schema", examples=[{"type": "object"}])


def detail(evaluation: Evaluation, told: Figures | None) -> EvaluationDetail:
    """An evaluation with how it is run."""
    return EvaluationDetail(**_detailed(evaluation, told))


def with_runs(evaluation: Evaluation, told: Figures | None) -> EvaluationWithRuns:
    """An evaluation to which the runs of its rows are added."""
    count = {"version_count": evaluation.versions, "version_no": evaluation.version}
    return EvaluationWithRuns(**_detailed(evaluation, told), **count, rows=[])


def _detailed(evaluation: Evaluation, told: Figures | None) -> dict[str, Any]:
    plan = evaluation.plan
    return {
        **columns(evaluation, told),
        **version(evaluation),
        "targets": [target_entity(item) for item in plan.targets],
        "measures": [
            MeasureEntity(
                label=item.label,
                metric=item.metric,
                options=dict(item.options),
                better=item.better.value,
                unit=item.unit,
                evaluator_id=item.evaluator,
                evaluator_type=item.evaluator_type,
            )
            for item in plan.measures
        ],
        "repeats": plan.repeats,
        "row_count": evaluation.rows,
        "error": dict(evaluation.error) if evaluation.error else None,
        "started_date": evaluation.started_at,
        "finished_date": evaluation.finished_at,
    }


def target_entity(target: Target) -> TargetEntity:
    """A target as clients read it."""
    return TargetEntity(
        kind=target.kind,
        id=target.id,
        name=target.name,
        type=called(target),
        label=target.label,
        options=masked("", dict(target.options)),
    )


def started(evaluation: Evaluation) -> StartedEvaluation:
    """An evaluation that has been queued."""
    return StartedEvaluation(**_detailed(evaluation, None), url=f"/api/v1/evaluations/{evaluation.id}")


def progress(found: Progress) -> EvaluationProgress:
    """How far an evaluation is."""
    return EvaluationProgress(
        id=found.id,
        state=found.state,
        stage=found.stage,
        done=found.done,
        total=found.total,
        failed=found.failed,
        rate=None if found.rate is None else round(found.rate, 2),
        eta_seconds=None if found.eta_seconds is None else round(found.eta_seconds, 1),
        job_id=found.job,
        events=JOB.replace("{id}", str(found.job)) + "/events" if found.job else None,
    )


def case_page(evaluation: Evaluation, found: list[CaseResult], total: int) -> CasePage:
    """A page of results."""
    cases = [CaseEntity.model_validate(shown(evaluation, item.row, item.result)) for item in found]
    return CasePage(total=total, data=cases)


def summary(evaluation: Evaluation, told: RunSummary) -> SummaryEntity:
    """What an evaluation says."""
    units = {item.label: item.unit for item in evaluation.plan.measures}
    return SummaryEntity(
        id=evaluation.id,
        name=evaluation.name,
        version=evaluation.version,
        state=evaluation.state,
        complete=told.complete,
        rows=evaluation.rows,
        done=evaluation.done,
        total=evaluation.total,
        failed=evaluation.failed,
        passed=told.passed,
        refused=told.refused,
        broken=told.broken,
        latency_ms=told.latency,
        targets=[
            TargetSummaryEntity(
                target=item.target,
                label=evaluation.plan.targets[item.target].label,
                cases=item.cases,
                failed=item.failed,
                measures={label: {"unit": units[label], **one.as_json()} for label, one in item.measures.items()},
            )
            for item in told.targets
        ],
    )


def metric(name: str, kind: type[Metric]) -> MetricEntity:
    """A metric that can be chosen."""
    return MetricEntity(
        name=name,
        description=" ".join((kind.__doc__ or "").split("\n\n")[0].split()),
        better=kind.better.value,
        unit=kind.unit,
        needs_model=kind.needs_model,
        options=kind.Options.model_json_schema(by_alias=True),
    )
