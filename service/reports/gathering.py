"""Gathers what a report shows from one evaluation, or from two: figures of all rows, texts of the few that are worth a
look. Of each row a number for each measure is held, so that the memory does not depend on what was asked and answered.
"""

import asyncio
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from service.evaluations import comparing
from service.evaluations import service as evaluations
from service.evaluations.comparing import Choice, MeasureComparison
from service.evaluations.types import (
    OPEN,
    CaseResult,
    Evaluation,
    Measure,
    ResultFilter,
    RunSummary,
    ScoreRow,
    Sort,
)
from service.metrics.base import Better
from service.metrics.stats import Summary
from service.reports.shown import case_of, label_of, measured
from service.reports.types import Case, Column, Fault, Held, Listing, Measured, Numbers, Pair, Series
from stores.records.database import Database

MOST_COLUMNS = 6
"""Targets whose rows are looked at; tables have all of them."""
MOST_MEASURES = 24
"""Measures whose rows are looked at."""
MOST_PAIRS = 5
LISTED = 10
"""Cases of a listing."""
MOVED = 5
"""Rows of a listing of those that changed."""
MOST_FAULTS = 30


@dataclass(slots=True)
class Gathered:
    """What was read so far of the evaluations of one report."""

    database: Database
    workspace: UUID
    runs: Sequence[Evaluation]
    summaries: Sequence[RunSummary]
    columns: Sequence[Column]
    measures: Sequence[Measured]
    series: dict[tuple[int, str], Series] = field(default_factory=dict)
    sums: dict[int, Numbers] = field(default_factory=dict)
    """For each column, of each case (row times repeats, then repeat) how good its scores are, added up."""
    counts: dict[int, Numbers] = field(default_factory=dict)
    """How many scores these are."""
    rows: dict[int, dict[UUID, int]] = field(default_factory=dict)
    """For each run the places of the dataset's rows."""


async def opened(database: Database, workspace: UUID, ids: Sequence[UUID]) -> Gathered:
    """The evaluations, their summaries, targets and measures. Raises `NotFound`."""
    runs = [await evaluations.get(database, workspace, each) for each in ids]
    told = [await evaluations.summary(database, workspace, each) for each in ids]
    letters = "AB" if len(runs) > 1 else [""]
    columns = [
        Column(run, place, f"{letter}: {label_of(target)}" if letter else label_of(target))
        for run, (item, letter) in enumerate(zip(runs, letters, strict=True))
        for place, target in enumerate(item.plan.targets)
    ]
    measures: dict[str, Measure] = {}
    for item in runs:
        for measure in item.plan.measures:
            measures.setdefault(measure.label, measure)
    return Gathered(database, workspace, runs, told, columns, [measured(item) for item in measures.values()])


def summaries(gathered: Gathered) -> dict[tuple[int, str], Summary]:
    """By column and measure."""
    found: dict[tuple[int, str], Summary] = {}
    for place, column in enumerate(gathered.columns):
        for told in gathered.summaries[column.run].targets:
            if told.target == column.target:
                found |= {(place, label): item for label, item in told.measures.items()}
    return found


async def read_scores(gathered: Gathered) -> None:
    """Read the scores of columns and measures that are drawn, one after the other."""
    for place, column in enumerate(gathered.columns[:MOST_COLUMNS]):
        run = gathered.runs[column.run]
        known = {item.label for item in run.plan.measures}
        size = run.rows * run.plan.repeats
        gathered.sums[place], gathered.counts[place] = np.zeros(size), np.zeros(size)
        for measure in gathered.measures[:MOST_MEASURES]:
            if measure.label in known:
                scores = await evaluations.scores(
                    gathered.database, gathered.workspace, run.id, column.target, measure.label
                )
                await asyncio.to_thread(_take, gathered, place, measure, scores)


def _take(gathered: Gathered, place: int, measure: Measured, scores: Sequence[ScoreRow]) -> None:
    valued = [(item.place, item.repeat, item.score.value) for item in scores if item.score.value is not None]
    rows = np.array([row for row, _, _ in valued], np.int64)
    values = np.array([value for _, _, value in valued], np.float64)
    places, first = np.unique(rows, return_inverse=True)
    means = np.asarray(np.bincount(first, values) / np.bincount(first), np.float64) if len(valued) else values
    gathered.rows.setdefault(gathered.columns[place].run, {}).update((item.row, item.place) for item in scores)
    gathered.series[place, measure.label] = Series((places + 1).astype(np.float64), means)
    if (good := _goodness(measure, values)) is not None:
        repeats = gathered.runs[gathered.columns[place].run].plan.repeats
        cases = rows * repeats + np.array([repeat for _, repeat, _ in valued], np.int64)
        np.add.at(gathered.sums[place], cases, good)
        np.add.at(gathered.counts[place], cases, 1)


