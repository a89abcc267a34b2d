"""What the keyword index gives back, and how it scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stores.lexical.analysis import Group

Numbers = NDArray[np.int32]
Scores = NDArray[np.float32]

POSTING = np.dtype([("number", "<i4"), ("count", "<u2"), ("length", "<u2")])
"""One entry of a posting list: the chunk, how often it has the term, how many words it has (both at most 65,535)."""
MOST = 65_535
"""What the two unsigned fields hold at most."""

Postings = NDArray[np.void]

K1 = 1.2
"""How soon repeating a word stops to count."""
B = 0.75
"""How much a chunk's length counts."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What scoring needs to know of the whole index, removed chunks left out."""

    documents: int
    total_length: int
    next_number: int

    @property
    def average(self) -> float:
        """Words of the average chunk."""
        return self.total_length / self.documents if self.documents else 1.0


@dataclass(frozen=True, slots=True)
class Hits:
    """The best chunks of a search by number: highest score first, equal scores by number.

    `bound` is the score that no chunk can exceed: the sum of the idf of the query's words, words that the index does
    not know included. 0 when the query has no words. Scores are BM25 as Lucene computes it, above 0.
    """

    numbers: Numbers
    scores: Scores
    bound: float
    all_scores: Scores
    """The score of every number below the index's next one."""
    language: str = ""
    """The language of the query as far as it could be told, else the main one of the index."""
    words: float = 1.0
    """How many words of equal worth the query is as good as: the square of the sum of their idf over the sum of their
    squares (Kish's effective size). A word that is everywhere hardly counts."""

    def only(self, numbers: Numbers) -> "Hits":
        """The same search with these of its hits alone."""
        return replace(self, numbers=numbers, scores=self.of(numbers))

    def of(self, numbers: Numbers) -> Scores:
        """The exact scores of any chunks of the index, found or not; 0 for chunks that share no word with the query."""
        known = (numbers >= 0) & (numbers < len(self.all_scores))
        return np.where(known, self.all_scores[np.where(known, numbers, 0)], np.float32(0))


NO_HITS = Hits(np.empty(0, np.int32), np.empty(0, np.float32), 0.0, np.zeros(1, np.float32))
"""The answer of an empty index."""


def idf(documents: int, having: int) -> float:
    """How much a word says that `having` of `documents` chunks hold: ln(1 + (N - n + .5) / (n + .5))."""
    return float(np.log1p((documents - having + 0.5) / (having + 0.5)))


@dataclass(frozen=True, slots=True)
class Scored:
    """The live chunks that hold a term."""

    numbers: Numbers
    """Ascending."""
    scores: Scores
    """What the term adds to the score of each, above 0."""
    weight: float
    """The idf: more than it ever adds."""

    @property
    def size(self) -> int:
        """Bytes of both arrays."""
        return self.numbers.nbytes + self.scores.nbytes


def scored(entries: Postings, statistics: Statistics) -> Scored:
    """The posting list of a term, removed chunks left out, as searches use it.

    Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), in Lucene's form:
    idf x count / (count + k1 x (1 - b + b x length / average length)).
    """
    weight = idf(statistics.documents, len(entries))
    count = entries["count"].astype(np.float32)
    length = entries["length"].astype(np.float32)
    relative = np.float32(1 - B) + np.float32(B / statistics.average) * length
    scores = np.asarray(np.float32(weight) * count / (count + np.float32(K1) * relative), np.float32)
    return Scored(entries["number"].astype(np.int32), scores, weight)


def rank(
    groups: Sequence[Group],
    lists: Mapping[str, Scored],
    statistics: Statistics,
    limit: int,
    allowed: Numbers | None,
) -> Hits:
    """Score every chunk that holds a word of the query, and keep the `limit` best of the allowed ones.

    `lists` are those of the terms that chunks hold. A chunk that holds several variants of a word scores the best of
    them.
    """
    total: Scores = np.zeros(max(statistics.next_number, 1), np.float32)
    best = np.zeros_like(total)  # zeros between two words
    bound = squares = 0.0
    met: list[Numbers] = []
    for group in groups:
        known = [lists[variant] for variant in group.variants if variant in lists]
        if known or not group.optional:
            most = max((each.weight for each in known), default=idf(statistics.documents, 0))
            bound, squares = bound + most, squares + most * most
        met += [each.numbers for each in known]
        if len(known) == 1:
            np.add.at(total, known[0].numbers, known[0].scores)  # a third of the time of `total[numbers] += scores`
        elif known:
            for each in known:
                np.maximum.at(best, each.numbers, each.scores)
            for each in known:
                total[each.numbers] += best[each.numbers]
                best[each.numbers] = 0
    numbers = _promising(total, met, limit) if allowed is None else _inside(total, allowed)
    return replace(_best(total, numbers, bound, limit), words=bound * bound / squares if squares else 0.0)


def _promising(total: Scores, lists: Sequence[Numbers], limit: int) -> Numbers:
    """The numbers, ascending, among which the `limit` best are. Of the chunks that hold the rarest word which so many
    hold, the `limit` best score at least so much: no chunk below can be among the best, and most are below."""
    enough = [numbers for numbers in lists if len(numbers) >= limit > 0]
    if not enough:
        return np.flatnonzero(total > 0).astype(np.int32)
    scores = total[min(enough, key=len)]
    least = np.partition(scores, len(scores) - limit)[len(scores) - limit]
    return np.flatnonzero(total >= least).astype(np.int32)


def _inside(total: Scores, allowed: Numbers) -> Numbers:
    inside = np.unique(allowed[(allowed >= 0) & (allowed < len(total))]).astype(np.int32)
    return np.asarray(inside[total[inside] > 0])


def _best(total: Scores, numbers: Numbers, bound: float, limit: int) -> Hits:
    scores = total[numbers]
    if 0 < limit < len(numbers):
        # Everything that ties with the last place stays for the sort, so that ties are settled by number.
        last = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        numbers, scores = numbers[scores >= last], scores[scores >= last]
    order = np.argsort(-scores, kind="stable")[: max(limit, 0)]
    return Hits(numbers[order], scores[order], bound, total)
