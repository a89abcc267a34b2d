"""The calibrated fusion: cosine similarity plus weighted BM25, once BM25 is divided by the most the query could score.

BM25 over its own bound lies in [0, 1] and means the same for every query: how much of what was asked the chunk says in
the same words. So a query whose words are nowhere in the store keeps the order of the vectors, where scaling by the
best score found would make a match of next to nothing count in full.

The weight grows with the root of the number of words: the share of n words that a chunk holds by chance spreads as
1 / sqrt(n), so that words would count for less the more of them a question has. Measured against rank fusion, min-max
scaling and fixed weights on nine sets (ADR 0034).
"""

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]

WEIGHT = 0.6
"""Weight of BM25 for a query of one word where the embedder knows its language."""
MOST_WEIGHT = 2.0
"""The most that it grows to with the number of words."""
WEIGHT_UNKNOWN_LANGUAGE = 4.0
"""Where it does not, its similarities are mostly noise: words lead, and vectors settle what words leave open."""
FEWEST_CANDIDATES = 100
"""Chunks taken from each half at least."""
CANDIDATES_PER_HIT = 4
"""Chunks taken from each half for each one that is asked for."""
MOST_CANDIDATES = 500
"""Chunks taken from each half at most, unless more are asked for: so many an index gives, for more it looks at all."""


def fused(cosine: Scores, lexical: Scores, bound: float, weight: float) -> Scores:
    """One score for each candidate, in [-1, 1]: (cosine + weight x lexical / bound) / (1 + weight).

    `cosine` and `lexical` are aligned; `bound` is the most that BM25 could give, 0 for a query without words, whose
    scores are then the cosines. Dividing by 1 + weight changes no order and keeps one scale for thresholds.
    """
    if bound <= 0 or weight <= 0:
        return cosine
    return np.asarray((cosine + weight * lexical / bound) / (1 + weight))


def best(scores: Scores, limit: int) -> NDArray[np.intp]:
    """Positions of the `limit` best scores, best first; equal scores keep their order."""
    return np.argsort(-scores, kind="stable")[: max(limit, 0)]


def candidates(limit: int) -> int:
    """How many chunks each half contributes for an answer of `limit` chunks."""
    return max(limit, min(max(FEWEST_CANDIDATES, CANDIDATES_PER_HIT * limit), MOST_CANDIDATES))


def weight_for(language: str, known: Collection[str] | None, words: float) -> float:
    """The weight of BM25 for a query of so many `words` (as `Hits.words`) in this language; `known` are the embedder's
    languages, None for any."""
    if known is None or not language or language in known:
        return min(WEIGHT * math.sqrt(words), MOST_WEIGHT)
    return WEIGHT_UNKNOWN_LANGUAGE
