"""What every vector store has to do, run on every row of the table, pgvector in both precisions.

A backend of another package joins by its entry point; one that is a server skips where the server is not.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stores.records.database import Database
from stores.vector import open_vector_store, vector_store_class, vector_store_names
from stores.vector.base import (
    BadMetadata,
    Capability,
    NotFinite,
    Point,
    UnknownCollection,
    Unsupported,
    VectorStore,
    WrongDimension,
)
from stores.vector.filters import parse
from stores.vector.memory import MemoryVectorStore
from tests.stores.vector.cases import FILTER_CASES, METADATA

PLACES = {"chroma": "chroma://{chroma}", "qdrant": "qdrant://{folder}"}
"""URLs of the backends that need a server or a folder."""

URLS = [PLACES.get(name, f"{name}://") for name in vector_store_names()] + ["pgvector://?type=halfvec"]

EAST = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
NORTH = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
NORTHEAST = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
WEST = [-2.0, 0.0, 0.0, 0.0, 0.0, 0.0]

CLOSE = 2e-3
"""How far a score may be from the exact one: half precision has eleven bits."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A store under test and what is needed to open it again."""

    store: VectorStore
    url: str
    database: Database | None

    def again(self) -> VectorStore:
        return open_vector_store(self.url, self.database)

    def needs(self, capability: Capability) -> None:
        if capability not in self.store.capabilities:
            pytest.skip(f"{self.url} does not declare {capability}")


@pytest.fixture(params=URLS)
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """A store, opened; one that does not live in the service's database gets none."""
    url = request.param.format(
        folder=tmp_path / "vectors",
        chroma=request.getfixturevalue("chroma_server") if "{chroma}" in request.param else "",
    )
    alone = url.partition(":")[0] in ("memory", *PLACES)
    database = None if alone else request.getfixturevalue("database")
    return Backend(open_vector_store(url, database), url, database)


@pytest.fixture
async def backend(opening: Backend) -> AsyncIterator[Backend]:
    """An opened store with an empty collection `words` of six dimensions."""
    for name in ("words", "other", "fresh", "kb_get"):
        await opening.store.drop(name)  # left in a server by the test before
    await opening.store.create("words", 6)
    await opening.store.complete("words")
    yield opening
    await opening.store.close()


@pytest.fixture
def store(backend: Backend) -> VectorStore:
    """The store alone."""
    return backend.store


def compass() -> list[Point]:
    """Four points by direction."""
    return [Point("east", EAST), Point("north", NORTH), Point("northeast", NORTHEAST), Point("west", WEST)]


async def found(store: VectorStore, vector: list[float], limit: int = 10, **where: Any) -> list[str]:
    """The ids that a query finds, best first."""
    return [match.id for match in await store.query("words", vector, limit, **where)]


async def test_a_new_collection_is_empty(store: VectorStore) -> None:
    assert await store.count("words") == 0
    assert await store.query("words", EAST, 5) == []
    assert await store.ids("words") == []


async def test_creating_again_keeps_the_points_and_another_dimension_is_refused(store: VectorStore) -> None:
    await store.upsert("words", compass())
    await store.create("words", 6)
    assert await store.count("words") == 4
    with pytest.raises(WrongDimension):
        await store.create("words", 7)


async def test_a_collection_is_searched_rightly_before_and_after_it_is_completed(store: VectorStore) -> None:
    await store.create("fresh", 6)
    await store.upsert("fresh", [Point("a", EAST, {"n": 1}), Point("b", NORTH), Point("c", WEST)])
    for _ in range(3):
        assert [match.id for match in await store.query("fresh", NORTHEAST, 2)] == ["a", "b"]
        await store.complete("fresh")
    await store.delete("fresh", ["a"])
    await store.upsert("fresh", [Point("d", NORTHEAST)])
    assert [match.id for match in await store.query("fresh", NORTHEAST, 2)] == ["d", "b"]
    with pytest.raises(WrongDimension):
        await store.create("fresh", 5)


async def test_two_creators_at_once_both_succeed(store: VectorStore) -> None:
    await asyncio.gather(store.create("fresh", 6), store.create("fresh", 6), store.create("fresh", 6))
    assert await store.count("fresh") == 0


