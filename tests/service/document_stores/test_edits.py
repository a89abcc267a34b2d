"""Edits and deletions of single chunks, of documents and of loaders."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from service.providers.embedding.fake import FakeEmbedder
from tests.service.document_stores.talk import API, Talk, passages
from tests.service.document_stores.test_indexing import insert, stage
from tests.service.document_stores.test_races import Gate

pytestmark = pytest.mark.usefixtures("worker")


async def edit(talk: Talk, store: str, chunk: dict[str, Any], text: str, **fields: Any) -> httpx.Response:
    path = f"{API}/chunks/{store}/{chunk['docId']}/{chunk['id']}"
    return await talk.client.put(path, json={"pageContent": text, **fields})


async def remove(talk: Talk, store: str, chunk: dict[str, Any]) -> httpx.Response:
    return await talk.client.delete(f"{API}/chunks/{store}/{chunk['docId']}/{chunk['id']}")


async def first(talk: Talk, store: str) -> dict[str, Any]:
    chunk: dict[str, Any] = (await talk.chunks(store))["chunks"][0]
    return chunk


async def words(talk: Talk, store: str, query: str) -> list[str]:
    """The first word of each chunk that has a word of the query: by the keyword index alone."""
    rows = await talk.rows("SELECT id FROM document_stores WHERE id = %s", store)
    async with talk.resources.database.read(talk.workspace) as scope:
        hits = await talk.resources.lexical.search(scope, rows[0]["id"], query, 100)
    found = await talk.rows("SELECT text FROM chunks WHERE number = ANY(%s) ORDER BY text", hits.numbers.tolist())
    return [row["text"].split()[0] for row in found]


async def test_an_edit_reaches_both_halves_of_the_search(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    before = await first(talk, store)
    length = (await talk.chunks(store))["characters"]
    response = await edit(talk, store, before, "Gamma is new.")
    assert response.status_code == 200, response.text
    page = response.json()
    assert page["chunks"][0]["pageContent"] == "Gamma is new."
    assert (page["count"], page["chunks"][0]["id"], page["currentPage"]) == (2, before["id"], 1)
    assert page["characters"] == length - len(before["pageContent"]) + len("Gamma is new.")
    assert page["chunks"][0]["metadata"] == before["metadata"]
    assert embedder.calls[-1] == ("Gamma is new.",)
    assert await words(talk, store, "Alpha") == []
    assert await words(talk, store, "Gamma") == ["Gamma"]
    (found, _) = await talk.query(store, "Gamma is new.")
    assert (found["pageContent"], found["id"], found["similarity"]) == ("Gamma is new.", before["id"], pytest.approx(1))
    await talk.holds_together()


async def test_an_edit_of_the_metadata_alone_embeds_nothing_and_is_filtered_by(
    talk: Talk, embedder: FakeEmbedder
) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    chunk = await first(talk, store)
    calls = len(embedder.calls)
    metadata = {"source": "a.txt", "rank": 1.0, "mark": "ü"}
    response = await edit(talk, store, chunk, chunk["pageContent"], metadata=metadata)
    assert json.loads(response.json()["chunks"][0]["metadata"]) == metadata
    assert len(embedder.calls) == calls
    (found,) = await talk.query(store, "Alpha", filter={"mark": "ü"})
    assert found["id"] == chunk["id"]
    await talk.holds_together()


async def test_metadata_may_come_back_as_chunks_show_them(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", "Alpha."), metadata={"page": 2, "tags": ["x", None]})
    chunk = await first(talk, store)
    response = await edit(talk, store, chunk, "Beta.", metadata=chunk["metadata"])
    assert response.status_code == 200, response.text
    edited = await first(talk, store)
    assert (edited["pageContent"], json.loads(edited["metadata"])) == ("Beta.", json.loads(chunk["metadata"]))
    for metadata, word in (("{page", "metadata: not valid JSON"), ("[1]", "metadata: Input should be a valid dict")):
        response = await edit(talk, store, chunk, "Gamma.", metadata=metadata)
        assert response.status_code == 422
        assert word in response.json()["message"]
    await talk.holds_together()


async def test_a_chunk_that_is_not_indexed_is_edited_and_then_indexed(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    await stage(talk, store, ("a.txt", passages("Alpha", "Beta")))
    await edit(talk, store, await first(talk, store), "Gamma is new.")
    assert embedder.calls == []
    assert (await insert(talk, store))["numAdded"] == 2
    assert await words(talk, store, "Gamma Alpha") == ["Gamma"]
    await talk.holds_together()


async def test_edits_last_until_the_source_changes_or_its_loader_is_made_anew(talk: Talk) -> None:
    store = await talk.store()
    answer = await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Delta")))
    chunks = (await talk.chunks(store))["chunks"]

    async def spoil() -> None:
        assert (await edit(talk, store, chunks[0], "Gamma is new.")).status_code == 200
        assert (await remove(talk, store, chunks[1])).status_code == 200
        assert [text.split()[0] for text in await talk.texts(store)] == ["Gamma", "Delta"]

    await spoil()
    again = await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Delta")))
    assert (again["numAdded"], again["numUpdated"], again["numSkipped"]) == (0, 0, 2)
    assert [text.split()[0] for text in await talk.texts(store)] == ["Gamma", "Delta"]
    replaced = await talk.upsert(store, docId=answer["docId"], replaceExisting="true")
    assert (replaced["numAdded"], replaced["numUpdated"], replaced["numSkipped"]) == (1, 1, 1)
    assert [text.split()[0] for text in await talk.texts(store)] == ["Alpha", "Beta", "Delta"]
    assert await words(talk, store, "Gamma Alpha Beta") == ["Alpha", "Beta"]
    await talk.holds_together()
    await spoil()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Delta", "Eta")))
    assert [text.split()[0] for text in await talk.texts(store)] == ["Alpha", "Beta", "Delta", "Eta"]
    assert {chunk["id"] for chunk in chunks} < {chunk["id"] for chunk in (await talk.chunks(store))["chunks"]}
    await talk.holds_together()


async def test_a_deleted_chunk_is_gone_and_the_others_keep_their_numbers(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Delta")))
    before = (await talk.chunks(store))["chunks"]
    page = (await remove(talk, store, before[1])).json()
    assert [(chunk["chunkNo"], chunk["id"]) for chunk in page["chunks"]] == [(1, before[0]["id"]), (3, before[2]["id"])]
    assert (page["count"], page["characters"]) == (2, sum(len(before[n]["pageContent"]) for n in (0, 2)))
    assert (await talk.read(store))["totalChunks"] == 2
    assert {doc["id"] for doc in await talk.query(store, "Beta")} == {before[0]["id"], before[2]["id"]}
    assert (await remove(talk, store, before[1])).status_code == 404
    assert (await edit(talk, store, before[1], "Gamma")).status_code == 404
    await talk.holds_together()


async def test_what_cannot_be_an_edit_is_refused(talk: Talk, foreign: httpx.AsyncClient) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    other = await talk.upsert(store, ("b.txt", passages("Beta")))
    chunk = await first(talk, store)
    for text in ("", " \n"):
        assert (await edit(talk, store, chunk, text)).status_code == 422
    long = await edit(talk, store, chunk, "a" * (talk.resources.settings.max_chunk_text + 1))
    assert (long.status_code, "max_chunk_text" in long.json()["message"]) == (413, True)
    wide = await edit(talk, store, chunk, "Gamma", metadata={"a": "b" * talk.resources.settings.max_metadata})
    assert (wide.status_code, "max_metadata" in wide.json()["message"]) == (413, True)
    for odd in ({**chunk, "id": str(uuid4())}, {**chunk, "docId": other["docId"]}, {**chunk, "docId": str(uuid4())}):
        assert (await edit(talk, store, odd, "Gamma")).status_code == 404
        assert (await remove(talk, store, odd)).status_code == 404
    path = f"{API}/chunks/{store}/{chunk['docId']}/{chunk['id']}"
    assert (await foreign.put(path, json={"pageContent": "Gamma"})).status_code == 404
    assert (await foreign.delete(path)).status_code == 404
    assert [text.split()[0] for text in await talk.texts(store)] == ["Alpha", "Beta"]


async def test_an_edit_while_its_document_is_made_anew_is_refused(
    talk: Talk, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(embedder, monkeypatch)
    gate.open.set()
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    chunk = await first(talk, store)
    gate.open.clear()
    job = await talk.start(store, ("a.txt", passages("Alpha", "Beta")))
    await gate.waiting.wait()
    for response in (await edit(talk, store, chunk, "Gamma"), await remove(talk, store, chunk)):
        assert (response.status_code, response.json()["code"]) == (409, "document_busy")
    gate.open.set()
    await talk.end(job)
    assert (await edit(talk, store, chunk, "Gamma")).status_code == 200
    await talk.holds_together()


async def test_of_two_edits_at_once_one_is_last_and_whole(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    chunk = await first(talk, store)
    texts = [f"Gamma{number} is new." for number in range(4)]
    answers = await asyncio.gather(*(edit(talk, store, chunk, text) for text in texts))
    assert {answer.status_code for answer in answers} <= {200, 409}
    (left,) = await talk.texts(store)
    assert left in texts
    assert await words(talk, store, " ".join(text.split()[0] for text in texts)) == [left.split()[0]]
    await talk.holds_together()


async def test_a_deleted_loader_leaves_nothing(talk: Talk) -> None:
    store = await talk.store()
    answer = await talk.upsert(store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta")))
    await talk.upsert(store, ("c.txt", passages("Delta")))
    path = f"{API}/loader/{store}/{answer['docId']}"
    gone = await talk.client.delete(path)
    assert gone.status_code == 200, gone.text
    assert ([loader["totalChunks"] for loader in gone.json()["loaders"]], gone.json()["status"]) == ([1], "UPSERTED")
    assert [doc["metadata"]["source"] for doc in await talk.query(store, "Alpha Beta")] == ["c.txt"]
    assert await words(talk, store, "Alpha Beta Delta") == ["Delta"]
    assert [document["name"] for document in await talk.documents(store)] == ["c.txt"]
    assert (await talk.chunks(store))["count"] == 1
    again = await talk.client.delete(path)
    assert (again.status_code, again.json()["code"]) == (404, "not_found")
    await talk.holds_together()
    assert len([key async for key in talk.resources.blobs.keys()]) == 1  # noqa: SIM118 - no mapping


async def test_a_deleted_document_leaves_the_others_of_its_loader(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta")))
    document = (await talk.documents(store))[0]
    path = f"{API}/documents/{store}/{document['id']}"
    left = (await talk.client.delete(path)).json()
    assert [file["name"] for file in left["loaders"][0]["files"]] == ["b.txt"]
    assert [doc["metadata"]["source"] for doc in await talk.query(store, "Alpha Beta")] == ["b.txt"]
    assert (await talk.client.delete(path)).status_code == 404
    await talk.holds_together()


async def test_a_loader_that_is_deleted_while_it_is_filled_leaves_nothing(
    talk: Talk, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(embedder, monkeypatch)
    store = await talk.store()
    gate.free = 1
    job = await talk.start(store, ("a.txt", passages(*[f"Topic{number}" for number in range(200)])))
    await gate.waiting.wait()
    loader = (await talk.read(store))["loaders"][0]["id"]
    assert (await talk.client.delete(f"{API}/loader/{store}/{loader}")).status_code == 200
    gate.open.set()
    assert (await talk.end(job))["state"] == "cancelled"
    await talk.holds_together()
    assert await talk.rows("SELECT id FROM chunks") == []
    assert [key async for key in talk.resources.blobs.keys()] == []  # noqa: SIM118 - no mapping
