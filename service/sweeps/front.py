"""The Pareto front of candidates: who is best in quality, who takes less, and what of it may be chance.

A candidate is on the front when no other is at least as good in every objective and better in one (Pareto dominance).
Quality is compared exactly. What candidates take (time, cost, text) is measured with noise, so it counts as less only
from a step of `STEP` on: else the front would hold everybody who was faster by a microsecond.

Whether the best one's quality is more than chance is told by the paired test of `stats.compared`, corrected by Holm for
the number of candidates. That a difference may be chance does not say that there is none; so what is suggested takes
least of those within one standard error of the best (Breiman, Friedman, Olshen & Stone 1984, "Classification and
Regression Trees", the 1-SE rule; here of the paired difference).

Choosing the best of many on the rows that show it makes it look better than it is; rows that are held back, drawn by a
seed, say how good the choice is.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from statistics import NormalDist
from typing import Any

from service.metrics.base import Better, scored
from service.metrics.resampling import LEVEL, Estimate, holm
from service.metrics.stats import Comparison, Rows, Summary, Verdict, compared, summary
from service.sweeps.types import Figure, Front, Objective, Scores, Weighed

STEP = 0.1
"""The share by which something must be less to count as less."""

MEDIAN = 0.5

MOST_ERRORS = 0.02
"""The share of scores that may be errors: what fails more often is not on the front, as its mean is of the rest."""

NORMAL = NormalDist().inv_cdf((1 + LEVEL) / 2)
"""Standard errors in half an interval."""


class Weighing:
    """Candidates being weighed, one after another: of those before, no more than a value for each row is in memory."""

    def __init__(
        self, objectives: Sequence[Objective], names: Iterable[Any], *, holdout: float = 0.0, seed: int = 0
    ) -> None:
        """Weigh by `objectives`, of which the first is the quality, over the rows `names`. `holdout`: the share of
        rows, from 0 to below 1, that the choice is not made by; the same seed holds back the same rows."""
        self._objectives = objectives
        self._names = frozenset(names)
        self._held = held_back(self._names, holdout, seed)
        self._figures: list[dict[str, Figure]] = []
        self._qualities: list[Summary] = []
        self._tests: list[Summary | None] = []
        self._values: list[dict[Any, float]] = []

    def add(self, candidate: Scores) -> None:
        """The next candidate."""
        quality = self._objectives[0]
        self._qualities.append(_told(candidate, quality, but=self._held))
        self._tests.append(_told(candidate, quality, only=self._held) if self._held else None)
        self._figures.append(_figures(candidate, self._objectives, self._held))
        self._values.append(by_row(_rows(candidate, quality, self._held)))

    def front(self) -> Front:
        """What is said of all of them."""
        quality, figures, sound = self._objectives[0], self._figures, _sound(self._qualities)
        weighed, left_out = _weighed(self._objectives, [each for each in figures if quality.label in each])
        best = _best(quality, [each if place in sound else {} for place, each in enumerate(figures)])
        against = [self._against(best, place) for place in range(len(figures))]
        corrected = _corrected(against)
        on = undominated([_point(each, weighed) if place in sound else None for place, each in enumerate(figures)])
        shown = [
            Weighed(
                figures=figures[place],
                quality=self._qualities[place],
                held=self._tests[place],
                front=place in on,
                against=against[place],
                p=corrected[place],
                ties=place == best or not _lost(against[place], corrected[place]),
            )
            for place in range(len(figures))
        ]
        return Front(
            objectives=weighed,
            left_out=left_out,
            candidates=shown,
            best=best,
            chosen=_chosen(shown, weighed, best),
            rows=len(self._names - self._held),
            held_rows=len(self._held),
        )

    def _against(self, best: int | None, place: int) -> Comparison | None:
        if best is None or place == best:
            return None
        one, other = ({name: (scored(value),) for name, value in self._values[each].items()} for each in (best, place))
        told = compared(one, other, better=self._objectives[0].better)
        return None if told.verdict is Verdict.NOTHING else told


def held_back(names: Collection[Any], share: float, seed: int) -> frozenset[Any]:
    """The rows that the choice is not made by: `share` of them, whatever their order, the same for the same seed."""
    count = round(len(names) * share)
    ranked = sorted(names, key=lambda name: sha256(f"{seed}\n{name}".encode()).digest())
    return frozenset(ranked[:count])


def undominated(points: Sequence[tuple[float, ...] | None]) -> frozenset[int]:
    """The places of the points that no other dominates; every coordinate counts upwards. Equal points are all among
    them, None never is."""
    known = {place: point for place, point in enumerate(points) if point is not None}
    return frozenset(
        place for place, point in known.items() if not any(_dominates(other, point) for other in known.values())
    )


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


def _point(figures: Mapping[str, Figure], weighed: Sequence[Objective]) -> tuple[float, ...] | None:
    """What a candidate is worth, every coordinate upwards; None for one without quality."""
    if weighed[0].label not in figures:
        return None
    first, *rest = weighed
    values = [_upwards(first, figures[first.label].value)]
    return (*values, *(_upwards(each, _step(figures[each.label].value)) for each in rest))


def _upwards(objective: Objective, value: float) -> float:
    return -value if objective.better is Better.LOWER else value


def _step(value: float) -> float:
    """Which step of a scale in which each is `STEP` above the one before it the value stands on."""
    return float(round(math.log(value) / math.log1p(STEP))) if value > 0 else -math.inf


def _figures(candidate: Scores, objectives: Sequence[Objective], held: frozenset[Any]) -> dict[str, Figure]:
    found = {}
    for objective in objectives:
        told = _told(candidate, objective, but=held)
        estimate = told.quantiles.get(MEDIAN) if objective.median else told.mean
        if estimate is not None:
            found[objective.label] = _figure(estimate)
    return found


def _figure(estimate: Estimate) -> Figure:
    interval = estimate.interval
    return Figure(estimate.value, interval.low if interval else None, interval.high if interval else None)


def _told(
    candidate: Scores,
    objective: Objective,
    *,
    but: frozenset[Any] = frozenset(),
    only: frozenset[Any] | None = None,
) -> Summary:
    rows = _rows(candidate, objective, but, only)
    return summary(rows, quantiles=(MEDIAN,) if objective.median else (), bounds=objective.bounds)


def _rows(candidate: Scores, objective: Objective, but: frozenset[Any], only: frozenset[Any] | None = None) -> Rows:
    rows = candidate.rows.get(objective.label, {})
    return {name: each for name, each in rows.items() if name not in but and (only is None or name in only)}


def by_row(rows: Rows) -> dict[Any, float]:
    """The mean of the repeats of each row that has a value."""
    held = {name: [score.value for score in repeats if score.value is not None] for name, repeats in rows.items()}
    return {name: math.fsum(values) / len(values) for name, values in held.items() if values}


def _weighed(
    objectives: Sequence[Objective], figures: Sequence[Mapping[str, Figure]]
) -> tuple[list[Objective], dict[str, str]]:
    """The objectives that every candidate with a quality has a figure for; the others, and why they are left out."""
    weighed, left_out = [objectives[0]], {}
    for objective in objectives[1:]:
        missing = sum(objective.label not in each for each in figures)
        if not figures or missing == len(figures):
            left_out[objective.label] = "not measured"
        elif missing:
            left_out[objective.label] = f"not measured for {missing} of {len(figures)}"
        else:
            weighed.append(objective)
    return weighed, left_out


def _sound(qualities: Sequence[Summary]) -> frozenset[int]:
    """The places of those that did not fail too often; of all, where everybody did."""
    able = frozenset(
        place for place, each in enumerate(qualities) if each.errors <= MOST_ERRORS * (each.errors + each.scores)
    )
    return able or frozenset(range(len(qualities)))


def _best(quality: Objective, figures: Sequence[Mapping[str, Figure]]) -> int | None:
    """The place of the best quality, the first of equal ones."""
    places = [place for place, each in enumerate(figures) if quality.label in each]
    return max(places, key=lambda place: (_upwards(quality, figures[place][quality.label].value), -place), default=None)


def _corrected(comparisons: Sequence[Comparison | None]) -> list[float | None]:
    tested = [(place, each.p) for place, each in enumerate(comparisons) if each is not None and each.p is not None]
    found: list[float | None] = [None] * len(comparisons)
    for (place, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
        found[place] = p
    return found


def _lost(comparison: Comparison | None, p: float | None) -> bool:
    """Whether the best one is really better. Who cannot be compared is not taken for as good."""
    if comparison is None or p is None:
        return True
    return comparison.verdict is not Verdict.EQUAL and p < 1 - LEVEL


def _near(comparison: Comparison | None) -> bool:
    """Whether the quality is within one standard error of the best one's."""
    if comparison is None or comparison.difference is None:
        return False
    apart, interval = comparison.difference.value, comparison.difference.interval
    if interval is None:
        return apart == 0
    return abs(apart) <= (interval.high - interval.low) / (2 * NORMAL)