@pytest.mark.parametrize("name", ["", "ab", "Words", "a b c", 'x"; drop table y', "ä" * 5, "x" * 41])
async def test_a_name_that_the_server_would_not_make_is_refused(store: VectorStore, name: str) -> None:
    with pytest.raises(ValueError, match="collection name"):
        await store.create(name, 6)


async def test_every_method_names_a_collection_that_does_not_exist(store: VectorStore) -> None:
    for call in (
        store.upsert("nowhere", compass()),
        store.delete("nowhere", ["a"]),
        store.query("nowhere", EAST, 1),
        store.score("nowhere", EAST, ["a"]),
        store.ids("nowhere"),
        store.count("nowhere"),
    ):
        with pytest.raises(UnknownCollection):
            await call


async def test_dropping_takes_the_points_and_dropping_again_is_no_error(store: VectorStore) -> None:
    await store.upsert("words", compass())
    await store.drop("words")
    await store.drop("words")
    with pytest.raises(UnknownCollection):
        await store.count("words")
    await store.create("words", 3)
    await store.upsert("words", [Point("a", [1, 2, 3])])
    assert await store.ids("words") == ["a"]


async def test_upserting_twice_is_once(store: VectorStore) -> None:
    await store.upsert("words", compass())
    await store.upsert("words", compass())
    assert await store.ids("words") == ["east", "north", "northeast", "west"]


async def test_a_known_id_is_replaced_with_its_metadata(store: VectorStore) -> None:
    await store.upsert("words", [Point("a", EAST, {"old": 1})])
    await store.upsert("words", [Point("a", NORTH, {"new": 2})])
    (match,) = await store.query("words", NORTH, 5)
    assert match.score == pytest.approx(1, abs=CLOSE)
    (point,) = await store.get("words", [match.id])
    assert (point.id, point.metadata) == ("a", {"new": 2})


async def test_the_last_of_equal_ids_in_one_call_wins(store: VectorStore) -> None:
    await store.upsert("words", [Point("a", EAST, {"n": 1}), Point("a", NORTH, {"n": 2})])
    assert [point.metadata for point in await store.get("words", ["a"])] == [{"n": 2}]


async def test_deleting_takes_the_named_points_and_unknown_ids_are_no_error(store: VectorStore) -> None:
    await store.upsert("words", compass())
    await store.delete("words", ["east", "nobody"])
    await store.delete("words", [])
    assert await store.ids("words") == ["north", "northeast", "west"]
    assert await found(store, EAST) == ["northeast", "north", "west"]


async def test_collections_do_not_leak_into_each_other(store: VectorStore) -> None:
    await store.create("other", 6)
    await store.upsert("words", [Point("a", EAST)])
    await store.upsert("other", [Point("a", NORTH), Point("b", EAST)])
    await store.delete("other", ["a"])
    assert await store.ids("words") == ["a"]
    assert await store.ids("other") == ["b"]


@pytest.mark.parametrize("vector", [[1.0] * 5, [1.0] * 7, [], [[1.0] * 6]])
async def test_a_vector_of_another_size_is_refused_and_nothing_is_written(store: VectorStore, vector: Any) -> None:
    with pytest.raises(WrongDimension):
        await store.upsert("words", [Point("good", EAST), Point("bad", vector)])
    with pytest.raises(WrongDimension):
        await store.query("words", vector, 1)
    with pytest.raises(WrongDimension):
        await store.score("words", vector, ["good"])
    assert await store.count("words") == 0


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf"), 0.0])
async def test_a_vector_without_direction_is_refused_and_nothing_is_written(store: VectorStore, broken: float) -> None:
    vector = [broken, 0, 0, 0, 0, 0]
    with pytest.raises(NotFinite):
        await store.upsert("words", [Point("good", EAST), Point("bad", vector)])
    with pytest.raises(NotFinite):
        await store.query("words", vector, 1)
    assert await store.count("words") == 0


async def test_scores_are_cosines_whatever_the_length_of_the_vectors(store: VectorStore) -> None:
    await store.upsert("words", [*compass(), Point("far", [1e30, 1e30, 0, 0, 0, 0]), Point("faint", [1e-30] + [0] * 5)])
    scores = {match.id: match.score for match in await store.query("words", [3.0, 0, 0, 0, 0, 0], 10)}
    expected = {"east": 1, "faint": 1, "northeast": 0.5**0.5, "far": 0.5**0.5, "north": 0, "west": -1}
    assert scores == {key: pytest.approx(value, abs=CLOSE) for key, value in expected.items()}
    assert all(-1 <= score <= 1 for score in scores.values())
    assert list(scores)[:2] == ["east", "faint"]
    assert list(scores)[-2:] == ["north", "west"]


