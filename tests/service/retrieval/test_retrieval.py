"""Fusion as a formula, and the strategies over a real keyword index with vectors of six numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pkgutil import resolve_name
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from service.document_stores.ledger.types import ChunkRow
from service.retrieval import STAGES
from service.retrieval.base import Call, Hit, Query, Question, SearchStage, Sources, Span, point_id
from service.retrieval.fusion import (
    MOST_CANDIDATES,
    MOST_WEIGHT,
    WEIGHT,
    WEIGHT_UNKNOWN_LANGUAGE,
    best,
    candidates,
    fused,
    weight_for,
)
from service.retrieval.hybrid import Hybrid
from service.retrieval.similarity import Similarity
from stores.lexical.base import Hits, Numbers
from stores.lexical.index import LexicalIndex
from stores.records.database import Database
from stores.vector.base import Point, Unavailable
from stores.vector.filters import Filter, matches, parse
from stores.vector.hnsw import MAX_EF_SEARCH
from stores.vector.pgvector import PgVectorStore

WORKSPACE, STORE = UUID(int=1), UUID(int=2)
TEXTS: dict[str, tuple[str, list[float]]] = {
    "cats": ("Cats sleep most of the day.", [1, 0, 0, 0, 0, 0]),
    "dogs": ("Dogs bark at the postman.", [0, 1, 0, 0, 0, 0]),
    "pets": ("Animals that live with people.", [2, 1, 0, 0, 0, 0]),
    "code": ("The part number is PA-22-150.", [0, 0, 1, 0, 0, 0]),
}
NUMBERS = {key: number for number, key in enumerate(TEXTS, 1)}
"""A new keyword index counts from 1."""
EMBEDDED: dict[str, list[float]] = {
    "sleepy kitten": [1.0, 0.2, 0, 0, 0, 0],
    "PA-22-150": [0.1, 0.3, 0, 1, 1, 1],
    "of the": [0, 0, 3, 1, 0, 0],
}


@dataclass
class DictLedger:
    """A ledger in two dicts."""

    numbers: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)

    narrowed = False
    frank = True

    async def allowed(self, where: Filter | None) -> Numbers:
        assert where is not None
        return np.array([self.numbers[key] for key, each in self.metadata.items() if matches(where, each)], np.int32)

    async def few(self, where: Filter | None, most: int) -> Numbers | None:
        """Those that pass, unless there are more."""
        assert where is not None
        found = await self.allowed(where)
        return found if len(found) <= most else None

    async def among(self, numbers: Numbers, where: Filter | None = None) -> Numbers:
        """Those of the numbers that pass."""
        return numbers[np.isin(numbers, await self.allowed(where))] if where is not None else numbers

    async def live(self, numbers: Sequence[int], limit: int) -> Sequence[ChunkRow]:
        raise AssertionError("a searching stage reads no texts")

    async def near(self, spans: Sequence[Span], where: Filter | None) -> Sequence[ChunkRow]:
        raise AssertionError("a searching stage reads no texts")


async def embed(text: str) -> list[float]:
    """The vector that the table gives this query."""
    return EMBEDDED[text]


@pytest.fixture
async def sources(database: Database) -> Sources:
    """A document store of four chunks, in Postgres."""
    vectors, index, ledger = PgVectorStore(database), LexicalIndex(), DictLedger()
    await vectors.create("animals", 6)
    await vectors.complete("animals")
    metadata = {key: {"kind": key} for key in TEXTS}
    async with database.write(WORKSPACE) as scope:
        numbers = await index.add(scope, STORE, [text for text, _ in TEXTS.values()])
    assert [int(number) for number in numbers] == [NUMBERS[key] for key in TEXTS]
    points = [Point(point_id(NUMBERS[key]), vector, metadata[key]) for key, (_, vector) in TEXTS.items()]
    await vectors.upsert("animals", points)
    ledger.numbers = {key: int(number) for key, number in zip(TEXTS, numbers, strict=True)}
    ledger.metadata = metadata

    async def search(query: str, limit: int, *, allowed: Numbers | None = None) -> Hits:
        async with database.read(WORKSPACE) as scope:
            return await index.search(scope, STORE, query, limit, allowed=allowed)

    return Sources(vectors, "animals", embed, search, ledger, frozenset({"en"}))


async def found(
    stage: SearchStage, sources: Sources, text: str, limit: int = 4, where: Filter | None = None
) -> list[Hit]:
    """What a searching stage finds."""
    return await stage.search(Question(text), limit, Call(Query(text, limit, where), sources))


def ids(hits: Sequence[Hit]) -> list[str]:
    """The names in their order."""
    names = {number: key for key, number in NUMBERS.items()}
    return [names[hit.number] for hit in hits]


def test_fusion_adds_the_share_of_the_bound_that_was_reached() -> None:
    scores = fused(np.array([0.5, 0.2]), np.array([0.0, 3.0]), 6.0, 1.0)
    assert list(scores) == pytest.approx([0.25, 0.35])
    assert list(fused(np.array([0.5]), np.array([0.0]), 0.0, 1.0)) == [0.5]
    assert list(best(np.array([1.0, 3.0, 3.0, 2.0]), 3)) == [1, 2, 3]
    assert len(best(np.array([1.0]), 0)) == 0


def test_more_candidates_are_taken_for_longer_answers() -> None:
    assert candidates(4) == 100
    assert candidates(50) == 200
    assert candidates(300) == MOST_CANDIDATES == MAX_EF_SEARCH // 2, "an index answers"
    assert candidates(3000) == 3000


def test_words_weigh_more_where_the_embedder_does_not_know_the_language() -> None:
    english = frozenset({"en"})
    assert weight_for("en", english, 1) == weight_for("", english, 1) == weight_for("zh", None, 1) == WEIGHT
    assert weight_for("zh", english, 1) == weight_for("zh", english, 9) == WEIGHT_UNKNOWN_LANGUAGE


def test_the_words_of_longer_questions_keep_their_say() -> None:
    assert weight_for("en", None, 4) == pytest.approx(2 * WEIGHT)
    assert weight_for("en", None, 1000) == MOST_WEIGHT


async def test_an_embedder_whose_cosines_are_crowded_gets_the_whole_scale(sources: Sources) -> None:
    crowded = replace(sources, unrelated=0.75)
    plain, spread = (
        await found(Similarity(), sources, "sleepy kitten", 4),
        await found(Similarity(), crowded, "sleepy kitten", 4),
    )
    assert ids(plain) == ids(spread)
    assert [hit.score for hit in spread] == pytest.approx([max((hit.score - 0.75) / 0.25, -1) for hit in plain])
    assert crowded.nearness(np.array([0.75, 1.0, -1.0])).tolist() == [0, 1, -1]


async def test_similarity_follows_the_vectors(sources: Sources) -> None:
    hits = await found(Similarity(), sources, "sleepy kitten", 2)
    assert ids(hits) == ["cats", "pets"]
    assert hits[0].score == hits[0].parts["cosine"]


async def test_hybrid_finds_the_words_that_vectors_miss_and_scores_both_halves_exactly(sources: Sources) -> None:
    hits = await found(Hybrid(), sources, "PA-22-150", 4)
    assert ids(hits)[0] == "code"
    assert set(ids(hits)) == set(TEXTS)
    by_id = dict(zip(ids(hits), hits, strict=True))
    assert by_id["code"].parts["cosine"] == pytest.approx(0, abs=1e-6)
    assert 0 < by_id["code"].parts["lexical"] <= 1
    assert by_id["dogs"].parts["lexical"] == 0
    words = (await sources.lexical("PA-22-150", 4)).words
    weight = weight_for("en", sources.languages, words)
    assert by_id["dogs"].score == pytest.approx(by_id["dogs"].parts["cosine"] / (1 + weight))


async def test_hybrid_without_words_is_similarity(sources: Sources) -> None:
    hybrid = await found(Hybrid(), sources, "of the", 4)
    similar = await found(Similarity(), sources, "of the", 4)
    assert ids(hybrid) == ids(similar)
    assert [hit.score for hit in hybrid] == pytest.approx([hit.score for hit in similar])


SEARCHES = [name for name, target in STAGES.items() if issubclass(resolve_name(target), SearchStage)]


@pytest.mark.parametrize("name", SEARCHES)
async def test_every_strategy_keeps_to_limit_and_filter(sources: Sources, name: str) -> None:
    stage = resolve_name(STAGES[name])()
    assert isinstance(stage, SearchStage)
    assert await found(stage, sources, "PA-22-150", 0) == []
    assert len(await found(stage, sources, "PA-22-150", 3)) == 3
    where = parse({"kind": {"$in": ["cats", "dogs"]}})
    assert set(ids(await found(stage, sources, "PA-22-150", 4, where))) == {"cats", "dogs"}
    assert await found(stage, sources, "PA-22-150", 4, parse({"kind": "none"})) == []


async def test_a_chunk_whose_vector_is_missing_is_still_found_by_its_words(sources: Sources) -> None:
    await sources.vectors.delete("animals", [point_id(NUMBERS["code"])])
    assert "code" in ids(await found(Hybrid(), sources, "PA-22-150", 2))


async def test_the_error_of_either_half_comes_through_as_it_is(sources: Sources) -> None:
    async def fail(text: str) -> list[float]:
        raise Unavailable("no embedder")

    broken = Sources(sources.vectors, "animals", fail, sources.lexical, sources.ledger)
    with pytest.raises(Unavailable, match="no embedder"):
        await found(Hybrid(), broken, "PA-22-150")


async def test_leaving_out_hopeless_candidates_changes_no_result(database: Database) -> None:
    """Against every chunk scored by both halves, on more chunks than either half hands over."""
    random = np.random.default_rng(7)
    words = [f"word{number}" for number in range(60)]
    texts = [" ".join(random.choice(words, 12)) for _ in range(400)]
    vectors = {number: random.normal(size=6) for number in range(1, 401)}
    store, index = PgVectorStore(database), LexicalIndex()
    await store.create("many", 6)
    await store.complete("many")
    await store.upsert("many", [Point(point_id(number), vector) for number, vector in vectors.items()])
    async with database.write(WORKSPACE) as scope:
        await index.add(scope, STORE, texts)

    async def search(query: str, limit: int, *, allowed: Numbers | None = None) -> Hits:
        async with database.read(WORKSPACE) as scope:
            return await index.search(scope, STORE, query, limit, allowed=allowed)

    for _ in range(5):
        asked, vector = " ".join(random.choice(words, 4)), random.normal(size=6)

        async def embedded(text: str, vector: NDArray[np.float64] = vector) -> NDArray[np.float64]:
            return vector

        sources = Sources(store, "many", embedded, search, DictLedger(), frozenset({"en"}))
        hits = await found(Hybrid(), sources, asked, 8)
        everything = await search(asked, 400)
        cosines = await store.score("many", vector, [point_id(number) for number in vectors])
        cosine = np.array([cosines[point_id(number)] for number in vectors])
        lexical = everything.of(np.array(list(vectors), np.int32)).astype(np.float64)
        scores = fused(
            cosine, lexical, everything.bound, weight_for(everything.language, sources.languages, everything.words)
        )
        assert [hit.score for hit in hits] == pytest.approx(sorted(scores, reverse=True)[:8], abs=1e-6)
