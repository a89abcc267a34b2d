"""Two runs over the same rows, held against each other measure by measure, and whether a difference is real.

Rows are paired by the dataset's row, and a row's value is the mean of its repeats (`service/metrics/stats.py`). Rows
that cannot be paired are counted by their reasons. Who looks at many measures finds a difference by chance sooner or
later: p values of all measures of two targets are corrected together (`resampling.holm`), and the verdict is by these.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID

from service.errors import Unprocessable
from service.evaluations import service
from service.evaluations.cases import records as cases
from service.evaluations.types import OPEN, Evaluation, Measure, ScoreRow
from service.metrics.base import Better, Outcome, Score
from service.metrics.resampling import LEVEL, holm
from service.metrics.stats import Comparison, Verdict, compared
from stores.records.database import Database

MOST_COMPARISONS = 60
"""Measures times pairs of targets in one call."""
MOST_CHANGES = 10
"""Rows of a measure that are shown as those that changed most, either way."""
MOST_UNPAIRED = 20
"""Rows of a measure that are shown as not paired; all are counted."""
LONGEST_QUESTION = 300
"""Characters that are shown of a question."""
BATCH = 1000


class Why(StrEnum):
    """Why a row is not paired."""

    FIRST_ONLY = "firstOnly"
    """The second run has no such row."""
    SECOND_ONLY = "secondOnly"
    CHANGED = "changed"
    """Its question, expected answer or sources are not the same in both."""
    UNASKED = "unasked"
    """A run has no result of it."""
    ERROR = "error"
    """The measure has no value in a run, because something failed."""
    NOT_APPLICABLE = "notApplicable"
    """The measure says nothing of such a row."""


@dataclass(frozen=True, slots=True)
class Unpaired:
    """A row that is not paired. `side`: which run it is for, 1 or 2."""

    row: UUID
    question: str
    why: Why
    side: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A row with its values in both runs."""

    row: UUID
    question: str
    first: float
    second: float

    @property
    def by(self) -> float:
        """Second less first."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class MeasureComparison:
    """A measure of two targets."""

    label: str
    better: Better
    unit: str
    comparison: Comparison
    corrected: float | None
    """The p value by Holm; None: no row is paired."""
    verdict: Verdict
    """By the corrected p value."""
    unpaired: Mapping[Why, int]
    examples: Sequence[Unpaired]
    improved: Sequence[Change]
    """The rows that changed most for the better; of a measure that has no better, that rose."""
    worsened: Sequence[Change]
    steps: Sequence[float] = ()
    """Second less first of every pair, in the order of the rows."""


@dataclass(frozen=True, slots=True)
class TargetComparison:
    """Two targets, by their places in the plans."""

    first: int
    second: int
    measures: Sequence[MeasureComparison]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs, or targets of one."""

    first: Evaluation
    second: Evaluation
    level: float
    targets: Sequence[TargetComparison]
    unmatched: tuple[Sequence[str], Sequence[str]] = ((), ())
    """Labels of targets of the first and of the second that the other has not."""
    lonely: tuple[Sequence[str], Sequence[str]] = ((), ())
    """Labels of measures that the other has not, or not with the same options."""
    complete: bool = True
    """Both have ended."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is compared: which targets, by their places; which measures, by their labels (none: all); how sure a
    verdict must be."""

    target: int | None = None
    other_target: int | None = None
    labels: Collection[str] = ()
    level: float = LEVEL


NO_CHOICE = Choice()


@dataclass(slots=True)
class _Rows:
    """The rows of a run by the dataset's row: what they ask, and what stands for all of it."""

    questions: dict[UUID, str] = field(default_factory=dict)
    prints: dict[UUID, int] = field(default_factory=dict)


