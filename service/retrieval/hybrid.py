"""Hybrid: nearness of vectors and shared words together, by the calibrated fusion of `fusion`.

Both halves search at once. Every candidate of either half is then scored by both, exactly: the keyword index knows the
score of every chunk after one search, the vector store is asked once for the cosines that are missing.
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

MARGIN = 0.02
"""Added to that bound, in cosines: an approximate index may have passed over a chunk that is a little nearer."""


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

    vector: Vector
    cosines: dict[int, float]
    hits: Hits
    weight: float
    margin: float

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

    def promising(self, found: list[Hit], limit: int) -> list[int]:
        """Chunks that only the words found, and that could still be among the best: a chunk that the vectors did not
        find is no nearer than the last one they did find, which bounds its score."""
        missing = [int(number) for number in self.hits.numbers if int(number) not in self.cosines]
        if len(found) < limit or not missing:
            return missing
        farthest = np.full(len(missing), min(self.cosines.values()))
        most = fused(farthest, self.lexical(missing), self.hits.bound, self.weight)
        worst = found[-1].score - self.margin
        return [number for number, score in zip(missing, most, strict=True) if score >= worst]


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
                first = group.create_task(self._dense(question, limit, call, few))
                second = group.create_task(self._lexical(question, limit, call, few))
        except ExceptionGroup as problems:
            # Callers handle the error itself; the other half was cancelled.
            raise problems.exceptions[0] from problems
        (vector, cosines), hits = first.result(), second.result()
        weight = self.options.weight
        if weight is None:
            weight = weight_for(hits.language, call.sources.languages, hits.words)
        halves = _Halves(vector, cosines, hits, weight, MARGIN / (1 - call.sources.unrelated))
        self._tell(halves, call)
        return await self._fused(halves, limit, call)

    async def _fused(self, halves: _Halves, limit: int, call: Call) -> list[Hit]:
        cosines = halves.cosines
        found = halves.fused(sorted(cosines), limit)
        if missing := halves.promising(found, limit):
            ids = [point_id(number) for number in missing]
            with call.notes.timed("missing vectors"):
                scores = await call.sources.vectors.score(call.sources.collection, halves.vector, ids)
            cosines.update((int(key), call.sources.nearness(score)) for key, score in scores.items())
            found = halves.fused(sorted({*cosines, *missing}), limit)
        return found

    async def _dense(
        self, question: Question, limit: int, call: Call, few: Awaitable[Numbers | None]
    ) -> tuple[Vector, dict[int, float]]:
        """The question's vector, and the cosines of the nearest chunks by number."""
        sources, notes = call.sources, call.notes
        with notes.timed("embedding"):
            vector = await sources.vector_of(question)
        among = await few
        with notes.timed("vectors"):
            matches = await nearest(vector, candidates(limit), call, among)
        return vector, {int(match.id): sources.nearness(match.score) for match in matches}

    async def _lexical(self, question: Question, limit: int, call: Call, few: Awaitable[Numbers | None]) -> Hits:
        among = await few
        with call.notes.timed("words"):
            return await worded(question.text, candidates(limit), call, among)

    def _tell(self, halves: _Halves, call: Call) -> None:
        notes, hits = call.notes, halves.hits
        notes.fact("language", hits.language)
        notes.fact("weight", halves.weight)
        notes.fact("foundByVectors", len(halves.cosines))
        notes.fact("foundByWords", len(hits.numbers))
