"""Filters of all selectivities, on backends that narrow their own search and on others."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from service.document_stores.elsewhere import Elsewhere
from service.document_stores.sight import SeenVectors
from service.retrieval import narrowing
from service.retrieval.base import Call, Hit, Query, Question, SearchStage, Sources, point_id
from service.retrieval.hybrid import Hybrid
from service.retrieval.similarity import Similarity
from stores.vector.base import Capability, Match, Point, Unsupported, Vector
from stores.vector.filters import Filter, matches, parse
from stores.vector.memory import MemoryVectorStore
from tests.service.retrieval.library import COLLECTION, Library, chunk

CHUNKS = 120
FILTERS = [{"n": {"$lt": 100}}, {"half": 0}, {"half": {"$ne": 0}}, {"n": {"$in": [3, 7, 9]}}, {"n": -1}, {}]


class Slow(MemoryVectorStore):
    """A backend whose filters are slow; notes which ways it was asked."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.FILTER})

    def __init__(self) -> None:
        super().__init__()
        self.ways: list[str] = []

    async def query(self, collection: str, vector: Vector, limit: int, *, where: Filter | None = None) -> list[Match]:
        self.ways.append("all" if where is None else "filter")
        return await super().query(collection, vector, limit, where=where)

    async def among(self, collection: str, vector: Vector, limit: int, ids: Sequence[str]) -> list[Match]:
        self.ways.append("among")
        return await super().among(collection, vector, limit, ids)

    async def around(self, collection: str, vector: Vector, limit: int) -> Mapping[str, float]:
        return dict(await self.query(collection, vector, 2 * limit))


class Quick(Slow):
    """One that narrows its own search."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.FILTER, Capability.NARROW})


class Bare(Slow):
    """One that knows no filters, as that of the how-to."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    async def query(self, collection: str, vector: Vector, limit: int, *, where: Filter | None = None) -> list[Match]:
        if where is not None:
            raise Unsupported("no filters here")
        return await super().query(collection, vector, limit)


@pytest.fixture
def library() -> Library:
    """Chunks around a circle, of which the query sees the first best."""
    rows = [chunk(number, n=number, half=number % 2) for number in range(1, CHUNKS + 1)]
    vectors = {number: [np.cos(number / 100), np.sin(number / 100)] for number in range(1, CHUNKS + 1)}
    made = Library.of(*rows, vectors=vectors)
    made.embed_as = lambda text: [1.0, 0.0]
    return made


async def sources_of(library: Library, store: Slow) -> Sources:
    """The library, its points in this store."""
    sources = await library.sources()
    await store.create(COLLECTION, 2)
    await store.complete(COLLECTION)
    points = [Point(point_id(n), vector, library.rows[n].metadata) for n, vector in library.vectors.items()]
    await store.upsert(COLLECTION, points)
    return Sources(store, COLLECTION, library.embed, library.words, library, languages=sources.languages)


async def found(stage: SearchStage, sources: Sources, where: Filter | None, limit: int = 5) -> list[Hit]:
    """What a searching stage finds for "chunk"."""
    return await stage.search(Question("chunk"), limit, Call(Query("chunk", limit, where), sources))


@pytest.mark.parametrize("stage", [Hybrid(), Similarity()])
@pytest.mark.parametrize("store", [Slow(), Quick(), Bare()], ids=["slow", "quick", "bare"])
@pytest.mark.parametrize("few", [0, 10, 1000])
async def test_every_filter_finds_the_nearest_that_pass_whichever_way_is_taken(
    library: Library, stage: SearchStage, store: Slow, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowing, "FEW", few)
    sources = await sources_of(library, store)
    for source in FILTERS:
        where = parse(source)
        passing = [number for number, row in library.rows.items() if matches(where, row.metadata)]
        hits = await found(stage, sources, where)
        assert [hit.number for hit in hits] == passing[:5], source


async def test_few_are_compared_and_of_many_a_slow_backend_is_asked_without_the_filter(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, three = parse({"half": 0}), parse({"n": {"$in": [3, 7, 9]}})
    far = parse({"n": {"$gt": 60}})
    for store, expected in (
        (Slow(), ["among", "all", "all", "filter"]),
        (Quick(), ["among", "filter", "filter"]),
        (Bare(), ["among", "all", "all", "among"]),
    ):
        sources = await sources_of(library, store)
        monkeypatch.setattr(narrowing, "FEW", 10)
        for where in (three, half, far):
            assert await found(Similarity(), sources, where)
        assert store.ways == expected


async def test_a_filter_that_nothing_passes_asks_for_no_vectors(library: Library) -> None:
    store = Slow()
    sources = await sources_of(library, store)
    assert await found(Similarity(), sources, parse({"n": -1})) == []
    assert await found(Hybrid(), sources, parse({"n": -1})) == []
    assert store.ways == []


async def test_a_viewer_of_many_chunks_is_answered_by_a_backend_that_knows_no_filters(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowing, "FEW", 10)
    seen = parse({"half": 0})
    sources = await sources_of(library, Bare())
    shown = replace(library, rows={number: row for number, row in library.rows.items() if matches(seen, row.metadata)})
    monkeypatch.setattr(Library, "narrowed", True)
    for store in (sources.vectors, Elsewhere(sources.vectors, "elsewhere")):
        narrowed = replace(sources, vectors=SeenVectors(store, seen), ledger=shown)
        for where, expected in ((None, [2, 4, 6, 8, 10]), (parse({"n": {"$gt": 60}}), [62, 64, 66, 68, 70])):
            assert [hit.number for hit in await found(Similarity(), narrowed, where)] == expected
