"""Uploads, deletions and cancellations at the same time, and embedders that misbehave: nothing is lost or left over."""

import asyncio
import random
from collections.abc import Iterator
from math import ceil
from typing import Any

import httpx
import pytest

from service.document_stores.indexing.texts import BATCH
from service.providers.embedding.base import TextKind, Vectors
from service.providers.embedding.fake import FakeEmbedder
from service.resources import Resources
from service.worker.runner import Runner
from tests.locks import held_up
from tests.service.document_stores.talk import API, Talk, passages
from tests.stubs.openai_server import Lie, OpenAIStub, Script


class Gate:
    """Lets an embedder answer only so many calls until it is opened."""

    def __init__(self, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting = asyncio.Event()
        self.open = asyncio.Event()
        self.free = 0
        self._answer = embedder._vectors_blocking
        monkeypatch.setattr(embedder, "_vectors", self._vectors)

    async def _vectors(self, texts: list[str], kind: TextKind, urgent: bool) -> Vectors:
        if not urgent and not self.open.is_set():
            if self.free == 0:
                self.waiting.set()
                await self.open.wait()
            self.free -= 1
        return self._answer(texts, kind)


@pytest.fixture
def gate(embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(embedder, monkeypatch)


@pytest.fixture
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub() as opened:
        yield opened


def remote(stub: OpenAIStub, model: str = "small") -> dict[str, Any]:
    return {"name": "openAIEmbeddings", "config": {"basepath": stub.url, "modelName": model}}


MANY = [f"Topic{number}" for number in range(200)]


@pytest.mark.usefixtures("worker")
async def test_twenty_uploads_of_one_file_leave_one(talk: Talk) -> None:
    store = await talk.store()
    contents = [passages("Alpha", f"Version{number}") for number in range(20)]
    jobs = await asyncio.gather(*(talk.start(store, ("a.txt", content)) for content in contents))
    ends = [await talk.end(job) for job in jobs]
    assert {end["state"] for end in ends} == {"done"}
    await talk.holds_together()
    assert len(await talk.documents(store)) == 1
    left = await talk.texts(store)
    assert "\n\n".join(left) in [content.strip() for content in contents]
    assert len((await talk.read(store))["loaders"]) == 1


@pytest.mark.usefixtures("worker")
async def test_twenty_different_files_at_once_are_all_there(talk: Talk) -> None:
    store = await talk.store()
    answers = await asyncio.gather(
        *(talk.upsert(store, (f"{number}.txt", passages(f"Topic{number}"))) for number in range(20))
    )
    assert [answer["numAdded"] for answer in answers] == [1] * 20
    assert len({answer["docId"] for answer in answers}) == 20
    assert (await talk.chunks(store))["count"] == 20
    await talk.holds_together()


@pytest.mark.usefixtures("worker")
async def test_the_newest_upload_of_a_file_wins_over_one_under_way(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    gate.free = 1
    first = await talk.start(store, ("a.txt", passages(*MANY)))
    await gate.waiting.wait()
    second = await talk.start(store, ("a.txt", passages("Alpha")))
    gate.open.set()
    assert [(await talk.end(job))["state"] for job in (first, second)] == ["done", "done"]
    assert [text.split()[0] for text in await talk.texts(store)] == ["Alpha"]
    await talk.holds_together()


@pytest.mark.usefixtures("worker")
async def test_what_is_being_indexed_hides_nothing_of_what_is(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    gate.open.set()
    await talk.upsert(store, ("old.txt", passages("Topic1")), ("other.txt", passages("Topic2")))
    gate.open.clear()
    gate.free = 3
    job = await talk.start(store, ("new.txt", passages(*(f"Topic1 again{number}" for number in range(250)), words=20)))
    await gate.waiting.wait()
    while not (await talk.client.get(job)).json()["done"]:  # noqa: ASYNC110 - as clients do
        await asyncio.sleep(0.02)
    assert await talk.rows("SELECT 1 AS one FROM chunks WHERE NOT live")
    found = await talk.query(store, "Topic1 stands here", topK=2)
    assert {doc["metadata"]["source"] for doc in found} == {"old.txt", "other.txt"}
    assert (await talk.chunks(store))["count"] == 2
    read = await talk.read(store)
    assert (read["status"], read["totalChunks"]) == ("UPSERTING", 2)
    gate.open.set()
    await talk.end(job)
    assert (await talk.chunks(store))["count"] == 252
    await talk.holds_together()


@pytest.mark.usefixtures("worker")
async def test_a_running_upload_that_is_cancelled_leaves_what_was_before(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    gate.open.set()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    gate.open.clear()
    gate.free = 1
    job = await talk.start(store, ("a.txt", passages(*MANY)), ("b.txt", passages("Beta", *MANY)))
    await gate.waiting.wait()
    cancelled = (await talk.client.delete(job)).json()
    assert (cancelled["state"], cancelled["error"]["code"]) == ("cancelled", "cancelled")
    await talk.holds_together()  # though the embedder never answers
    assert [text.split()[0] for text in await talk.texts(store)] == ["Alpha"]
    states = {document["name"]: (document["state"], document["errorCode"]) for document in await talk.documents(store)}
    assert states == {"a.txt": ("failed", "cancelled"), "b.txt": ("failed", "cancelled")}
    gate.open.set()
    again = await talk.upsert(store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta")))
    assert (again["numAdded"], again["numSkipped"]) == (1, 1)
    assert (await talk.client.delete(job)).json()["state"] == "cancelled"
    await talk.holds_together()


async def test_a_queued_upload_that_is_cancelled_never_starts(
    talk: Talk, embedder: FakeEmbedder, request: pytest.FixtureRequest
) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", passages("Alpha")))
    assert (await talk.client.get(job)).json()["state"] == "queued"
    assert (await talk.read(store))["status"] == "UPSERTING"
    assert (await talk.client.delete(job)).json()["state"] == "cancelled"
    other = await talk.start(store, ("b.txt", passages("Beta")))
    await _work_until(talk, other)
    assert (await talk.client.get(job)).json()["attempts"] == 0
    assert [len(texts) for texts in embedder.calls] == [1]
    states = {document["name"]: document["state"] for document in await talk.documents(store)}
    assert states == {"a.txt": "failed", "b.txt": "ready"}


@pytest.mark.parametrize("fields", [{}, {"replaceExisting": True}])
async def test_an_upload_and_a_cancellation_lock_documents_in_one_order(talk: Talk, fields: dict[str, Any]) -> None:
    store = await talk.store()
    names = [f"{number}.txt" for number in range(8)]
    await talk.start(store, *((name, passages("Alpha")) for name in names))
    waiting = await talk.rows("SELECT id, name, loader_id FROM documents ORDER BY id")
    again = [(row["name"], passages("Beta")) for row in reversed(waiting)]
    if fields:
        fields = {**fields, "docId": str(waiting[0]["loader_id"])}
    async with talk.resources.database.transaction() as connection:  # as who cancels the job, one after another
        await connection.execute("SELECT 1 FROM documents WHERE id = %s FOR UPDATE", (waiting[0]["id"],))
        other = asyncio.create_task(talk.start(store, *again, **fields))
        await held_up(talk.resources.database, other)
        for row in waiting[1:]:
            await connection.execute("SELECT 1 FROM documents WHERE id = %s FOR UPDATE", (row["id"],))
    await other


async def _work_until(talk: Talk, job: str) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(Runner(talk.resources, alone=True).run(stop))
    try:
        await talk.end(job)
        await talk.holds_together()
    finally:
        stop.set()
        await running


@pytest.mark.usefixtures("worker")
async def test_a_store_deleted_while_it_is_filled_leaves_nothing(
    talk: Talk, gate: Gate, client: httpx.AsyncClient, resources: Resources
) -> None:
    chance = random.Random(7)
    gate.open.set()
    for _ in range(12):
        store = await talk.store()
        sent = [
            asyncio.create_task(talk.send(store, (f"{number}.txt", passages(*MANY[:20]))), name=str(number))
            for number in range(3)
        ]
        await asyncio.sleep(chance.uniform(0, 0.3))
        assert (await client.delete(f"{API}/store/{store}")).status_code == 200
        assert {response.status_code for response in await asyncio.gather(*sent)} <= {200, 404, 409}
    await talk.holds_together()
    for table in ("document_stores", "documents", "chunks", "loaders", "lexical_indexes", "lexical_postings"):
        assert await talk.rows(f"SELECT 1 AS one FROM {table} LIMIT 1") == []
    assert await talk.rows("SELECT tablename FROM pg_tables WHERE tablename LIKE 'vectors_ds_%%'") == []
    assert [key async for key in resources.blobs.keys()] == []  # noqa: SIM118 - no mapping


@pytest.mark.usefixtures("worker")
async def test_two_who_replace_one_loader_at_once_leave_one_content(talk: Talk) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", passages("Alpha")))
    names = [f"{number}.txt" for number in range(6)]
    jobs = [
        await talk.start(store, (name, passages(f"Topic{name[0]}")), docId=first["docId"], replaceExisting="true")
        for name in names
    ]
    for job in jobs:
        assert (await talk.end(job))["state"] == "done"
    assert [document["name"] for document in await talk.documents(store)] == ["5.txt"]
    assert [text.split()[0] for text in await talk.texts(store)] == ["Topic5"]
    await talk.holds_together()


# Embedders that misbehave


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("lie", [Lie.NAN, Lie.ZERO, Lie.WRONG_DIMENSION, Lie.WRONG_COUNT, Lie.UNEVEN, Lie.NOT_JSON])
async def test_an_embedder_that_lies_is_refused_and_nothing_of_it_kept(talk: Talk, stub: OpenAIStub, lie: Lie) -> None:
    store = await talk.store(embeddingConfig=remote(stub))
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    stub.script(Script(lie=lie), times=None)
    response = await talk.send(store, ("b.txt", passages("Beta")))
    assert response.status_code == 502, response.text
    assert response.json()["code"] in ("provider_wrong_shape", "provider_malformed")
    stub.script(Script(), times=None)
    assert [doc["metadata"]["source"] for doc in await talk.query(store, "Beta")] == ["a.txt"]
    assert (await talk.upsert(store, ("b.txt", passages("Beta"))))["numAdded"] == 1
    await talk.holds_together()


@pytest.mark.usefixtures("worker")
async def test_a_limit_of_the_provider_is_waited_for_and_the_upload_goes_on(talk: Talk, stub: OpenAIStub) -> None:
    store = await talk.store(embeddingConfig=remote(stub))
    stub.script(Script(), times=2)
    stub.script(Script(status=429, retry_after=0.2), times=5)
    stub.script(Script(status=500), times=2)
    stub.script(Script(status=429, retry_after=0.3), times=1)
    stub.script(Script(), times=None)
    answer = await talk.upsert(store, ("a.txt", passages(*MANY)))
    assert answer["numAdded"] == 200
    sent = [len(item.body["input"]) for item in stub.requests if item.body["input"] != ["size"]]
    assert len(sent) == ceil(200 / BATCH) + 8  # the batches, each failure asked again
    await talk.holds_together()


@pytest.mark.usefixtures("worker")
async def test_a_wait_for_the_provider_can_be_cancelled_and_is_told(talk: Talk, stub: OpenAIStub) -> None:
    store = await talk.store(embeddingConfig=remote(stub))
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    stub.script(Script(status=429, retry_after=600), times=None)
    job = await talk.start(store, ("b.txt", passages("Beta")))
    async with asyncio.timeout(30):
        while (await talk.client.get(job)).json()["stage"] != "waiting":  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.02)
    await talk.client.delete(job)
    await talk.holds_together()


@pytest.mark.usefixtures("worker")
async def test_a_wrong_key_fails_at_once(talk: Talk, stub: OpenAIStub) -> None:
    store = await talk.store(embeddingConfig=remote(stub))
    stub.script(Script(status=401), times=None)
    response = await talk.send(store, ("a.txt", passages("Alpha")))
    assert (response.status_code, response.json()["code"]) == (502, "provider_bad_credential")
    assert (await talk.documents(store))[0]["errorCode"] == "provider_bad_credential"
    await talk.holds_together()


@pytest.mark.usefixtures("worker")
async def test_the_credential_named_is_the_one_that_is_sent(
    talk: Talk, stub: OpenAIStub, client: httpx.AsyncClient
) -> None:
    secret = {"openAIApiKey": "sk-of-the-test", "allowedHosts": "127.0.0.1"}
    body = {"name": "Mine", "credentialName": "openAIApi", "plainDataObj": secret}
    credential = (await client.post("/api/v1/credentials", json=body)).json()["id"]
    embedding = remote(stub)
    embedding["config"]["credential"] = credential
    store = await talk.store(embeddingConfig=embedding)
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    assert {item.headers["authorization"] for item in stub.requests} == {"Bearer sk-of-the-test"}


@pytest.mark.usefixtures("worker")
async def test_another_embedding_is_refused_on_a_filled_store_and_taken_by_an_empty_one(
    talk: Talk, stub: OpenAIStub, client: httpx.AsyncClient
) -> None:
    store = await talk.store(embeddingConfig=remote(stub))
    # nothing could be indexed yet: the embedding may still change
    await talk.send(store, ("a.txt", b""))
    assert (await talk.upsert(store, ("a.txt", passages("Alpha")), embedding={"name": "fake"}))["numAdded"] == 1
    for response in (
        await talk.send(store, ("b.txt", passages("Beta")), embedding=remote(stub)),
        await talk.send(store, ("b.txt", passages("Beta")), embedding={"name": "fake", "config": {"dimension": 8}}),
        await client.put(f"{API}/store/{store}", json={"embeddingConfig": remote(stub)}),
    ):
        assert (response.status_code, response.json()["code"]) == (409, "embedding_changed")
        assert "new document store" in response.json()["error"]
    assert (await talk.read(store))["embeddingConfig"]["name"] == "fake"
    assert len(await talk.query(store, "Alpha")) == 1
    assert [document["name"] for document in await talk.documents(store)] == ["a.txt"]
    same = await talk.upsert(
        store, ("b.txt", passages("Beta")), embedding={"name": "fake", "config": {"dimension": 16}}
    )
    assert same["numAdded"] == 1
    await talk.holds_together()
