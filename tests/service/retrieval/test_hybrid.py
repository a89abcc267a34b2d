"""Hybrid search: what scoring every candidate finds, with few of them compared."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.retrieval import hybrid
from service.retrieval.base import Call, Hit, Query, Question, Sources, point_id
from service.retrieval.fusion import best, fused
from service.retrieval.hybrid import Hybrid, HybridOptions
from service.retrieval.pipeline import Pipeline
from service.retrieval.trace import Trace
from stores.lexical.base import Hits, Numbers
from stores.vector.base import Match, Point, Vector
from stores.vector.filters import Filter
from stores.vector.memory import MemoryVectorStore
from tests.service.retrieval.library import COLLECTION, Library, chunk

CHUNKS, DIMENSION = 60, 4


class Counting(MemoryVectorStore):
    """Counts what it is asked to compare."""

    def __init__(self) -> None:
        super().__init__()
        self.compared: list[int] = []

    async def score(self, collection: str, vector: Vector, ids: Sequence[str]) -> dict[str, float]:
        self.compared.append(len(ids))
        return await super().score(collection, vector, ids)


class Idle(Counting):
    """One that has time."""

    @property
    def idle(self) -> bool:
        return True


class Forgetful(Counting):
    """One whose index passes over a chunk."""

    async def query(self, collection: str, vector: Vector, limit: int, *, where: Filter | None = None) -> list[Match]:
        found = await super().query(collection, vector, limit + 1, where=where)
        return found[:-2] + found[-1:]


class Generous(Counting):
    """One whose index tells of more than it is asked for."""

    async def around(self, collection: str, vector: Vector, limit: int) -> Mapping[str, float]:
        return dict(reversed(await self.query(collection, vector, 2 * limit)))


class Corpus:
    """Chunks with vectors, some without, and what a question's words give each."""

    def __init__(self, seed: int, missing: float = 0.0) -> None:
        random = np.random.default_rng(seed)
        vectors = random.normal(size=(CHUNKS, DIMENSION)) + random.normal(size=DIMENSION)
        self.vectors = {n: vector for n, vector in enumerate(vectors, 1) if random.random() >= missing}
        self.asked = random.normal(size=DIMENSION)
        self.scores = np.zeros(CHUNKS + 1, np.float32)
        self.scores[1:] = np.round(random.exponential(1.0, CHUNKS) * (random.random(CHUNKS) < 0.7), 2)
        self.bound = float(self.scores.max()) * 1.2

    async def sources(self, store: MemoryVectorStore, unrelated: float = 0.0) -> Sources:
        """The corpus in this vector store."""
        await store.create(COLLECTION, DIMENSION)
        await store.complete(COLLECTION)
        await store.upsert(COLLECTION, [Point(point_id(n), vector) for n, vector in self.vectors.items()])
        return Sources(store, COLLECTION, self.embed, self.words, Library(), unrelated=unrelated)

    async def embed(self, text: str) -> Vector:
        """The vector of the question."""
        return self.asked

    async def words(self, query: str, limit: int, *, allowed: Numbers | None = None) -> Hits:
        """What the words find."""
        order = np.argsort(-self.scores, kind="stable")
        numbers = order[self.scores[order] > 0][:limit].astype(np.int32)
        return Hits(numbers, self.scores[numbers], self.bound, self.scores, "en", 2.0)

    def answer(
        self, count: int, limit: int, weight: float, unrelated: float, around: int | None = None
    ) -> list[tuple[int, float]]:
        """The best of the `around` nearest, `count` unless said, and of the `count` best by words, scored by both."""
        cosines = {
            n: float(vector @ self.asked / np.linalg.norm(vector) / np.linalg.norm(self.asked))
            for n, vector in self.vectors.items()
        }
        scale = {n: max((cosine - unrelated) / (1 - unrelated), -1.0) for n, cosine in cosines.items()}
        near = sorted(cosines, key=lambda n: (-cosines[n], n))[: around or count]
        worded = [n for n in np.argsort(-self.scores, kind="stable").tolist() if self.scores[n] > 0][:count]
        numbers = sorted({*near, *worded})
        cosine = np.array([scale.get(n, 0.0) for n in numbers])
        scores = fused(cosine, self.scores[numbers].astype(np.float64), self.bound, weight)
        return [(numbers[place], float(scores[place])) for place in best(scores, limit)]


