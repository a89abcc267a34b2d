import asyncio
import json
import re
from uuid import uuid4

import httpx
import pytest

from service.resources import Resources
from service.worker.runner import Runner
from tests.service.document_stores.talk import API, FAKE, Talk, passages
from tests.service.jobs.test_steering import working

NOWHERE = "8b0e33c6-6a7e-4a39-9c62-1f3f2f0c2b11"
"""The id of nothing."""
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_a_store_is_made_raw_and_read_whole(client: httpx.AsyncClient, talk: Talk) -> None:
    body = {"name": " Handbook ", "description": "For all", "embeddingConfig": json.dumps(FAKE), "status": "UPSERTED"}
    made = (await client.post(f"{API}/store", json=body)).json()
    assert (made["name"], made["description"], made["status"]) == ("Handbook", "For all", "EMPTY")
    assert (made["loaders"], made["whereUsed"], made["vectorStoreConfig"]) == ("[]", "[]", None)
    assert json.loads(made["embeddingConfig"]) == FAKE
    assert DATE.fullmatch(made["createdDate"])
    read = await talk.read(made["id"])
    assert (read["loaders"], read["whereUsed"], read["embeddingConfig"]) == ([], [], FAKE)
    assert (read["totalChars"], read["totalChunks"], read["status"]) == (0, 0, "EMPTY")
    assert set(made) ^ set(read) == {"totalChars", "totalChunks", "restricted"}


async def test_a_store_is_changed_in_part(client: httpx.AsyncClient, talk: Talk) -> None:
    store = await talk.store()
    changed = (await client.put(f"{API}/store/{store}", json={"description": "New"})).json()
    assert (changed["name"], changed["description"]) == ("Handbook", "New")
    changed = (await client.put(f"{API}/store/{store}", json={"name": "Other", "description": None})).json()
    assert (changed["name"], changed["description"], changed["embeddingConfig"]) == ("Other", None, FAKE)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 501}, "name"),
        ({"name": "A", "embeddingConfig": "{"}, "embeddingConfig"),
        ({"name": "A", "embeddingConfig": {"name": "nobodysEmbeddings"}}, "openAIEmbeddings"),
        ({"name": "A", "vectorStoreConfig": {"name": "weaviate"}}, "pgvector"),
        ({"name": "A", "recordManagerConfig": {"name": "diary"}}, "postgresRecordManager"),
    ],
)
async def test_a_store_that_cannot_be_is_not_made(
    client: httpx.AsyncClient, body: dict[str, object], word: str
) -> None:
    response = await client.post(f"{API}/store", json=body)
    assert response.status_code == 422
    assert word in response.json()["error"]
    assert (await client.get(f"{API}/store")).json() == []


async def test_stores_are_listed_newest_change_first_as_list_or_page(client: httpx.AsyncClient, talk: Talk) -> None:
    ids = [await talk.store(f"Store {number}") for number in range(3)]
    await client.put(f"{API}/store/{ids[0]}", json={"description": "touched"})
    listed = (await client.get(f"{API}/store")).json()
    assert [store["id"] for store in listed] == [ids[0], ids[2], ids[1]]
    page = (await client.get(f"{API}/store", params={"page": 2, "limit": 2})).json()
    assert (page["total"], [store["id"] for store in page["data"]]) == (3, [ids[1]])
    beyond = (await client.get(f"{API}/store", params={"page": 9, "limit": 2})).json()
    assert beyond == {"total": 3, "data": []}


@pytest.mark.usefixtures("worker")
async def test_chunks_come_in_pages_of_fifty(talk: Talk) -> None:
    store = await talk.store()
    topics = [f"Topic{number}" for number in range(70)]
    first = await talk.upsert(store, ("a.txt", passages(*topics[:55])))
    await talk.upsert(store, ("b.txt", passages(*topics[55:])))
    pages = [await talk.chunks(store, page=number) for number in (1, 2, 3)]
    assert [len(page["chunks"]) for page in pages] == [50, 20, 0]
    assert [page["count"] for page in pages] == [70, 70, 70]
    chunks = [chunk for page in pages for chunk in page["chunks"]]
    assert [chunk["chunkNo"] for chunk in chunks] == [*range(1, 56), *range(1, 16)]
    assert [chunk["pageContent"].split()[0] for chunk in chunks] == topics
    assert pages[0]["characters"] == sum(len(chunk["pageContent"]) for chunk in chunks)
    assert pages[0]["docId"] == "all"
    assert pages[0]["file"] is None
    one = await talk.chunks(store, first["docId"], page=2)
    assert (one["count"], len(one["chunks"]), one["currentPage"], one["docId"]) == (55, 5, 2, first["docId"])
    assert (one["file"]["id"], one["file"]["storeId"]) == (first["docId"], store)
    assert {chunk["docId"] for chunk in one["chunks"]} == {first["docId"]}
    assert isinstance(one["chunks"][0]["metadata"], str)
    for loader in (str(uuid4()), "nonsense"):
        assert (await talk.client.get(f"{API}/chunks/{store}/{loader}/1")).status_code == 404
    assert (await talk.client.get(f"{API}/chunks/{store}/all/0")).status_code == 412
    for far in (2**31, 10**25):
        beyond = await talk.chunks(store, page=far)
        assert (beyond["chunks"], beyond["count"], beyond["currentPage"]) == ([], 70, far)


