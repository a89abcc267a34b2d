"""A document store out into one file, and back in as another one that answers the same."""

import gzip
import io
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.document_stores.archive.service import Pulled, take_in
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.types import LONGEST_ERROR
from service.errors import TooLarge
from service.providers.embedding.fake import FakeEmbedder
from service.settings import Settings, load
from stores.vector.pgvector import PgVectorStore
from tests.service.document_stores.talk import API, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")

Json = dict[str, Any]


async def export(talk: Talk, store: str, **query: Any) -> bytes:
    response = await talk.client.get(f"{API}/store/{store}/export", params=query)
    assert response.status_code == 200, response.text
    return response.content


async def load_in(talk: Talk, archive: bytes, **query: Any) -> Json:
    response = await talk.client.post(f"{API}/import", content=archive, params=query)
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


def members(archive: bytes) -> dict[str, bytes]:
    """What `tar` finds in it: any tool can read archives."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar}  # type: ignore[union-attr]


async def filled(talk: Talk) -> str:
    """A document store with files of several loaders, own chunks, an edited chunk, one file that failed."""
    store = await talk.store("Handbook: all of it", description="What people need")
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma")), metadata={"year": 2024, "big": 1e20})
    await talk.upsert(store, ("b.md", "# Guide\n\n## Leave\n\n" + passages("Leave", "Badge")), ("empty.txt", " "))
    own = [{"pageContent": "Own one.", "metadata": {"n": 1.0}, "vector": [0.5] * 16}, {"pageContent": "Own two."}]
    response = await talk.client.post(f"{API}/upsert/{store}", json={"chunks": own, "source": "own"})
    assert response.status_code == 200, response.text
    chunk = next(each for each in (await talk.chunks(store))["chunks"] if each["pageContent"].startswith("Beta"))
    response = await talk.client.put(
        f"{API}/chunks/{store}/{chunk['docId']}/{chunk['id']}", json={"pageContent": "Beta was edited by hand."}
    )
    assert response.status_code == 200, response.text
    return store


async def seen(talk: Talk, store: str) -> Json:
    """What a caller sees of a document store, without ids."""
    chunks = (await talk.chunks(store))["chunks"]
    documents = [
        {key: value for key, value in each.items() if key not in ("id", "loaderId", "createdDate", "updatedDate")}
        for each in await talk.documents(store)
    ]
    found = []
    for query in ("Beta edited hand", "Leave3", "Own two", "Guide Leave Badge1"):
        docs = await talk.query(store, query, topK=4)
        found.append([(doc["pageContent"], round(doc["score"], 5)) for doc in docs])
    read = await talk.read(store)
    return {
        "chunks": [(each["chunkNo"], each["pageContent"], each["metadata"]) for each in chunks],
        "documents": documents,
        "found": found,
        "store": {key: read[key] for key in ("description", "status", "embeddingConfig", "totalChunks", "totalChars")},
        "loaders": [
            (each["loaderId"], each["loaderName"], each["totalChunks"], each["status"]) for each in read["loaders"]
        ],
    }


async def test_what_comes_in_is_what_went_out(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await filled(talk)
    before = await seen(talk, store)
    archive = await export(talk, store)
    embedder.calls.clear()
    answer = await load_in(talk, archive)
    assert embedder.calls == []
    assert (answer["name"], answer["numDocuments"], answer["numChunks"]) == ("Handbook: all of it", 4, 7)
    assert (answer["numEmbedded"], answer["fillJobId"], answer["credentials"]) == (0, None, [])
    assert await seen(talk, answer["storeId"]) == before
    assert await seen(talk, store) == before
    assert answer["storeId"] != store
    await talk.holds_together()


async def test_the_index_of_what_comes_in_is_built_once_all_of_it_is_there(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = await export(talk, await filled(talk))
    complete, seen = PgVectorStore.complete, []

    async def indexes(collection: str) -> int:
        valid = "SELECT 1 FROM pg_index WHERE indisvalid AND indexrelid::regclass::text LIKE %s"
        return len(await talk.rows(valid, f"%{collection}\\_hnsw"))

    async def watched(self: PgVectorStore, collection: str) -> None:
        before = await indexes(collection)
        await complete(self, collection)
        seen.append((await self.count(collection), before, await indexes(collection)))

    monkeypatch.setattr(PgVectorStore, "complete", watched)
    await load_in(talk, archive)
    assert seen == [(7, 0, 1)]


async def test_the_same_files_add_nothing_to_an_imported_store_and_changed_ones_only_what_is_new(
    talk: Talk, embedder: FakeEmbedder
) -> None:
    store = await filled(talk)
    copy = (await load_in(talk, await export(talk, store), name="Copy"))["storeId"]
    embedder.calls.clear()
    same = await talk.upsert(copy, ("a.txt", passages("Alpha", "Beta", "Gamma")), metadata={"year": 2024, "big": 1e20})
    assert (same["numAdded"], same["numSkipped"], same["numDeleted"]) == (0, 3, 0)
    assert embedder.calls == []
    assert "Beta was edited by hand." in await talk.texts(copy)
    changed = await talk.upsert(
        copy, ("a.txt", passages("Alpha", "Beta", "Delta")), metadata={"year": 2024, "big": 1e20}
    )
    # Beta is made from its source again, as its content changed; Alpha is known by its id
    assert (changed["numAdded"], changed["numUpdated"], changed["numDeleted"]) == (1, 1, 1)
    assert changed["numSkipped"] == 1
    own = [{"pageContent": "Own one.", "metadata": {"n": 1.0}, "vector": [0.5] * 16}, {"pageContent": "New."}]
    response = await talk.client.post(f"{API}/upsert/{copy}", json={"chunks": own, "source": "own"})
    assert (response.json()["numAdded"], response.json()["numSkipped"], response.json()["numDeleted"]) == (1, 1, 1)
    await talk.holds_together()


async def test_loaders_can_be_processed_again_from_the_uploads_in_the_archive(talk: Talk) -> None:
    store = await talk.store()
    made = await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    copy = (await load_in(talk, await export(talk, store)))["storeId"]
    loader = (await talk.read(copy))["loaders"][0]["id"]
    splitter = {"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 200, "chunkOverlap": 0}}
    answer = await talk.upsert(copy, docId=loader, replaceExisting="true", splitter=splitter)
    assert answer["numDeleted"] == 2
    assert loader != made["docId"]
    await talk.holds_together()


async def test_without_vectors_everything_is_embedded_after_the_import(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await filled(talk)
    before = await seen(talk, store)
    archive = await export(talk, store, vectors=False, blobs=False)
    assert not [name for name in members(archive) if name.startswith(("vectors", "blobs"))]
    embedder.calls.clear()
    answer = await load_in(talk, archive)
    assert (answer["numEmbedded"], answer["numBlobs"]) == (7, 0)
    done = await talk.end(f"/api/v1/jobs/{answer['fillJobId']}")
    assert done["state"] == "done", done
    assert sum(map(len, embedder.calls)) == 7
    after = await seen(talk, answer["storeId"])
    assert after["chunks"] == before["chunks"]
    await talk.settled()


async def test_chunks_that_are_not_indexed_stay_so(talk: Talk) -> None:
    store = await filled(talk)
    response = await talk.client.delete(f"{API}/vectorstore/{store}")
    assert response.status_code == 200, response.text
    answer = await load_in(talk, await export(talk, store))
    assert (answer["numChunks"], answer["numEmbedded"]) == (7, 0)
    assert await talk.query(answer["storeId"], "Alpha") == []
    await talk.holds_together()


@pytest.mark.parametrize("vectors", [True, False])
async def test_only_what_was_indexed_is_indexed_after_an_import(
    talk: Talk, embedder: FakeEmbedder, vectors: bool
) -> None:
    store = await talk.store()
    hidden = (await talk.upsert(store, ("a.txt", passages("Alpha", "Beta"))))["docId"]
    await talk.upsert(store, ("b.txt", passages("Gamma", "Delta")))
    assert (await talk.client.delete(f"{API}/vectorstore/{store}", params={"docId": hidden})).status_code == 200
    embedder.calls.clear()
    answer = await load_in(talk, await export(talk, store, vectors=vectors))
    assert (answer["numChunks"], answer["numEmbedded"]) == (4, 0 if vectors else 2)
    if not vectors:
        fill = await talk.end(f"/api/v1/jobs/{answer['fillJobId']}")
        assert (fill["state"], fill["result"]["numAdded"]) == ("done", 2)
    assert sorted(text.split()[0] for call in embedder.calls for text in call) == (
        [] if vectors else ["Delta", "Gamma"]
    )
    copy = answer["storeId"]
    found = await talk.query(copy, "stands here", topK=10)
    assert {doc["pageContent"].split()[0] for doc in found} == {"Gamma", "Delta"}
    await talk.holds_together()
    inserted = (await talk.client.post(f"{API}/vectorstore/insert", json={"storeId": copy})).json()
    assert (inserted["numAdded"], inserted["numSkipped"]) == (2, 2)  # asked for, they are
    await talk.holds_together()


async def test_an_empty_document_store_travels_too(talk: Talk) -> None:
    store = await talk.store("Nothing")
    answer = await load_in(talk, await export(talk, store))
    assert (answer["numDocuments"], answer["numChunks"]) == (0, 0)
    assert (await talk.read(answer["storeId"]))["name"] == "Nothing"
    await talk.upsert(answer["storeId"], ("a.txt", "Something."))
    await talk.holds_together()


async def test_a_failure_that_has_much_to_say_travels_too(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")), ("empty.txt", " "))
    (failed,) = [row for row in await talk.rows("SELECT id, job_id, state FROM documents") if row["state"] == "failed"]
    async with talk.resources.database.write(talk.workspace) as scope:
        assert await ledger.fail(scope, failed["id"], failed["job_id"], "connector_failed", "It said: " + "x" * 200_000)
    (copied,) = [
        row["error"]
        for row in await talk.documents((await load_in(talk, await export(talk, store)))["storeId"])
        if row["error"]
    ]
    assert copied.startswith("It said: xxx")
    assert len(copied) == LONGEST_ERROR


async def test_packed_archives_and_forms_are_taken(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    packed = await export(talk, store, gzip=True)
    assert members(gzip.decompress(packed)).keys() == members(await export(talk, store)).keys()
    assert (await load_in(talk, packed, name="Packed"))["numChunks"] == 1
    response = await talk.client.post(f"{API}/import?name=Form", files={"file": ("x.tar.gz", packed)})
    assert response.status_code == 200, response.text
    assert response.json()["name"] == "Form"
    later = await talk.client.post(f"{API}/import", content=packed, headers={"Prefer": "respond-async"})
    assert later.status_code == 202
    assert (await talk.end(later.headers["Location"]))["result"]["numChunks"] == 1
    await talk.holds_together()


async def test_secrets_stay_where_they_are_and_are_named(talk: Talk) -> None:
    body = {"name": "Mine", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": "sk-canary-1"}}
    credential = (await talk.client.post("/api/v1/credentials", json=body)).json()["id"]
    embedding = {"name": "fake", "config": {"dimension": 16, "credential": credential, "apiKey": "sk-canary-2"}}
    store = await talk.store(embeddingConfig=json.dumps(embedding))
    config = {"text": "Text.", "headers": {"X": "sk-canary-3"}, "url": "https://me:sk-canary-4@host/"}
    await talk.upsert(store, loader={"name": "plainText", "config": config})
    archive = await export(talk, store)
    assert b"sk-canary" not in archive
    assert credential.encode() not in archive
    answer = await load_in(talk, archive)
    assert answer["credentials"] == ["embedding", "loader 'plainText'"]
    assert (await talk.read(answer["storeId"]))["embeddingConfig"]["config"] == {"dimension": 16}


async def test_another_workspace_sees_neither_the_export_nor_the_import(talk: Talk, foreign: Any) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    assert (await foreign.get(f"{API}/store/{store}/export")).status_code == 404
    response = await foreign.post(f"{API}/import", content=await export(talk, store))
    assert response.status_code == 200
    assert (await talk.client.get(f"{API}/store/{response.json()['storeId']}")).status_code == 404


async def test_an_export_amid_an_upsert_is_whole(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    jobs = [await talk.start(store, (f"{n}.txt", passages(*(f"T{n}x{m}" for m in range(40))))) for n in range(3)]
    jobs.append(await talk.start(store, ("a.txt", passages("Alpha", "Gamma"))))
    archives = [await export(talk, store) for _ in range(4)]
    for job in jobs:
        await talk.end(job)
    for archive in archives:
        copy = (await load_in(talk, archive))["storeId"]
        documents = await talk.documents(copy)
        assert {document["state"] for document in documents} <= {"ready", "failed"}
        assert all(document["totalChunks"] in (0, 2, 40) for document in documents)
    await talk.holds_together()


class TestInMemory:
    """With vectors that are not in Postgres: an archive goes from one backend to the other."""

    @pytest.fixture
    def settings(self, tmp_path: Path, database_url: str) -> Settings:
        return load(
            {},
            {
                "data": tmp_path / "data",
                "database_url": database_url,
                "database_pool": 12,
                "vector_store": "memory://",
            },
        )

    async def test_an_archive_of_pgvector_is_searched_the_same(self, talk: Talk, embedder: FakeEmbedder) -> None:
        store = await filled(talk)
        before = await seen(talk, store)
        archive = await export(talk, store)
        embedder.calls.clear()
        answer = await load_in(talk, archive)
        assert embedder.calls == []
        assert await seen(talk, answer["storeId"]) == before
        await talk.holds_together()

    async def test_vectors_that_are_lost_are_made_anew_by_the_import(self, talk: Talk) -> None:
        store = await talk.store()
        await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma")))
        collection = (await talk.rows("SELECT collection FROM document_stores"))[0]["collection"]
        ids = await talk.resources.vectors.ids(collection)
        await talk.resources.vectors.delete(collection, ids[:1])
        answer = await load_in(talk, await export(talk, store))
        assert answer["numEmbedded"] == 1
        assert (await talk.end(f"/api/v1/jobs/{answer['fillJobId']}"))["state"] == "done"
        assert len(await talk.query(answer["storeId"], "Alpha Beta Gamma", topK=10)) == 3


async def test_an_upload_that_breaks_off_leaves_nothing(talk: Talk) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await take_in(talk.resources, talk.workspace, Pulled(broken()), None)
    kept = list((talk.resources.settings.data / "blobs").rglob("*"))
    assert [file for file in kept if file.is_file()] == []
    assert await talk.rows("SELECT id FROM document_stores") == []


async def test_an_import_that_is_cancelled_cannot_be_retried_as_its_archive_is_gone(talk: Talk) -> None:
    archive = await export(talk, await filled(talk))
    response = await talk.client.post(f"{API}/import", content=archive, headers={"Prefer": "respond-async"})
    job = response.json()["url"]
    await talk.client.post(f"{job}/pause")
    assert (await talk.client.delete(job)).json()["state"] == "cancelled"
    refused = await talk.client.post(f"{job}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "archive_gone")
    await talk.holds_together()


async def test_archives_have_a_limit_of_their_own(talk: Talk) -> None:
    small = talk.resources.settings.model_copy(update={"max_archive": 1000})

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 400

    with pytest.raises(TooLarge, match="max_archive"):
        await take_in(replace(talk.resources, settings=small), talk.workspace, Pulled(pieces()), None)
