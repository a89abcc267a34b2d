"""Weighs the targets of evaluations against each other: what is on the Pareto front of quality and what it takes."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

from service.errors import Unprocessable
from service.evaluations import service as evaluations
from service.evaluations.types import Evaluation, Measure
from service.metrics.base import Better, Score
from service.metrics.stats import Rows
from service.sweeps.front import Weighing
from service.sweeps.types import Candidate, Front, Objective, Scores
from stores.records.database import Database

TAKES = ("latency", "cost", "contextLength")
"""What quality is weighed against where nobody says: those that were measured."""

MEDIANS = frozenset({"latency", "firstToken"})
"""Metrics whose median counts: one that took long is not to decide."""

MOST_EVALUATIONS = 20
MOST_CANDIDATES = 400


async def weigh(
    database: Database,
    workspace: UUID,
    evaluation_ids: Sequence[UUID],
    *,
    quality: str = "",
    by: Sequence[str] | None = None,
    holdout: float = 0.0,
    seed: int = 0,
) -> tuple[Front, list[Candidate]]:
    """The front of all targets of these evaluations of one dataset, and who they are, in this order.

    `quality` and `by` are labels of measures; empty: the first that says whether answers are good; None: `TAKES`.
    Raises `NotFound`, `Unprocessable` for labels that were not measured and for evaluations that have little in common.
    """
    held = [await evaluations.get(database, workspace, each) for each in dict.fromkeys(evaluation_ids)]
    if len(held) > MOST_EVALUATIONS:
        raise Unprocessable(f"also: at most {MOST_EVALUATIONS} evaluations can be weighed together, not {len(held)}")
    if len({each.dataset for each in held}) > 1:
        raise Unprocessable("also: these evaluations are of different datasets")
    candidates = [
        Candidate(each.id, place, target.label, 0, 0) for each in held for place, target in enumerate(each.plan.targets)
    ]
    if len(candidates) > MOST_CANDIDATES:
        raise Unprocessable(f"also: at most {MOST_CANDIDATES} targets can be weighed together, not {len(candidates)}")
    objectives = _objectives(held, quality, by)
    counted: list[Candidate] = []
    weighing: Weighing | None = None
    for candidate in candidates:
        scores = await _scores(database, workspace, candidate, objectives)
        rows = scores.rows[objectives[0].label]
        if weighing is None:
            weighing = Weighing(objectives, rows, holdout=holdout, seed=seed)
        await asyncio.to_thread(weighing.add, scores)
        counted.append(_counted(candidate, rows))
    assert weighing is not None, "an evaluation has targets"
    return await asyncio.to_thread(weighing.front), counted


def _objectives(held: Sequence[Evaluation], quality: str, by: Sequence[str] | None) -> list[Objective]:
    """The quality first. Measured by all of the evaluations."""
    first = held[0]
    if not quality:
        able = [each for each in first.plan.measures if each.better is not Better.NEITHER and _says_good(each)]
        if not able:
            raise Unprocessable("quality: name a measure of this evaluation")
        quality = able[0].label
    wanted = evaluations.measure_of(first, quality)
    if wanted.better is Better.NEITHER:
        raise Unprocessable(f"quality: neither more nor less of '{quality}' is better")
    known = [each.label for each in first.plan.measures]
    others = [label for label in TAKES if label in known] if by is None else list(dict.fromkeys(by))
    for each in held:
        for label in (quality, *others):
            evaluations.measure_of(each, label)
    measures = [evaluations.measure_of(first, label) for label in (quality, *others)]
    if quality in others:
        raise Unprocessable(f"by: '{quality}' is the quality")
    return [_objective(each) for each in measures]


def _says_good(measure: Measure) -> bool:
    return measure.metric not in (*TAKES, *MEDIANS, "tokens")


def _objective(measure: Measure) -> Objective:
    return Objective(
        measure.label,
        measure.better,
        measure.unit,
        median=measure.metric in MEDIANS,
        bounds=(measure.low, measure.high),
    )


async def _scores(database: Database, workspace: UUID, candidate: Candidate, objectives: Sequence[Objective]) -> Scores:
    found: dict[str, Mapping[UUID, Sequence[Score]]] = {}
    for objective in objectives:
        rows: dict[UUID, list[Score]] = {}
        for each in await evaluations.scores(
            database, workspace, candidate.evaluation, candidate.target, objective.label
        ):
            rows.setdefault(each.row, []).append(each.score)
        found[objective.label] = rows
    return Scores(found)


def _counted(candidate: Candidate, rows: Rows) -> Candidate:
    every = [score for repeats in rows.values() for score in repeats]
    failed = sum(bool(score.error) for score in every)
    return Candidate(candidate.evaluation, candidate.target, candidate.label, len(every), failed)
