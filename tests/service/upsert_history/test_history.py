"""What upserts did is kept, once each, for a while, for the workspace alone."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from psycopg import OperationalError

from service.upsert_history import records, service
from service.worker import postgres
from service.worker.runner import Runner
from tests.service.chatflows.flows import node
from tests.service.flow_upserts.conftest import API, Flows
from tests.service.flow_upserts.flows import fake, filled, loader
from tests.stubs.openai_server import OpenAIStub, Script

TEXT = "Every employee has 30 days of paid leave a year."


async def history(flows: Flows, target: str, query: str = "") -> list[dict[str, Any]]:
    response = await flows.client.get(f"{API}/upsert-history/{target}{query}")
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


async def test_each_upsert_of_a_flow_leaves_one_entry(flows: Flows, worker: Runner) -> None:
    secret = node("openai_0", "fake", "Embeddings", {"dimension": 16, "openAIApiKey": "sk-canary"}, label="Model")
    text = loader("plainText", text=TEXT + " " * 5000)
    flow = await flows.make(filled(text, embedding=secret, splitter={"chunkSize": 500}))
    await flows.upsert(flow)
    await flows.upsert(flow)
    first, second = await history(flows, flow)
    assert first["result"] == {"numAdded": 1, "numDeleted": 0, "numUpdated": 0, "numSkipped": 0}
    assert second["result"]["numSkipped"] == 1
    assert first["chatflowid"] == flow
    assert first["date"] <= second["date"]
    described = {item["id"]: item for item in first["flowData"]}
    assert described.keys() == {"store_0", "plainText_0", "splitter_0", "openai_0"}
    assert described["store_0"]["category"] == "Vector Stores"
    values = {item["name"]: item["value"] for item in described["splitter_0"]["paramValues"]}
    assert values == {"chunkSize": 500}
    (shown,) = described["plainText_0"]["paramValues"]
    assert shown["value"].startswith(TEXT)
    assert len(shown["value"]) < 400
    assert "sk-canary" not in str(first)


async def test_upserts_into_document_stores_are_kept_too(flows: Flows, worker: Runner) -> None:
    store = await flows.talk.store()
    await flows.talk.upsert(store, ("a.txt", TEXT), loader={"name": "textFile"}, metadata={"teams": ["ops"]})
    (entry,) = await history(flows, store)
    assert entry["result"]["numAdded"] == 1
    shown = [(item["name"], item["label"]) for item in entry["flowData"]]
    splitter = ("recursiveCharacterTextSplitter", "Recursive Character Text Splitter")
    assert shown == [("textFile", "Text File"), splitter, ("fake", "fake")]
    (metadata,) = entry["flowData"][0]["paramValues"]
    assert metadata == {
        "label": "Additional Metadata", "name": "metadata", "type": "json", "value": '{"teams": ["ops"]}',
    }  # fmt: skip
    await flows.client.delete(f"{API}/document-store/store/{store}")
    assert (await flows.client.get(f"{API}/upsert-history/{store}")).status_code == 404
    await flows.talk.settled()
    assert await flows.talk.rows("SELECT id FROM upsert_history") == []


async def test_inserts_are_kept_and_processing_is_not(flows: Flows, worker: Runner) -> None:
    store = await flows.talk.store()
    body = {"storeId": store, "loaderId": "plainText", "loaderName": "Text", "loaderConfig": {"text": TEXT}}
    saved = await flows.client.post(f"{API}/document-store/loader/save", json=body)
    processed = await flows.client.post(
        f"{API}/document-store/loader/process/{saved.json()['id']}", json={**body, "id": saved.json()["id"]}
    )
    assert processed.status_code == 200, processed.text
    assert await history(flows, store) == []
    config = {"embeddingName": "fake", "embeddingConfig": {"dimension": 16}, "vectorStoreName": "postgres"}
    inserted = await flows.client.post(
        f"{API}/document-store/vectorstore/insert", json={"storeId": store, **config, "vectorStoreConfig": {}}
    )
    assert inserted.status_code == 200, inserted.text
    (entry,) = await history(flows, store)
    assert entry["result"]["numAdded"] == 1


async def test_an_upsert_that_fails_leaves_none(flows: Flows, worker: Runner) -> None:
    store = await flows.talk.store()
    assert (await flows.talk.send(store, ("a.pdf", b"%PDF-1.4 nothing"))).status_code == 422
    assert await history(flows, store) == []


async def test_an_upsert_whose_end_is_lost_leaves_one_entry(
    flows: Flows, worker: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry belongs to the transaction that ends the job: when that is lost, both are."""
    insert = records.insert
    lost: list[bool] = []

    async def losing(*args: Any, **options: Any) -> None:
        await insert(*args, **options)
        if not lost:
            lost.append(True)
            raise OperationalError("the connection was lost")

    monkeypatch.setattr(records, "insert", losing)
    monkeypatch.setattr(postgres, "AGAIN_SECONDS", 0)
    flow = await flows.make(filled(loader("plainText", text=TEXT), embedding=fake()))
    location = (await flows.send(flow, headers={"Prefer": "respond-async"})).headers["Location"]
    assert (await flows.talk.end(location))["state"] == "done"
    assert lost
    (entry,) = await history(flows, flow)
    assert entry["result"]["numAdded"] == 1


