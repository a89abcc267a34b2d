"""Upserts that build on a saved loader (contract 3.6), refreshes of files (3.7), and descriptions by a model."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from service.settings import Settings, load
from tests.service.document_stores.loading.form import call, data_uri, loader, text_files
from tests.service.document_stores.talk import API, FAKE, PASSAGES, Talk, passages
from tests.stubs.openai_server import KEY, OpenAIStub, Script

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """As elsewhere, and this machine may be called."""
    values = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12, "egress_allow": "127.0.0.1"}
    return load({}, values)


async def of(talk: Talk, store: str, loader_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in (await talk.read(store))["loaders"] if item["id"] == loader_id)
    return found


async def test_a_loader_is_a_template_for_another_one(talk: Talk) -> None:
    store = await talk.store()
    small = {"name": PASSAGES["name"], "config": {"chunkSize": 200, "chunkOverlap": 0}}
    base = await talk.upsert(
        store,
        ("a.txt", passages("Alpha")),
        loader={"name": "textFile", "config": {"metadata": {"team": "ops"}}},
        splitter=small,
        loaderName="Notes",
    )
    more = await talk.upsert(store, ("b.txt", passages("Beta")), docId=base["docId"])
    assert more["docId"] != base["docId"]
    made = await of(talk, store, more["docId"])
    assert (made["loaderId"], made["loaderName"], made["splitterConfig"]) == ("textFile", "Notes", small["config"])
    assert {doc["metadata"]["team"] for doc in more["addedDocs"]} == {"ops"}
    assert len((await talk.read(store))["loaders"]) == 2
    await talk.holds_together()


async def test_a_typed_text_that_serves_as_a_template_is_not_taken_twice(talk: Talk) -> None:
    store = await talk.store()
    typed = {"name": "plainText", "config": {"text": "The parrot sings."}}
    base = await talk.upsert(store, loader=typed, loaderName="Birds")
    for changed in (1, 0):
        again = await talk.upsert(store, docId=base["docId"], metadata={"team": "ops"})
        assert (again["numAdded"], again["numUpdated"], again["numSkipped"]) == (0, changed, 1 - changed)
    assert await talk.texts(store) == ["The parrot sings."]
    other = await talk.upsert(store, docId=base["docId"], loader={"config": {"text": "The hippo dances."}})
    assert (other["numAdded"], other["docId"] != base["docId"]) == (1, True)
    copy = await talk.upsert(store, docId=base["docId"], createNewDocStore="true")
    assert await talk.texts(copy["storeId"]) == ["The parrot sings."]
    await talk.holds_together()


async def test_metadata_of_a_call_replace_the_loaders_own_and_stay(talk: Talk) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", "Words."), loader={"config": {"metadata": {"team": "ops", "floor": 3}}})
    await talk.upsert(store, docId=first["docId"], replaceExisting="true", metadata={"team": "hr"})
    for _ in range(2):
        chunk = json.loads((await talk.chunks(store))["chunks"][0]["metadata"])
        assert chunk["team"] == "hr"
        assert "floor" not in chunk
        await talk.client.post(f"{API}/refresh/{store}")
    assert (await of(talk, store, first["docId"]))["loaderConfig"]["metadata"] == {"team": "hr"}
    await talk.holds_together()


async def test_a_name_switches_the_component_and_fields_are_laid_over(talk: Talk) -> None:
    store = await talk.store()
    first = await talk.upsert(
        store,
        ("a.csv", "city,note\nRome,old\n"),
        loader={"name": "csvFile", "config": {"columnName": "city", "metadata": {"team": "ops"}}},
    )
    assert [doc["pageContent"] for doc in first["addedDocs"]] == ["Rome"]
    await talk.upsert(store, docId=first["docId"], replaceExisting="true", loader={"config": {"columnName": "note"}})
    assert await talk.texts(store) == ["old"]
    await talk.upsert(store, docId=first["docId"], replaceExisting="true", loader={"name": "textFile"})
    assert (await talk.texts(store))[0].startswith("city,note")
    assert json.loads((await talk.chunks(store))["chunks"][0]["metadata"])["team"] == "ops"
    await talk.holds_together()


async def test_a_new_document_store_takes_what_the_template_holds(talk: Talk) -> None:
    store = await talk.store()
    base = await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    copy = await talk.upsert(
        store, docId=base["docId"], createNewDocStore="true", docStore={"name": "Copy", "description": "Of it"}
    )
    assert copy["storeId"] != store
    assert copy["numAdded"] == 2
    made = await talk.read(copy["storeId"])
    assert (made["name"], made["description"], made["status"]) == ("Copy", "Of it", "UPSERTED")
    assert made["embeddingConfig"] == (await talk.read(store))["embeddingConfig"]
    assert (await talk.query(copy["storeId"], "Beta3", topK=1))[0]["pageContent"].startswith("Beta")
    assert len(await talk.texts(store)) == 2
    await talk.holds_together()


async def test_files_that_a_call_names_stay_and_others_leave(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", "One."), ("b.txt", "Two."))
    config = {"file": 'FILE-STORAGE::["b.txt"]'}
    body = {"docId": first["docId"], "replaceExisting": True, "loader": {"config": config}}
    answer = await call(client, f"upsert/{store}", body)
    assert (answer["numDeleted"], answer["numSkipped"]) == (1, 1)
    assert await talk.texts(store) == ["Two."]
    await talk.holds_together()


async def test_an_upsert_goes_on_from_a_saved_loader(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    saved = await call(client, "loader/save", loader(config=text_files(("a.txt", "One.")), storeId=store))
    answer = await call(client, f"upsert/{store}", {"docId": saved["id"], "replaceExisting": True})
    assert (answer["numAdded"], answer["docId"]) == (1, saved["id"])
    assert (await of(talk, store, saved["id"]))["status"] == "SYNC"
    await talk.holds_together()


async def test_a_refresh_makes_every_loader_anew(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", passages("Alpha")))
    second = await talk.upsert(store, ("b.txt", passages("Beta")))
    chunk = (await talk.chunks(store, first["docId"]))["chunks"][0]["id"]
    await client.put(f"{API}/chunks/{store}/{first['docId']}/{chunk}", json={"pageContent": "Edited."})
    results = await call(client, f"refresh/{store}", {})
    assert [result["docId"] for result in results] == [first["docId"], second["docId"]]
    assert [(result["numAdded"], result["numUpdated"], result["numSkipped"]) for result in results] == [
        (0, 1, 0),
        (0, 0, 1),
    ]
    assert [text.split()[0] for text in await talk.texts(store)] == ["Alpha", "Beta"]
    await talk.holds_together()


async def test_a_refresh_of_a_text_keeps_the_files_beside_it(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    text = {"name": "plainText", "config": {"text": "Typed."}}
    first = await call(client, f"upsert/{store}", {"loader": text, "embedding": FAKE})
    await talk.upsert(store, ("a.txt", "Filed."), docId=first["docId"], replaceExisting="true")
    (result,) = await call(client, f"refresh/{store}", {})
    assert (result["numSkipped"], result["numDeleted"]) == (2, 0)
    assert sorted(await talk.texts(store)) == ["Filed.", "Typed."]
    await talk.holds_together()


async def test_a_refresh_of_items_does_what_they_say(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", passages("Alpha")))
    items = [
        {"docId": first["docId"], "metadata": {"year": 2026}},
        {"loader": {"name": "plainText", "config": {"text": "Typed in."}}},
    ]
    results = await call(client, f"refresh/{store}", {"items": items})
    assert [(result["numAdded"], result["numUpdated"]) for result in results] == [(0, 1), (1, 0)]
    jobs = await call(client, f"refresh/{store}", {}, 202, headers={"Prefer": "respond-async"})
    assert [(await talk.end(job["url"]))["state"] for job in jobs] == ["done", "done"]
    await talk.holds_together()


async def test_items_of_a_refresh_are_written_as_bodies_of_upserts_are(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", "Alpha."))
    item = {
        "docId": first["docId"],
        "replaceExisting": "True",
        "loaderName": "",
        "loader": "",
        "metadata": '{"year": 1}',
    }
    (result,) = await call(client, f"refresh/{store}", {"items": [item]})
    assert (result["docId"], result["numUpdated"]) == (first["docId"], 1)
    assert json.loads((await talk.chunks(store))["chunks"][0]["metadata"])["year"] == 1
    answer = await call(client, f"refresh/{store}", {"items": [{**item, "metadata": "{year"}]}, 422)
    assert "metadata: not valid JSON" in answer["message"]


async def test_a_refresh_with_a_wrong_item_does_nothing(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", "One."))
    wrong: list[tuple[dict[str, Any], int]] = [
        ({"docId": str(uuid4())}, 404),
        ({}, 400),
        ({"loader": {"name": "textFile", "config": {"txtFile": "no file"}}}, 422),
    ]
    for item, status in wrong:
        items = [{"docId": first["docId"], "metadata": {"year": 1}}, item]
        await call(client, f"refresh/{store}", {"items": items}, status)
    jobs = (await client.get("/api/v1/jobs")).json()
    assert [job["id"] for job in jobs if job["storeId"] == store] == [first["jobId"]]
    assert "year" not in json.loads((await talk.chunks(store))["chunks"][0]["metadata"])
    assert await call(client, f"refresh/{await talk.store()}", {}) == []


async def test_names_that_there_are_not_are_told_what_there_is(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    text = {"name": "plainText", "config": {"text": "x"}}
    for body, word in [
        ({"loader": {"name": "notionPage"}}, "Export the pages as files"),
        ({"loader": text, "vectorStore": {"name": "weaviate"}}, "postgres"),
        ({"loader": text, "embedding": {"name": "psychicEmbeddings"}}, "openAIEmbeddings"),
        ({"loader": text, "recordManager": {"name": "mine"}}, "postgresRecordManager"),
        ({"loader": text, "splitter": {"name": "mine"}}, "recursiveCharacterTextSplitter"),
    ]:
        assert word in (await call(client, f"upsert/{store}", body, 422))["message"]


# Descriptions


async def chat_credential(client: httpx.AsyncClient, **values: str) -> str:
    body = {"name": "Key", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": KEY, **values}}
    response = await client.post("/api/v1/credentials", json=body)
    assert response.status_code == 200, response.text
    made: str = response.json()["id"]
    return made


async def test_a_model_describes_what_a_document_store_holds(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    await talk.upsert(store, ("leave.txt", "Employees have thirty days of leave."))
    with OpenAIStub() as stub:
        stub.script(Script(reply="Rules for\n leave."), times=None)
        credential = await chat_credential(client, allowedHosts="127.0.0.1")
        inputs = {"modelName": "stub-model", "basepath": stub.url, "credential": credential}
        body = {"selectedChatModel": {"name": "chatOpenAI", "inputs": inputs}}
        assert await call(client, f"generate-tool-desc/{store}", body) == {"content": "Rules for leave."}
        sent = json.dumps(stub.requests[-1].body)
        assert "thirty days of leave" in sent
        stub.script(Script(status=401), times=None)
        answer = await call(client, f"generate-tool-desc/{store}", body, 502)
        assert KEY not in answer["message"]


async def test_a_description_needs_a_model_that_is_there_and_chunks(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    model = {"name": "chatOpenAI", "inputs": {"basepath": "http://127.0.0.1:9/v1"}}
    assert (await call(client, f"generate-tool-desc/{store}", {}, 412))["message"].startswith("selectedChatModel")
    assert (
        "no chunks" in (await call(client, f"generate-tool-desc/{store}", {"selectedChatModel": model}, 422))["message"]
    )
    await call(client, f"generate-tool-desc/{uuid4()}", {"selectedChatModel": model}, 404)
    await talk.upsert(store, ("a.txt", "Words."))
    for name, word in [("chatVertex", "chatOpenAI"), ("chatLocal", "chatLocal"), ("bufferMemory", "chatOpenAI")]:
        body = {"selectedChatModel": {"name": name, "inputs": {}}}
        assert word in (await call(client, f"generate-tool-desc/{store}", body, 422))["message"]
    bad = {"selectedChatModel": {"name": "chatOpenAI", "inputs": {"temperature": "hot"}}}
    assert "temperature" in (await call(client, f"generate-tool-desc/{store}", bad, 422))["message"]


async def test_a_credential_is_not_sent_to_a_host_that_it_does_not_name(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", "Words."))
    credential = await chat_credential(client, allowedHosts="api.openai.com")
    with OpenAIStub() as stub:
        inputs = {"modelName": "stub-model", "basepath": stub.url, "FLOWISE_CREDENTIAL_ID": credential}
        response = await client.post(
            f"{API}/generate-tool-desc/{store}", json={"selectedChatModel": {"name": "chatOpenAI", "inputs": inputs}}
        )
        assert response.status_code in (403, 422), response.text
        assert stub.requests == []


async def test_json_arrays_of_files_and_several_fields_are_read(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    config = {
        "file": json.dumps([data_uri("a.txt", "One."), data_uri("b.txt", "Two.")]),
        "yamlFile": data_uri("c.yaml", "three: 3"),
    }
    answer = await call(client, f"upsert/{store}", {"loader": {"name": "file", "config": config}})
    assert {doc["metadata"]["source"] for doc in answer["addedDocs"]} == {"a.txt", "b.txt", "c.yaml"}
    await talk.holds_together()
