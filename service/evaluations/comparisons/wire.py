"""The JSON shapes of comparisons."""

from uuid import UUID

from pydantic import Field

from service.evaluations.comparing import Change, MeasureComparison, RunComparison, Why
from service.evaluations.outcomes.wire import TargetEntity, target_entity
from service.evaluations.types import Evaluation, EvaluationState
from service.http.wire import Date, Wire
from service.metrics.stats import Verdict


class ChangeEntity(Wire):
    """A row with its values in both runs."""

    row_id: UUID
    question: str = Field(examples=["How many days of leave?"])
    first: float = Field(examples=[0.0])
    second: float = Field(examples=[1.0])
    change: float = Field(description="Second less first", examples=[1.0])


class UnpairedEntity(Wire):
    """A row that is not paired."""

    row_id: UUID
    question: str = Field(examples=["How many days of leave?"])
    why: Why = Field(examples=["changed"])
    side: int = Field(description="The run that it is for: 1 or 2", examples=[2])
    reason: str = Field(description="What failed, or why nothing applies", examples=[""])


class MeasureComparisonEntity(Wire):
    """A measure of two targets."""

    label: str = Field(examples=["recall@5"])
    better: str = Field(examples=["higher"])
    unit: str = Field(examples=[""])
    verdict: Verdict = Field(description="By the p value that allows for all measures", examples=["better"])
    real: bool = Field(description="The difference is more than chance", examples=[True])
    pairs: int = Field(examples=[20])
    means: list[float] | None = Field(description="Of the pairs, in the first and the second", examples=[[0.7, 0.85]])
    difference: float | None = Field(description="Second less first", examples=[0.15])
    low: float | None = Field(description="Of its interval", examples=[0.05])
    high: float | None = Field(examples=[0.25])
    p: float | None = Field(description="For this measure alone", examples=[0.004])
    corrected_p: float | None = Field(description="By Holm, for all measures", examples=[0.02])
    higher: int = Field(description="Pairs in which the second is higher", examples=[4])
    lower: int = Field(examples=[1])
    errors: list[int] = Field(description="Scores of each run that are errors", examples=[[0, 0]])
    unpaired: dict[str, int] = Field(description="Rows that are not paired, by reason", examples=[{"changed": 1}])
    unpaired_rows: list[UnpairedEntity] = Field(description="The first of them", examples=[[]])
    improved: list[ChangeEntity] = Field(description="Rows that changed most for the better", examples=[[]])
    worsened: list[ChangeEntity] = Field(description="And for the worse", examples=[[]])


class ComparedTargets(Wire):
    """Two targets."""

    first: TargetEntity
    second: TargetEntity
    measures: list[MeasureComparisonEntity]


class ComparedRun(Wire):
    """A run that is compared."""

    id: UUID
    name: str = Field(examples=["Leave"])
    version: int = Field(examples=[1])
    state: EvaluationState = Field(examples=["completed"])
    run_date: Date


class ComparisonEntity(Wire):
    """Two runs, or targets of one."""

    first: ComparedRun
    second: ComparedRun
    level: float = Field(description="How sure a verdict is", examples=[0.95])
    complete: bool = Field(description="Both have ended", examples=[True])
    targets: list[ComparedTargets]
    unmatched_targets: list[list[str]] = Field(
        description="Labels of targets that only the first has, and only the second", examples=[[[], []]]
    )
    unmatched_measures: list[list[str]] = Field(
        description="Measures that the other has not, or not with the same options", examples=[[[], []]]
    )


def comparison(found: RunComparison) -> ComparisonEntity:
    """Two runs, or targets of one."""
    return ComparisonEntity(
        first=_run(found.first),
        second=_run(found.second),
        level=found.level,
        complete=found.complete,
        targets=[
            ComparedTargets(
                first=target_entity(found.first.plan.targets[item.first]),
                second=target_entity(found.second.plan.targets[item.second]),
                measures=[_measure(one) for one in item.measures],
            )
            for item in found.targets
        ],
        unmatched_targets=[list(labels) for labels in found.unmatched],
        unmatched_measures=[list(labels) for labels in found.lonely],
    )


def _run(evaluation: Evaluation) -> ComparedRun:
    return ComparedRun(
        id=evaluation.id,
        name=evaluation.name,
        version=evaluation.version,
        state=evaluation.state,
        run_date=evaluation.created_at,
    )


def _measure(found: MeasureComparison) -> MeasureComparisonEntity:
    told = found.comparison
    interval = told.difference.interval if told.difference else None
    return MeasureComparisonEntity(
        label=found.label,
        better=found.better.value,
        unit=found.unit,
        verdict=found.verdict,
        real=found.verdict in (Verdict.BETTER, Verdict.WORSE, Verdict.DIFFERENT),
        pairs=told.pairs,
        means=list(told.means) if told.means else None,
        difference=told.difference.value if told.difference else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        p=told.p,
        corrected_p=found.corrected,
        higher=told.higher,
        lower=told.lower,
        errors=list(told.errors),
        unpaired={why.value: count for why, count in found.unpaired.items()},
        unpaired_rows=[
            UnpairedEntity(row_id=item.row, question=item.question, why=item.why, side=item.side, reason=item.reason)
            for item in found.examples
        ],
        improved=[_change(item) for item in found.improved],
        worsened=[_change(item) for item in found.worsened],
    )


def _change(item: Change) -> ChangeEntity:
    return ChangeEntity(row_id=item.row, question=item.question, first=item.first, second=item.second, change=item.by)
