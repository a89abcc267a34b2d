"""Loaders as the forms of a web interface work with them: tried out, saved, processed, inserted, queried."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from service.resources import Resources
from service.worker.runner import Runner
from tests.service.document_stores.loading.form import call, data_uri, loader, text_files
from tests.service.document_stores.talk import API, FAKE, Talk, passages

VECTORS = {
    "embeddingName": FAKE["name"],
    "embeddingConfig": FAKE["config"],
    "vectorStoreName": "pgvector",
    "vectorStoreConfig": {},
}


async def loaders(talk: Talk, store: str) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in (await talk.read(store))["loaders"]}


async def blobs(talk: Talk) -> int:
    return len([key async for key in talk.resources.blobs.keys()])  # noqa: SIM118 - no mapping


# Trying out


async def test_a_preview_shows_the_first_chunks_and_keeps_nothing(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    body = loader(config=text_files(("a.txt", passages("Alpha", "Beta", "Gamma"))), storeId=store, previewChunkCount=2)
    found = await call(client, "loader/preview", body)
    assert (found["totalChunks"], found["previewChunkCount"]) == (3, 2)
    assert [chunk["pageContent"].split()[0] for chunk in found["chunks"]] == ["Alpha", "Beta"]
    assert found["chunks"][0]["metadata"]["source"] == "a.txt"
    for table in ("loaders", "documents", "chunks", "jobs"):
        assert await talk.rows(f"SELECT * FROM {table}") == [], table
    assert await blobs(talk) == 0


@pytest.mark.parametrize("count", [-1, 0, None])
async def test_a_preview_without_a_count_shows_everything(client: httpx.AsyncClient, count: int | None) -> None:
    body = loader(config=text_files(("a.txt", passages("Alpha", "Beta"))), previewChunkCount=count)
    assert (await call(client, "loader/preview", body))["previewChunkCount"] == 2


async def test_a_preview_of_several_files_has_them_in_order(client: httpx.AsyncClient) -> None:
    body = loader("fileLoader", {"file": json.dumps([data_uri("a.txt", "First."), data_uri("b.md", "# Second")])})
    found = await call(client, "loader/preview", body)
    assert [chunk["metadata"]["source"] for chunk in found["chunks"]] == ["a.txt", "b.md"]


async def test_a_preview_of_a_saved_loader_reads_its_files(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    saved = await call(
        client, "loader/save", loader(config=text_files(("a.txt", "Kept."), ("b.txt", "Too.")), storeId=store)
    )
    body = {**loader(config=saved["loaderConfig"]), "storeId": store, "id": saved["id"]}
    found = await call(client, "loader/preview", body)
    assert [chunk["pageContent"] for chunk in found["chunks"]] == ["Kept.", "Too."]
    body["loaderConfig"] = {"txtFile": 'FILE-STORAGE::["b.txt"]'}
    assert [chunk["pageContent"] for chunk in (await call(client, "loader/preview", body))["chunks"]] == ["Too."]


async def test_a_preview_says_why_a_file_cannot_be_read(client: httpx.AsyncClient) -> None:
    body = loader("pdfFile", {"pdfFile": data_uri("bad.pdf", b"%PDF-1.7 broken", "application/pdf")})
    answer = await call(client, "loader/preview", body, 422)
    assert answer["code"] == "nothing_loaded"
    assert answer["message"].startswith("bad.pdf: ")


async def test_a_preview_without_a_loader_or_content_says_so(client: httpx.AsyncClient) -> None:
    assert (await call(client, "loader/preview", {}, 412))["message"] == "loaderId: is missing"
    assert "nothing to load" in (await call(client, "loader/preview", loader(), 422))["message"]


# Saving


async def test_a_saved_loader_waits_with_its_files(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    body = loader(config=text_files(("a.txt", "Alpha."), ("b.txt", "Beta.")), storeId=store, loaderName="Notes")
    saved = await call(client, "loader/save", body)
    assert (saved["status"], saved["loaderId"], saved["loaderName"]) == ("SYNCING", "textFile", "Notes")
    assert saved["loaderConfig"] == {"txtFile": 'FILE-STORAGE::["a.txt", "b.txt"]'}
    assert [(file["name"], file["status"]) for file in saved["files"]] == [("a.txt", "SYNCING"), ("b.txt", "SYNCING")]
    assert (saved["splitterId"], saved["totalChunks"]) == ("recursiveCharacterTextSplitter", 0)
    assert await blobs(talk) == 2
    assert (await talk.read(store))["loaders"] == [saved]
    assert {document["state"] for document in await talk.documents(store)} == {"saved"}
    await talk.holds_together()


async def test_a_loader_that_cannot_be_saved_leaves_nothing(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    for body, status, word in [
        (loader("pdfFile", {"pdfFile": data_uri("a.pdf", "x"), "usage": "perBook"}), 422, "loader.config.usage"),
        (loader(config={"txtFile": "just text"}), 422, "loader.config.txtFile"),
        (loader(config={"txtFile": "data:text/plain;base64,%%%,filename:a.txt"}), 422, "loader.config.txtFile"),
        (loader(config=text_files(("a.txt", "x")), splitterConfig={"chunkSize": "many"}), 422, "chunkSize"),
        (loader(config=text_files(("a.txt", "x")), splitterId="nothing"), 422, "splitter"),
        (loader("notionPage"), 422, "fileLoader"),
        (loader("customDocumentLoader"), 422, "JavaScript"),
        (loader("documentStore"), 422, "archive"),
        (loader("confluence"), 422, "Use apiLoader with the space's address"),
        (loader("notionDB"), 422, "Export the pages as files"),
        (loader("documentStore"), 422, "archive"),
        (loader(config={**text_files(("a.txt", "x")), "metadata": "[1]"}), 422, "loader.config.metadata"),
        (loader(config={**text_files(("a.txt", "x")), "credential": "none"}), 422, "credential"),
        ({"loaderConfig": {}}, 412, "loaderId"),
        ({}, 412, "loaderId"),
    ]:
        answer = await call(client, "loader/save", {**body, "storeId": store}, status)
        assert word in answer["message"], answer
    assert await blobs(talk) == 0
    assert (await talk.read(store))["loaders"] == []
    assert (await call(client, "loader/save", loader(config=text_files(("a.txt", "x"))), 412))["message"].startswith(
        "storeId"
    )
    await call(client, "loader/save", loader(config=text_files(("a.txt", "x")), storeId=str(uuid4())), 404)
    await call(client, "loader/save", loader(config=text_files(("a.txt", "x")), storeId=store, id=str(uuid4())), 404)
    assert await blobs(talk) == 0


@pytest.mark.usefixtures("worker")
async def test_ids_that_a_form_leaves_blank_are_as_missing(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    body = loader(config=text_files(("a.txt", "Alpha.")))
    assert (await call(client, "loader/preview", {**body, "id": "", "storeId": ""}))["totalChunks"] == 1
    saved = await call(client, "loader/save", {**body, "id": "", "storeId": store})
    assert list(await loaders(talk, store)) == [saved["id"]]
    for path in ("loader/save", f"loader/process/{saved['id']}", "vectorstore/save", "vectorstore/insert"):
        answer = await call(client, path, {**body, "storeId": ""}, 412)
        assert answer["message"] == "storeId: is missing", path
    await call(client, "vectorstore/update", {"storeId": "", "vectorStoreName": "pgvector"}, 412)
    await call(client, f"loader/process/{saved['id']}", {"storeId": store, "id": ""})
    inserted = await call(client, "vectorstore/insert", {"storeId": store, "docId": "", **VECTORS})
    assert inserted["numAdded"] == 1


@pytest.mark.usefixtures("worker")
async def test_a_configuration_without_its_component_is_refused_and_not_left_out(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    store = await talk.store()
    saved = await call(client, "loader/save", loader("plainText", {"text": "Alpha."}, storeId=store))
    for more in ({"loaderConfig": {"text": "Beta."}}, {"credential": str(uuid4())}):
        for path in ("loader/save", f"loader/process/{saved['id']}"):
            answer = await call(client, path, {"storeId": store, "id": saved["id"], **more}, 412)
            assert answer["message"] == "loaderId: is missing"
    bare = {"storeId": store, "id": saved["id"], "loaderId": None, "loaderConfig": {}, "credential": ""}
    assert (await call(client, f"loader/process/{saved['id']}", bare))["characters"] == len("Alpha.")
    assert (await loaders(talk, store))[saved["id"]]["loaderConfig"]["text"] == "Alpha."


async def test_a_loader_without_a_splitter_has_the_types_of_the_contract(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    plain = {"storeId": store, "loaderId": "plainText", "loaderConfig": {"text": "Alpha."}}
    saved = await call(client, "loader/save", {**plain, "splitterId": "", "splitterConfig": {}})
    again = await call(client, "loader/save", {**saved, "storeId": store})
    for found in (saved, again):
        assert (found["splitterId"], found["splitterName"], found["splitterConfig"]) == ("", "", {})


async def test_two_saved_loaders_may_have_files_of_one_name(
    talk: Talk, client: httpx.AsyncClient, worker: Runner
) -> None:
    store = await talk.store()
    ids = []
    for text in ("First words.", "Second words."):
        saved = await call(client, "loader/save", loader(config=text_files(("README.md", text)), storeId=store))
        await call(client, f"loader/process/{saved['id']}", {"storeId": store})
        ids.append(saved["id"])
    assert [item["totalChunks"] for item in (await loaders(talk, store)).values()] == [1, 1]
    assert sorted(await talk.texts(store)) == ["First words.", "Second words."]
    for _ in range(2):  # each goes on with its own file
        body = loader(config=text_files(("README.md", "Third words.")), storeId=store, id=ids[0])
        await call(client, f"loader/process/{ids[0]}", body)
    assert sorted(await talk.texts(store)) == ["Second words.", "Third words."]
    await talk.holds_together()


# Processing


async def test_the_calls_of_a_web_interface_lead_to_answers(
    talk: Talk, client: httpx.AsyncClient, worker: Runner
) -> None:
    store = (await call(client, "store", {"name": "Handbook"}))["id"]
    body = loader(config=text_files(("a.txt", passages("Alpha", "Beta"))), storeId=store)
    saved = await call(client, "loader/save", body)
    page = await call(client, f"loader/process/{saved['id']}", {**saved, "storeId": store})
    assert (page["count"], page["currentPage"], page["docId"]) == (2, 1, saved["id"])
    assert page["file"]["status"] == "SYNC"
    assert [chunk["chunkNo"] for chunk in page["chunks"]] == [1, 2]
    assert json.loads(page["chunks"][0]["metadata"])["source"] == "a.txt"
    assert await talk.rows("SELECT id FROM chunks WHERE number IS NOT NULL") == []
    await call(client, "vectorstore/save", {"storeId": store, **VECTORS})
    inserted = await call(client, "vectorstore/insert", {"storeId": store, **VECTORS})
    assert inserted["numAdded"] == 2
    assert (await talk.query(store, "Beta3", topK=1))[0]["pageContent"].startswith("Beta")
    assert (await talk.read(store))["status"] == "UPSERTED"
    # and from now on what is processed is searched at once
    more = await call(client, "loader/save", loader(config=text_files(("c.txt", passages("Gamma"))), storeId=store))
    await call(client, f"loader/process/{more['id']}", {"storeId": store, "id": more["id"]})
    assert (await talk.query(store, "Gamma3", topK=1))[0]["pageContent"].startswith("Gamma")
    await talk.holds_together()


async def test_saving_again_changes_nothing_until_it_is_processed(
    talk: Talk, client: httpx.AsyncClient, worker: Runner
) -> None:
    store = await talk.store()
    files = text_files(("a.txt", passages("Alpha")), ("b.txt", passages("Beta")))
    saved = await call(client, "loader/save", loader(config=files, storeId=store))
    await call(client, f"loader/process/{saved['id']}", {"storeId": store})
    body = loader(
        config={"txtFile": 'FILE-STORAGE::["b.txt"]', "metadata": {"team": "ops"}}, storeId=store, id=saved["id"]
    )
    again = await call(client, "loader/save", body)
    assert (again["id"], again["status"], again["totalChunks"]) == (saved["id"], "SYNCING", 2)
    assert [file["name"] for file in again["files"]] == ["b.txt"]
    assert [text.split()[0] for text in await talk.texts(store)] == ["Alpha", "Beta"]
    await talk.holds_together()
    page = await call(client, f"loader/process/{saved['id']}", {"storeId": store})
    assert [chunk["pageContent"].split()[0] for chunk in page["chunks"]] == ["Beta"]
    assert json.loads(page["chunks"][0]["metadata"])["team"] == "ops"
    assert (await loaders(talk, store))[saved["id"]]["status"] == "SYNC"
    assert await blobs(talk) == 1
    await talk.holds_together()


async def test_a_saved_file_takes_the_place_of_its_older_self(
    talk: Talk, client: httpx.AsyncClient, worker: Runner
) -> None:
    store = await talk.store()
    saved = await call(client, "loader/save", loader(config=text_files(("a.txt", "Old words.")), storeId=store))
    await call(client, f"loader/process/{saved['id']}", {"storeId": store})
    body = loader(config=text_files(("a.txt", "New words.")), storeId=store, id=saved["id"])
    await call(client, "loader/save", body)
    assert await talk.texts(store) == ["Old words."]
    assert await blobs(talk) == 1
    await call(client, f"loader/process/{saved['id']}", {"storeId": store})
    assert await talk.texts(store) == ["New words."]
    await talk.holds_together()


async def test_processing_with_a_body_needs_no_save_before(
    talk: Talk, client: httpx.AsyncClient, worker: Runner
) -> None:
    store = await talk.store()
    saved = await call(client, "loader/save", loader(config=text_files(("a.txt", "One.")), storeId=store))
    body = loader(config=text_files(("a.txt", "One."), ("b.txt", "Two.")), storeId=store, id=saved["id"])
    page = await call(client, f"loader/process/{saved['id']}", body)
    assert [chunk["pageContent"] for chunk in page["chunks"]] == ["One.", "Two."]
    await talk.holds_together()


async def test_a_poisoned_file_leaves_its_loader_stale_with_the_reason(
    talk: Talk, client: httpx.AsyncClient, worker: Runner
) -> None:
    store = await talk.store()
    body = loader("pdfFile", {"pdfFile": data_uri("bad.pdf", b"%PDF-1.7 broken", "application/pdf")}, storeId=store)
    saved = await call(client, "loader/save", body)
    answer = await call(client, f"loader/process/{saved['id']}", {"storeId": store}, 422)
    assert "bad.pdf" in answer["message"]
    found = (await loaders(talk, store))[saved["id"]]
    assert (found["status"], found["files"][0]["status"]) == ("STALE", "STALE")
    assert found["files"][0]["error"]
    assert (await talk.read(store))["status"] == "STALE"
    good = loader("pdfFile", {"pdfFile": data_uri("note.pdf", "now plain")}, storeId=store, id=saved["id"])
    await call(
        client,
        f"loader/process/{saved['id']}",
        {**good, "loaderId": "fileLoader", "loaderConfig": {"file": data_uri("note.txt", "Now plain.")}},
    )
    assert (await loaders(talk, store))[saved["id"]]["status"] == "SYNC"
    await talk.holds_together()


async def test_who_does_not_wait_gets_the_job_of_a_processing(
    talk: Talk, client: httpx.AsyncClient, worker: Runner
) -> None:
    store = await talk.store()
    saved = await call(client, "loader/save", loader(config=text_files(("a.txt", "One.")), storeId=store))
    headers = {"Prefer": "respond-async", "x-request-from": "internal"}
    job = await call(client, f"loader/process/{saved['id']}", {"storeId": store}, 202, headers=headers)
    assert (await talk.end(job["url"]))["state"] == "done"
    assert await talk.texts(store) == ["One."]


async def test_processing_what_is_not_there_says_so(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    empty = await call(client, "loader/save", loader(storeId=store))
    assert "no files" in (await call(client, f"loader/process/{empty['id']}", {"storeId": store}, 422))["message"]
    await call(client, f"loader/process/{uuid4()}", {"storeId": store}, 404)
    assert (await call(client, f"loader/process/{empty['id']}", {}, 412))["message"].startswith("storeId")


async def test_processing_again_makes_edited_chunks_anew(talk: Talk, client: httpx.AsyncClient, worker: Runner) -> None:
    store = await talk.store()
    saved = await call(client, "loader/save", loader(config=text_files(("a.txt", passages("Alpha"))), storeId=store))
    page = await call(client, f"loader/process/{saved['id']}", {"storeId": store})
    chunk = page["chunks"][0]["id"]
    path = f"{API}/chunks/{store}/{saved['id']}/{chunk}"
    assert (await client.put(path, json={"pageContent": "Edited."})).status_code == 200
    assert await talk.texts(store) == ["Edited."]
    page = await call(client, f"loader/process/{saved['id']}", {"storeId": store})
    assert page["chunks"][0]["pageContent"].startswith("Alpha")
    await talk.holds_together()


async def test_a_named_text_keeps_its_name_and_its_chunks_when_it_is_made_anew(
    talk: Talk, client: httpx.AsyncClient, worker: Runner
) -> None:
    store = await talk.store()
    config = {"text": passages("Alpha", "Beta")}
    saved = await call(client, "loader/save", loader("plainText", config, storeId=store, loaderName="Opening hours"))
    await call(client, f"loader/process/{saved['id']}", {"storeId": store})
    await call(client, "vectorstore/insert", {"storeId": store, **VECTORS})
    (result,) = await call(client, f"refresh/{store}", {})
    assert (result["numSkipped"], result["numUpdated"], result["numAdded"]) == (2, 0, 0)
    assert [document["name"] for document in await talk.documents(store)] == ["Opening hours"]


async def test_a_loader_shows_its_splitter_by_its_label(talk: Talk, client: httpx.AsyncClient) -> None:
    body = loader("plainText", {"text": "Alpha"}, splitterId="tokenTextSplitter", splitterConfig={})
    saved = await call(client, "loader/save", {**body, "storeId": await talk.store()})
    assert (saved["splitterId"], saved["splitterName"]) == ("tokenTextSplitter", "Token Text Splitter")


# What a loader leaves out


async def test_metadata_are_left_out_and_added(talk: Talk, client: httpx.AsyncClient) -> None:
    config = {**text_files(("a.txt", "Words.")), "metadata": '{"team": "ops"}'}
    for omitted, left in [
        ("source, start", {"title", "end", "team"}),
        ("*", {"team"}),
        ("", {"source", "title", "start", "end", "team"}),
    ]:
        found = await call(client, "loader/preview", loader(config={**config, "omitMetadataKeys": omitted}))
        assert set(found["chunks"][0]["metadata"]) == left, omitted


@pytest.mark.parametrize(
    ("component", "config", "chunks"),
    [
        (
            "csvFile",
            {"csvFile": data_uri("a.csv", "city,note\nRome,old\nBonn,new\n"), "columnName": "city"},
            ["Rome", "Bonn"],
        ),
        (
            "jsonFile",
            {"jsonFile": data_uri("a.json", '{"a": {"b": "deep"}, "c": "no"}'), "pointersName": "/a/b"},
            ["deep"],
        ),
        (
            "jsonlinesFile",
            {"jsonlinesFile": data_uri("a.jsonl", '{"t": "one"}\n{"t": "two"}\n'), "pointerName": "/t"},
            ["one", "two"],
        ),
        ("plainText", {"text": "Offices close at 18:00."}, ["Offices close at 18:00."]),
        (
            "unstructuredFileLoader",
            {"fileObject": data_uri("a.txt", "Any."), "unstructuredAPIUrl": "http://x", "strategy": "auto"},
            ["Any."],
        ),
        ("file", {"file": data_uri("a.txt", "Ours.")}, ["Ours."]),
        ("markdown", {"file": data_uri("a.md", "# Ours")}, ["# Ours"]),
    ],
)
async def test_loaders_read_by_their_fields(
    client: httpx.AsyncClient, component: str, config: dict[str, Any], chunks: list[str]
) -> None:
    found = await call(client, "loader/preview", loader(component, config))
    assert [chunk["pageContent"] for chunk in found["chunks"]] == chunks


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("recursiveCharacterTextSplitter", {"chunkSize": "40", "chunkOverlap": "0"}),
        ("recursiveCharacterTextSplitter", {"chunkSize": 40, "chunkOverlap": 0, "separators": '["|"]'}),
        ("characterTextSplitter", {"chunkSize": 40, "chunkOverlap": 0, "separator": "|"}),
        ("tokenTextSplitter", {"chunkSize": 8, "chunkOverlap": 0, "encodingName": "gpt2"}),
        ("markdownTextSplitter", {"chunkSize": 40, "chunkOverlap": 0}),
        ("htmlToMarkdownTextSplitter", {"chunkSize": "40", "chunkOverlap": "0"}),
        ("codeTextSplitter", {"chunkSize": 40, "chunkOverlap": 0, "language": "python"}),
    ],
)
async def test_splitters_cut_by_their_fields_and_honour_no_overlap(
    client: httpx.AsyncClient, name: str, config: dict[str, Any]
) -> None:
    words = " | ".join(f"word{number:03}" for number in range(40))
    body = loader(config=text_files(("a.txt", words)), splitterId=name, splitterConfig=config)
    found = await call(client, "loader/preview", body)
    assert found["totalChunks"] > 3
    text = "".join(chunk["pageContent"] for chunk in found["chunks"])
    assert sorted({word for word in text.replace("|", " ").split() if len(word) == 7}) == [
        f"word{n:03}" for n in range(40)
    ]
    assert text.count("word003") == 1


# What may be overridden


async def test_the_fields_that_calls_may_override(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store(
        vectorStoreConfig='{"name": "postgres", "config": {}}',
        recordManagerConfig='{"name": "postgresRecordManager", "config": {}}',
    )
    saved = await call(client, "loader/save", loader("pdfFile", {"pdfFile": data_uri("a.pdf", "x")}, storeId=store))
    found = (await client.get(f"{API}/store-configs/{store}/{saved['id']}")).json()
    fields = {(item["nodeId"], item["name"]): item for item in found}
    assert fields["pdfFile_0", "files"] == {
        "node": "Pdf File",
        "nodeId": "pdfFile_0",
        "label": "Pdf File",
        "name": "files",
        "type": ".pdf",
    }
    assert fields["pdfFile_0", "usage"]["type"] == "perPage, perFile"
    assert fields["recursiveCharacterTextSplitter_0", "chunkSize"]["type"] == "number"
    assert fields["postgres_0", "credential"]["label"] == "Connect Credential"
    assert fields["postgresRecordManager_0", "cleanup"]["type"] == "none, incremental, full"
    assert (await client.get(f"{API}/store-configs/{store}/{uuid4()}")).status_code == 404


async def test_another_workspace_sees_none_of_it(
    talk: Talk, client: httpx.AsyncClient, foreign: httpx.AsyncClient, resources: Resources
) -> None:
    store = await talk.store()
    saved = await call(client, "loader/save", loader(config=text_files(("a.txt", "One.")), storeId=store))
    await call(foreign, "loader/save", loader(config=text_files(("a.txt", "x")), storeId=store), 404)
    await call(foreign, f"loader/process/{saved['id']}", {"storeId": store}, 404)
    await call(
        foreign, "loader/preview", {**loader(config=saved["loaderConfig"]), "storeId": store, "id": saved["id"]}, 404
    )
    await call(foreign, f"refresh/{store}", {}, 404)