async def test_order_dates_and_pages(flows: Flows, worker: Runner) -> None:
    store = await flows.talk.store()
    for number in range(3):
        await flows.talk.upsert(store, (f"{number}.txt", f"{TEXT} {number}"))
    ids = [item["id"] for item in await history(flows, store)]
    dates = [item["date"] for item in await history(flows, store)]
    assert [item["id"] for item in await history(flows, store, "?order=DESC")] == ids[::-1]
    assert [item["id"] for item in await history(flows, store, "?page=2&limit=2")] == ids[2:]
    assert await history(flows, store, "?startDate=2999-01-01") == []
    assert len(await history(flows, store, "?endDate=2999-01-01T00:00:00.000Z")) == 3
    assert len(await history(flows, store, f"?startDate={dates[0]}")) == 3
    assert (await flows.client.get(f"{API}/upsert-history/{store}?startDate=soon")).status_code == 422


async def test_old_entries_go(flows: Flows, worker: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "KEPT", 2)
    store = await flows.talk.store()
    for number in range(4):
        await flows.talk.upsert(store, (f"{number}.txt", f"{TEXT} {number}"))
    monkeypatch.setattr(service, "KEPT", 500)
    assert len(await history(flows, store)) == 2


async def test_entries_can_be_forgotten_all_or_none(flows: Flows, worker: Runner) -> None:
    store, other = await flows.talk.store(), await flows.talk.store()
    for target in (store, other):
        await flows.talk.upsert(target, ("a.txt", TEXT))
    (mine,), (theirs,) = await history(flows, store), await history(flows, other)
    url = f"{API}/upsert-history"
    assert (await flows.client.patch(url, json={})).status_code == 400
    assert (await flows.client.patch(url, json={"ids": []})).status_code == 400
    gone = await flows.client.patch(url, json={"ids": [mine["id"], str(uuid4())]})
    assert gone.status_code == 404
    assert (await flows.client.patch(f"{url}/{store}", json={"ids": [theirs["id"]]})).status_code == 404
    assert len(await history(flows, store)) == 1
    assert (await flows.client.patch(url, json={"ids": [mine["id"]]})).json() == {"raw": [], "affected": 1}
    assert (await flows.client.patch(f"{url}/{other}", json={"ids": [theirs["id"]]})).json()["affected"] == 1
    assert await history(flows, store) == await history(flows, other) == []


async def test_another_workspace_sees_and_forgets_nothing(
    flows: Flows, worker: Runner, foreign: httpx.AsyncClient
) -> None:
    store = await flows.talk.store()
    await flows.talk.upsert(store, ("a.txt", TEXT))
    (entry,) = await history(flows, store)
    assert (await foreign.get(f"{API}/upsert-history/{store}")).status_code == 404
    assert (await foreign.patch(f"{API}/upsert-history", json={"ids": [entry["id"]]})).status_code == 404
    assert (await flows.client.get(f"{API}/upsert-history/{uuid4()}")).status_code == 404
    assert (await flows.client.get(f"{API}/upsert-history")).status_code == 400
    assert len(await history(flows, store)) == 1


async def test_a_failing_embedder_is_the_answer_and_no_entry(flows: Flows, worker: Runner) -> None:
    with OpenAIStub() as stub:
        stub.script(Script(status=401), times=None)
        model = node("e_0", "openAIEmbeddings", "Embeddings", {"basepath": stub.url, "modelName": "m"})
        flow = await flows.make(filled(loader("plainText", text=TEXT), embedding=model))
        assert (await flows.send(flow)).status_code >= 400
    assert await history(flows, flow) == []
