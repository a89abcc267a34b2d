"""How sure figures are: intervals by drawing rows again, tests by flipping signs. Pure NumPy, seeded by the caller.

Intervals are BCa bootstrap intervals (Efron 1987, "Better bootstrap confidence intervals"; Efron & Tibshirani 1993,
chapter 14): unlike plain percentiles they allow for skew, which scores near 1 have. Where all rows have the same value
a bootstrap would claim certainty: then the bound is the exact one for a proportion (Clopper & Pearson 1934) when the
value is the least or greatest there can be, and there is no interval otherwise.

The test flips the signs of paired differences (Fisher's randomisation test, which Smucker, Allan & Carterette 2007
recommend for retrieval): exactly for few rows, else at random, counting the observed one (Phipson & Smyth 2010), so
that no p value is 0. Who looks at many metrics at once corrects by `holm`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
MOST_RESAMPLES = 10_000
LEAST_RESAMPLES = 1_000
DRAWS = 20_000_000
"""Numbers that are drawn for an interval or a test: 10,000 samples of 2,000 rows, 2,000 of 10,000."""
AT_ONCE = 2_000_000
"""Drawn numbers that are held at once: bounds the memory, whatever the number of rows."""
EXACT_ROWS = 12
"""Rows up to which every way to flip signs is tried."""
LIKE = 100 * float(np.finfo(np.float64).eps)
"""Sums that differ by this share are the same, but for the order of adding."""

Values = NDArray[np.float64]
Statistic = Callable[[Values], Values]
"""A figure for each row of a table of samples."""


class Method(StrEnum):
    """How an interval was found."""

    BCA = "bca"
    PERCENTILE = "percentile"
    """Where no correction can be estimated, and for quantiles."""
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the figure of all such questions lies with the probability `level`."""

    low: float
    high: float
    level: float
    method: Method


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of the sample, and its interval; None: the rows do not say."""

    value: float
    interval: Interval | None


def mean_interval(
    values: Values,
    chances: np.random.Generator,
    *,
    bounds: tuple[float | None, float | None] = (None, None),
    level: float = LEVEL,
    resamples: int | None = None,
) -> Interval | None:
    """The interval of a mean of rows; `bounds`: the least and the greatest value there can be, None where there is no
    bound. None for a single row and for rows that are all alike, unless they lie on a bound."""
    low, high = bounds
    count = len(values)
    if count and (values == values[0]).all():
        edge = float(((1 - level) / 2) ** (1 / count))
        if high is not None and low is not None and values[0] == high:
            return Interval(low + (high - low) * edge, high, level, Method.EXACT)
        if high is not None and low is not None and values[0] == low:
            return Interval(low, high - (high - low) * edge, level, Method.EXACT)
        return None
    if count < 2:
        return None
    drawn = _drawn(values, _means, chances, resamples or enough(count))
    shares = _corrected(values, drawn, level)
    method = Method.PERCENTILE if shares is None else Method.BCA
    tails = shares or ((1 - level) / 2, (1 + level) / 2)
    ends = np.quantile(drawn, tails)
    return Interval(float(ends[0]), float(ends[1]), level, method)


def _corrected(values: Values, drawn: Values, level: float) -> tuple[float, float] | None:
    """The shares of the drawn means that bound the interval: bias from how many lie below the mean, acceleration from
    the jackknife, which for a mean is the skewness of the values / (6 sqrt(n)). None where they cannot be estimated."""
    normal = NormalDist()
    mean = values.mean()
    below = (float((drawn < mean).mean()) + float((drawn <= mean).mean())) / 2
    apart = values - mean
    widest = float(np.abs(apart).max())
    if not 0 < below < 1 or widest <= 0:
        return None
    apart /= widest  # the skewness stays, and tiny values do not vanish when they are squared
    bias = normal.inv_cdf(below)
    speed = float((apart**3).sum()) / (6 * float((apart**2).sum()) ** 1.5)
    ends = [bias + normal.inv_cdf(tail) for tail in ((1 - level) / 2, (1 + level) / 2)]
    if any(speed * z >= 1 for z in ends):
        return None
    low, high = (normal.cdf(bias + z / (1 - speed * z)) for z in ends)
    return low, high


def quantile_interval(
    values: Values, share: float, chances: np.random.Generator, *, level: float, resamples: int | None
) -> Interval | None:
    """Of a quantile, by plain percentiles: the jackknife fails for quantiles."""
    if len(values) < 2 or (values == values[0]).all():
        return None

    def statistic(samples: Values) -> Values:
        return np.asarray(np.quantile(samples, share, axis=1), np.float64)

    ends = np.quantile(
        _drawn(values, statistic, chances, min(resamples or LEAST_RESAMPLES, LEAST_RESAMPLES)),
        [(1 - level) / 2, (1 + level) / 2],
    )
    return Interval(float(ends[0]), float(ends[1]), level, Method.PERCENTILE)


def percentile(values: Sequence[float] | Values, share: float) -> float:
    """The value that `share` of the values stay below, between neighbours in proportion (Hyndman & Fan 1996, type 7).
    Raises `ValueError` without values."""
    if not len(values):
        raise ValueError("no values")
    return float(np.quantile(np.asarray(values, np.float64), share))


def sign_flips(steps: Values, chances: np.random.Generator, *, resamples: int | None = None) -> float:
    """The p value, in (0, 1], of "the differences are as likely one way as the other": how often their mean would be as
    far from 0 with signs at random. Every way is tried for up to `EXACT_ROWS` rows."""
    moved = np.sort(np.abs(steps[steps != 0]))  # no difference has no sign, and the order must not matter
    count = len(moved)
    if not count:
        return 1.0
    wanted = abs(math.fsum(steps.tolist())) - LIKE * float(moved.sum())
    if count <= EXACT_ROWS:
        ways = np.arange(2**count)[:, None] >> np.arange(count) & 1
        return float((np.abs((1 - 2 * ways) @ moved) >= wanted).mean())
    resamples = resamples or enough(count)
    hits = 0
    for size in _parts(resamples, count):
        signs = 1 - 2 * chances.integers(0, 2, (size, count), dtype=np.int8)
        hits += int((np.abs(signs @ moved) >= wanted).sum())
    return (hits + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values of several comparisons, corrected so that the chance of any false alarm stays what it is for one
    (Holm 1979), in their order."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = highest
    return corrected


def enough(count: int) -> int:
    """How many samples of so many rows are drawn where nobody says."""
    return max(LEAST_RESAMPLES, min(MOST_RESAMPLES, DRAWS // max(count, 1)))


def _drawn(values: Values, statistic: Statistic, chances: np.random.Generator, resamples: int) -> Values:
    count = len(values)
    return np.concatenate(
        [statistic(values[chances.integers(0, count, (size, count))]) for size in _parts(resamples, count)]
    )


def _parts(resamples: int, count: int) -> list[int]:
    """Samples that are drawn at once."""
    size = max(1, AT_ONCE // max(count, 1))
    return [min(size, resamples - start) for start in range(0, resamples, size)]


def _means(samples: Values) -> Values:
    return np.asarray(samples.mean(axis=1), np.float64)