async def search(sources: Sources, limit: int, enough: int | None, weight: float = 1.0) -> list[Hit]:
    """What hybrid search finds."""
    stage = Hybrid(HybridOptions(weight=weight))
    return await stage.search(Question("q"), limit, Call(Query("q", limit), sources, enough=enough))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    limit=st.integers(1, 12),
    count=st.integers(12, 30),
    enough=st.none() | st.integers(1, 12),
    weight=st.sampled_from([0.0, 0.3, 1.0, 4.0]),
    unrelated=st.sampled_from([0.0, 0.7]),
    missing=st.sampled_from([0.0, 0.3]),
    store=st.sampled_from([MemoryVectorStore, Idle, Generous]),
)
async def test_few_comparisons_find_what_all_find(
    seed: int,
    limit: int,
    count: int,
    enough: int | None,
    weight: float,
    unrelated: float,
    missing: float,
    store: type[MemoryVectorStore],
) -> None:
    corpus = Corpus(seed, missing)
    expected = corpus.answer(count, limit, weight, unrelated, 2 * count if store is Generous else count)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(hybrid, "candidates", lambda _: count)
        patched.setattr(hybrid, "LARGE", CHUNKS)
        hits = await search(await corpus.sources(store(), unrelated), limit, enough, weight)
    assert len(hits) >= min(len(expected), limit if enough is None else min(enough, limit))
    assert [hit.number for hit in hits] == [number for number, _ in expected[: len(hits)]]
    assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected[: len(hits)]], abs=1e-6)


async def test_only_chunks_that_may_be_among_the_best_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hybrid, "candidates", lambda _: 20)
    compared = worded = 0
    for seed in range(20):
        corpus, store = Corpus(seed), Counting()
        await search(await corpus.sources(store), 12, 4)
        assert len(store.compared) <= 1, "at once"
        compared += sum(store.compared)
        worded += len((await corpus.words("q", 20)).numbers)
    assert 0 < compared < worded / 4


async def test_fewer_are_compared_the_further_the_index_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hybrid, "candidates", lambda _: 20)
    compared = []
    for store in (Counting, Generous):
        made = [store() for _ in range(20)]
        for seed, each in enumerate(made):
            await search(await Corpus(seed).sources(each), 12, 4)
        compared.append(sum(sum(each.compared) for each in made))
    assert 0 < compared[1] < compared[0] / 2


@pytest.mark.parametrize(("large", "asked"), [(CHUNKS, 1), (CHUNKS + 2, 0)])
async def test_what_the_words_found_is_compared_ahead_where_that_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, large: int, asked: int
) -> None:
    monkeypatch.setattr(hybrid, "candidates", lambda _: 20)
    monkeypatch.setattr(hybrid, "LARGE", large)
    corpus, store = Corpus(1), Idle()
    halves = await corpus.words("q", 20)
    await search(await corpus.sources(store), 12, 4)
    assert store.compared.count(len(halves.numbers)) == asked


async def test_an_index_may_pass_over_a_chunk_that_is_a_little_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hybrid, "candidates", lambda _: 2)
    corpus = Corpus(0)
    corpus.vectors = {n: np.array([1.0, n / 100, 0.0, 0.0]) for n in range(1, CHUNKS + 1)}
    corpus.asked = np.array([1.0, 0.0, 0.0, 0.0])
    corpus.scores[:] = 0
    corpus.scores[[2, 9]] = 0.0005, 0.0001
    corpus.bound = 1.0
    # the second chunk is passed over, and by the distance of the third alone it could not come before the first
    hits = await search(await corpus.sources(Forgetful()), 2, 1)
    assert hits[0].number == 2
    assert hits[0].parts["cosine"] == pytest.approx(1 / np.hypot(1, 0.02))


async def test_more_is_compared_when_the_best_may_not_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hybrid, "candidates", lambda limit: max(limit, 12))
    rows = [chunk(number) for number in range(1, CHUNKS + 1)]
    stage = Pipeline((), Hybrid(HybridOptions(weight=1.0)), ())
    for seed in range(10):
        corpus = Corpus(seed)
        hidden = {number for number, _ in corpus.answer(12, 9, 1.0, 0.0)}
        found = []
        for store in (MemoryVectorStore(), Counting()):
            library = Library.of(*rows)
            library.hidden = hidden
            sources = replace(await corpus.sources(store), ledger=library)
            found.append([(each.number, each.score) for each in await stage.run(Query("q", 4), sources)])
        assert found[0] == found[1]
        assert len(found[0]) == 4
        assert not hidden & {number for number, _ in found[0]}


async def test_an_explanation_names_all_candidates() -> None:
    corpus = Corpus(3)
    sources = replace(
        await corpus.sources(Counting()), ledger=Library.of(*(chunk(number) for number in range(1, CHUNKS + 1)))
    )
    trace = Trace()
    found = await Pipeline((), Hybrid(), ()).run(Query("q", 3), sources, trace)
    assert len(found) == 3
    assert len(trace.stages[0].candidates) == 9
