"""Copies of document stores: what they take over, what they embed, and how they end."""

import json
from typing import Any
from uuid import UUID

import pytest

from service.api_keys import service as api_keys
from service.document_stores.copying.service import forget_expired
from service.providers.embedding.fake import FakeEmbedder
from service.resources import Resources
from tests.service.document_stores.talk import API, FAKE, PASSAGES, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")

SMALL: dict[str, Any] = {"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 200, "chunkOverlap": 0}}


def given(embedder: FakeEmbedder) -> list[str]:
    """Every text that was embedded since this was asked last."""
    found = [text for call in embedder.calls for text in call]
    embedder.calls.clear()
    return found


async def copied(talk: Talk, store: str, **body: Any) -> dict[str, Any]:
    """A copy that must succeed: the answer."""
    response = await talk.client.post(f"{API}/store/{store}/copy", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_a_copy_holds_the_same_and_embeds_nothing(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")), ("b.txt", passages("Gamma")))
    await talk.upsert(store, ("c.txt", passages("Delta")), metadata={"team": "hr"})
    given(embedder)
    made = await copied(talk, store)
    copy = made["storeId"]
    assert (made["numChunks"], made["numEmbedded"], made["numLeftOut"], made["failed"]) == (4, 0, 0, [])
    assert given(embedder) == []
    assert await talk.texts(copy) == await talk.texts(store)
    read = await talk.read(copy)
    assert (read["name"], read["status"], read["totalChunks"]) == ("Handbook (copy)", "UPSERTED", 4)
    assert [loader["splitterConfig"] for loader in read["loaders"]] == [PASSAGES["config"]] * 2
    found = await talk.query(copy, passages("Delta"), strategy="similarity", topK=1)
    assert (found[0]["metadata"]["team"], found[0]["similarity"]) == ("hr", pytest.approx(1, abs=1e-5))
    await talk.holds_together()


async def test_a_copy_that_is_cut_otherwise_embeds_only_the_texts_that_are_new(
    talk: Talk, embedder: FakeEmbedder
) -> None:
    store = await talk.store()
    short = "Kiosks close at noon."
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")), ("short.txt", short))
    before = await talk.texts(store)
    given(embedder)
    made = await copied(talk, store, splitter=SMALL)
    texts = await talk.texts(made["storeId"])
    assert short in texts
    assert sorted(given(embedder)) == sorted(set(texts) - set(before))
    assert made["numEmbedded"] == len(set(texts) - set(before)) > 0
    assert max(map(len, texts)) <= 200
    again = await copied(talk, store, splitter={**SMALL, "config": {"chunkSize": 200, "chunkOverlap": 1}})
    assert (again["numEmbedded"], given(embedder)) == (0, []), "a sibling has these texts"
    assert await talk.texts(again["storeId"]) == texts
    assert await talk.texts(store) == before
    await talk.holds_together()


async def test_the_original_is_cut_anew_without_embedding_what_its_copy_has(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    made = await copied(talk, store, splitter=SMALL)
    given(embedder)
    (loader,) = (await talk.read(store))["loaders"]
    item = {"docId": loader["id"], "splitter": SMALL}
    done = await talk.client.post(f"{API}/refresh/{store}", json={"items": [item]})
    assert done.status_code == 200, done.text
    assert given(embedder) == []
    assert await talk.texts(store) == await talk.texts(made["storeId"])
    await talk.holds_together()


async def test_a_copy_with_another_embedding_borrows_nothing(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    other = {"name": "fake", "config": {"dimension": 24}}
    made = await copied(talk, store, embedding=other, name="Wider")
    assert made["numEmbedded"] == 2
    assert (await talk.read(made["storeId"]))["embeddingConfig"] == other
    (row,) = await talk.rows("SELECT fingerprint FROM document_stores WHERE id = %s", UUID(made["storeId"]))
    assert row["fingerprint"]["dimension"] == 24
    assert (await talk.query(made["storeId"], passages("Beta"), topK=1))[0]["pageContent"].startswith("Beta")
    await talk.holds_together()


async def test_what_may_be_found_by_some_only_stays_so(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")), principals=["group:hr"])
    await talk.upsert(store, ("b.txt", passages("Beta")))
    copy = (await copied(talk, store))["storeId"]
    assert [(each["name"], each["principals"]) for each in await talk.documents(copy)] == [
        ("a.txt", ["group:hr"]),
        ("b.txt", None),
    ]
    assert [loader["principals"] for loader in (await talk.read(copy))["loaders"]] == [["group:hr"], None]


async def test_chunks_that_callers_cut_stay_as_they_are(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    tulips = embedder.embed_query("a sentence about tulips")
    body: dict[str, Any] = {"source": "faq", "chunks": [{"pageContent": "One. " * 90, "vector": tulips}]}
    assert (await talk.client.post(f"{API}/upsert/{store}", json=body)).status_code == 200
    copy = (await copied(talk, store, splitter=SMALL))["storeId"]
    assert await talk.texts(copy) == await talk.texts(store)
    assert (await talk.query(copy, "a sentence about tulips", strategy="similarity"))[0]["similarity"] > 0.99
    await talk.holds_together()


async def test_failed_documents_are_left_out_and_lost_uploads_say_so(talk: Talk, resources: Resources) -> None:
    store = await talk.store()
    answer = await talk.upsert(store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta")), ("x.pdf", b"%PDF-"))
    assert len(answer["failed"]) == 1
    (row,) = await talk.rows("SELECT blob FROM documents WHERE name = 'b.txt'")
    await resources.blobs.delete(row["blob"])
    made = await copied(talk, store)
    assert (made["numLeftOut"], made["numChunks"]) == (1, 1)
    assert [(each["name"], each["code"]) for each in made["failed"]] == [("b.txt", "upload_lost")]


async def test_a_copy_for_a_while_is_listed_and_goes_when_its_time_has_come(talk: Talk, resources: Resources) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    stays = (await copied(talk, store))["storeId"]
    goes = (await copied(talk, store, hours=0.5, name="Trial"))["storeId"]
    rows = (await talk.client.get(f"{API}/store/{store}/copies")).json()
    assert [(row["id"], row["name"], row["expiresDate"] is None) for row in rows] == [
        (stays, "Handbook (copy)", True),
        (goes, "Trial", False),
    ]
    assert await forget_expired(resources) == 0
    await talk.rows("UPDATE document_stores SET expires_at = now() WHERE id = %s RETURNING id", UUID(goes))
    assert await forget_expired(resources) == 1
    assert await forget_expired(resources) == 0
    rows = (await talk.client.get(f"{API}/store/{store}/copies")).json()
    assert [row["id"] for row in rows] == [stays]
    await talk.holds_together()


async def test_a_copy_that_cannot_be_made_makes_nothing(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    for body, named in (
        ({"splitter": {"name": "scissors"}}, "splitter"),
        ({"splitter": {"config": {"chunkSize": 10}}}, "splitter.name"),
        ({"splitter": {**SMALL, "config": {"chunkSize": 0}}}, "chunkSize"),
        ({"embedding": {"name": "nobodysEmbeddings"}}, "nobodysEmbeddings"),
        ({"name": " "}, "name"),
        ({"hours": 0}, "hours"),
    ):
        response = await talk.client.post(f"{API}/store/{store}/copy", json=body)
        assert (response.status_code, named in response.text) == (422, True), (body, response.text)
    missing = await talk.client.post(f"{API}/store/{UUID(int=7)}/copy", json={})
    assert missing.status_code == 404
    assert (await talk.client.get(f"{API}/store/{UUID(int=7)}/copies")).status_code == 404
    assert len((await talk.client.get(f"{API}/store")).json()) == 1


async def test_the_copy_of_a_document_store_with_a_model_by_language_has_the_same_model(talk: Talk) -> None:
    made = await talk.client.post(f"{API}/store", json={"name": "By default"})
    store = made.json()["id"]
    await talk.upsert(store, ("a.txt", "Kiosks close at noon. They open again at two o'clock."))
    copy = (await copied(talk, store))["storeId"]
    rows = await talk.rows("SELECT fingerprint FROM document_stores WHERE id = ANY(%s)", [UUID(store), UUID(copy)])
    assert json.dumps(rows[0]["fingerprint"]) == json.dumps(rows[1]["fingerprint"])
    assert FAKE["name"] not in json.dumps(rows[0]["fingerprint"])


async def test_texts_are_sent_to_another_embedder_by_those_alone_who_configure_that(
    talk: Talk, resources: Resources, workspace: UUID, embedder: FakeEmbedder
) -> None:
    """Its address is the caller's to choose: a copy would be a way to read every document."""
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    given(embedder)
    for scopes, status in (
        (("documentStores:create", "documentStores:upsert-config"), 200),
        (("documentStores:create",), 403),
    ):
        _, secret = await api_keys.create(resources.database, workspace, "narrow", scopes)
        headers = {"Authorization": f"Bearer {secret}"}
        body = {"embedding": {**FAKE, "config": {**FAKE["config"], "dimension": 7}}}
        refused = await talk.client.post(f"{API}/store/{store}/copy", json=body, headers=headers)
        assert refused.status_code == status, refused.text
        plain = await talk.client.post(f"{API}/store/{store}/copy", json={}, headers=headers)
        assert plain.status_code == 200, plain.text