async def test_points_with_equal_scores_come_in_the_order_of_their_ids(store: VectorStore) -> None:
    keys = ["d", "B", "a", "ä", "c", "C", "10", "9"]
    await store.upsert("words", [Point(key, EAST) for key in keys])
    for limit in (3, 8, 20):
        assert await found(store, NORTHEAST, limit) == sorted(keys)[:limit]


async def test_the_limit_is_held_from_zero_to_beyond_the_size(store: VectorStore) -> None:
    await store.upsert("words", compass())
    order = ["east", "northeast", "north", "west"]
    for limit in (0, 1, 2, 4, 5, 5000):
        assert await found(store, EAST, limit) == order[:limit]


async def test_around_a_vector_lie_as_many_points_as_are_asked_for_and_none_beyond_is_nearer(
    store: VectorStore,
) -> None:
    points = [Point(f"p{number:04d}", [100.0, number, 0, 0, 0, 0]) for number in range(600)]
    await store.upsert("words", points)
    assert await store.around("words", EAST, 0) == {}
    exact = await store.score("words", EAST, [point.id for point in points])
    for limit in (1, 40, 600, 5000):
        scores = await store.around("words", EAST, limit)
        assert len(scores) >= min(limit, 600)
        assert scores == {key: pytest.approx(exact[key], abs=CLOSE) for key in scores}
        assert sorted(scores) == sorted(exact)[: len(scores)]


async def test_score_is_exact_and_leaves_out_what_is_not_there(store: VectorStore) -> None:
    await store.upsert("words", compass())
    scores = await store.score("words", EAST, ["west", "northeast", "nobody", "west"])
    assert scores == {"west": pytest.approx(-1, abs=CLOSE), "northeast": pytest.approx(0.5**0.5, abs=CLOSE)}
    assert await store.score("words", EAST, []) == {}


async def test_the_nearest_of_some_points_are_told_in_order_and_unknown_ones_left_out(store: VectorStore) -> None:
    points = [Point(f"p{number:04d}", [100.0, number, 0, 0, 0, 0]) for number in range(600)]
    await store.upsert("words", [*compass(), *points, *(Point(f"tie{n}", EAST) for n in range(30))])
    odd = [f"p{number:04d}" for number in range(1, 600, 2)]
    for ids in (["west", "nobody", "northeast", "west"], []):
        assert [match.id for match in await store.among("words", EAST, 5, ids)] == sorted({*ids} - {"nobody"})[:2]
    for limit in (0, 1, 7, 1000):
        assert [match.id for match in await store.among("words", EAST, limit, odd)] == odd[:limit]
        assert [match.id for match in await store.among("words", EAST, limit, [*odd, "nobody"])] == odd[:limit]
    ties = [f"tie{n}" for n in range(30)]
    assert [match.id for match in await store.among("words", EAST, 3, [*odd, *ties])] == sorted(ties)[:3]
    (best,) = await store.among("words", EAST, 1, odd)
    assert best.score == pytest.approx(float(np.cos(np.arctan(0.01))), abs=CLOSE)


async def test_ids_come_in_pages_in_their_order(store: VectorStore) -> None:
    keys = [f"p{number:02d}" for number in range(25)]
    await store.upsert("words", [Point(key, EAST) for key in reversed(keys)])
    pages: list[list[str]] = []
    while not pages or pages[-1]:
        pages.append(await store.ids("words", after=pages[-1][-1] if pages else "", limit=10))
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert [key for page in pages for key in page] == keys
    assert await store.ids("words", limit=0) == []


