"""The same text is embedded once in a document store, whatever brings it again."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from service.providers.embedding.fake import FakeEmbedder
from service.resources import Resources
from tests.service.document_stores.talk import API, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")


def given(embedder: FakeEmbedder) -> list[str]:
    """The first word of every text that was embedded since this was asked last."""
    found = [text.split()[0] for call in embedder.calls for text in call]
    embedder.calls.clear()
    return found


async def result(talk: Talk, answer: dict[str, Any]) -> dict[str, Any]:
    """What the job behind an answer says."""
    found: dict[str, Any] = (await talk.client.get(f"/api/v1/jobs/{answer['jobId']}")).json()["result"]
    return found


async def best(talk: Talk, store: str, text: str) -> tuple[str, float]:
    """What is nearest to a text: its first word, and how near it is."""
    body = {"storeId": store, "query": text, "strategy": "similarity"}
    docs = (await talk.client.post(f"{API}/vectorstore/query", json=body)).json()["docs"]
    return docs[0]["pageContent"].split()[0], docs[0]["similarity"]


async def points(talk: Talk, resources: Resources, store: str) -> tuple[str, list[str]]:
    """The collection of a document store, and the ids of what it holds."""
    (row,) = await talk.rows("SELECT collection FROM document_stores WHERE id = %s", UUID(store))
    return row["collection"], await resources.vectors.ids(row["collection"])


async def test_a_file_that_comes_again_under_another_name_is_not_embedded(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    text = passages("Alpha", "Beta", "Gamma")
    first = await talk.upsert(store, ("old.txt", text))
    assert ((await result(talk, first))["numEmbedded"], given(embedder)) == (3, ["Alpha", "Beta", "Gamma"])
    renamed = await talk.upsert(store, ("new.txt", text), docId=first["docId"], replaceExisting="true")
    assert (renamed["numAdded"], renamed["numDeleted"], given(embedder)) == (3, 3, [])
    assert (await result(talk, renamed))["numEmbedded"] == 0
    assert {document["name"] for document in await talk.documents(store)} == {"new.txt"}
    beside = await talk.upsert(store, ("third.txt", text + "\n\n" + passages("Delta")))
    assert (beside["numAdded"], given(embedder)) == (4, ["Delta"])
    beta = (await talk.texts(store))[1]
    found, score = await best(talk, store, beta)
    assert found == "Beta"
    assert score == pytest.approx(1, abs=1e-5)
    await talk.holds_together()


async def test_equal_texts_of_one_call_are_embedded_once_over_all_batches(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    text = passages(*(f"Topic{number}" for number in range(100)))  # more than a batch
    made = await talk.upsert(store, ("a.txt", text), ("b.txt", text), ("c.txt", passages("Same", "Same", "Other")))
    assert made["numAdded"] == 203
    assert sorted(given(embedder)) == sorted([*(f"Topic{number}" for number in range(100)), "Same", "Other"])
    assert (await result(talk, made))["numEmbedded"] == 102
    await talk.holds_together()


async def test_vectors_that_are_lost_are_made_again(talk: Talk, embedder: FakeEmbedder, resources: Resources) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    collection, ids = await points(talk, resources, store)
    await resources.vectors.delete(collection, ids[:1])
    given(embedder)
    await talk.upsert(store, ("b.txt", passages("Alpha", "Beta")), docId=first["docId"], replaceExisting="true")
    assert given(embedder) == ["Alpha"]
    await talk.holds_together()


async def test_an_edited_chunk_lends_the_text_that_it_has_now(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    chunk = (await talk.chunks(store))["chunks"][0]
    body = {"pageContent": passages("Edited"), "metadata": {}}
    edited = await talk.client.put(f"{API}/chunks/{store}/{chunk['docId']}/{chunk['id']}", json=body)
    assert edited.status_code == 200, edited.text
    given(embedder)
    await talk.upsert(store, ("b.txt", passages("Alpha", "Edited")))
    assert given(embedder) == ["Alpha"]
    await talk.holds_together()


async def test_vectors_that_a_caller_brought_are_lent_to_nobody(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    tulips = embedder.embed_query("a sentence about tulips")
    body: dict[str, Any] = {"source": "faq", "chunks": [{"pageContent": "One.", "vector": tulips}, {"text": "Two."}]}
    assert (await talk.client.post(f"{API}/upsert/{store}", json=body)).status_code == 200
    given(embedder)
    await talk.upsert(store, ("a.txt", "One."))
    await talk.upsert(store, ("b.txt", "Two."))
    assert given(embedder) == ["One."]
    body = {"source": "another", "chunks": [{"text": "One."}, {"text": "Two."}]}
    assert (await talk.client.post(f"{API}/upsert/{store}", json=body)).status_code == 200
    assert given(embedder) == []
    copy = (await talk.client.get(f"{API}/store/{store}/export")).content
    store = (await talk.client.post(f"{API}/import", content=copy)).json()["storeId"]
    for document in await talk.documents(store):
        if document["name"] != "faq":
            gone = await talk.client.delete(f"{API}/documents/{store}/{document['id']}")
            assert gone.status_code == 200, gone.text
    await talk.upsert(store, ("c.txt", "One."))
    assert given(embedder) == ["One."]
    await talk.holds_together()


async def test_chunks_that_wait_for_their_first_vectors_are_embedded_once_a_text(
    talk: Talk, embedder: FakeEmbedder
) -> None:
    store = await talk.store()
    for name in ("a.txt", "b.txt"):
        await talk.upsert(store, (name, passages("Alpha", "Beta")))
    assert (await talk.client.delete(f"{API}/vectorstore/{store}")).status_code == 200
    given(embedder)
    inserted = await talk.client.post(f"{API}/vectorstore/insert", json={"storeId": store})
    assert (inserted.status_code, inserted.json()["numAdded"]) == (200, 4), inserted.text
    assert sorted(given(embedder)) == ["Alpha", "Beta"]
    await talk.holds_together()


async def test_two_jobs_at_once_with_one_text_both_end_well(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    text = passages("Alpha", "Beta")
    jobs = [await talk.start(store, (f"{number}.txt", text)) for number in range(4)]
    ended = await asyncio.gather(*(talk.end(job) for job in jobs))
    assert [job["result"]["numAdded"] for job in ended] == [2] * 4
    assert set(given(embedder)) == {"Alpha", "Beta"}
    await talk.holds_together()
