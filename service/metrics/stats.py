"""What scores of many cases say, and how sure that is. The same scores give the same figures.

The unit is the *row*: repeats of a row are no independent cases, so a row's value is the mean of its repeats, and rows
are what is drawn (`service/metrics/resampling.py`). Errors and cases that are not applicable are counted beside the
mean, never in it. Two runs are compared row by row.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from service.metrics.base import Better, Outcome, Score
from service.metrics.resampling import (
    LEVEL,
    Estimate,
    Interval,
    Method,
    Values,
    mean_interval,
    percentile,
    quantile_interval,
    sign_flips,
)

SEED = 20_240_229
MOST_REASONS = 10
"""Different errors that a summary names."""

Rows = Mapping[Any, Sequence[Score]]
"""The scores of each row's repeats, by whatever names the row (an id, a number)."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a metric says of a run."""

    rows: int
    """Rows with a value: what the mean is of."""
    scores: int
    """Single scores with a value, repeats included."""
    not_applicable: int
    errors: int
    mean: Estimate | None = None
    """None: no row has a value."""
    deviation: float | None = None
    """The standard deviation of the rows (n - 1); None below two."""
    low: float | None = None
    high: float | None = None
    quantiles: Mapping[float, Estimate] = field(default_factory=dict)
    """Of the single scores."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """How often each error came, the most frequent first, `MOST_REASONS` at most."""

    def as_json(self) -> dict[str, Any]:
        """For results, reports and baselines."""
        return {
            "rows": self.rows,
            "scores": self.scores,
            "notApplicable": self.not_applicable,
            "errors": self.errors,
            **({} if self.mean is None else {"mean": self.mean.value, **_shown(self.mean.interval)}),
            **({} if self.deviation is None else {"deviation": self.deviation}),
            **({} if self.low is None else {"min": self.low, "max": self.high}),
            **{f"p{share * 100:g}": {"value": e.value, **_shown(e.interval)} for share, e in self.quantiles.items()},
            **({"reasons": dict(self.reasons)} if self.reasons else {}),
        }


class Verdict(StrEnum):
    """What a comparison says."""

    BETTER = "better"
    WORSE = "worse"
    DIFFERENT = "different"
    """Of a metric that has no better."""
    UNCLEAR = "unclear"
    """The difference may be chance."""
    EQUAL = "equal"
    """Every row has the same value in both runs."""
    NOTHING = "nothing"
    """No row has a value in both runs."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A metric of two runs over the same rows."""

    verdict: Verdict
    pairs: int
    """Rows with a value in both runs; only these are compared."""
    alone: tuple[int, int]
    """Rows with a value in the first run only, in the second only."""
    errors: tuple[int, int]
    """Scores of each run that are errors."""
    means: tuple[float, float] | None = None
    """Of the pairs."""
    difference: Estimate | None = None
    """Second less first, the mean of the pairs."""
    p: float | None = None
    """How often so large a difference, either way, would come if the runs were the same."""
    level: float = LEVEL
    higher: int = 0
    """Pairs in which the second is higher."""
    lower: int = 0

    @property
    def real(self) -> bool:
        """Whether the difference is more than chance."""
        return self.verdict in (Verdict.BETTER, Verdict.WORSE, Verdict.DIFFERENT)

    def as_json(self) -> dict[str, Any]:
        """For results and reports."""
        shown: dict[str, Any] = {
            "verdict": str(self.verdict),
            "real": self.real,
            "pairs": self.pairs,
            "alone": list(self.alone),
            "errors": list(self.errors),
            "level": self.level,
            "higher": self.higher,
            "lower": self.lower,
        }
        if self.means is not None and self.difference is not None:
            shown |= {"means": list(self.means), "difference": self.difference.value, "p": self.p}
            shown |= _shown(self.difference.interval)
        return shown


