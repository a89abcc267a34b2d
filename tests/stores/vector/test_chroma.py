"""Chroma's server: what differs from other backends, and failures in the port's words."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from stores.vector import breadth, chroma, open_vector_store
from stores.vector.base import BadUrl, Point, Refused, Unavailable, UnknownCollection, WrongDimension
from stores.vector.chroma import ChromaVectorStore
from stores.vector.filters import parse
from stores.vector.wording import MAX_TESTS
from tests.stores.vector.servers import chroma_server  # noqa: F401  # fixture

EAST, NORTH = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]


@pytest.fixture
async def url(chroma_server: str) -> str:  # noqa: F811
    """A server with the empty collection `words`."""
    url = f"chroma://{chroma_server}"
    store = open_vector_store(url)
    await store.drop("words")
    await store.create("words", 3)
    await store.close()
    return url


@pytest.fixture
async def store(url: str) -> AsyncIterator[ChromaVectorStore]:
    """A store on this server."""
    opened = open_vector_store(url)
    assert isinstance(opened, ChromaVectorStore)
    yield opened
    await opened.close()


async def test_a_collection_that_another_process_made_anew_is_found_again(url: str, store: ChromaVectorStore) -> None:
    await store.upsert("words", [Point("a", EAST)])
    other = open_vector_store(url)
    await other.drop("words")
    with pytest.raises(UnknownCollection):
        await store.count("words")
    await store.create("words", 3)
    await store.upsert("words", [Point("a", EAST)])
    await other.drop("words")
    await other.create("words", 2)
    await other.close()
    assert await store.count("words") == 0
    with pytest.raises(WrongDimension):
        await store.upsert("words", [Point("a", EAST)])
    await store.upsert("words", [Point("a", [1.0, 0.0])])


async def test_facts_of_a_replaced_point_do_no_harm(store: ChromaVectorStore) -> None:
    await store.upsert("words", [Point("a", EAST, {"lang": "de", "page": 3})])
    await store.upsert("words", [Point("a", EAST, {"lang": "en"})])
    for source, expected in [({"lang": "de"}, 0), ({"lang": {"$ne": "de"}}, 1), ({"page": {"$exists": False}}, 1)]:
        assert await store.count("words", where=parse(source)) == expected
        assert len(await store.query("words", EAST, 5, where=parse(source))) == expected


async def test_many_points_travel_in_several_requests(store: ChromaVectorStore) -> None:
    store._batch = 100
    await store.upsert("words", [Point(f"{number:04d}", [1.0, number, 0.0]) for number in range(250)])
    assert await store.count("words") == 250
    assert await store.ids("words", after="0239", limit=100) == [f"{number:04d}" for number in range(240, 250)]


async def test_searches_are_broader_in_larger_collections(
    store: ChromaVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breadth, "POINTS_PER_STEP", 2)
    points = [Point(f"{n:04d}", [1.0, n, 0.0], {"half": n % 2}) for n in range(300)]
    await store.upsert("words", points)
    asked: list[int] = []
    ask = store._ask

    async def heard(known: Any, verb: str, body: Any) -> Any:
        if verb == "query":
            asked.append(body["n_results"])
        return await ask(known, verb, body)

    monkeypatch.setattr(store, "_ask", heard)
    exact = [f"{n:04d}" for n in range(10)]
    assert [match.id for match in await store.query("words", EAST, 10)] == exact
    assert [match.id for match in await store.query("words", EAST, 5, where=parse({"half": 0}))] == exact[::2]
    ids = [f"{n:04d}" for n in range(250)]
    assert [match.id for match in await store.among("words", EAST, 10, ids)] == exact
    assert asked == [150, 150, 37]
    assert sorted(await store.around("words", EAST, 10)) == [f"{n:04d}" for n in range(150)]


async def test_a_filter_too_long_for_the_server_is_decided_here(store: ChromaVectorStore) -> None:
    await store.upsert("words", [Point(f"{number:04d}", EAST, {"n": number}) for number in range(20)])
    many = [{"$or": [{"n": value}, {"m": value}]} for value in range(120)]
    for source in ({"n": {"$in": list(range(10, 10 + 2 * MAX_TESTS))}}, {"$or": [*many[10:], {"n": {"$gte": 10}}]}):
        assert len(await store.query("words", NORTH, 50, where=parse(source))) == 10


@pytest.mark.parametrize(
    "url", ["chroma:///my/folder", "chroma://", "chroma://h/p", "chroma://h:x", "chroma://h?ssl=no"]
)
def test_a_url_that_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        open_vector_store(url)


def test_a_folder_is_refused_with_how_to_start_a_server() -> None:
    with pytest.raises(BadUrl, match="chroma run --path /my/folder --port 8000"):
        open_vector_store("chroma:///my/folder")


def answering(answer: Callable[[httpx2.Request], httpx2.Response]) -> ChromaVectorStore:
    """A store whose server answers so."""
    transport = httpx2.MockTransport(answer)
    base = "http://chroma.test/api/v2"
    return ChromaVectorStore(lambda: httpx2.AsyncClient(base_url=base, transport=transport), "/tenants/t/databases/d")


@pytest.mark.parametrize(
    ("status", "expected"),
    [(500, Unavailable), (503, Unavailable), (429, Unavailable), (404, UnknownCollection), (403, Refused)],
)
async def test_failures_of_a_server_are_told_in_the_words_of_the_port(status: int, expected: type[Exception]) -> None:
    store = answering(lambda request: httpx2.Response(status, json={"error": "E", "message": "said so"}))
    with pytest.raises(expected) as caught:
        await store.count("words")
    assert type(caught.value) is expected
    await store.close()


def settling(*troubles: httpx2.Response) -> ChromaVectorStore:
    """A store whose server has one point, and answers these things first when it is asked to read."""
    left = list(troubles)
    point = {"ids": ["a"], "embeddings": [EAST], "metadatas": [{"record": "{}"}]}

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(200, json={"id": "1", "metadata": {"dimension": 3}, "dimension": 3})
        if left:
            return left.pop(0)
        if request.url.path.endswith("/query"):
            return httpx2.Response(200, json={"ids": [["a"]], "distances": [[0.0]], "metadatas": None})
        return httpx2.Response(200, json=point)

    return answering(answer)


READS: list[Callable[[ChromaVectorStore], Coroutine[Any, Any, Any]]] = [
    lambda store: store.get("words", ["a"]),
    lambda store: store.score("words", EAST, ["a"]),
    lambda store: store.among("words", EAST, 1, ["a"]),
]
UNSETTLED = [
    httpx2.Response(500, json={"message": "Error executing plan: Internal error: Error finding id"}),
    httpx2.Response(500, json={"message": "Error creating hnsw segment reader: Nothing found on disk"}),
    httpx2.Response(200, json={"ids": ["a"], "embeddings": [], "metadatas": [{"record": "{}"}]}),
]


@pytest.mark.parametrize("read", READS, ids=["get", "score", "among"])
async def test_points_that_are_written_or_removed_meanwhile_are_read_again(
    read: Callable[[ChromaVectorStore], Coroutine[Any, Any, Any]],
) -> None:
    store = settling(*UNSETTLED)
    assert len(await read(store)) == 1
    await store.close()


@pytest.mark.parametrize("place", range(len(UNSETTLED)))
async def test_a_server_whose_points_never_fit_together_is_unavailable(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chroma, "PAUSES", (0.0, 0.0))
    store = settling(*3 * [UNSETTLED[place]])
    with pytest.raises(Unavailable):
        await store.get("words", ["a"])
    assert len(await store.get("words", ["a"])) == 1
    await store.close()


async def test_a_collection_of_which_only_parts_are_left_is_a_missing_one() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and left:
            left.clear()
            return httpx2.Response(200, json={"id": "1", "metadata": {"dimension": 3}, "dimension": 3})
        if request.method == "GET":
            return httpx2.Response(404, json={"message": "no such collection"})
        return httpx2.Response(412, json={"message": "Missing field: [Missing metadata segment]"})

    left = ["words"]
    store = answering(answer)
    with pytest.raises(UnknownCollection):
        await store.get("words", ["a"])
    await store.close()


async def test_reading_while_others_fill_empty_and_drop_fails_for_no_other_reason(url: str) -> None:
    points = [Point(f"{number:04d}", [1.0, number, 1.0]) for number in range(100)]
    ids = [point.id for point in points]
    reader, writer = open_vector_store(url), open_vector_store(url)

    async def write() -> None:
        for _ in range(2):
            await writer.create("brief", 3)
            await writer.upsert("brief", points)
            await writer.delete("brief", ids)
            await writer.upsert("brief", points)
            await writer.drop("brief")

    async def read(ask: Callable[[], Coroutine[Any, Any, Any]]) -> int:
        answers = 0
        while not writing.done():
            with suppress(UnknownCollection):
                await ask()
                answers += 1
            await asyncio.sleep(0)
        return answers

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(write())
        reading = [
            group.create_task(read(ask))
            for ask in (
                lambda: reader.query("brief", EAST, 5),
                lambda: reader.among("brief", EAST, 5, ids),
                lambda: reader.score("brief", EAST, ids[:20]),
                lambda: reader.get("brief", ids[:20]),
                lambda: reader.count("brief"),
            )
        ]
    assert all(task.result() for task in reading)
    await reader.close()
    await writer.close()


async def test_a_server_out_of_reach_is_unavailable() -> None:
    def away(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route", request=request)

    for answer in (away, lambda request: httpx2.Response(200, text="<html>")):
        store = answering(answer)
        with pytest.raises(Unavailable):
            await store.create("words", 3)
        await store.close()


async def test_a_database_that_the_server_lacks_is_no_missing_collection() -> None:
    store = answering(lambda request: httpx2.Response(404, json={"message": "Database [d] not found"}))
    with pytest.raises(Refused, match="Database"):
        await store.create("words", 3)
    await store.close()


async def test_the_options_of_the_url_are_sent() -> None:
    store = open_vector_store("chroma://localhost:81?ssl=true&tenant=a%20b&database=c%2Fd&token=secret")
    assert isinstance(store, ChromaVectorStore)
    client = store._connect()
    request = client.build_request("GET", f"{store._database}/collections/words")
    assert str(request.url) == "https://localhost:81/api/v2/tenants/a%20b/databases/c%2Fd/collections/words"
    assert request.headers["x-chroma-token"] == "secret"
    await client.aclose()