@pytest.mark.usefixtures("worker")
async def test_a_deleted_store_is_gone_at_once_and_leaves_nothing(
    client: httpx.AsyncClient, talk: Talk, resources: Resources
) -> None:
    other = await talk.store("Stays")
    await talk.upsert(other, ("a.txt", passages("Alpha")))
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta")))
    assert await talk.query(store, "Alpha")
    assert (await client.delete(f"{API}/store/{store}")).json() == {"deleted": 1}
    for response in (
        await client.get(f"{API}/store/{store}"),
        await client.delete(f"{API}/store/{store}"),
        await client.get(f"{API}/chunks/{store}/all/1"),
        await client.get(f"{API}/documents/{store}"),
        await client.put(f"{API}/store/{store}", json={"name": "Back"}),
        await client.post(f"{API}/vectorstore/query", json={"storeId": store, "query": "Alpha"}),
        await talk.send(store, ("c.txt", "Gamma.")),
    ):
        assert response.status_code == 404
        assert store in response.json()["error"]
    await talk.settled()
    for table in ("documents", "chunks", "loaders", "lexical_indexes", "lexical_segments", "lexical_postings"):
        assert {str(row["store_id"]) for row in await talk.rows(f"SELECT store_id FROM {table}")} == {other}
    assert len(await talk.rows("SELECT 1 AS one FROM pg_tables WHERE tablename LIKE 'vectors_ds_%%'")) == 1
    assert len([key async for key in resources.blobs.keys()]) == 1  # noqa: SIM118 - no mapping
    assert len(await talk.query(other, "Alpha")) == 1
    await talk.holds_together()


@pytest.mark.parametrize("gone", ["store", "job"])
async def test_the_upload_of_a_deleted_document_goes_though_the_job_that_removes_it_is_ended_before(
    client: httpx.AsyncClient, talk: Talk, resources: Resources, gone: str
) -> None:
    async with working(resources):
        store = await talk.store()
        await talk.upsert(store, ("a.txt", "Alpha."))
    (document,) = await talk.documents(store)
    assert (await client.delete(f"{API}/documents/{store}/{document['id']}")).status_code == 200
    if gone == "store":
        assert (await client.delete(f"{API}/store/{store}")).status_code == 200
    else:
        for job in (await client.get("/api/v1/jobs", params={"state": "queued"})).json():
            assert (await client.delete(job["url"])).json()["state"] == "cancelled"
    async with working(resources):
        await talk.holds_together()
    assert [key async for key in resources.blobs.keys()] == []  # noqa: SIM118 - no mapping


