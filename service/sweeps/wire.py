"""The JSON shapes of fronts."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from pydantic import Field

from service.http.wire import Wire
from service.metrics.resampling import Interval
from service.metrics.stats import Summary
from service.sweeps.types import Candidate, Figure, Front, Weighed

EXAMPLE_ID = "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"


class FigureFields(Wire):
    """A figure of the rows, and between which values that of all such questions lies; null: the rows do not say."""

    value: float = Field(examples=[0.81])
    low: float | None = Field(examples=[0.74])
    high: float | None = Field(examples=[0.87])


class ObjectiveFields(Wire):
    """Something that is weighed."""

    label: str = Field(examples=["ndcg@10"])
    better: str = Field(examples=["higher"])
    unit: str = Field(examples=[""])
    median: bool = Field(description="The median of all cases counts, else the mean of the rows")


class CandidateFields(Wire):
    """A target, and what is said of it."""

    evaluation_id: UUID = Field(examples=[EXAMPLE_ID])
    target: int = Field(description="Its place in the evaluation, from 0", examples=[0])
    label: str = Field(examples=["k=8, chunkSize=800"])
    cases: int
    errors: int = Field(description="Cases whose quality is an error")
    figures: dict[str, FigureFields] = Field(description="By objective, of the rows that the choice is made by")
    held: FigureFields | None = Field(description="The quality of the rows that had no part in the choice")
    front: bool = Field(description="Nobody else is as good in everything and better in something")
    ties: bool = Field(description="The best one's quality is not better by more than chance may do")
    difference: FigureFields | None = Field(description="Of the quality to the best one's, row by row")
    p: float | None = Field(description="How often so large a difference comes by chance, for so many candidates")


class FrontResult(Wire):
    """Candidates weighed against each other, in the order of the evaluations and their targets."""

    objectives: list[ObjectiveFields] = Field(description="The quality first")
    left_out: dict[str, str] = Field(description="Objectives that are not weighed, and why")
    candidates: list[CandidateFields]
    best: int | None = Field(description="The place of the candidate with the best quality", examples=[0])
    chosen: int | None = Field(
        description="The place of the one to take: what takes least of those within a standard error of the best",
        examples=[0],
    )
    rows: int = Field(description="Rows that the choice is made by")
    held_rows: int = Field(description="Rows that were held back from it")


def front_result(front: Front, candidates: Sequence[Candidate]) -> FrontResult:
    """A front on the wire."""
    return FrontResult(
        objectives=[
            ObjectiveFields(label=each.label, better=str(each.better), unit=each.unit, median=each.median)
            for each in front.objectives
        ],
        left_out=dict(front.left_out),
        candidates=[_candidate(who, told) for who, told in zip(candidates, front.candidates, strict=True)],
        best=front.best,
        chosen=front.chosen,
        rows=front.rows,
        held_rows=front.held_rows,
    )


def _candidate(who: Candidate, told: Weighed) -> CandidateFields:
    against = told.against.difference if told.against is not None else None
    return CandidateFields(
        evaluation_id=who.evaluation,
        target=who.target,
        label=who.label,
        cases=who.cases,
        errors=who.failed,
        figures=_figures(told.figures),
        held=_mean(told.held),
        front=told.front,
        ties=told.ties,
        difference=None if against is None else _figure(against.value, against.interval),
        p=told.p,
    )


def _figures(figures: Mapping[str, Figure]) -> dict[str, FigureFields]:
    return {label: FigureFields(value=each.value, low=each.low, high=each.high) for label, each in figures.items()}


def _mean(summary: Summary | None) -> FigureFields | None:
    if summary is None or summary.mean is None:
        return None
    return _figure(summary.mean.value, summary.mean.interval)


def _figure(value: float, interval: Interval | None) -> FigureFields:
    return FigureFields(value=value, low=interval.low if interval else None, high=interval.high if interval else None)
