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

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from service.retrieval.base import Call, Hit, Question, SearchStage, StageOptions, point_id
from service.retrieval.fusion import best, candidates, fused, weight_for
from service.retrieval.narrowing import few_of, nearest, worded
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


@dataclass(frozen=True, slots=True)
class _Halves:
    """What both halves found for one question."""

    near: dict[int, float]
    """Cosines of the nearest chunks."""
    compared: dict[int, float]
    """Cosines of chunks that the words found."""
    hits: Hits
    weight: float

    def best(self, limit: int) -> list[Hit]:
        """The best of those whose cosines are known."""
        known = self.compared | self.near
        numbers = sorted(known)
        cosine = np.array([known[number] for number in numbers], np.float64)
        lexical = self._lexical(numbers)
        scores = fused(cosine, lexical, self.hits.bound, self.weight)
        met = lexical / self.hits.bound if self.hits.bound > 0 else lexical
        return [
            Hit(numbers[place], float(scores[place]), {"cosine": float(cosine[place]), "lexical": float(met[place])})
            for place in best(scores, limit)
        ]

    def others(self, margin: float) -> dict[int, float]:
        """The most that each of the other chunks with the words can score."""
        known = self.compared.keys() | self.near.keys()
        numbers = [each for each in self.hits.numbers.tolist() if each not in known]
        reach = max(min(self.near.values(), default=1.0) + margin, 0.0)  # a chunk without a vector counts as 0
        most = fused(np.full(len(numbers), reach), self._lexical(numbers), self.hits.bound, self.weight)
        return dict(zip(numbers, most.tolist(), strict=True))

    def _lexical(self, numbers: list[int]) -> NDArray[np.float64]:
        return self.hits.of(np.array(numbers, np.int32)).astype(np.float64)


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
        others = halves.others(MARGIN / (1 - call.sources.unrelated))
        enough = min(limit, call.enough or limit)
        least = found[enough - 1].score if enough <= len(found) else -math.inf
        if hopeful := [number for number, most in others.items() if most >= least]:
            compared = halves.compared | await _compared(vector, hopeful, call)
            found = replace(halves, compared=compared).best(limit)
        # Those that one of the rest might come before stay away.
        last = max((most for most in others.values() if most < least), default=-math.inf)
        return [hit for hit in found if hit.score > last]

    async def _embedded(self, question: Question, call: Call) -> Vector:
        with call.notes.timed("embedding"):
            return await call.sources.vector_of(question)

    async def _near(self, vector: Vector, limit: int, call: Call, few: Numbers | None) -> dict[int, float]:
        """The cosines of the nearest chunks by number."""
        with call.notes.timed("vectors"):
            matches = await nearest(vector, candidates(limit), call, few)
        return {int(key): call.sources.nearness(score) for key, score in matches}

    async def _lexical(self, question: Question, limit: int, call: Call, few: Awaitable[Numbers | None]) -> Hits:
        among = await few
        with call.notes.timed("words"):
            return await worded(question.text, candidates(limit), call, among)


async def _ahead(vector: Vector, words: Awaitable[Hits], call: Call) -> dict[int, float]:
    """The cosines of all that the words found, while the nearest are searched for: where that takes longer and nobody
    else waits, it costs no time to compare what may turn out to have no chance."""
    hits = await words
    if len(hits.all_scores) < LARGE or not call.sources.vectors.idle:
        return {}
    return await _compared(vector, hits.numbers.tolist(), call)


async def _compared(vector: Vector, numbers: list[int], call: Call) -> dict[int, float]:
    """The cosines of these chunks; 0 for those that have no vector yet, and are judged by their words alone."""
    if not numbers:
        return {}
    sources = call.sources
    with call.notes.timed("vectors of words"):
        scores = await sources.vectors.score(sources.collection, vector, [point_id(number) for number in numbers])
    return dict.fromkeys(numbers, 0.0) | {int(key): sources.nearness(score) for key, score in scores.items()}


def _tell(halves: _Halves, call: Call) -> None:
    notes = call.notes
    notes.fact("language", halves.hits.language)
    notes.fact("weight", halves.weight)
    notes.fact("foundByVectors", len(halves.near))
    notes.fact("foundByWords", len(halves.hits.numbers))