@pytest.mark.usefixtures("worker")
async def test_another_workspace_sees_nothing_of_it(
    talk: Talk, foreign: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    store = await talk.store()
    answer = await talk.upsert(store, ("a.txt", passages("Alpha")))
    job = await talk.start(store, ("b.txt", passages("Beta")))
    await talk.end(job)
    for response in (
        await foreign.get(f"{API}/store/{store}"),
        await foreign.put(f"{API}/store/{store}", json={"name": "Mine"}),
        await foreign.delete(f"{API}/store/{store}"),
        await foreign.get(f"{API}/documents/{store}"),
        await foreign.get(f"{API}/chunks/{store}/all/1"),
        await foreign.get(f"{API}/chunks/{store}/{answer['docId']}/1"),
        await foreign.post(f"{API}/vectorstore/query", json={"storeId": store, "query": "Alpha"}),
        await foreign.post(f"{API}/upsert/{store}", files={"files": ("a.txt", b"Mine now.")}),
        await foreign.post(
            f"{API}/upsert/{store}",
            data={"docId": answer["docId"], "createNewDocStore": "true"},
            files={"files": ("a.txt", b"Mine now.")},
        ),
        await foreign.get(job),
        await foreign.delete(job),
    ):
        assert response.status_code == 404
    assert (await foreign.get(f"{API}/store")).json() == []
    assert (await foreign.get("/api/v1/jobs")).json() == []
    assert (await talk.read(store))["name"] == "Handbook"
    await talk.holds_together()


@pytest.mark.usefixtures("worker")
async def test_questions_are_limited_filtered_and_never_break_anything(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    assert await talk.query(store, "Alpha") == []
    for number, topic in enumerate(("Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta")):
        await talk.upsert(
            store, (f"{topic}.txt", passages(topic)), metadata={"number": number, "odd": bool(number % 2)}
        )
    assert len(await talk.query(store, "Alpha")) == 4
    assert len(await talk.query(store, "Alpha", topK="2")) == 2
    assert len(await talk.query(store, "Alpha", topK=1000)) == 6
    assert len(await talk.query(store, "Alpha", topK="")) == 4
    best = (await talk.query(store, "Alpha1 Alpha2"))[0]
    assert (best["metadata"]["source"], best["chunkNo"]) == ("Alpha.txt", 1)
    assert best["id"] in {chunk["id"] for chunk in (await talk.chunks(store))["chunks"]}
    odd = await talk.query(store, "Alpha", filter={"odd": True})
    assert {doc["metadata"]["number"] for doc in odd} == {1, 3, 5}
    some = await talk.query(store, "Alpha", filter={"$and": [{"number": {"$gte": 2}}, {"number": {"$lt": 4}}]})
    assert {doc["metadata"]["number"] for doc in some} == {2, 3}
    assert await talk.query(store, "Alpha", filter={"number": 99}) == []
    for inputs, words in (
        ({"filter": {"number": {"$near": 2}}}, "$near"),
        ({"topK": 0}, "topK"),
        ({"topK": "many"}, "topK"),
        ({"topK": 1001}, "topK"),
    ):
        response = await client.post(
            f"{API}/vectorstore/query", json={"storeId": store, "query": "A", "inputs": inputs}
        )
        assert response.status_code == 422
        assert words in response.json()["error"]
    strategy = {"storeId": store, "query": "Alpha", "strategy": "astrology"}
    response = await client.post(f"{API}/vectorstore/query", json=strategy)
    assert response.status_code == 422
    assert "hybrid" in response.json()["error"]
    assert (await client.post(f"{API}/vectorstore/query", json={**strategy, "strategy": "similarity"})).is_success
    for text in ("\x00", "Alp\x00ha", "\ud83e", " ", "'; DROP TABLE chunks; --", "🦊" * 500, "%s %(store)s \\"):
        body = json.dumps({"storeId": store, "query": text})
        assert (await client.post(f"{API}/vectorstore/query", content=body)).status_code in (200, 422)


@pytest.mark.usefixtures("worker")
async def test_two_who_change_one_store_at_once_mix_nothing(client: httpx.AsyncClient, talk: Talk) -> None:
    store = await talk.store()
    await asyncio.gather(
        *(
            client.put(f"{API}/store/{store}", json={"name": f"Name {number}", "description": f"Name {number}"})
            for number in range(20)
        )
    )
    read = await talk.read(store)
    assert read["name"] == read["description"]


async def test_a_document_store_that_was_read_can_be_changed_and_written_back(
    client: httpx.AsyncClient, talk: Talk, worker: Runner
) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    read = await talk.read(store)
    changed = await client.put(f"{API}/store/{store}", json={**read, "description": "New"})
    assert (changed.status_code, changed.json()["loaders"]) == (200, read["loaders"])
    texts = {key: json.dumps(read[key]) for key in ("loaders", "whereUsed")}
    changed = await client.put(f"{API}/store/{store}", json={"name": "Other", **texts})
    assert (changed.status_code, changed.json()["name"]) == (200, "Other")
    nothings: tuple[object, ...] = ([], "[]", "", None)
    for nothing in nothings:
        changed = await client.put(f"{API}/store/{store}", json={"loaders": nothing, "whereUsed": nothing})
        assert (changed.status_code, changed.json()["loaders"]) == (200, read["loaders"])


@pytest.mark.parametrize(
    ("loaders", "field"),
    [
        ([{"id": NOWHERE}], "loaders[0].id"),
        (json.dumps([{"id": NOWHERE}]), "loaders[0].id"),
        ([{"loaderId": "plainText"}], "loaders[0].id"),
        ([7], "loaders[0].id"),
        ("[", "loaders"),
        ('{"id": 1}', "loaders"),
    ],
)
async def test_loaders_that_are_not_there_are_refused(
    client: httpx.AsyncClient, talk: Talk, loaders: object, field: str
) -> None:
    store = await talk.store()
    made = await client.post(f"{API}/store", json={"name": "New", "loaders": loaders})
    changed = await client.put(f"{API}/store/{store}", json={"name": "New", "loaders": loaders})
    for answer in (made, changed):
        assert answer.status_code == 422, answer.text
        assert answer.json()["message"].startswith(f"{field}: ")
    (kept,) = (await client.get(f"{API}/store")).json()
    assert kept["name"] == "Handbook"
    assert (await client.put(f"{API}/store/{uuid4()}", json={"loaders": [{"id": str(uuid4())}]})).status_code == 404
