"""Chunks that are not indexed yet, the contract's insert, and vectors that are taken away again."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from service.document_stores import service
from service.document_stores.types import Component, Upload, Upsert
from service.providers.embedding.fake import FakeEmbedder
from tests.service.document_stores.talk import API, FAKE, PASSAGES, Talk, passages
from tests.stubs.openai_server import OpenAIStub, Script

pytestmark = pytest.mark.usefixtures("worker")


async def stage(talk: Talk, store: str, *files: tuple[str, str], **asked: Any) -> str:
    """Make chunks as processing a loader does: its id."""
    import io

    job = await service.upsert(
        talk.resources,
        talk.workspace,
        UUID(store),
        Upsert(chunk_only=True, splitter=Component(PASSAGES["name"], PASSAGES["config"]), **asked),
        [Upload(name, io.BytesIO(text.encode())) for name, text in files],
    )
    ended = await talk.end(f"/api/v1/jobs/{job.id}")
    assert ended["state"] == "done", ended
    return str(job.payload["docId"])


async def insert(talk: Talk, store: str, **fields: Any) -> dict[str, Any]:
    body = {"storeId": store, "embeddingName": FAKE["name"], "embeddingConfig": FAKE["config"], **fields}
    response = await talk.client.post(f"{API}/vectorstore/insert", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_chunks_of_a_store_without_vectors_are_listed_and_not_found(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    await stage(talk, store, ("a.txt", passages("Alpha", "Beta")))
    assert [text.split()[0] for text in await talk.texts(store)] == ["Alpha", "Beta"]
    assert await talk.query(store, "Alpha") == []
    read = await talk.read(store)
    assert (read["status"], read["totalChunks"], read["loaders"][0]["status"]) == ("SYNC", 2, "SYNC")
    assert embedder.calls == []
    await talk.holds_together()


async def test_an_insert_indexes_what_is_not_and_a_second_one_adds_nothing(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    loader = await stage(talk, store, ("a.txt", passages("Alpha", "Beta")))
    answer = await insert(talk, store)
    assert (answer["numAdded"], answer["numSkipped"], answer["totalKeys"]) == (2, 0, 2)
    assert [doc["pageContent"].split()[0] for doc in answer["addedDocs"]] == ["Alpha", "Beta"]
    assert {doc["metadata"]["docId"] for doc in answer["addedDocs"]} == {loader}
    assert (answer["totalChars"], answer["totalChunks"], answer["whereUsed"]) == (0, 0, [])
    assert len(await talk.query(store, "Alpha")) == 2
    assert (await talk.read(store))["status"] == "UPSERTED"
    calls = len(embedder.calls)
    again = await insert(talk, store)
    assert (again["numAdded"], again["numSkipped"], again["addedDocs"]) == (0, 2, [])
    assert len(embedder.calls) == calls
    await talk.holds_together()


async def test_a_store_with_vectors_keeps_them_in_step_with_what_is_processed(talk: Talk) -> None:
    store = await talk.store()
    await insert(talk, store)
    await stage(talk, store, ("a.txt", passages("Alpha")))
    assert len(await talk.query(store, "Alpha")) == 1
    await talk.holds_together()


async def test_an_insert_of_one_loader_leaves_the_others(talk: Talk) -> None:
    store = await talk.store()
    first = await stage(talk, store, ("a.txt", passages("Alpha")))
    await stage(talk, store, ("b.txt", passages("Beta")))
    assert (await insert(talk, store, docId=first))["numAdded"] == 1
    assert [doc["metadata"]["source"] for doc in await talk.query(store, "Alpha Beta")] == ["a.txt"]
    assert (await talk.read(store))["status"] == "SYNC"
    assert (await insert(talk, store))["numAdded"] == 1
    assert len(await talk.query(store, "Alpha Beta")) == 2
    await talk.holds_together()


async def test_an_upsert_of_what_is_listed_indexes_it(talk: Talk) -> None:
    store = await talk.store()
    await stage(talk, store, ("a.txt", passages("Alpha", "Beta")))
    answer = await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    assert (answer["numAdded"], answer["numSkipped"]) == (2, 0)
    assert len(await talk.query(store, "Alpha")) == 2
    await talk.holds_together()


@pytest.mark.parametrize("one", [False, True])
async def test_vectors_that_are_removed_leave_the_chunks_listed(talk: Talk, one: bool) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", passages("Alpha")))
    await talk.upsert(store, ("b.txt", passages("Beta")))
    url = f"{API}/vectorstore/{store}" + (f"?docId={first['docId']}" if one else "")
    for _ in range(2):
        response = await talk.client.delete(url)
        assert (response.status_code, response.content) == (200, b"")
        assert [doc["metadata"]["source"] for doc in await talk.query(store, "Alpha Beta")] == ["b.txt"] * one
        assert len(await talk.texts(store)) == 2
        assert (await talk.read(store))["status"] == "SYNC"
        await talk.holds_together()
    assert (await insert(talk, store))["numAdded"] == 2 - one
    assert len(await talk.query(store, "Alpha Beta")) == 2
    await talk.holds_together()
    tables = await talk.rows("SELECT tablename FROM pg_tables WHERE tablename LIKE 'vectors_ds_%%'")
    assert len(tables) == 1


async def test_without_its_vectors_a_store_takes_another_embedding(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    other = {"embeddingName": "fake", "embeddingConfig": {"dimension": 8}}
    for path in ("save", "insert"):
        refused = await talk.client.post(f"{API}/vectorstore/{path}", json={"storeId": store, **other})
        assert (refused.status_code, refused.json()["code"]) == (409, "embedding_changed")
        command = f"`ragstone store reindex {store} --embedding fake --config '{json.dumps(other['embeddingConfig'])}'`"
        assert command in refused.json()["message"]
    await talk.client.delete(f"{API}/vectorstore/{store}")
    assert (await insert(talk, store, **other))["numAdded"] == 1
    assert len(await talk.query(store, "Alpha")) == 1
    await talk.holds_together()


async def test_saving_clears_what_is_left_out_and_updating_does_not(talk: Talk) -> None:
    store = await talk.store()
    manager = {"recordManagerName": "postgresRecordManager", "recordManagerConfig": {"cleanup": "full"}}
    body = {"storeId": store, "embeddingName": "fake", "embeddingConfig": {"dimension": 16}, **manager}
    saved = (await talk.client.post(f"{API}/vectorstore/save", json=body)).json()
    assert saved["embeddingConfig"] == '{"name": "fake", "config": {"dimension": 16}}'
    assert saved["vectorStoreConfig"] is None
    updated = await talk.client.post(
        f"{API}/vectorstore/update",
        json={"storeId": store, "vectorStoreName": "postgres", "vectorStoreConfig": {"topK": 4}},
    )
    assert updated.json()["vectorStoreConfig"] == '{"name": "postgres", "config": {"topK": 4}}'
    assert updated.json()["recordManagerConfig"] == saved["recordManagerConfig"] is not None
    assert (await talk.client.post(f"{API}/vectorstore/update", json={"storeId": store})).json() == {}
    cleared = (await talk.client.post(f"{API}/vectorstore/save", json={"storeId": store})).json()
    assert {cleared[key] for key in ("embeddingConfig", "vectorStoreConfig", "recordManagerConfig")} == {None}
    await talk.client.post(f"{API}/vectorstore/save", json=body)
    await insert(talk, store)
    assert (await talk.read(store))["recordManagerConfig"] is not None
    await insert(talk, store, isStrictSave=True)
    assert (await talk.read(store))["recordManagerConfig"] is None


async def test_what_cannot_be_configured_is_refused_before_anything_is_written(talk: Talk) -> None:
    store = await talk.store()
    unknown = "00000000-0000-4000-8000-00000000dead"
    for path in ("save", "insert", "update"):
        url = f"{API}/vectorstore/{path}"
        assert (await talk.client.post(url)).status_code == 412
        assert (await talk.client.post(url, json={})).status_code == 412
        body = {"storeId": unknown, "vectorStoreName": "postgres"}
        assert (await talk.client.post(url, json=body)).status_code == 404
        odd = await talk.client.post(url, json={"storeId": store, "vectorStoreName": "weaviate"})
        assert (odd.status_code, "weaviate" in odd.json()["message"]) == (422, True)
    for fields in ({"embeddingName": "nobody"}, {"embeddingConfig": {"a": 1}}, {"recordManagerName": "nobody"}):
        refused = await talk.client.post(f"{API}/vectorstore/insert", json={"storeId": store, **fields})
        assert refused.status_code == 422, refused.text
    refused = await talk.client.post(f"{API}/vectorstore/insert", json={"storeId": store, "docId": unknown})
    assert refused.status_code == 404
    assert (await talk.client.delete(f"{API}/vectorstore/{unknown}")).status_code == 404
    assert (await talk.client.delete(f"{API}/vectorstore/{store}?docId={unknown}")).status_code == 404
    assert await talk.rows("SELECT id FROM jobs") == []


async def test_an_insert_that_nobody_waits_for_is_a_job(talk: Talk) -> None:
    store = await talk.store()
    await stage(talk, store, ("a.txt", passages(*[f"Topic{number}" for number in range(200)])))
    response = await talk.client.post(
        f"{API}/vectorstore/insert", json={"storeId": store}, headers={"Prefer": "respond-async"}
    )
    assert (response.status_code, response.headers["Preference-Applied"]) == (202, "respond-async")
    ended = await talk.end(response.headers["Location"])
    assert (ended["kind"], ended["state"], ended["result"]["numAdded"]) == ("index", "done", 200)
    assert (ended["done"], ended["total"]) == (200, 200)
    await talk.holds_together()


async def test_how_much_there_is_to_do_is_told_before_any_of_it_is_done(talk: Talk) -> None:
    with OpenAIStub() as stub:
        store = await talk.store(embeddingConfig={"name": "openAIEmbeddings", "config": {"basepath": stub.url}})
        stub.script(Script(), times=1)  # the size of the vectors
        stub.script(Script(hang=True), times=None)
        job = await talk.start(store, ("a.txt", passages(*[f"Topic{number}" for number in range(150)])))
        async with asyncio.timeout(60):
            while (told := (await talk.client.get(job)).json())["total"] is None:  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.02)
        assert (told["state"], told["stage"], told["done"], told["total"]) == ("running", "indexing", 0, 150)
        assert (await talk.client.delete(job)).status_code == 200
    await talk.holds_together()
