"""Vectors in memory, searched exactly: the fake of the tests, and the model that the others are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self
from urllib.parse import SplitResult

import numpy as np
from numpy.typing import NDArray

from stores.vector.base import (
    Capability,
    Match,
    Point,
    UnknownCollection,
    Vector,
    VectorStore,
    WrongDimension,
    url_options,
)
from stores.vector.filters import Filter, matches
from stores.vector.points import bounded, checked_name, decode, encode_metadata, ranked, unit, unit_rows


@dataclass(slots=True)
class _Collection:
    dimension: int
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


class MemoryVectorStore(VectorStore):
    """Keeps everything in dicts; gone when the process ends.

    No method waits for anything, so each one is atomic within its event loop.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.FILTER, Capability.NARROW})

    def __init__(self) -> None:
        """An empty store."""
        self._collections: dict[str, _Collection] = {}

    @classmethod
    def open(cls, url: SplitResult, database: object) -> Self:
        url_options(url, {})
        return cls()

    async def create(self, collection: str, dimension: int) -> None:
        known = self._collections.setdefault(checked_name(collection), _Collection(dimension))
        if known.dimension != dimension:
            raise WrongDimension(f"{collection} holds vectors of {known.dimension} numbers, not {dimension}")

    async def drop(self, collection: str) -> None:
        self._collections.pop(checked_name(collection), None)

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        known = self._known(collection)
        rows = unit_rows(points, known.dimension)
        encoded = [encode_metadata(point.metadata) for point in points]
        for point, row, metadata in zip(points, rows, encoded, strict=True):
            known.vectors[point.id] = row
            known.metadata[point.id] = metadata

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        known = self._known(collection)
        for key in ids:
            known.vectors.pop(key, None)
            known.metadata.pop(key, None)

    async def query(self, collection: str, vector: Vector, limit: int, *, where: Filter | None = None) -> list[Match]:
        known = self._known(collection)
        scores = _scores(known, vector, self._selected(known, where))
        return [Match(key, scores[key]) for key in ranked(scores, limit)]

    async def get(self, collection: str, ids: Sequence[str]) -> list[Point]:
        known = self._known(collection)
        found = sorted(key for key in set(ids) if key in known.vectors)
        return [Point(key, known.vectors[key], decode(known.metadata[key])) for key in found]

    async def score(self, collection: str, vector: Vector, ids: Sequence[str]) -> dict[str, float]:
        known = self._known(collection)
        return _scores(known, vector, [key for key in dict.fromkeys(ids) if key in known.vectors])

    async def ids(self, collection: str, *, after: str = "", limit: int = 1000) -> list[str]:
        return sorted(key for key in self._known(collection).vectors if key > after)[: max(limit, 0)]

    async def count(self, collection: str, *, where: Filter | None = None) -> int:
        known = self._known(collection)
        return len(self._selected(known, where))

    def _known(self, collection: str) -> _Collection:
        found = self._collections.get(checked_name(collection))
        if found is None:
            raise UnknownCollection(collection)
        return found

    @staticmethod
    def _selected(known: _Collection, where: Filter | None) -> list[str]:
        if where is None:
            return list(known.vectors)
        return [key for key, metadata in known.metadata.items() if matches(where, decode(metadata))]


def _scores(known: _Collection, vector: Vector, ids: Sequence[str]) -> dict[str, float]:
    query = unit(vector, known.dimension).astype(np.float64)
    if not ids:
        return {}
    products = np.stack([known.vectors[key] for key in ids]).astype(np.float64) @ query
    return {key: bounded(float(product)) for key, product in zip(ids, products, strict=True)}