def summary(
    rows: Rows,
    *,
    quantiles: Iterable[float] = (),
    bounds: tuple[float | None, float | None] = (0.0, 1.0),
    level: float = LEVEL,
    resamples: int | None = None,
    seed: int = SEED,
) -> Summary:
    """What the scores of a run say. `quantiles` and `bounds` are those of the metric (`Metric.quantiles`,
    `(Metric.low, Metric.high)`)."""
    every = [score for repeats in rows.values() for score in repeats]
    counts = {outcome: sum(score.outcome is outcome for score in every) for outcome in Outcome}
    means = _by_row(rows)
    single = np.sort(np.array([score.value for score in every if score.value is not None], np.float64))
    told = Summary(len(means), counts[Outcome.VALUE], counts[Outcome.NOT_APPLICABLE], counts[Outcome.ERROR])
    reasons = _reasons(every)
    if not means:
        return Summary(0, 0, told.not_applicable, told.errors, reasons=reasons)
    values = np.sort(np.array(list(means.values()), np.float64))  # so that the order of the rows does not matter
    chances = np.random.default_rng(seed)
    return Summary(
        told.rows,
        told.scores,
        told.not_applicable,
        told.errors,
        mean=Estimate(_mean(values), mean_interval(values, chances, bounds=bounds, level=level, resamples=resamples)),
        deviation=float(values.std(ddof=1)) if len(values) > 1 else None,
        low=float(single.min()),
        high=float(single.max()),
        quantiles={
            share: Estimate(
                percentile(single, share), quantile_interval(single, share, chances, level=level, resamples=resamples)
            )
            for share in quantiles
        },
        reasons=reasons,
    )


def compared(
    first: Rows,
    second: Rows,
    *,
    better: Better = Better.HIGHER,
    level: float = LEVEL,
    resamples: int | None = None,
    seed: int = SEED,
) -> Comparison:
    """Whether the second run differs from the first, over the rows that have a value in both; rows are paired by their
    names. Real: the p value is below 1 - `level`."""
    one, other = _by_row(first), _by_row(second)
    both = [name for name in one if name in other]
    alone = (len(one) - len(both), len(other) - len(both))
    errors = (_errors(first), _errors(second))
    if not both:
        return Comparison(Verdict.NOTHING, 0, alone, errors, level=level)
    before = np.array([one[name] for name in both], np.float64)
    after = np.array([other[name] for name in both], np.float64)
    steps = np.sort(after - before)
    chances = np.random.default_rng(seed)
    p = sign_flips(steps, chances, resamples=resamples)
    if not steps.any():
        interval: Interval | None = Interval(0.0, 0.0, level, Method.EXACT)
    else:
        interval = mean_interval(steps, chances, bounds=(None, None), level=level, resamples=resamples)
    return Comparison(
        verdict=_verdict(steps, p, better, level),
        pairs=len(both),
        alone=alone,
        errors=errors,
        means=(_mean(before), _mean(after)),
        difference=Estimate(_mean(steps), interval),
        p=p,
        level=level,
        higher=int((steps > 0).sum()),
        lower=int((steps < 0).sum()),
    )


def _mean(values: Values) -> float:
    """Added up exactly, so that the order of the rows does not matter."""
    return math.fsum(values.tolist()) / len(values)


def _by_row(rows: Rows) -> dict[Any, float]:
    """The mean of the repeats of each row that has a value."""
    held = {name: [score.value for score in repeats if score.value is not None] for name, repeats in rows.items()}
    return {name: math.fsum(values) / len(values) for name, values in held.items() if values}


def _errors(rows: Rows) -> int:
    return sum(score.outcome is Outcome.ERROR for repeats in rows.values() for score in repeats)


def _reasons(scores: Iterable[Score]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for score in scores:
        if score.error:
            counts[score.error] = counts.get(score.error, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1])[:MOST_REASONS])


def _verdict(steps: Values, p: float, better: Better, level: float) -> Verdict:
    if not steps.any():
        return Verdict.EQUAL
    if p >= 1 - level:
        return Verdict.UNCLEAR
    if better is Better.NEITHER:
        return Verdict.DIFFERENT
    rises = _mean(steps) > 0
    return Verdict.BETTER if rises is (better is Better.HIGHER) else Verdict.WORSE


def _shown(interval: Interval | None) -> dict[str, Any]:
    if interval is None:
        return {}
    return {"low": interval.low, "high": interval.high, "method": str(interval.method)}
