"""Hybrid: nearness of vectors and shared words together, by the calibrated fusion of `fusion`.

Both halves search at once. Every candidate of either half is then scored by both, exactly: the keyword index knows the
score of every chunk after one search, and as the words are found sooner, the vector store is asked for the cosines of
what they found while it still searches.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from service.retrieval.base import Call, Hit, Question, SearchStage, StageOptions, point_id
from service.retrieval.fusion import best, candidates, fused, weight_for
from service.retrieval.narrowing import few_of, nearest, worded
from stores.lexical.base import Hits, Numbers
from stores.vector.base import Vector


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

    cosines: dict[int, float]
    hits: Hits
    weight: float

    def fused(self, numbers: list[int], limit: int) -> list[Hit]:
        # A chunk whose vector is not there yet is judged by its words alone.
        cosine = np.array([self.cosines.get(number, 0.0) for number in numbers], np.float64)
        lexical = self.lexical(numbers)
        scores = fused(cosine, lexical, self.hits.bound, self.weight)
        met = lexical / self.hits.bound if self.hits.bound > 0 else lexical
        return [
            Hit(numbers[place], float(scores[place]), {"cosine": float(cosine[place]), "lexical": float(met[place])})
            for place in best(scores, limit)
        ]

    def lexical(self, numbers: list[int]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
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
                asked = group.create_task(self._embedded(question, call))
                first = group.create_task(self._dense(asked, limit, call, few))
                second = group.create_task(self._lexical(question, limit, call, few))
                third = group.create_task(self._compare(asked, second, limit, call))
        except ExceptionGroup as problems:
            # Callers handle the error itself; the other half was cancelled.
            raise problems.exceptions[0] from problems
        near, compared, hits = first.result(), third.result(), second.result()
        weight = self.options.weight
        if weight is None:
            weight = weight_for(hits.language, call.sources.languages, hits.words)
        _tell(len(near), hits, weight, call)
        halves = _Halves({**compared, **near}, hits, weight)
        return halves.fused(sorted({*near, *hits.numbers.tolist()}), limit)

    async def _embedded(self, question: Question, call: Call) -> Vector:
        with call.notes.timed("embedding"):
            return await call.sources.vector_of(question)

    async def _dense(
        self, asked: Awaitable[Vector], limit: int, call: Call, few: Awaitable[Numbers | None]
    ) -> dict[int, float]:
        """The cosines of the nearest chunks by number."""
        vector, among = await asked, await few
        with call.notes.timed("vectors"):
            matches = await nearest(vector, candidates(limit), call, among)
        return {int(match.id): call.sources.nearness(match.score) for match in matches}

    async def _compare(
        self, asked: Awaitable[Vector], words: Awaitable[Hits], limit: int, call: Call
    ) -> dict[int, float]:
        """The cosines of the chunks that the words found, of those that have a vector."""
        hits, sources = await words, call.sources
        if len(hits.all_scores) <= candidates(limit) or not len(hits.numbers):
            return {}  # the vectors find them all
        ids = [point_id(number) for number in hits.numbers.tolist()]
        vector = await asked
        with call.notes.timed("vectors of words"):
            scores = await sources.vectors.score(sources.collection, vector, ids)
        return {int(key): sources.nearness(score) for key, score in scores.items()}

    async def _lexical(self, question: Question, limit: int, call: Call, few: Awaitable[Numbers | None]) -> Hits:
        among = await few
        with call.notes.timed("words"):
            return await worded(question.text, candidates(limit), call, among)


def _tell(near: int, hits: Hits, weight: float, call: Call) -> None:
    notes = call.notes
    notes.fact("language", hits.language)
    notes.fact("weight", weight)
    notes.fact("foundByVectors", near)
    notes.fact("foundByWords", len(hits.numbers))
