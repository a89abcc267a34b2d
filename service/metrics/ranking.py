"""Formulas of rankings, over plain numbers."""

import math
from collections.abc import Iterable, Sequence


def discounted(gains: Sequence[float], depth: int) -> float:
    """Discounted cumulative gain (Järvelin & Kekäläinen 2002, with the discount log2(rank + 1)) of the first ranks."""
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains[:depth]))


def ndcg(gains: Sequence[float], grades: Iterable[float], depth: int) -> float:
    """The gain of a ranking as a share of the best possible one, in [0, 1]. `gains`: of each rank; `grades`: of all
    that could be found, at least one above 0. Where a rank may hold several, what is above the best is cut off."""
    best = discounted(sorted(grades, reverse=True), depth)
    return min(discounted(gains, depth) / best, 1.0)


def reciprocal_rank(relevant: Sequence[bool], depth: int) -> float:
    """1 / the rank of the first that is relevant; 0 where none of the first `depth` is."""
    return next((1 / rank for rank, hit in enumerate(relevant[:depth], 1) if hit), 0.0)


def precision(relevant: Sequence[bool], depth: int) -> float:
    """The share of the first `depth` ranks that hold something relevant; ranks without anything count as misses."""
    return sum(relevant[:depth]) / depth


def average_precision(relevant: Sequence[bool]) -> float:
    """The mean, over the relevant ranks, of the precision down to them; 0 where none is relevant."""
    hits, total = 0, 0.0
    for rank, hit in enumerate(relevant, 1):
        hits += hit
        total += hits / rank if hit else 0.0
    return total / hits if hits else 0.0
