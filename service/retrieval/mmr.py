"""Maximal marginal relevance: of chunks that say the same, one.

Carbonell & Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries"
(SIGIR 1998): the chunks are picked one by one, each time the one with the highest

    lambda * Sim1(chunk, question) - (1 - lambda) * max over the picked ones of Sim2(chunk, picked)

Sim1 is the score of the stage before, Sim2 the cosine of the two chunks' vectors.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from service.retrieval.base import Call, Found, HitStage, StageOptions, point_id

FEWEST = 20
"""Chunks that are picked from at least."""
PER_HIT = 4
"""Chunks that are picked from for each that is wanted."""


class MmrOptions(StageOptions):
    """Options of the stage."""

    balance: float = Field(
        0.5, alias="lambda", ge=0, le=1, description="1 looks at relevance alone, 0 at difference alone"
    )
    fetch_k: int | None = Field(
        None, alias="fetchK", ge=1, le=1000, description="Chunks to pick from; default 4 for each wanted, 20 at least"
    )


class Mmr(HitStage):
    """Picks chunks that are relevant and say different things (maximal marginal relevance)."""

    name = "mmr"
    Options = MmrOptions
    options: MmrOptions

    def wanted(self, limit: int) -> int:
        return max(limit, self.options.fetch_k or max(FEWEST, PER_HIT * limit))

    async def refine(self, found: Sequence[Found], limit: int, call: Call) -> list[Found]:
        if not found:
            return []
        vectors = await _vectors(found, call)
        order = picked(np.array([item.score for item in found]), vectors, self.options.balance, limit)
        for item in found:
            call.notes.cut(item.number, "adds less than those that were picked")
        return [found[place].scored(found[place].score, mmr=value) for place, value in order]


def picked(
    relevance: NDArray[np.floating], vectors: NDArray[np.floating], balance: float, limit: int
) -> list[tuple[int, float]]:
    """Positions in the order in which they are picked, each with the value it was picked for; the first of equals.

    `vectors`: one row of unit length, or of zeros, for each element of `relevance`.
    """
    nearest = np.full(len(relevance), -np.inf)
    left = np.ones(len(relevance), bool)
    order: list[tuple[int, float]] = []
    for _ in range(min(limit, len(relevance))):
        repeated = nearest if order else np.zeros(len(relevance))
        values = np.where(left, balance * relevance - (1 - balance) * repeated, -np.inf)
        place = int(np.argmax(values))
        order.append((place, float(values[place])))
        left[place] = False
        nearest = np.maximum(nearest, vectors @ vectors[place])
    return order


async def _vectors(found: Sequence[Found], call: Call) -> NDArray[np.floating]:
    """The chunks' unit vectors; zeros, which are like nothing, for a chunk without one."""
    sources = call.sources
    points = await sources.vectors.get(sources.collection, [point_id(item.number) for item in found])
    known = {int(point.id): np.asarray(point.vector, np.float32) for point in points}
    size = len(next(iter(known.values()))) if known else 1
    return np.stack([known.get(item.number, np.zeros(size, np.float32)) for item in found])
