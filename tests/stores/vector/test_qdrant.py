"""Qdrant as a server: requests keep to its published interface, and failures are told in the port's words."""

import gc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from qdrant_client import AsyncQdrantClient

from stores.vector import breadth, open_vector_store
from stores.vector.base import (
    BadUrl,
    Point,
    Refused,
    Unavailable,
    UnknownCollection,
    WrongDimension,
)
from stores.vector.filters import parse
from stores.vector.payload import condition
from stores.vector.qdrant import QdrantVectorStore
from tests.stores.vector.cases import FILTER_CASES, METADATA
from tests.stores.vector.qdrant_server import QdrantServer, violations

EAST = [1.0, 0.0, 0.0]


@pytest.fixture
def server() -> QdrantServer:
    """A server without collections."""
    return QdrantServer()


@pytest.fixture
async def store(server: QdrantServer) -> AsyncIterator[QdrantVectorStore]:
    """A store in it, with an empty collection."""
    opened = QdrantVectorStore(server.client, prefix="ours_")
    await opened.create("words", 3)
    yield opened
    await opened.close()
    await server.engine.close()


async def test_every_request_keeps_to_the_published_interface(store: QdrantVectorStore, server: QdrantServer) -> None:
    await store.create("words", 3)
    await store.upsert("words", [Point(key, EAST, metadata) for key, metadata in METADATA.items()])
    for source, expected in FILTER_CASES:
        where = parse(source)
        found = await store.query("words", EAST, 10, where=where)
        assert "".join(match.id for match in found) == expected, source
        assert await store.count("words", where=where) == len(expected)
    assert [point.metadata for point in await store.get("words", ["a"])] == [METADATA["a"]]
    assert await store.score("words", EAST, ["a"]) == {"a": pytest.approx(1)}
    assert await store.ids("words", after="b", limit=2) == ["c", "d"]
    await store.delete("words", ["a"])
    assert await store.count("words") == 5
    await store.drop("words")
    with pytest.raises(UnknownCollection):
        await store.count("words")
    assert len(set(server.requests)) == 10


async def test_a_server_gets_an_index_for_all_that_filters_ask(store: QdrantVectorStore, server: QdrantServer) -> None:
    assert server.indexes == {"facts": "keyword", "place": "integer"}
    await store.upsert("words", [Point("a", EAST, {"n": 1})])
    await store.upsert("words", [Point("b", EAST, {"n": 2})])
    asked = condition(parse({"n": {"$gt": 1}}))
    assert asked is not None
    assert {field: server.indexes[field] for field in [asked["must"][0]["key"]]} == {asked["must"][0]["key"]: "float"}
    assert len(server.indexes) == 4
    assert len([route for _, route in server.requests if route.endswith("/index")]) == 4


async def test_two_makers_of_a_collection_both_succeed(server: QdrantServer) -> None:
    first, second = QdrantVectorStore(server.client), QdrantVectorStore(server.client)
    await first.create("fresh", 3)
    await second._make(await second._opened(), "fresh", 3)
    with pytest.raises(WrongDimension):
        await second.create("fresh", 4)
    await first.close()
    await second.close()


async def test_searches_are_broader_in_larger_collections(
    store: QdrantVectorStore, server: QdrantServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breadth, "POINTS_PER_STEP", 2)
    await store.upsert("words", [Point(f"{n:04d}", [1.0, n, 0.0]) for n in range(300)])
    for where in (None, parse({"half": 0})):
        await store.query("words", [1.0, 0.0, 0.0], 3, where=where)
    await store.among("words", [1.0, 0.0, 0.0], 3, ["0001"])
    assert [(each["hnsw_ef"], each["exact"]) for each in server.searches[:2]] == [(150, False)] * 2
    assert server.searches[-1]["exact"]


async def test_many_points_travel_in_several_requests(store: QdrantVectorStore, server: QdrantServer) -> None:
    await store.upsert("words", [Point(f"{number:04d}", [1.0, number, 0.0]) for number in range(1_100)])
    writes = [request for request in server.requests if request == ("PUT", "/collections/{collection_name}/points")]
    assert len(writes) == 2
    assert await store.ids("words", after="1089") == [f"{number:04d}" for number in range(1090, 1100)]


def refusing(answer: Callable[[httpx.Request], httpx.Response]) -> QdrantVectorStore:
    """A store whose server answers so."""
    transport = httpx.MockTransport(answer)
    return QdrantVectorStore(
        lambda: AsyncQdrantClient(host="qdrant.test", check_compatibility=False, transport=transport)
    )


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (500, "broken", Unavailable),
        (429, "slow down", Unavailable),
        (404, "Not found: Collection `words` doesn't exist!", UnknownCollection),
        (400, "Wrong input: Vector dimension error: expected dim: 3, got 6", WrongDimension),
        (403, "no", Refused),
    ],
)
async def test_failures_of_a_server_are_told_in_the_words_of_the_port(
    status: int, said: str, expected: type[Exception]
) -> None:
    store = refusing(lambda request: httpx.Response(status, json={"status": {"error": said}}))
    with pytest.raises(expected) as caught:
        await store.count("words")
    assert type(caught.value) is expected
    await store.close()


async def test_a_server_out_of_reach_is_unavailable() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    for answer in (away, lambda request: httpx.Response(200, text="<html>"), _slow):
        store = refusing(answer)
        with pytest.raises(Unavailable):
            await store.count("words")
        await store.close()


def _slow(request: httpx.Request) -> httpx.Response:
    return httpx.Response(429, headers={"Retry-After": "3"}, json={"status": {"error": "too many"}})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaves its lock file open
async def test_a_folder_belongs_to_one_store_at_a_time(tmp_path: Path) -> None:
    first, second = (open_vector_store(f"qdrant://{tmp_path}/points") for _ in range(2))
    await first.create("words", 3)
    with pytest.raises(Unavailable, match="already accessed"):
        await second.create("words", 3)
    gc.collect()
    await first.close()
    await second.create("words", 3)
    await second.close()


@pytest.mark.parametrize(
    "url",
    ["qdrant://", "qdrant:///", "qdrant://host/folder", "qdrant:///folder?ssl=true", "qdrant://h:x", "qdrant://h?a=b"],
)
def test_a_url_that_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        open_vector_store(url)


@pytest.mark.parametrize("body", [{"limit": "ten"}, {"limit": 1, "surprise": True}, {"filter": {"must": [{"key": 1}]}}])
def test_the_published_interface_refuses_other_requests(body: dict[str, Any]) -> None:
    assert violations("/collections/{collection_name}/points/scroll", "post", {}, body)
    assert violations("/collections/{collection_name}/points/scroll", "post", {"nonsense": "1"}, {"limit": 1})