async def test_metadata_come_back_with_their_types(store: VectorStore) -> None:
    metadata: dict[str, Any] = {
        "text": "Grüße 你好 🪨 \u202e \" ' \\ \n \\u0000",
        "empty": "",
        "int": 2**53 + 1,
        "float": 1.0,
        "wide": [1e20, -1.5e300, 1e-7, 0.1],
        "yes": True,
        "no": False,
        "null": None,
        "list": [1, "1", [True, None], {}],
        "loc": {"lines": {"from": 1, "to": 9}},
        "1e+20": "1e+20",
    }
    await store.upsert("words", [Point("a", EAST, metadata), Point("b", WEST)])
    first, second = await store.get("words", ["a", "b"])
    assert json.dumps(first.metadata, sort_keys=True) == json.dumps(metadata, sort_keys=True)
    assert second.metadata == {}


@pytest.mark.parametrize(
    "metadata",
    [{"a": float("nan")}, {"a": "x\0y"}, {"a\0": 1}, {"a": "\ud800"}, {"a": object()}, {1: "a"}, {"a": {2: 1}}, [1]],
)
async def test_metadata_that_cannot_be_kept_are_refused_and_nothing_is_written(
    store: VectorStore, metadata: Any
) -> None:
    with pytest.raises(BadMetadata):
        await store.upsert("words", [Point("good", EAST), Point("bad", EAST, metadata)])
    assert await store.count("words") == 0


async def test_every_filter_means_what_the_grammar_says(backend: Backend) -> None:
    backend.needs(Capability.FILTER)
    store = backend.store
    await store.upsert("words", [Point(key, EAST, metadata) for key, metadata in METADATA.items()])
    for source, expected in FILTER_CASES:
        where = parse(source)
        assert "".join(await found(store, EAST, where=where)) == expected, source
        assert await store.count("words", where=where) == len(expected), source


async def test_a_filter_is_applied_before_the_limit(backend: Backend) -> None:
    backend.needs(Capability.FILTER)
    await backend.store.upsert("words", [Point(f"p{n:03d}", EAST, {"n": n}) for n in range(300)])
    await backend.store.upsert("words", [Point("last", WEST, {"n": -1})])
    assert await found(backend.store, EAST, 1, where=parse({"n": {"$lt": 0}})) == ["last"]


async def test_without_the_capability_a_filter_is_unsupported(backend: Backend) -> None:
    if Capability.FILTER in backend.store.capabilities:
        pytest.skip("declared")
    with pytest.raises(Unsupported):
        await backend.store.query("words", EAST, 1, where=parse({"a": 1}))


async def test_joining_a_transaction_writes_with_it_or_not_at_all(backend: Backend) -> None:
    if Capability.TRANSACTION not in backend.store.capabilities:
        with pytest.raises(Unsupported):
            backend.store.within(object())
        return
    assert backend.database is not None
    async with backend.database.connection() as connection:
        async with connection.transaction(force_rollback=True):
            joined = backend.store.within(connection)
            await joined.upsert("words", compass())
            assert await joined.count("words") == 4
            assert len(await joined.query("words", EAST, 10)) == 4
            assert await backend.store.count("words") == 0
        assert await backend.store.count("words") == 0
        async with connection.transaction():
            await backend.store.within(connection).upsert("words", compass())
            await backend.store.within(connection).delete("words", ["west"])
    assert await backend.store.count("words") == 3


async def test_a_collection_made_in_a_transaction_that_fails_was_never_there(backend: Backend) -> None:
    backend.needs(Capability.TRANSACTION)
    assert backend.database is not None
    async with backend.database.connection() as connection, connection.transaction(force_rollback=True):
        joined = backend.store.within(connection)
        await joined.create("brief", 6)
        await joined.upsert("brief", compass())
    with pytest.raises(UnknownCollection):
        await backend.store.count("brief")


async def test_two_writers_at_once_leave_every_point(backend: Backend) -> None:
    store = backend.store

    async def write(name: str, order: int) -> None:
        for batch in range(5):
            shared = [Point(f"shared{n:02d}", EAST, {"by": name}) for n in range(20)][::order]
            own = [Point(f"{name}{batch}", NORTH)]
            await store.upsert("words", shared + own)

    await asyncio.gather(write("left", 1), write("right", -1))
    assert await store.count("words") == 30


async def test_points_survive_opening_again(backend: Backend) -> None:
    backend.needs(Capability.PERSISTENT)
    await backend.store.upsert("words", compass())
    await backend.store.close()
    again = backend.again()
    assert await again.ids("words") == ["east", "north", "northeast", "west"]
    await again.close()


