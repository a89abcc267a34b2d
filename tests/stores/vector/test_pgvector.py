"""What is special about pgvector: precision, wide vectors, recall under filters; and how stores are opened."""

import asyncio
from importlib.metadata import EntryPoint, EntryPoints
from urllib.parse import urlsplit

import numpy as np
import pytest

from stores import vector
from stores.records.database import Database
from stores.vector import UnknownVectorStore, hnsw, open_vector_store, pgvector
from stores.vector.base import BadUrl, Point, Unavailable, VectorStoreError
from stores.vector.filters import parse
from stores.vector.memory import MemoryVectorStore
from stores.vector.pgvector import PgVectorStore

POINTS = 2000


@pytest.mark.parametrize("kind", ["vector", "halfvec"])
@pytest.mark.parametrize("dimension", [2000, 2001, 4000, 4001])
async def test_vectors_wider_than_an_index_takes_are_searched_all_the_same(
    database: Database, dimension: int, kind: str
) -> None:
    store = open_vector_store(f"pgvector://?type={kind}", database)
    await store.create("wide", dimension)
    await store.complete("wide")
    rows = np.random.default_rng(5).normal(size=(20, dimension))
    await store.upsert("wide", [Point(f"p{place:02d}", row) for place, row in enumerate(rows)])
    found = await store.query("wide", rows[7], 3)
    assert found[0].id == "p07"
    assert found[0].score == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("few", [20_000, 100])