def _goodness(measure: Measured, values: Numbers) -> Numbers | None:
    """How good values are, between 0 and 1; None for a measure that does not say so."""
    if not measure.is_share or measure.better is Better.NEITHER:
        return None
    return values if measure.better is Better.HIGHER else 1 - values


async def pairs(gathered: Gathered) -> list[Pair]:
    """What is compared: two runs by their targets, or the first target of one run with each other one. Raises
    `Unprocessable` for runs of different datasets."""
    first, last = gathered.runs[0], gathered.runs[-1]
    labels = [item.label for item in first.plan.measures]
    if first is not last:
        labels = [item.label for item in comparing.shared(first, last)]
        most = comparing.MOST_COMPARISONS // min(len(first.plan.targets), len(last.plan.targets))
        choices = [Choice(labels=tuple(labels[:most]))] if labels else []
    else:
        others = range(1, min(len(first.plan.targets), MOST_PAIRS + 1))
        most = comparing.MOST_COMPARISONS // max(len(others), 1)
        choices = [Choice(0, other, tuple(labels[:most])) for other in others] if labels else []
    found = []
    for choice in choices:
        told = await comparing.compare(gathered.database, gathered.workspace, first.id, last.id, choice)
        for item in told.targets:
            one, other = _column(gathered, 0, item.first), _column(gathered, len(gathered.runs) - 1, item.second)
            found.append(Pair(one, other, {each.label: _held(each) for each in item.measures}))
    return found[:MOST_PAIRS]


def _column(gathered: Gathered, run: int, target: int) -> int:
    return next(place for place, item in enumerate(gathered.columns) if (item.run, item.target) == (run, target))


def _held(item: MeasureComparison) -> Held:
    return Held(
        item.comparison,
        item.corrected,
        item.verdict,
        np.sort(np.array(item.steps, np.float64)),
        sum(item.unpaired.values()),
    )


async def listings(gathered: Gathered, compared: Sequence[Pair]) -> list[Listing]:
    """Cases that are worth a look: the worst, those that changed most, the slowest, those that failed."""
    found = [Listing("worst", "Worst rows", WORST, await _cases(gathered, await asyncio.to_thread(_worst, gathered)))]
    if len(gathered.runs) > 1 and compared:
        for key, title, note, sign in MOVES:
            moved = await asyncio.to_thread(_moved, gathered, compared[0], sign)
            found.append(Listing(key, title, note, await _cases(gathered, moved)))
    found.append(Listing("slowest", "Slowest rows", SLOWEST, await _slowest(gathered)))
    found.append(Listing("failed", "Rows with errors", FAILED, await _failed(gathered)))
    return [item for item in found if item.cases]


WORST = "Those with the lowest mean over the measures that lie between 0 and 1."
SLOWEST = "Those that took longest to be answered."
FAILED = "The first of those whose flow or search failed, or of whose measures one did."
MOVES = (
    ("worse", "Rows that got worse", "Those whose mean over the measures between 0 and 1 fell most: A, then B.", -1.0),
    ("better", "Rows that got better", "Those whose mean over the measures between 0 and 1 rose most: A, then B.", 1.0),
)

Spot = tuple[int, int, int]
"""A case: the place of its column, of its row, and its repeat."""


def _worst(gathered: Gathered) -> list[Spot]:
    """The cases with the lowest means; those that are as good as can be are none."""

    def candidates() -> Iterator[tuple[float, int, int]]:
        for place, counts in gathered.counts.items():
            means = _means(gathered, place)
            for case in np.argsort(means, kind="stable")[:LISTED].tolist():
                if counts[case] and means[case] < 1:
                    yield float(means[case]), case, place

    return [_spot(gathered, place, case) for _, case, place in heapq.nsmallest(LISTED, candidates())]


def _means(gathered: Gathered, place: int) -> Numbers:
    """The mean goodness of each case of a column; infinite where nothing says."""
    counts = gathered.counts[place]
    means: Numbers = np.where(counts > 0, gathered.sums[place] / np.maximum(counts, 1), np.inf)
    return means