async def compare(
    database: Database, workspace: UUID, first_id: UUID, second_id: UUID, choice: Choice = NO_CHOICE
) -> RunComparison:
    """The second run against the first, by targets of the same label; of one run, its first target against each other
    one. Raises `NotFound`, `Unprocessable` for runs of different datasets, unknown targets and measures, and more than
    `MOST_COMPARISONS`."""
    first = await service.get(database, workspace, first_id)
    second = first if second_id == first_id else await service.get(database, workspace, second_id)
    if first.dataset != second.dataset:
        raise Unprocessable(
            f"The evaluations are of different datasets, '{first.dataset_name}' and '{second.dataset_name}': no row of"
            " one is a row of the other"
        )
    pairs = _pairs(first, second, choice)
    measures = _measures(first, second, choice)
    if len(pairs) * len(measures) > MOST_COMPARISONS:
        raise Unprocessable(
            f"comparisons: {len(pairs)} pairs of targets with {len(measures)} measures; one call makes at most"
            f" {MOST_COMPARISONS}: say target, otherTarget or metric"
        )
    rows = await _rows(database, workspace, first.id)
    other_rows = rows if second is first else await _rows(database, workspace, second.id)
    targets = []
    for one, other in pairs:
        found = [
            await _measured(database, workspace, item, (first, one), (second, other), rows, other_rows, choice.level)
            for item in measures
        ]
        targets.append(TargetComparison(one, other, _corrected(found, choice.level)))
    labels = [{item.label for item in run.plan.targets} for run in (first, second)]
    common = {item.label for item in shared(first, second)}
    lonely = [[item.label for item in run.plan.measures if item.label not in common] for run in (first, second)]
    return RunComparison(
        first,
        second,
        choice.level,
        targets,
        (sorted(labels[0] - labels[1]), sorted(labels[1] - labels[0])),
        (lonely[0], lonely[1]),
        first.state not in OPEN and second.state not in OPEN,
    )


def _pairs(first: Evaluation, second: Evaluation, choice: Choice) -> list[tuple[int, int]]:
    for name, run, place in (("target", first, choice.target), ("otherTarget", second, choice.other_target)):
        if place is not None and not 0 <= place < len(run.plan.targets):
            raise Unprocessable(f"{name}: the evaluation has the targets 0 to {len(run.plan.targets) - 1}")
    if choice.target is not None and choice.other_target is not None:
        return [(choice.target, choice.other_target)]
    one, other = len(first.plan.targets), len(second.plan.targets)
    if first.id == second.id:
        start = choice.target or 0
        ends = [choice.other_target] if choice.other_target is not None else range(other)
        pairs = [(start, end) for end in ends if end != start]
    elif one == other == 1:
        pairs = [(0, 0)]
    else:
        places = {item.label: place for place, item in enumerate(second.plan.targets)}
        named = [(place, places.get(item.label)) for place, item in enumerate(first.plan.targets)]
        pairs = [
            (start, end)
            for start, end in named
            if end is not None and choice.target in (None, start) and choice.other_target in (None, end)
        ]
    if not pairs and first.id == second.id:
        raise Unprocessable("other: the evaluation has one target, so that there is nothing to hold against it")
    if not pairs:
        raise Unprocessable("target: no two targets have the same label; say target and otherTarget by their places")
    return pairs


def _measures(first: Evaluation, second: Evaluation, choice: Choice) -> list[Measure]:
    both = shared(first, second)
    for label in choice.labels:
        if label not in {item.label for item in both}:
            raise Unprocessable(f"metric: '{label}' is none of both: {', '.join(item.label for item in both)}")
    return [item for item in both if not choice.labels or item.label in choice.labels]


def shared(first: Evaluation, second: Evaluation) -> list[Measure]:
    """The measures of the first that the second has too, with the same options."""
    known = {item.label: (item.metric, dict(item.options)) for item in second.plan.measures}
    return [item for item in first.plan.measures if known.get(item.label) == (item.metric, dict(item.options))]


async def _rows(database: Database, workspace: UUID, evaluation_id: UUID) -> _Rows:
    found, start = _Rows(), 0
    while True:
        async with database.read(workspace) as scope:
            page = await cases.rows(scope, evaluation_id, start, BATCH)
        for item in page:
            found.questions[item.row] = item.question[:LONGEST_QUESTION]
            found.prints[item.row] = hash((item.question, item.expected, tuple(item.gold)))
        if len(page) < BATCH:
            return found
        start += BATCH