async def test_deleted_points_that_lie_nearest_keep_no_others_away(
    database: Database, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(hnsw, "SCANNED_QUICKLY", few)  # of few points none go on, of many the scan does
    store = PgVectorStore(database)
    random = np.random.default_rng(11)
    near, far = random.normal(size=(1500, 16)) / 50 + np.eye(16)[0], random.normal(size=(60, 16)) + np.eye(16)[1] * 9
    await store.create("left", 16)
    await store.complete("left")
    await store.upsert("left", [Point(f"n{n:04d}", row) for n, row in enumerate(near)])
    await store.upsert("left", [Point(f"f{n:04d}", row) for n, row in enumerate(far)])
    async with database.connection() as connection:
        await connection.execute("ANALYZE vectors_left")
    await store.delete("left", [f"n{n:04d}" for n in range(1480)])  # no vacuum comes within the test
    found = await PgVectorStore(database).query("left", near[0], 40)
    assert len(found) == 40
    assert {match.id for match in found[:20]} == {f"n{n:04d}" for n in range(1480, 1500)}


@pytest.mark.parametrize(
    ("where", "share"),
    [({"half": 1}, 2), ({"hundredth": 7}, 100), ({"thousandth": 7}, 1000), ({"n": {"$lt": POINTS // 100}}, 100)],
)
async def test_filters_that_let_few_points_through_keep_their_recall(
    database: Database, where: dict[str, object], share: int
) -> None:
    store = PgVectorStore(database)
    random = np.random.default_rng(7)
    rows = random.normal(size=(POINTS, 16))
    points = [
        Point(f"p{n:04d}", row, {"n": n, "half": n % 2, "hundredth": n % 100, "thousandth": n % 1000})
        for n, row in enumerate(rows)
    ]
    memory = MemoryVectorStore()
    for filled in (store, memory):
        await filled.create("many", 16)
        await filled.complete("many")
        await filled.upsert("many", points)
    hits = total = 0
    for query in random.normal(size=(10, 16)):
        expected = {match.id for match in await memory.query("many", query, 10, where=parse(where))}
        actual = {match.id for match in await store.query("many", query, 10, where=parse(where))}
        assert len(actual) == min(10, POINTS // share)
        hits += len(actual & expected)
        total += len(expected)
    assert hits / total >= 0.95


async def _indexes(database: Database, collection: str) -> dict[str, bool]:
    """The indexes of a collection by their kind, and whether they are whole."""
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT amname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON"
            " pg_am.oid = relam WHERE indrelid = to_regclass(%s)",
            (f"vectors_{collection}",),
        )
        return {row["amname"]: row["indisvalid"] for row in await cursor.fetchall()}


async def test_indexes_are_built_once_a_collection_is_to_be_complete(database: Database) -> None:
    store = PgVectorStore(database)
    await store.create("filled", 16)
    rows = np.random.default_rng(3).normal(size=(500, 16))
    await store.upsert("filled", [Point(f"p{n:03d}", row, {"n": n}) for n, row in enumerate(rows)])
    assert await _indexes(database, "filled") == {"btree": True}
    await store.complete("filled")
    assert await _indexes(database, "filled") == {"btree": True, "gin": True, "hnsw": True}
    assert (await store.query("filled", rows[7], 1))[0].id == "p007"
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT source FROM pg_settings WHERE name = 'maintenance_work_mem'")
        assert await cursor.fetchone() == {"source": "configuration file"}


async def test_some_thousand_points_are_searched_through_the_index_that_they_have(database: Database) -> None:
    store = PgVectorStore(database)
    await store.create("thousands", 384)
    rows = np.random.default_rng(5).normal(size=(6000, 384))
    for start in range(0, len(rows), 1000):
        block = enumerate(rows[start : start + 1000], start)
        await store.upsert("thousands", [Point(f"p{n:04d}", row) for n, row in block])
    await store.complete("thousands")
    async with database.connection() as connection:
        await connection.execute("ANALYZE vectors_thousands")  # as a worker of Postgres does before long
    assert (await store.query("thousands", rows[7], 120))[0].id == "p0007"
    async with database.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        cursor = await connection.execute(
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'vectors_thousands_hnsw'"
        )
        assert await cursor.fetchone() == {"idx_scan": 1}


async def test_an_index_whose_building_was_cancelled_is_built_anew_and_writers_go_on_meanwhile(
    database: Database,
) -> None:
    store = PgVectorStore(database)
    await store.create("cancelled", 3)
    await store.upsert("cancelled", [Point("a", [1, 0, 0])])
    async with database.connection() as writer, writer.transaction():
        await store.within(writer).upsert("cancelled", [Point("b", [0, 1, 0])])
        building = asyncio.create_task(store.complete("cancelled"))  # waits for the writer
        async with asyncio.timeout(30):
            while "gin" not in await _indexes(database, "cancelled"):  # noqa: ASYNC110 - Postgres has no event for it
                await asyncio.sleep(0.01)
        await store.upsert("cancelled", [Point("c", [0, 0, 1])])
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building
    assert await _indexes(database, "cancelled") == {"btree": True, "gin": False}
    await store.complete("cancelled")
    assert await _indexes(database, "cancelled") == {"btree": True, "gin": True, "hnsw": True}
    assert {match.id for match in await store.query("cancelled", [1, 1, 1], 5)} == {"a", "b", "c"}


async def test_searches_are_broader_in_larger_collections(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hnsw, "POINTS_PER_STEP", 2)
    monkeypatch.setattr(pgvector, "MEASURED_AGAIN", 0)
    store = PgVectorStore(database)
    await store.create("large", 3)
    await store.complete("large")
    await store.upsert("large", [Point(f"p{n:04d}", [1, n, n * n]) for n in range(1500)])
    breadths = []
    async with database.connection() as connection, connection.transaction():
        for _ in range(2):
            assert (await store.within(connection).query("large", [1, 2, 4], 1))[0].id == "p0002"
            cursor = await connection.execute("SELECT current_setting('hnsw.ef_search') AS breadth")
            breadths.append(await cursor.fetchone())
            await connection.execute("ANALYZE vectors_large")
    assert breadths == [{"breadth": "200"}, {"breadth": "750"}]


@pytest.mark.parametrize("where", [None, {"half": 1}])
async def test_searches_of_large_collections_go_on_beyond_the_broadest(
    database: Database, monkeypatch: pytest.MonkeyPatch, where: dict[str, object] | None
) -> None:
    random = np.random.default_rng(3)
    rows, asked = random.normal(size=(4000, 64)), random.normal(size=(10, 64))
    points = [Point(f"p{n:04d}", row, {"half": n % 2}) for n, row in enumerate(rows)]
    memory = MemoryVectorStore()
    await memory.create("large", 64)
    await memory.upsert("large", points)
    monkeypatch.setattr(hnsw, "MAX_EF_SEARCH", 12)  # so narrow that this collection is large
    monkeypatch.setattr(hnsw, "MIN_EF_SEARCH", 12)
    monkeypatch.setattr(hnsw, "GOOD_EF_SEARCH", 12)
    monkeypatch.setattr(hnsw, "FOUND_STEP", 1)
    monkeypatch.setattr(hnsw, "SCANNED_QUICKLY", 1000)
    shares, narrow = {}, parse(where) if where else None
    for each, step in (("narrow", 4001), ("further", 4)):
        monkeypatch.setattr(hnsw, "POINTS_PER_FOUND", step)
        store = PgVectorStore(database)
        if each == "narrow":
            await store.create("large", 64)
            await store.complete("large")
            await store.upsert("large", points)
            async with database.connection() as connection:
                await connection.execute("ANALYZE vectors_large")
        found = 0
        for query in asked:
            expected = {match.id for match in await memory.query("large", query, 6, where=narrow)}
            matches = await store.query("large", query, 6, where=narrow)
            assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
            found += len({match.id for match in matches} & expected)
        shares[each] = found / 60
    assert shares["narrow"] < 0.8
    assert shares["further"] >= 0.95


async def test_a_collection_that_has_grown_is_searched_further(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hnsw, "POINTS_PER_FOUND", 1)
    store = PgVectorStore(database)
    await store.create("grows", 3)
    await store.complete("grows")
    assert (await store.count("grows")) == 0
    await store.upsert("grows", [Point(f"p{n:04d}", [1, n, n * n]) for n in range(1200)])
    async with database.connection() as connection:
        await connection.execute("ANALYZE vectors_grows")
    assert store._tables["grows"][0].found == 0
    monkeypatch.setattr("stores.vector.pgvector.time.monotonic", lambda: float("inf"))
    assert [match.id for match in await store.query("grows", [1, 2, 4], 1)] == ["p0002"]
    assert store._tables["grows"][0].found == 1500


async def test_a_search_finds_its_settings_whatever_was_done_with_the_connection(database_url: str) -> None:
    async with Database(database_url, size=1) as database:
        store = PgVectorStore(database)
        await store.create("some", 3)
        await store.complete("some")
        await store.upsert("some", [Point(f"p{n}", [1, n, n * n]) for n in range(200)])

        async def asked_for() -> tuple[str, str]:
            async with database.connection() as connection:
                cursor = await connection.execute(
                    "SELECT current_setting('hnsw.ef_search') AS breadth,"
                    " current_setting('hnsw.iterative_scan') AS scan"
                )
                row = await cursor.fetchone()
            assert row is not None
            return row["breadth"], row["scan"]

        await store.query("some", [1, 2, 4], 100)
        assert await asked_for() == ("400", "off")
        await store.query("some", [1, 2, 4], 20)  # 200 would do
        assert await asked_for() == ("400", "off")
        async with database.connection() as connection, connection.transaction(force_rollback=True):
            await store.within(connection).query("some", [1, 2, 4], 400, where=parse({"n": {"$ne": 1}}))
        assert await asked_for() == ("400", "off")  # the transaction took its own along
        await store.query("some", [1, 2, 4], 2, where=parse({"n": {"$ne": 1}}))
        assert await asked_for() == ("400", "relaxed_order")
        await store.query("some", [1, 2, 4], 500)
        assert await asked_for() == ("1000", "off")
        await store.query("some", [1, 2, 4], 2)  # so broad a search takes its time
        assert await asked_for() == ("200", "off")


async def test_a_store_whose_pool_is_closed_is_unavailable(database_url: str) -> None:
    async with Database(database_url, size=1) as database:
        store = PgVectorStore(database)
    with pytest.raises(Unavailable):
        await store.count("any")


def test_unknown_names_and_options_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownVectorStore, match="known are chroma, memory, pgvector, qdrant"):
        open_vector_store("nosuch://")
    with pytest.raises(BadUrl, match="known are none"):
        open_vector_store("memory://?x=1")
    with pytest.raises(BadUrl, match="known are type"):
        open_vector_store("pgvector://?size=1")
    with pytest.raises(BadUrl, match="one of vector, halfvec"):
        open_vector_store("pgvector://?type=float8")
    with pytest.raises(TypeError, match="database"):
        PgVectorStore.open(urlsplit("pgvector://"), None)


def test_another_package_adds_a_backend_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = EntryPoints(
        [
            EntryPoint("theirs", "stores.vector.memory:MemoryVectorStore", vector.ENTRY_POINTS),
            EntryPoint("broken", "json:dumps", vector.ENTRY_POINTS),
        ]
    )
    monkeypatch.setattr(vector, "entry_points", lambda **params: offered.select(**params))
    assert isinstance(open_vector_store("theirs://"), MemoryVectorStore)
    with pytest.raises(VectorStoreError, match="no subclass"):
        open_vector_store("broken://")
    with pytest.raises(UnknownVectorStore, match="broken, chroma, memory, pgvector, qdrant, theirs"):
        open_vector_store("nosuch://")
