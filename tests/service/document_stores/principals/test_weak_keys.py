"""Keys that bring documents but may not read them are shown nothing of what not everybody may find."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from service.api_keys import service as api_keys
from service.resources import Resources
from tests.application import speak
from tests.service.chatflows.flows import edge, graph, node
from tests.service.document_stores.talk import API, PASSAGES, Talk

pytestmark = pytest.mark.usefixtures("worker")

OPEN, HR = "The canteen of the house opens at noon.", "The salary of the canteen's cook is secret."
SCOPES = [
    "chatflows:update",
    "documentStores:create",
    "documentStores:add-loader",
    "documentStores:preview-process",
    "documentStores:upsert-config",
]
OTHERS: dict[str, Any] = {**PASSAGES, "config": {"chunkSize": 30, "chunkOverlap": 0}}


@pytest.fixture
async def weak(app: FastAPI, resources: Resources, workspace: UUID) -> AsyncIterator[httpx.AsyncClient]:
    """A key that may bring and configure, and read nothing."""
    _, secret = await api_keys.create(resources.database, workspace, "weak", SCOPES)
    async with speak(app, secret) as opened:
        yield opened


@pytest.fixture
async def store(talk: Talk) -> dict[str, Any]:
    """A document store of one open document and one of the group hr, by two loaders: their answers by name."""
    made = await talk.store()
    open_to_all = await talk.upsert(made, ("open.txt", OPEN))
    hr = await talk.upsert(made, ("hr.txt", HR), principals=["group:hr"])
    return {"id": made, "open": open_to_all["docId"], "hr": hr["docId"]}


def shows(response: httpx.Response) -> tuple[bool, bool]:
    """Whether an answer shows something of the open document, and of the other one."""
    assert response.status_code == 200, response.text
    return "canteen of the" in response.text, "salary" in response.text or "secret" in response.text


async def test_upserts_and_refreshes_show_what_everybody_may_find(
    weak: httpx.AsyncClient, client: httpx.AsyncClient, store: dict[str, Any]
) -> None:
    for caller, size, expected in ((weak, 30, (True, False)), (client, 25, (True, True))):
        items = [
            {"docId": store[name], "splitter": {**OTHERS, "config": {"chunkSize": size, "chunkOverlap": 0}}}
            for name in ("open", "hr")
        ]
        assert shows(await caller.post(f"{API}/refresh/{store['id']}", json={"items": items})) == expected
    body = {"docId": store["hr"], "splitter": OTHERS, "replaceExisting": True}
    answered = await weak.post(f"{API}/upsert/{store['id']}", json=body)
    assert not shows(answered)[1]


async def test_a_refresh_gives_no_document_to_others_than_before(
    weak: httpx.AsyncClient, client: httpx.AsyncClient, store: dict[str, Any]
) -> None:
    body = {"items": [{"docId": store["hr"], "principals": ["group:me"]}]}
    refused = await weak.post(f"{API}/refresh/{store['id']}", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "principals_not_believed")
    read = (await client.get(f"{API}/store/{store['id']}")).json()
    assert [loader["principals"] for loader in read["loaders"] if loader["id"] == store["hr"]] == [["group:hr"]]
    assert (await client.post(f"{API}/refresh/{store['id']}", json=body)).status_code == 200


async def test_processing_and_previews_show_what_everybody_may_find(
    weak: httpx.AsyncClient, client: httpx.AsyncClient, store: dict[str, Any]
) -> None:
    form = {"storeId": store["id"], "loaderId": "file", "splitterId": OTHERS["name"], "splitterConfig": {}}
    for name, seen in (("open", (True, False)), ("hr", (False, True))):
        body = {**form, "id": store[name]}
        assert shows(await client.post(f"{API}/loader/preview", json=body)) == seen
        mine = await weak.post(f"{API}/loader/preview", json=body)
        assert (mine.status_code, "salary" in mine.text) == (200 if seen[0] else 403, False)
        assert shows(await weak.post(f"{API}/loader/process/{store[name]}", json=body)) == (seen[0], False)
    inserted = await weak.post(f"{API}/vectorstore/insert", json={"storeId": store["id"]})
    assert not shows(inserted)[1]


async def test_copies_into_a_flow_show_what_everybody_may_find(
    weak: httpx.AsyncClient, client: httpx.AsyncClient, store: dict[str, Any]
) -> None:
    parts = [
        node("copy_0", "documentStore", "Document Loaders", {"selectedStore": store["id"]}),
        node("store_0", "memoryVectorStore", "Vector Stores", {}, outputs={"output": "retriever"}),
        node("chain_0", "conversationalRetrievalQAChain", "Chains", {}),
    ]
    links = [edge("copy_0", "store_0", "document"), edge("store_0", "chain_0", "vectorStoreRetriever")]
    for route in ("upsert", "internal-upsert"):
        body = {"name": "Flow", "type": "CHATFLOW", "flowData": graph(parts, links)}
        made = (await client.post("/api/v1/chatflows", json=body)).json()["id"]
        answer = await weak.post(f"/api/v1/vector/{route}/{made}", json={}, timeout=60)
        assert shows(answer) == (True, False)
        assert answer.json()["numAdded"] == 2


async def test_a_restricted_store_is_not_opened_by_who_may_not_read_it(
    weak: httpx.AsyncClient, client: httpx.AsyncClient, store: dict[str, Any]
) -> None:
    place = f"{API}/store/{store['id']}"
    assert (await client.put(place, json={"restricted": True})).status_code == 200
    refused = await weak.put(place, json={"restricted": False})
    assert (refused.status_code, refused.json()["code"]) == (403, "principals_not_believed")
    assert (await client.get(place)).json()["restricted"] is True
    body = {"loader": {"name": "plainText", "config": {"text": OPEN}}}
    brought = await weak.post(f"{API}/upsert/{store['id']}", json=body)
    assert brought.json()["numAdded"] == 1
    assert shows(brought) == (False, False)
    assert json.loads(brought.text)["addedDocs"] == []


async def test_texts_in_configurations_are_shown_to_those_who_may_read_them(
    weak: httpx.AsyncClient, client: httpx.AsyncClient, talk: Talk
) -> None:
    made = await talk.store()
    body = {"principals": ["group:hr"], "loader": {"name": "plainText", "config": {"text": HR}}}
    loader = (await client.post(f"{API}/upsert/{made}", json=body)).json()["docId"]
    vectors = {"storeId": made, "vectorStoreName": "pgvector", "vectorStoreConfig": {}}
    saved = {"storeId": made, "id": loader, "loaderName": "renamed"}
    for caller, seen in ((weak, False), (client, True)):
        answers = [
            await caller.put(f"{API}/store/{made}", json={"name": "renamed"}),
            await caller.post(f"{API}/vectorstore/update", json=vectors),
            await caller.post(f"{API}/loader/save", json=saved),
            await caller.get(f"/api/v1/upsert-history/{made}"),
        ]
        assert [item.status_code for item in answers] == [200] * 4
        assert ["salary" in item.text for item in answers] == [seen] * 4


@pytest.mark.parametrize(
    ("scope", "reads", "lists"),
    [("view", 200, 200), ("update", 200, 403), ("delete", 200, 403), ("create", 403, 403), ("add-loader", 403, 403)],
)
async def test_only_who_may_view_lists_document_stores_and_what_they_hold(
    app: FastAPI, resources: Resources, workspace: UUID, store: dict[str, Any], scope: str, reads: int, lists: int
) -> None:
    _, secret = await api_keys.create(resources.database, workspace, scope, [f"documentStores:{scope}"])
    async with speak(app, secret) as caller:
        assert (await caller.get(f"{API}/store/{store['id']}")).status_code == reads
        for path in ("store", f"documents/{store['id']}", f"chunks/{store['id']}/all/1"):
            assert (await caller.get(f"{API}/{path}")).status_code == lists


async def test_who_may_only_delete_is_not_believed_and_shown_what_everybody_may_find(
    app: FastAPI, resources: Resources, workspace: UUID, client: httpx.AsyncClient, talk: Talk
) -> None:
    made = await talk.store()
    loader = (await talk.upsert(made, ("hr.txt", f"{HR}\n\n{OPEN}"), splitter=OTHERS, principals=["group:hr"]))["docId"]
    first, *others = (await talk.chunks(made))["chunks"]
    _, secret = await api_keys.create(resources.database, workspace, "weak", ["documentStores:delete"])
    async with speak(app, secret) as caller:
        answered = await caller.delete(f"{API}/chunks/{made}/{loader}/{first['id']}")
        assert (answered.status_code, answered.json()["chunks"]) == (200, [])
    assert others
    assert (await talk.chunks(made))["count"] == len(others)