def _chosen(candidates: Sequence[Weighed], weighed: Sequence[Objective], best: int | None) -> int | None:
    """Of those on the front that are near the best, the one that takes least of the last objective (cost, text), then
    of those before it (time), as far as the rows tell, then has the best quality; the first of equal ones."""
    if best is None:
        return None
    quality, *rest = weighed
    able = [place for place, each in enumerate(candidates) if each.front and (place == best or _near(each.against))]
    for objective in reversed(rest):
        able = _least(able, objective, candidates)
    values = {place: _upwards(quality, candidates[place].figures[quality.label].value) for place in able}
    return max(able, key=lambda place: (values[place], -place), default=best)


def _least(places: Sequence[int], objective: Objective, candidates: Sequence[Weighed]) -> list[int]:
    """Those that take least of an objective, or hardly more: a step at most, or so little that the intervals meet."""
    figures = {place: candidates[place].figures[objective.label] for place in places}
    values = {place: _upwards(objective, each.value) for place, each in figures.items()}
    first = figures[max(places, key=lambda place: values[place])] if places else None
    return [
        place
        for place in places
        if first is not None and (_step(figures[place].value) == _step(first.value) or _meet(figures[place], first))
    ]


def _meet(one: Figure, other: Figure) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return one.value == other.value
    return one.low <= other.high and other.low <= one.high