def _spot(gathered: Gathered, place: int, case: int) -> Spot:
    row, repeat = divmod(case, gathered.runs[gathered.columns[place].run].plan.repeats)
    return place, row, repeat


def _moved(gathered: Gathered, pair: Pair, sign: float) -> list[Spot]:
    """The first cases, of both runs in turn, of the rows that moved most in this direction."""
    if pair.first not in gathered.counts or pair.second not in gathered.counts:
        return []
    one, other = (_row_means(gathered, place) for place in (pair.first, pair.second))
    before, after = (gathered.rows.get(run, {}) for run in (0, len(gathered.runs) - 1))
    places = [(place, after[row]) for row, place in before.items() if row in after]
    steps = [((other[second] - one[first]) * sign, first, second) for first, second in places]
    most = heapq.nlargest(MOVED, (item for item in steps if item[0] > 0))  # what has no value is not greater
    return [spot for _, first, second in most for spot in ((pair.first, first, 0), (pair.second, second, 0))]


def _row_means(gathered: Gathered, place: int) -> Numbers:
    repeats = gathered.runs[gathered.columns[place].run].plan.repeats
    sums = gathered.sums[place].reshape(-1, repeats).sum(axis=1)
    counts = gathered.counts[place].reshape(-1, repeats).sum(axis=1)
    means: Numbers = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


async def _cases(gathered: Gathered, spots: Sequence[Spot]) -> list[Case]:
    found: list[Case] = []
    for place, row, repeat in spots:
        column = gathered.columns[place]
        run = gathered.runs[column.run]
        found += [
            _case(gathered, place, CaseResult(asked, result))
            for asked, results in await evaluations.rows(gathered.database, gathered.workspace, run.id, row, 1)
            for result in results
            if (result.target, result.repeat) == (column.target, repeat)
        ]
    return found


def _case(gathered: Gathered, place: int, item: CaseResult) -> Case:
    run = gathered.runs[gathered.columns[place].run]
    return case_of(item, place, gathered.measures, repeated=run.plan.repeats > 1)


async def _slowest(gathered: Gathered) -> list[Case]:
    found = await _chosen(gathered, ResultFilter(sort=Sort.SLOWEST))
    timed = [item for item in found if item.latency is not None]
    return heapq.nlargest(LISTED, timed, key=lambda item: item.latency or 0.0)


async def _failed(gathered: Gathered) -> list[Case]:
    return (await _chosen(gathered, ResultFilter(errors=True)))[:LISTED]


async def _chosen(gathered: Gathered, chosen: ResultFilter) -> list[Case]:
    """The first results of each run that fit."""
    found = []
    for place, run in enumerate(gathered.runs):
        read, _ = await evaluations.results(gathered.database, gathered.workspace, run.id, chosen, 0, LISTED)
        found += [_case(gathered, _column(gathered, place, item.result.target), item) for item in read]
    return found


def faults(gathered: Gathered, told: Mapping[tuple[int, str], Summary]) -> list[Fault]:
    """Errors by their texts, the most frequent first."""
    counts: dict[str, int] = {}
    columns: dict[str, dict[str, None]] = {}
    labels: dict[str, dict[str, None]] = {}
    for (place, label), item in told.items():
        for reason, count in item.reasons.items():
            counts[reason] = counts.get(reason, 0) + count
            columns.setdefault(reason, {})[gathered.columns[place].label] = None
            labels.setdefault(reason, {})[label] = None
    most = sorted(counts, key=lambda reason: -counts[reason])[:MOST_FAULTS]
    return [Fault(reason, counts[reason], tuple(columns[reason]), tuple(labels[reason])) for reason in most]


def remarks(gathered: Gathered) -> list[str]:
    """What a reader should know before the figures."""
    found = []
    for run in gathered.runs:
        if run.state in OPEN:
            found.append(
                f"{run.name}, version {run.version}, has not ended: {run.done:,} of {run.total:,} cases are done."
            )
        elif run.done < run.total:
            found.append(
                f"{run.name}, version {run.version}, ended early: {run.done:,} of {run.total:,} cases are done."
            )
    if len(gathered.columns) > MOST_COLUMNS:
        found.append(f"Plots show the first {MOST_COLUMNS} of {len(gathered.columns)} targets; tables show all.")
    if len(gathered.measures) > MOST_MEASURES:
        found.append(f"Plots show the first {MOST_MEASURES} of {len(gathered.measures)} measures; tables show all.")
    return found
