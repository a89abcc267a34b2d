"""Hybrid: nearness of vectors and shared words together, by the calibrated fusion of `fusion`.

Both halves search at once. Every candidate of either half that may be among the best is scored by both, exactly: the
keyword index knows the score of every chunk after one search, and the vector store is asked for the cosines of the few
that only the words found and that may come so far. A chunk that is not among the nearest is no nearer than the last of
these, which bounds its score, and most cannot be among the best any more (the threshold algorithm of Fagin, Lotem &
Naor 2003, "Optimal aggregation algorithms for middleware").
"""

import asyncio
import math
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from service.retrieval.base import Call, Hit, Question, SearchStage, StageOptions, point_id
from service.retrieval.fusion import best, candidates, fused, weight_for
from service.retrieval.narrowing import few_of, nearest, numbers_of, worded
from stores.lexical.base import Hits, Numbers
from stores.vector.base import Vector

MARGIN = 0.02
"""Added to the cosine that bounds a score: an approximate index may pass over a chunk that is a little nearer."""

LARGE = 5_000
"""Chunks from which on an index takes longer to find the nearest than to compare a hundred."""


class HybridOptions(StageOptions):
    """Options of the stage."""

    weight: float | None = Field(
        None,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="Weight of the words against the vectors' 1; left out, their number and language decide",
    )


class _Cosines(NamedTuple):
    """Chunks, and how near they are; aligned."""

    numbers: Numbers
    cosines: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Halves:
    """What both halves found for one question."""

    near: _Cosines
    """The nearest chunks."""
    compared: _Cosines
    """Chunks that the words found."""
    hits: Hits
    weight: float

    def best(self, limit: int) -> list[Hit]:
        """The best of those whose cosines are known."""
        numbers, first = np.unique(self._known, return_index=True)
        cosine = np.concatenate((self.near.cosines, self.compared.cosines))[first]
        lexical = self._lexical(numbers)
        scores = fused(cosine, lexical, self.hits.bound, self.weight)
        met = lexical / self.hits.bound if self.hits.bound > 0 else lexical
        places = best(scores, limit)
        columns = (column[places].tolist() for column in (numbers, scores, cosine, met))
        return [
            Hit(number, score, {"cosine": near, "lexical": words})
            for number, score, near, words in zip(*columns, strict=True)
        ]

    def others(self, margin: float) -> tuple[Numbers, NDArray[np.floating]]:
        """The other chunks with the words, and the most that each can score."""
        numbers = self.hits.numbers[~np.isin(self.hits.numbers, self._known)]
        reach = max(self.near.cosines.min(initial=1.0) + margin, 0.0)  # a chunk without a vector counts as 0
        return numbers, fused(np.full(len(numbers), reach), self._lexical(numbers), self.hits.bound, self.weight)

    @property
    def _known(self) -> Numbers:
        return np.concatenate((self.near.numbers, self.compared.numbers))

    def _lexical(self, numbers: Numbers) -> NDArray[np.float64]:
        return self.hits.of(numbers).astype(np.float64)


class Hybrid(SearchStage):
    """Finds chunks by nearness of vectors and by shared words together, by the calibrated fusion.

    Scores are as `fusion.fused` says; `parts` holds the cosine and the share of the question's words that was met.
    """

    name = "hybrid"
    Options = HybridOptions
    options: HybridOptions

    async def search(self, question: Question, limit: int, call: Call) -> list[Hit]:
        if limit <= 0:
            return []
        try:
            async with asyncio.TaskGroup() as group:
                few = group.create_task(few_of(call))
                words = group.create_task(self._lexical(question, limit, call, few))
                vector = await self._embedded(question, call)
                ahead = group.create_task(_ahead(vector, words, call))
                near = await self._near(vector, limit, call, await few)
        except ExceptionGroup as problems:
            # Callers handle the error itself; the other half was cancelled.
            raise problems.exceptions[0] from problems
        hits, weight = words.result(), self.options.weight
        if weight is None:
            weight = weight_for(hits.language, call.sources.languages, hits.words)
        halves = _Halves(near, ahead.result(), hits, weight)
        _tell(halves, call)
        return await self._best(halves, vector, limit, call)

    async def _best(self, halves: _Halves, vector: Vector, limit: int, call: Call) -> list[Hit]:
        """The best chunks, once the cosines are known of all that may be among them."""
        found = halves.best(limit)
        others, most = halves.others(MARGIN / (1 - call.sources.unrelated))
        enough = min(limit, call.enough or limit)
        least = found[enough - 1].score if enough <= len(found) else -math.inf
        hopeful = most >= least
        if hopeful.any():
            more = await _compared(vector, others[hopeful], call)
            found = replace(halves, compared=_joined(halves.compared, more)).best(limit)
        # Those that one of the rest might come before stay away.
        last = most[~hopeful].max(initial=-math.inf)
        return [hit for hit in found if hit.score > last]

    async def _embedded(self, question: Question, call: Call) -> Vector:
        with call.notes.timed("embedding"):
            return await call.sources.vector_of(question)

    async def _near(self, vector: Vector, limit: int, call: Call, few: Numbers | None) -> _Cosines:
        """The nearest chunks."""
        with call.notes.timed("vectors"):
            found = await nearest(vector, candidates(limit), call, few, whole=True)
        return _Cosines(numbers_of(found), call.sources.nearness(np.fromiter(found.values(), np.float64)))

    async def _lexical(self, question: Question, limit: int, call: Call, few: Awaitable[Numbers | None]) -> Hits:
        among = await few
        with call.notes.timed("words"):
            return await worded(question.text, candidates(limit), call, among)


async def _ahead(vector: Vector, words: Awaitable[Hits], call: Call) -> _Cosines:
    """The cosines of all that the words found, while the nearest are searched for: where that takes longer and nobody
    else waits, it costs no time to compare what may turn out to have no chance."""
    hits = await words
    if len(hits.all_scores) < LARGE or not len(hits.numbers) or not call.sources.vectors.idle:
        return _NONE
    return await _compared(vector, hits.numbers, call)


async def _compared(vector: Vector, numbers: Numbers, call: Call) -> _Cosines:
    """The cosines of these chunks; 0 for those that have no vector yet, and are judged by their words alone."""
    sources, ids = call.sources, [point_id(number) for number in numbers.tolist()]
    with call.notes.timed("vectors of words"):
        scores = await sources.vectors.score(sources.collection, vector, ids)
    found = np.array([scores.get(key, math.nan) for key in ids], np.float64)
    return _Cosines(numbers, np.nan_to_num(sources.nearness(found), nan=0.0))


def _joined(one: _Cosines, other: _Cosines) -> _Cosines:
    numbers = np.concatenate((one.numbers, other.numbers))
    return _Cosines(numbers, np.concatenate((one.cosines, other.cosines)))


_NONE = _Cosines(np.empty(0, np.int32), np.empty(0, np.float64))


def _tell(halves: _Halves, call: Call) -> None:
    notes = call.notes
    notes.fact("language", halves.hits.language)
    notes.fact("weight", halves.weight)
    notes.fact("foundByVectors", len(halves.near.numbers))
    notes.fact("foundByWords", len(halves.hits.numbers))
