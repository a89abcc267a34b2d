import asyncio
import base64
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from loaders.base import Source
from loaders.sandbox import Loaded
from service.providers.embedding.fake import FakeEmbedder
from service.worker.runner import Runner
from tests.service.document_stores.talk import API, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")


def error(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert body["success"] is False
    assert body["error"] == body["message"]
    assert body["statusCode"] == response.status_code
    return response.status_code, body["message"]


async def test_files_are_searchable_when_the_call_answers(talk: Talk) -> None:
    store = await talk.store()
    answer = await talk.upsert(store, ("leave.md", passages("Holidays")), ("badge.txt", passages("Badges")))
    assert (answer["numAdded"], answer["numSkipped"], answer["numUpdated"], answer["numDeleted"]) == (2, 0, 0, 0)
    assert answer["totalKeys"] == 2
    assert answer["storeId"] == store
    assert answer["failed"] == []
    assert {doc["metadata"]["source"] for doc in answer["addedDocs"]} == {"leave.md", "badge.txt"}
    assert {doc["metadata"]["docId"] for doc in answer["addedDocs"]} == {answer["docId"]}
    assert [doc["metadata"]["source"] for doc in await talk.query(store, "Badges3", topK=1)] == ["badge.txt"]
    assert (await talk.read(store))["status"] == "UPSERTED"
    await talk.holds_together()


async def test_a_document_does_not_wait_for_one_that_takes_long_to_read(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, parsers, read = await talk.store(), talk.resources.sandbox, asyncio.Event()
    load = parsers.load

    async def slow(source: Source, *given: Any, **options: Any) -> Loaded:
        if source.name == "scan.txt":
            await read.wait()
        return await load(source, *given, **options)

    monkeypatch.setattr(parsers, "load", slow)
    job = await talk.start(store, ("quick.txt", passages("Holidays")), ("scan.txt", passages("Badges")))
    try:
        async with asyncio.timeout(30):
            while not await talk.query(store, "Holidays3"):  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.05)
        assert {each["name"]: each["state"] for each in await talk.documents(store)}["quick.txt"] == "ready"
    finally:
        read.set()
    assert (await talk.end(job))["state"] == "done"
    assert len(await talk.texts(store)) == 2
    await talk.holds_together()


async def test_a_body_that_is_no_object_is_told_so_without_names_of_ours(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    said = "Input should be a valid dictionary"
    for path, body, where in [
        (f"upsert/{store}", [], "body"),
        (f"upsert/{store}", {"docStore": '"x"'}, "docStore"),
        (f"refresh/{store}", {"items": [5]}, "items.0"),
        ("loader/preview", [], "body"),
    ]:
        response = await client.post(f"{API}/{path}", json=body)
        assert (response.status_code, response.json()["message"]) == (422, f"Invalid request. {where}: {said}")


async def test_paths_without_their_id_are_refused(talk: Talk, anonymous: httpx.AsyncClient) -> None:
    for path, part in (("upsert", "storeId"), ("refresh", "storeId"), ("loader/process", "loaderId")):
        refused = await talk.client.post(f"{API}/{path}", json={})
        assert (error(refused), refused.json()["code"]) == ((412, f"{part} not provided!"), "missing_part")
        assert (await anonymous.post(f"{API}/{path}", json={})).status_code == 401


async def test_a_new_store_that_names_nothing_takes_the_defaults(talk: Talk, client: httpx.AsyncClient) -> None:
    store = (await client.post(f"{API}/store", json={"name": "Plain"})).json()["id"]
    await talk.upsert(store, ("note.txt", "The canteen opens at noon."))
    read = await talk.read(store)
    assert read["embeddingConfig"]["name"] == "local"
    assert read["vectorStoreConfig"]["name"] == "pgvector"
    assert [doc["pageContent"] for doc in await talk.query(store, "When can I eat?")] == ["The canteen opens at noon."]


async def test_who_does_not_wait_gets_a_job_to_follow(talk: Talk) -> None:
    store = await talk.store()
    job = await talk.end(await talk.start(store, ("a.txt", passages("Alpha", "Beta"))))
    assert job["state"] == "done"
    assert job["result"]["numAdded"] == 2
    assert (job["done"], job["total"]) == (2, 2)
    assert job["attempts"] == 1
    assert job["rate"] > 0


async def test_the_same_file_twice_adds_nothing_and_says_so(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    file = ("a.txt", passages("Alpha", "Beta", "Gamma"))
    first = await talk.upsert(store, file)
    calls = len(embedder.calls)
    again = await talk.upsert(store, file)
    assert (first["numAdded"], again["numAdded"], again["numSkipped"], again["numDeleted"]) == (3, 0, 3, 0)
    assert again["addedDocs"] == []
    assert again["docId"] == first["docId"]
    assert len(embedder.calls) == calls
    assert len((await talk.read(store))["loaders"]) == 1
    await talk.holds_together()


async def test_a_changed_file_replaces_what_changed_and_nothing_else(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma")))
    embedder.calls.clear()
    answer = await talk.upsert(store, ("a.txt", passages("Alpha", "Delta", "Gamma")))
    # what follows the change has moved in its file: its span is other metadata, its vector the same
    assert (answer["numAdded"], answer["numDeleted"], answer["numUpdated"], answer["numSkipped"]) == (1, 1, 1, 1)
    assert [len(texts) for texts in embedder.calls] == [1]
    assert all("Beta" not in doc["pageContent"] for doc in await talk.query(store, "Beta stands here Beta3", topK=10))
    assert [text.split()[0] for text in await talk.texts(store)] == ["Alpha", "Delta", "Gamma"]
    await talk.holds_together()


async def test_a_heading_that_changes_is_found_by_its_new_words_only(talk: Talk) -> None:
    store = await talk.store()
    body = " ".join(f"word{number % 9}" for number in range(150))
    await talk.upsert(store, ("a.md", f"# Guide\n\n## Reimbursement\n\n{body}\n\n{body} again."))
    await talk.upsert(store, ("a.md", f"# Guide\n\n## Expenses\n\n{body}\n\n{body} again."))
    found = await talk.rows("SELECT term FROM lexical_postings WHERE term LIKE 'reimburs%%' OR term LIKE 'expens%%'")
    assert any(row["term"].startswith("expens") for row in found)
    docs = await talk.query(store, "Reimbursement", topK=10)
    assert all("Reimbursement" not in json.dumps(doc) for doc in docs)
    await talk.holds_together()


async def test_changed_metadata_embed_nothing_and_are_there_for_filters(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    file = ("a.txt", passages("Alpha", "Beta"))
    await talk.upsert(store, file, metadata={"year": 2024, "title": "Old"})
    embedder.calls.clear()
    answer = await talk.upsert(store, file, metadata={"year": 2025, "title": "New"})
    assert (answer["numAdded"], answer["numUpdated"], answer["numSkipped"]) == (0, 2, 0)
    assert embedder.calls == []
    assert len(await talk.query(store, "Alpha", filter={"year": 2025})) == 2
    assert await talk.query(store, "Alpha", filter={"year": 2024}) == []
    assert {json.loads(chunk["metadata"])["title"] for chunk in (await talk.chunks(store))["chunks"]} == {"New"}
    await talk.holds_together()


async def test_another_splitter_cuts_anew(talk: Talk) -> None:
    store = await talk.store()
    file = ("a.txt", passages("Alpha", "Beta"))
    await talk.upsert(store, file)
    splitter = {"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 200, "chunkOverlap": 0}}
    answer = await talk.upsert(store, file, splitter=splitter)
    assert answer["numDeleted"] == 2
    assert answer["numAdded"] > 2
    assert all(len(text) <= 200 for text in await talk.texts(store))
    await talk.holds_together()


async def test_metadata_come_back_with_their_types(talk: Talk) -> None:
    store = await talk.store()
    given: dict[str, Any] = {
        "whole": 7, "real": 0.1, "big": 2**53 + 1, "yes": True, "no": False, "nothing": None, "text": "7",
        "unicode": "Zoë 🦊 \u202e", "list": [1, "a", None], "object": {"deep": {"er": 1.5}},
    }  # fmt: skip
    await talk.upsert(store, ("a.txt", "Something short."), metadata=given)
    found = (await talk.query(store, "Something"))[0]["metadata"]
    chunk = json.loads((await talk.chunks(store))["chunks"][0]["metadata"])
    for key, value in given.items():
        assert (found[key], type(found[key])) == (value, type(value))
        assert (chunk[key], type(chunk[key])) == (value, type(value))


async def test_two_files_of_one_name_are_two_documents_and_stay_so(talk: Talk) -> None:
    store = await talk.store()
    files = [("a.txt", "First of two."), ("a.txt", "Second of two."), ("a.txt#2", "A name to trip over.")]
    assert (await talk.upsert(store, *files))["numAdded"] == 3
    assert (await talk.upsert(store, *files))["numSkipped"] == 3
    assert len({document["source"] for document in await talk.documents(store)}) == 3
    await talk.holds_together()


ODD_NAMES = [
    "a,b;c.txt", "quote's \"and\" back`tick.txt", "🦊 und Ünïcödé.TXT", "x" * 300 + ".txt", "README", "con", "-rf.txt",
    "../../etc/passwd", "two  spaces .txt", "%00.txt", "100%.txt", ".hidden",
]  # fmt: skip


async def test_odd_file_names_are_shown_as_given(talk: Talk) -> None:
    store = await talk.store()
    contents = {name: f"Content number {number}." for number, name in enumerate(ODD_NAMES)}
    assert (await talk.upsert(store, *contents.items()))["numAdded"] == len(ODD_NAMES)
    shown = {document["name"] for document in await talk.documents(store)}
    # a form cannot say a quote or a line break as such: the client's encoding of it is what was given
    assert {name.replace("%22", '"') for name in shown} == set(ODD_NAMES)
    loader = (await talk.read(store))["loaders"][0]
    assert {file["name"].replace("%22", '"') for file in loader["files"]} == set(ODD_NAMES)
    await talk.holds_together()


async def test_text_in_the_loader_config_is_a_document(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    body = {
        "loader": {"name": "plainText", "config": {"text": "Offices close\x00 at 18:00.", "metadata": '{"floor": 3}'}},
        "metadata": '{"team": "ops"}',
        "loaderName": "Hours",
    }
    answer = (await client.post(f"{API}/upsert/{store}", json=body)).json()
    assert answer["numAdded"] == 1, answer
    chunk = (await talk.query(store, "When do offices close?"))[0]
    assert chunk["pageContent"] == "Offices close at 18:00."
    assert (chunk["metadata"]["floor"], chunk["metadata"]["team"]) == (3, "ops")
    assert (await client.post(f"{API}/upsert/{store}", json=body)).json()["numSkipped"] == 1
    loader = (await talk.read(store))["loaders"][0]
    assert (loader["loaderId"], loader["loaderName"], loader["source"]) == ("plainText", "Hours", "None")


async def test_text_without_readable_characters_is_cleaned_or_refused(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    body = {"loader": {"name": "plainText", "config": {"text": "half \ud83e and \u0000 nul"}}}
    response = await client.post(f"{API}/upsert/{store}", content=json.dumps(body))
    assert response.status_code == 200, response.text
    assert [text.encode() for text in await talk.texts(store)] == [b"half ? and  nul"]
    status, message = error(await talk.send(store, ("blank.txt", " \n\t ")))
    assert (status, "blank.txt" in message) == (422, True)


async def test_files_in_the_loader_config_are_data_uris(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()

    def uri(name: str, text: str) -> str:
        return f"data:text/plain;base64,{base64.b64encode(text.encode()).decode()},filename:{name}"

    both = json.dumps([uri("one, or so.txt", "One is here."), uri("two.txt", "Two is there.")])
    config = {"name": "textFile", "config": {"txtFile": both}}
    answer = (await client.post(f"{API}/upsert/{store}", json={"loader": config})).json()
    assert answer["numAdded"] == 2, answer
    assert {document["name"] for document in await talk.documents(store)} == {"one, or so.txt", "two.txt"}
    config = (await talk.read(store))["loaders"][0]["loaderConfig"]
    assert config["txtFile"] == 'FILE-STORAGE::["one, or so.txt", "two.txt"]'
    for broken in ("hello", "data:text/plain;base64,###,filename:x"):
        refused = await client.post(
            f"{API}/upsert/{store}", json={"loader": {"name": "textFile", "config": {"txtFile": broken}}}
        )
        assert error(refused)[0] == 422
        assert "loader.config.txtFile" in error(refused)[1]


async def test_a_loader_is_a_template_or_is_replaced(talk: Talk) -> None:
    store = await talk.store()
    splitter = {"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 300, "chunkOverlap": 0}}
    first = await talk.upsert(
        store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta")), splitter=splitter, loaderName="Letters"
    )
    # a template: its recipe, a loader of its own
    other = await talk.upsert(store, ("c.txt", passages("Gamma")), docId=first["docId"])
    assert other["docId"] != first["docId"]
    assert (await talk.chunks(store, other["docId"]))["count"] > 1
    # replaced: what it held goes, vectors and words too
    last = await talk.upsert(store, ("d.txt", passages("Delta")), docId=first["docId"], replaceExisting="True")
    assert last["docId"] == first["docId"]
    assert last["numDeleted"] == first["numAdded"]
    assert {document["name"] for document in await talk.documents(store)} == {"c.txt", "d.txt"}
    for word in ("Alpha", "Beta"):
        assert all(word not in doc["pageContent"] for doc in await talk.query(store, f"{word} {word}1", topK=20))
    loaders = {loader["id"]: loader for loader in (await talk.read(store))["loaders"]}
    assert loaders[first["docId"]]["loaderName"] == "Letters"
    assert loaders[first["docId"]]["splitterConfig"]["chunkSize"] == 300
    assert last["totalKeys"] == last["numAdded"] + other["numAdded"]
    await talk.holds_together()


async def test_a_loader_is_indexed_anew_from_the_uploads_it_has(talk: Talk) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta")))
    splitter = {"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 300, "chunkOverlap": 0}}
    again = await talk.upsert(store, docId=first["docId"], replaceExisting="true", splitter=splitter)
    assert again["docId"] == first["docId"]
    assert again["numDeleted"] == 2
    assert again["numAdded"] > 2
    assert {document["name"] for document in await talk.documents(store)} == {"a.txt", "b.txt"}
    await talk.holds_together()


async def test_files_that_move_to_another_loader_take_their_chunks_along(talk: Talk) -> None:
    store = await talk.store()
    a, b = ("a.txt", passages("Alpha")), ("b.txt", passages("Beta"))
    await talk.upsert(store, a)
    await talk.upsert(store, b)
    both = await talk.upsert(store, a, b)
    assert both["numSkipped"] == 2
    assert [loader["id"] for loader in (await talk.read(store))["loaders"]] == [both["docId"]]
    assert (await talk.chunks(store, both["docId"]))["count"] == 2
    assert {doc["metadata"]["docId"] for doc in await talk.query(store, "Alpha")} == {both["docId"]}


async def test_an_upsert_can_make_its_document_store(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store("Template")
    first = await talk.upsert(store, ("a.txt", passages("Alpha")))
    new = await talk.upsert(
        store, ("b.txt", "Beta is new."), createNewDocStore="true", docStore={"name": "Fresh", "description": "Made"},
        docId=first["docId"],
    )  # fmt: skip
    assert new["storeId"] != store
    read = await talk.read(new["storeId"])
    assert (read["name"], read["description"], read["totalChunks"]) == ("Fresh", "Made", 1)
    assert read["embeddingConfig"]["name"] == "fake"
    stores = len((await client.get(f"{API}/store")).json())
    refused = await talk.send(store, ("c.txt", "x"), createNewDocStore="true", embedding={"name": "nobodysEmbeddings"})
    assert refused.status_code == 422
    assert len((await client.get(f"{API}/store")).json()) == stores
    unnamed = await talk.upsert(str(uuid4()), ("c.txt", "Gamma."), createNewDocStore="true", embedding={"name": "fake"})
    assert (await talk.read(unnamed["storeId"]))["name"].startswith("Document Store 1")


async def test_some_of_the_files_may_fail_and_say_why(talk: Talk) -> None:
    store = await talk.store()
    answer = await talk.upsert(
        store, ("good.txt", "Good is here."), ("bad.pdf", b"%PDF-1.7 garbage"), ("empty.md", b"")
    )
    assert answer["numAdded"] == 1
    assert {item["name"]: item["code"] for item in answer["failed"]} == {
        "bad.pdf": "corrupt", "empty.md": "empty_content"
    }  # fmt: skip
    assert all(item["message"] for item in answer["failed"])
    states = {document["name"]: document["state"] for document in await talk.documents(store)}
    assert states == {"good.txt": "ready", "bad.pdf": "failed", "empty.md": "failed"}
    read = await talk.read(store)
    assert (read["status"], read["loaders"][0]["status"]) == ("STALE", "STALE")
    mended = await talk.upsert(store, ("bad.pdf", "It was text all along."), ("empty.md", "Full."))
    assert (mended["numAdded"], mended["failed"]) == (2, [])
    assert (await talk.read(store))["status"] == "UPSERTED"
    await talk.holds_together()


async def test_when_every_file_fails_so_does_the_call(talk: Talk) -> None:
    store = await talk.store()
    status, message = error(await talk.send(store, ("bad.pdf", b"%PDF-1.7 garbage"), ("empty.txt", b"")))
    assert status == 422
    assert "bad.pdf: " in message
    assert "empty.txt: " in message
    await talk.holds_together()


async def test_a_file_that_fails_leaves_its_former_content_alone(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.pdf", passages("Alpha")))
    assert (await talk.send(store, ("a.pdf", b"%PDF-1.7 garbage"))).status_code == 422
    assert len(await talk.query(store, "Alpha")) == 1
    document = (await talk.documents(store))[0]
    assert (document["state"], document["errorCode"], document["totalChunks"]) == ("failed", "corrupt", 1)
    back = await talk.upsert(store, ("a.pdf", passages("Alpha")))
    assert (back["numAdded"], back["numSkipped"]) == (0, 1)
    await talk.holds_together()


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"metadata": "{not json"}, 422, ["metadata", "JSON"]),
        ({"metadata": "[1]"}, 422, ["metadata"]),
        ({"loader": "{"}, 422, ["loader", "JSON"]),
        ({"docId": "no-uuid"}, 422, ["docId"]),
        ({"docId": str(uuid4())}, 404, ["docId"]),
        ({"loader": {"name": "crystalBall"}}, 422, ["loader.name", "crystalBall", "pdfFile"]),
        ({"splitter": {"name": "axe"}}, 422, ["splitter", "axe", "recursive"]),
        ({"splitter": {"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": "big"}}}, 422, ["chunkSize"]),
        ({"embedding": {"name": "nobodysEmbeddings"}}, 422, ["nobodysEmbeddings", "openAIEmbeddings"]),
        ({"embedding": {"name": "openAIEmbeddings", "config": {"credential": str(uuid4())}}}, 404, ["redential"]),
        ({"vectorStore": {"name": "weaviate"}}, 422, ["vectorStore.name", "weaviate", "pgvector"]),
        ({"recordManager": {"name": "diary"}}, 422, ["recordManager.name", "postgresRecordManager"]),
        ({"metadata": {"big": "x" * 20_000}}, 413, ["max_metadata", "16384"]),
    ],
)
async def test_what_cannot_be_used_is_named_and_nothing_is_kept(
    talk: Talk, fields: dict[str, Any], status: int, words: list[str]
) -> None:
    store = await talk.store()
    response = await talk.send(store, ("a.txt", "Alpha."), **fields)
    found, message = error(response)
    assert found == status, message
    for word in words:
        assert word in message
    assert await talk.documents(store) == []
    assert await talk.rows("SELECT id FROM jobs") == []
    await talk.holds_together()


async def test_calls_without_content_or_store_are_refused(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    assert error(await talk.send(store))[0] == 400
    assert error(await client.post(f"{API}/upsert/{store}", content=b"{broken"))[0] == 400
    assert error(await client.post(f"{API}/upsert/{store}", json=[1]))[0] == 422
    missing = str(uuid4())
    status, message = error(await talk.send(missing, ("a.txt", "Alpha.")))
    assert (status, missing in message) == (404, True)
    other = await client.post(f"{API}/upsert/{store}", files={"document": ("a.txt", b"Alpha.")})
    assert error(other)[0] == 400
    assert "document" in error(other)[1]
    await talk.holds_together()


async def test_a_file_that_is_too_large_is_refused_by_its_limit(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    object.__setattr__(talk.resources.settings, "__dict__", {**talk.resources.settings.__dict__, "max_upload": 1000})
    status, message = error(await talk.send(store, ("small.txt", "x"), ("large.txt", b"x" * 1001)))
    assert status == 413
    assert "max_upload" in message
    assert "large.txt" in message
    assert "1000" in message
    await talk.holds_together()


async def test_a_document_store_that_is_full_says_so(talk: Talk) -> None:
    store = await talk.store()
    object.__setattr__(talk.resources.settings, "__dict__", {**talk.resources.settings.__dict__, "max_chunks": 3})
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    status, message = error(await talk.send(store, ("b.txt", passages("Gamma", "Delta"))))
    assert status == 413
    assert "max_chunks" in message
    assert (await talk.documents(store))[1]["state"] == "failed"
    await talk.holds_together()