KEYS = st.sampled_from([f"k{number}" for number in range(8)])
VECTORS = st.lists(st.integers(-3, 3), min_size=6, max_size=6).filter(any)
ODD = "é\"='%s[*]\\日"
"""A name with what means something to one backend or the other."""
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-3, 3, width=16)
    | st.sampled_from([2**53, 2**53 + 1, 1e16, 10**30, -(10**400), 1e300, 5e-324])
    | st.sampled_from(["", "a", "ä", "b", "\uffff", "\U0001f600", "a" * 128, "a" * 129, "%(x)s", "\\"])
)
VALUES = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(st.sampled_from("xy"), LEAVES, max_size=2)
RECORDS = st.dictionaries(st.sampled_from(["a", "b", "c d", ODD]), VALUES, max_size=3)
FIELDS = st.sampled_from(["a", "b", "c d", ODD, "a.x", "a.y", f"{ODD}.x"])
CONDITIONS = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), LEAVES),
    st.tuples(
        st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), LEAVES.filter(lambda value: not isinstance(value, bool | None))
    ),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(LEAVES, max_size=4)),
    st.tuples(st.just("$exists"), st.booleans()),
)
FILTERS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(FIELDS, CONDITIONS.map(lambda pair: dict([pair])), max_size=2),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$or": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$and": parts}),
        inner.map(lambda part: {"$not": part}),
    ),
    max_leaves=4,
)
OPERATIONS = st.one_of(
    st.tuples(st.just("upsert"), st.lists(st.tuples(KEYS, VECTORS, RECORDS), max_size=5)),
    st.tuples(st.just("delete"), st.lists(KEYS, max_size=3)),
    st.tuples(st.just("query"), st.tuples(VECTORS, st.integers(0, 10), st.none() | FILTERS)),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(operations=st.lists(OPERATIONS, max_size=12))
async def test_random_operations_agree_with_the_memory_store(
    backend: Backend, operations: list[tuple[str, Any]]
) -> None:
    if isinstance(backend.store, MemoryVectorStore):
        pytest.skip("it is the model")
    store, model = backend.store, MemoryVectorStore()
    await store.drop("words")
    for each in (store, model):
        await each.create("words", 6)
    filters = Capability.FILTER in store.capabilities
    for name, argument in operations:
        if name == "upsert":
            for each in (store, model):
                await each.upsert("words", [Point(*fields) for fields in argument])
        elif name == "delete":
            for each in (store, model):
                await each.delete("words", argument)
        else:
            vector, limit, source = argument
            where = parse(source) if source is not None and filters else None
            await compare(store, model, vector, limit, {"where": where} if where else {})
    assert await store.ids("words") == await model.ids("words")


async def compare(store: VectorStore, model: VectorStore, vector: list[int], limit: int, where: dict[str, Any]) -> None:
    """Both find the same, but for the order of scores that differ by rounding only."""
    everything = {match.id: match for match in await model.query("words", vector, 100, **where)}
    expected = await model.query("words", vector, limit, **where)
    actual = await store.query("words", vector, limit, **where)
    assert len({match.id for match in actual}) == len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.id in everything
        assert ours.score == pytest.approx(everything[ours.id].score, abs=CLOSE)
        assert ours.score == pytest.approx(theirs.score, abs=CLOSE)


def test_every_row_resolves_to_a_vector_store() -> None:
    for name in vector_store_names():
        assert issubclass(vector_store_class(name), VectorStore)


def test_half_precision_is_close_enough_for_the_tolerance_of_this_suite() -> None:
    assert np.finfo(np.float16).eps < CLOSE


async def test_points_are_given_back_with_unit_vectors_in_id_order(backend: Backend) -> None:
    await backend.store.create("kb_get", 6)
    await backend.store.upsert("kb_get", [Point("b", WEST, {"n": 1}), Point("a", NORTHEAST, {"deep": {"x": [True]}})])
    found = await backend.store.get("kb_get", ["b", "unknown", "a"])
    assert [(point.id, dict(point.metadata)) for point in found] == [("a", {"deep": {"x": [True]}}), ("b", {"n": 1})]
    assert np.allclose(found[0].vector, np.array(NORTHEAST) / np.sqrt(2), atol=CLOSE)
    assert np.allclose(found[1].vector, [-1, 0, 0, 0, 0, 0], atol=CLOSE)
