"""Another embedding for a document store: the old vectors answer until the new ones are complete."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.document_stores.indexing import records as chunks
from service.document_stores.reindexing import jobs as reindexing
from service.document_stores.shelf import Shelf, changing
from service.jobs import service as jobs
from service.providers.embedding.fake import FakeEmbedder
from service.providers.errors import RateLimited
from service.resources import Resources
from service.worker.runner import Runner
from service.worker.work import Work
from stores.records.database import Connection, Pool
from tests.service.document_stores.talk import API, Talk, passages

OTHER: dict[str, Any] = {"name": "fake", "config": {"dimension": 96}}

pytestmark = pytest.mark.usefixtures("worker")


class Gate:
    """Holds an embedder's calls back until it is opened, and may fail the next one."""

    def __init__(self, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = asyncio.Event()
        self.reached = asyncio.Event()
        self.failures: list[Exception] = []
        self.passing = 0
        make = embedder._vectors

        async def held(texts: Sequence[str], kind: Any, urgent: bool) -> Any:
            if not urgent and not self.passing:
                self.reached.set()
                await self.open.wait()
                if self.failures:
                    raise self.failures.pop()
            self.passing = max(0, self.passing - 1)
            return await make(texts, kind, urgent)

        monkeypatch.setattr(embedder, "_vectors", held)


@pytest.fixture
async def other(resources: Resources) -> FakeEmbedder:
    """The embedder that document stores are re-indexed with."""
    made = await resources.embedders.get(OTHER["name"], OTHER["config"])
    assert isinstance(made, FakeEmbedder)
    return made


@pytest.fixture
def gate(other: FakeEmbedder, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(other, monkeypatch)


async def begin(talk: Talk, store: str, embedding: dict[str, Any] | None = OTHER) -> str:
    """Ask for a re-index: the path of its job."""
    named = {"embeddingName": embedding["name"], "embeddingConfig": embedding["config"]} if embedding else {}
    answer = await talk.client.post(f"{API}/vectorstore/reindex", json={"storeId": store, **named})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == answer.json()["url"]
    return str(answer.headers["Location"])


async def dimension(talk: Talk, store: str) -> int:
    rows = await talk.rows("SELECT fingerprint ->> 'dimension' AS size FROM document_stores WHERE id = %s", UUID(store))
    return int(rows[0]["size"])


async def tables(talk: Talk) -> int:
    rows = await talk.rows("SELECT count(*) AS n FROM pg_tables WHERE tablename LIKE 'vectors_%%'")
    return int(rows[0]["n"])


async def first(talk: Talk, store: str, text: str) -> str:
    found = await talk.query(store, f"{text} {text}1 {text}2 {text}3", topK=1)
    return str(found[0]["pageContent"]).split()[0]


async def test_queries_turn_to_the_new_vectors_when_all_of_them_are_there(
    talk: Talk, gate: Gate, other: FakeEmbedder, embedder: FakeEmbedder
) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch", "cedar")))
    chunks = (await talk.chunks(store))["chunks"]
    job = await begin(talk, store)
    await gate.reached.wait()
    before = len(embedder.calls)
    assert await first(talk, store, "birch") == "birch"
    assert len(embedder.calls) == before + 1  # the old space answers
    assert await dimension(talk, store) == 16
    gate.open.set()
    done = await talk.end(job)
    assert done["state"] == "done"
    assert done["result"]["numIndexed"] == done["done"] == done["total"] == 3
    assert await dimension(talk, store) == 96
    assert (await talk.read(store))["embeddingConfig"] == OTHER
    asked = len(other.calls)
    assert await first(talk, store, "birch") == "birch"
    assert len(other.calls) == asked + 1
    assert (await talk.chunks(store))["chunks"] == chunks
    assert await tables(talk) == 1
    assert await talk.rows(
        "SELECT indisvalid FROM pg_index WHERE indexrelid::regclass::text LIKE 'vectors_%%_hnsw'"
    ) == [{"indisvalid": True}]
    await talk.holds_together()


async def test_what_is_written_meanwhile_is_there_afterwards_and_what_is_deleted_is_not(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    await talk.upsert(store, ("b.txt", passages("cedar")))
    job = await begin(talk, store)
    await gate.reached.wait()
    await talk.upsert(store, ("a.txt", passages("alder", "dogwood")))  # birch goes, dogwood comes
    await talk.upsert(store, ("c.txt", passages("elder")))
    gate.open.set()
    assert (await talk.end(job))["state"] == "done"
    for tree in ("alder", "cedar", "dogwood", "elder"):
        assert await first(talk, store, tree) == tree
    assert not any("birch stands" in text for text in await talk.texts(store))
    assert all("birch stands" not in doc["pageContent"] for doc in await talk.query(store, "birch stands", topK=10))
    await talk.holds_together()


async def test_what_is_configured_meanwhile_stays(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch", "cedar")))
    job = await begin(talk, store)
    await gate.reached.wait()
    vectors = {"name": "pgvector", "config": {"topK": 1, "retrieval": [{"name": "similarity"}]}}
    saved = await talk.client.put(f"{API}/store/{store}", json={"vectorStoreConfig": json.dumps(vectors)})
    assert saved.status_code == 200, saved.text
    gate.open.set()
    assert (await talk.end(job))["state"] == "done"
    read = await talk.read(store)
    assert (read["embeddingConfig"], read["vectorStoreConfig"]) == (OTHER, vectors)
    assert len(await talk.query(store, "alder birch cedar", topK=None)) == 1


async def test_the_configured_embedding_made_anew_stays_as_it_is_configured_meanwhile(talk: Talk, gate: Gate) -> None:
    store = await talk.store(embeddingConfig=json.dumps(OTHER))
    gate.open.set()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    gate.open.clear()
    gate.reached.clear()
    job = await begin(talk, store, None)
    await gate.reached.wait()
    slower = {**OTHER, "config": {**OTHER["config"], "batchSize": 1}}
    saved = await talk.client.put(f"{API}/store/{store}", json={"embeddingConfig": json.dumps(slower)})
    assert saved.status_code == 200, saved.text
    gate.open.set()
    assert (await talk.end(job))["state"] == "done"
    assert (await talk.read(store))["embeddingConfig"] == slower


async def test_an_upsert_that_began_before_the_switch_ends_in_the_new_space(
    talk: Talk, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder")))
    slow = Gate(embedder, monkeypatch)
    upsert = await talk.start(store, ("b.txt", passages("birch")))
    await slow.reached.wait()  # its vectors are for the old space
    assert (await talk.end(await begin(talk, store)))["state"] == "done"
    slow.open.set()
    assert (await talk.end(upsert))["state"] == "done"
    assert await first(talk, store, "birch") == "birch"
    await talk.holds_together()


async def test_cancelling_leaves_the_old_vectors_whole(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    job = await begin(talk, store)
    await gate.reached.wait()
    assert (await talk.client.delete(job)).json()["state"] == "cancelled"
    gate.open.set()
    assert await first(talk, store, "birch") == "birch"
    assert await dimension(talk, store) == 16
    await talk.holds_together()
    for _ in range(200):
        if await tables(talk) == 1:
            break
        await asyncio.sleep(0.02)
    assert await tables(talk) == 1
    assert (await talk.end(await begin(talk, store)))["state"] == "done"
    assert await dimension(talk, store) == 96


async def test_cancelling_waits_for_writers_that_know_of_the_new_vectors(
    talk: Talk, gate: Gate, resources: Resources, workspace: UUID
) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    job = await begin(talk, store)
    await gate.reached.wait()
    waiting = "SELECT 1 AS one FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with changing(resources, workspace, UUID(store)) as shelf:
        assert len(shelf.building) == 1
        assert (await talk.client.delete(job)).json()["state"] == "cancelled"
        gate.open.set()
        while not await talk.rows(waiting) and await tables(talk) == 2:  # noqa: ASYNC110 - another session's doing
            await asyncio.sleep(0.02)
        await shelf.forget([2])  # from both collections
    while await tables(talk) == 2:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def test_a_provider_that_fails_for_good_leaves_the_old_vectors_whole(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    job = await begin(talk, store)
    await gate.reached.wait()
    gate.failures.append(ValueError("broken"))
    gate.open.set()
    assert (await talk.end(job))["state"] == "failed"
    assert await first(talk, store, "birch") == "birch"
    await talk.holds_together()


async def test_a_provider_that_wants_a_pause_gets_it(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    job = await begin(talk, store)
    await gate.reached.wait()
    gate.failures.append(RateLimited("fake: slower", retry_after=0.05))
    gate.open.set()
    assert (await talk.end(job))["state"] == "done"
    assert await dimension(talk, store) == 96
    await talk.holds_together()


async def test_a_killed_attempt_is_taken_up_where_it_stood(
    talk: Talk, other: FakeEmbedder, resources: Resources, worker: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.document_stores.indexing.fill.BATCH", 2)
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages(*(f"tree{n}" for n in range(9)))))
    gate = Gate(other, monkeypatch)
    gate.passing = 2  # the one that tries the embedder, and a batch
    job = await begin(talk, store)
    await gate.reached.wait()
    for _ in range(200):
        if (await talk.client.get(job)).json()["done"]:
            break
        await asyncio.sleep(0.02)
    gate.failures.append(ConnectionResetError("the worker is gone"))
    seen = len(other.calls)
    monkeypatch.setattr("service.worker.runner.TRY_AGAIN", (ConnectionResetError,))
    gate.open.set()
    done = await talk.end(job)
    assert done["state"] == "done"
    assert done["attempts"] > 1
    assert sum(len(texts) for texts in other.calls[seen:]) < 9
    assert done["result"]["numIndexed"] == 9
    await talk.holds_together()


async def test_a_re_index_is_not_tried_again_beside_another_one(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    job = await begin(talk, store)
    await gate.reached.wait()
    assert (await talk.client.delete(job)).json()["state"] == "cancelled"
    gate.open.set()
    gate.reached.clear()
    gate.open.clear()
    again = await talk.client.post(f"{job}/retry")
    assert again.status_code == 202, again.text
    second = await talk.client.post(f"{job}/retry")
    assert (second.status_code, second.json()["code"]) == (409, "already_reindexing")
    gate.open.set()
    assert (await talk.end(again.json()["url"]))["state"] == "done"
    assert (await talk.client.post(f"{again.json()['url']}/retry")).json()["code"] == "nothing_to_retry"
    assert await dimension(talk, store) == 96


async def test_what_is_left_of_a_cancelled_re_index_goes_without_hurting_the_next_try(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    job = await begin(talk, store)
    await gate.reached.wait()
    assert (await talk.client.delete(job)).json()["state"] == "cancelled"
    gate.reached.clear()
    again = await talk.client.post(f"{job}/retry")
    await gate.reached.wait()
    async with talk.resources.database.connection() as connection:
        cancelled = await jobs.find(connection, UUID(job.rpartition("/")[2]))
    assert cancelled is not None
    await reindexing.abandon(Work(cancelled, talk.resources))  # late, as after the death of its worker
    gate.open.set()
    assert (await talk.end(again.json()["url"]))["state"] == "done"
    assert await dimension(talk, store) == 96
    assert await tables(talk) == 1
    await talk.holds_together()


async def test_vectors_that_are_removed_meanwhile_are_not_made_anew(
    talk: Talk, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    job = await begin(talk, store)
    await gate.reached.wait()
    removed = await talk.client.delete(f"{API}/vectorstore/{store}")
    assert removed.status_code == 200, removed.text
    assert (await talk.end(job))["state"] == "cancelled"
    gate.open.set()
    await talk.upsert(store, ("b.txt", passages("cedar")))  # waits for its turn behind what is left of the re-index
    assert await tables(talk) == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    await talk.holds_together()


async def test_a_document_store_without_vectors_takes_the_embedding(talk: Talk) -> None:
    store = await talk.store()
    assert (await talk.end(await begin(talk, store)))["state"] == "done"
    assert (await talk.read(store))["embeddingConfig"] == OTHER
    await talk.upsert(store, ("a.txt", passages("alder")))
    assert await dimension(talk, store) == 96


async def test_two_at_once_are_refused(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder")))
    job = await begin(talk, store)
    answer = await talk.client.post(f"{API}/vectorstore/reindex", json={"storeId": store})
    assert answer.status_code == 409
    assert answer.json()["code"] == "already_reindexing"
    gate.open.set()
    await talk.end(job)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "storeId"),
        ({"storeId": "6f0e6a1c-5a1e-4f8e-9a53-0d4f3b1c2d7e"}, 404, "not found"),
        ({"embeddingName": "nobody"}, 422, "nobody"),
        ({"embeddingName": "openAIEmbeddings", "embeddingConfig": {"credential": "x"}}, 400, "credential"),
    ],
)
async def test_what_cannot_be_done_is_said_before_anything_happens(
    talk: Talk, body: dict[str, Any], status: int, said: str
) -> None:
    store = await talk.store()
    answer = await talk.client.post(
        f"{API}/vectorstore/reindex", json=body if not body or "storeId" in body else {"storeId": store, **body}
    )
    assert (answer.status_code, said in answer.json()["message"]) == (status, True), answer.text
    assert await talk.rows("SELECT id FROM jobs") == []


async def test_changing_the_embedding_otherwise_is_refused_with_the_command(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder")))
    answer: httpx.Response = await talk.client.put(f"{API}/store/{store}", json={"embeddingConfig": OTHER})
    assert answer.status_code == 409
    assert f"ragstone store reindex {store} --embedding fake" in answer.json()["message"]


async def test_the_switch_looks_at_what_came_last_by_its_own_connection(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    switching: set[asyncio.Task[Any] | None] = set()
    getconn, next_indexed = Pool.getconn, chunks.next_indexed
    pages: list[int] = []

    @asynccontextmanager
    async def alone(*args: Any, **options: Any) -> AsyncIterator[Shelf]:
        async with changing(*args, **options) as shelf:
            if shelf.building:
                switching.add(asyncio.current_task())
            yield shelf
            switching.clear()

    async def lent(self: Pool, timeout: float | None = None) -> Connection:  # noqa: ASYNC109
        assert asyncio.current_task() not in switching
        return await getconn(self, timeout)

    async def seen(scope: Any, store: UUID, after: int, limit: int) -> list[int]:
        found = await next_indexed(scope, store, after, limit)
        if asyncio.current_task() in switching:
            pages.append(len(found))
        return found

    monkeypatch.setattr(reindexing, "changing", alone)
    monkeypatch.setattr(Pool, "getconn", lent)
    monkeypatch.setattr(chunks, "next_indexed", seen)
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    assert (await talk.end(await begin(talk, store)))["state"] == "done"
    assert pages == [0]
    assert await dimension(talk, store) == 96
    await talk.holds_together()


async def test_writers_as_fast_as_the_reindex_are_held_back_in_the_end(
    talk: Talk, other: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindexing, "BATCH", 0)  # every pass finds that too much is left, until patience ends
    monkeypatch.setattr(reindexing, "PASSES", 3)
    seen: list[int] = []
    fill_rest = reindexing._Reindexing._fill_rest

    async def adding(self: Any, shelf: Any, space: Any, most: int | None) -> int:
        seen.append(-1 if most is None else most)
        if most is not None:
            raise reindexing._NotYet
        return await fill_rest(self, shelf, space, most)

    monkeypatch.setattr(reindexing._Reindexing, "_fill_rest", adding)
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    assert (await talk.end(await begin(talk, store)))["state"] == "done"
    assert seen == [0, 0, -1]
    await talk.holds_together()
