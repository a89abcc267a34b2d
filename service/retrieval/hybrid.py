"""Hybrid: nearness of vectors and shared words together, by the calibrated fusion of `fusion`.

Both halves search at once. Every candidate of either half is then scored by both, exactly: the keyword index knows the
score of every chunk after one search, the vector store is asked once for the cosines that are missing.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service.retrieval.base import Hit, Query, Retriever, Sources
from service.retrieval.fusion import best, candidates, fused, weight_for
from stores.lexical.base import Hits
from stores.vector.base import Vector


@dataclass(frozen=True, slots=True)
class _Dense:
    """The vector half: the query's vector, cosines by chunk id, and the chunks' numbers."""

    vector: Vector
    cosines: Mapping[str, float]
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Lexical:
    """The keyword half: the hits, and the ids of the chunks found."""

    hits: Hits
    ids: Mapping[int, str]


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
        dense, lexical = first.result(), second.result()
        numbers = {**dense.numbers, **{key: number for number, key in lexical.ids.items()}}
        ids = sorted(numbers)
        missing = [key for key in ids if key not in dense.cosines]
        completed = dict(dense.cosines)
        if missing:
            completed |= await self._sources.vectors.score(self._sources.collection, dense.vector, missing)
        return self._fused(query, ids, numbers, completed, lexical.hits)

    async def _dense(self, query: Query) -> _Dense:
        sources = self._sources
        vector = await sources.embed(query.text)
        wanted = candidates(query.limit)
        matches = await sources.vectors.query(sources.collection, vector, wanted, where=query.where)
        cosines = {match.id: match.score for match in matches}
        return _Dense(vector, cosines, await sources.ledger.numbers_of(list(cosines)))

    async def _lexical(self, query: Query) -> _Lexical:
        sources = self._sources
        allowed = None if query.where is None else await sources.ledger.allowed(query.where)
        hits = await sources.lexical(query.text, candidates(query.limit), allowed=allowed)
        return _Lexical(hits, await sources.ledger.ids_of([int(number) for number in hits.numbers]))

    def _fused(
        self, query: Query, ids: list[str], numbers: Mapping[str, int], cosines: Mapping[str, float], hits: Hits
    ) -> list[Hit]:
        # A chunk whose vector is not there yet is judged by its words alone.
        cosine = np.array([cosines.get(key, 0.0) for key in ids], np.float64)
        lexical = hits.of(np.array([numbers[key] for key in ids], np.int32)).astype(np.float64)
        weight = weight_for(hits.language, self._sources.languages) if self._weight is None else self._weight
        scores = fused(cosine, lexical, hits.bound, weight)
        met = lexical / hits.bound if hits.bound > 0 else lexical
        return [
            Hit(ids[place], float(scores[place]), {"cosine": float(cosine[place]), "lexical": float(met[place])})
            for place in best(scores, query.limit)
        ]
