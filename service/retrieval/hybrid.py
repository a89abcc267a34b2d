"""Hybrid: nearness of vectors and shared words together, by the calibrated fusion of `fusion`.

Both halves search at once. Every candidate of either half is then scored by both, exactly: the keyword index knows the
score of every chunk after one search, the vector store is asked once for the cosines that are missing.
"""

import asyncio
from collections.abc import Mapping

import numpy as np

from service.retrieval.base import Hit, Query, Retriever, Sources, point_id
from service.retrieval.fusion import best, candidates, fused, weight_for
from stores.lexical.base import Hits
from stores.vector.base import Vector

MARGIN = 0.02
"""Added to that bound: an approximate index may have passed over a chunk that is a little nearer."""


class HybridRetriever(Retriever):
    """Scores are as `fusion.fused` says; `parts` holds the cosine and the share of the query's words that was met."""

    def __init__(self, sources: Sources, *, weight: float | None = None) -> None:
        """Search this document store. `weight` is that of BM25; None chooses by the language of the query."""
        self._sources = sources
        self._weight = weight

    async def retrieve(self, query: Query) -> list[Hit]:
        if query.limit <= 0:
            return []
        try:
            async with asyncio.TaskGroup() as group:
                first = group.create_task(self._dense(query))
                second = group.create_task(self._lexical(query))
        except ExceptionGroup as problems:
            # Callers handle the error itself; the other half was cancelled.
            raise problems.exceptions[0] from problems
        (vector, cosines), hits = first.result(), second.result()
        found = self._fused(query, sorted(cosines), cosines, hits)
        if missing := self._promising(query, found, cosines, hits):
            ids = [point_id(number) for number in missing]
            scores = await self._sources.vectors.score(self._sources.collection, vector, ids)
            cosines |= {int(key): score for key, score in scores.items()}
            found = self._fused(query, sorted({*cosines, *missing}), cosines, hits)
        return found

    def _promising(self, query: Query, found: list[Hit], cosines: Mapping[int, float], hits: Hits) -> list[int]:
        """Chunks that only the words found, and that could still be among the best: a chunk that the vectors did not
        find is no nearer than the last one they did find, which bounds its score."""
        missing = [int(number) for number in hits.numbers if int(number) not in cosines]
        if len(found) < query.limit or not missing:
            return missing
        farthest = np.full(len(missing), min(cosines.values()))
        lexical = hits.of(np.array(missing, np.int32)).astype(np.float64)
        most = fused(farthest, lexical, hits.bound, self._weight_of(hits))
        worst = found[-1].score - MARGIN
        return [number for number, score in zip(missing, most, strict=True) if score >= worst]

    async def _dense(self, query: Query) -> tuple[Vector, dict[int, float]]:
        """The query's vector, and the cosines of the nearest chunks by number."""
        sources = self._sources
        vector = await sources.embed(query.text)
        wanted = candidates(query.limit)
        matches = await sources.vectors.query(sources.collection, vector, wanted, where=query.where)
        return vector, {int(match.id): match.score for match in matches}

    async def _lexical(self, query: Query) -> Hits:
        allowed = None if query.where is None else await self._sources.ledger.allowed(query.where)
        return await self._sources.lexical(query.text, candidates(query.limit), allowed=allowed)

    def _fused(self, query: Query, numbers: list[int], cosines: Mapping[int, float], hits: Hits) -> list[Hit]:
        # A chunk whose vector is not there yet is judged by its words alone.
        cosine = np.array([cosines.get(number, 0.0) for number in numbers], np.float64)
        lexical = hits.of(np.array(numbers, np.int32)).astype(np.float64)
        scores = fused(cosine, lexical, hits.bound, self._weight_of(hits))
        met = lexical / hits.bound if hits.bound > 0 else lexical
        return [
            Hit(numbers[place], float(scores[place]), {"cosine": float(cosine[place]), "lexical": float(met[place])})
            for place in best(scores, query.limit)
        ]

    def _weight_of(self, hits: Hits) -> float:
        return weight_for(hits.language, self._sources.languages) if self._weight is None else self._weight