async def _measured(
    database: Database,
    workspace: UUID,
    measure: Measure,
    first: tuple[Evaluation, int],
    second: tuple[Evaluation, int],
    rows: _Rows,
    other_rows: _Rows,
    level: float,
) -> MeasureComparison:
    """A measure of two targets; its p value is not corrected yet."""
    async with database.read(workspace) as scope:
        one = _by_row(await cases.scores(scope, first[0].id, first[1], measure.label))
        other = _by_row(await cases.scores(scope, second[0].id, second[1], measure.label))
    left_out = list(_unpaired(rows, other_rows, one, other))
    gone = {item.row for item in left_out}
    paired = [row for row in rows.prints if row not in gone]
    apart = {item.row for item in left_out if item.why in (Why.FIRST_ONLY, Why.SECOND_ONLY, Why.CHANGED)}
    comparison = await asyncio.to_thread(
        compared,
        {row: scores for row, scores in one.items() if row not in apart},
        {row: scores for row, scores in other.items() if row not in apart},
        better=measure.better,
        level=level,
    )
    changes = [Change(row, rows.questions[row], _mean(one[row]), _mean(other[row])) for row in paired]
    rising = sorted((item for item in changes if item.by > 0), key=lambda item: -item.by)[:MOST_CHANGES]
    falling = sorted((item for item in changes if item.by < 0), key=lambda item: item.by)[:MOST_CHANGES]
    turned = measure.better is Better.LOWER
    return MeasureComparison(
        label=measure.label,
        better=measure.better,
        unit=measure.unit,
        comparison=comparison,
        corrected=comparison.p,
        verdict=comparison.verdict,
        unpaired=Counter(item.why for item in left_out),
        examples=left_out[:MOST_UNPAIRED],
        improved=falling if turned else rising,
        worsened=rising if turned else falling,
        steps=[item.by for item in changes],
    )


def _by_row(scores: Sequence[ScoreRow]) -> dict[UUID, list[Score]]:
    found: defaultdict[UUID, list[Score]] = defaultdict(list)
    for item in scores:
        found[item.row].append(item.score)
    return dict(found)


def _mean(scores: Sequence[Score]) -> float:
    values = [score.value for score in scores if score.value is not None]
    return sum(values) / len(values)


def _unpaired(
    rows: _Rows, other_rows: _Rows, one: Mapping[UUID, Sequence[Score]], other: Mapping[UUID, Sequence[Score]]
) -> Iterator[Unpaired]:
    """The rows of both runs that have no value in both, in the order of the first."""
    for row, mark in rows.prints.items():
        question = rows.questions[row]
        if row not in other_rows.prints:
            yield Unpaired(row, question, Why.FIRST_ONLY, 1)
        elif mark != other_rows.prints[row]:
            yield Unpaired(row, question, Why.CHANGED, 2)
        else:
            for side, scores in ((1, one.get(row, ())), (2, other.get(row, ()))):
                if all(score.value is None for score in scores):
                    yield Unpaired(row, question, *_lacking(scores, side))
                    break
    for row in other_rows.prints:
        if row not in rows.prints:
            yield Unpaired(row, other_rows.questions[row], Why.SECOND_ONLY, 2)


def _lacking(scores: Sequence[Score], side: int) -> tuple[Why, int, str]:
    """Why scores of a row hold no value."""
    if not scores:
        return Why.UNASKED, side, ""
    failed = next((score for score in scores if score.outcome is Outcome.ERROR), None)
    if failed is not None:
        return Why.ERROR, side, failed.reason
    return Why.NOT_APPLICABLE, side, scores[0].reason


def _corrected(found: Sequence[MeasureComparison], level: float) -> list[MeasureComparison]:
    """The same with p values and verdicts that allow for how many there are."""
    tried = [place for place, item in enumerate(found) if item.comparison.p is not None]
    told = dict(zip(tried, holm([float(found[place].comparison.p or 0.0) for place in tried]), strict=True))
    return [
        item
        if place not in told
        else replace(
            item,
            corrected=told[place],
            verdict=Verdict.UNCLEAR if item.comparison.real and told[place] >= 1 - level else item.verdict,
        )
        for place, item in enumerate(found)
    ]
