"""The check of ledger, vectors, keyword index and uploads finds what was broken on purpose."""

import asyncio
import io
import os
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.document_stores.check import repair as repairing
from service.document_stores.check.repair import SWEPT_SECONDS, repair, sweep
from service.document_stores.check.service import check
from service.document_stores.collections.records import add as add_collection
from service.providers.embedding.fake import FakeEmbedder
from service.resources import Resources
from service.worker.runner import Runner
from stores.lexical import compaction
from stores.vector.base import Point
from tests.service.document_stores.talk import API, Talk, passages

TEXT = "# Doors\n\nThe red door leads to the cellar.\n\n# Windows\n\nThe round window looks over the harbour."


@pytest.fixture
async def collection(client: httpx.AsyncClient, resources: Resources) -> tuple[UUID, str]:
    """A document store with chunks, and its vector collection."""
    stop = asyncio.Event()
    working = asyncio.create_task(Runner(resources, alone=True).run(stop))
    store = (await client.post("/api/v1/document-store/store", json={"name": "House"})).json()["id"]
    answer = await client.post(
        f"/api/v1/document-store/upsert/{store}", files={"files": ("house.md", TEXT.encode(), "text/markdown")}
    )
    assert answer.status_code == 200, answer.text
    stop.set()
    await working
    async with resources.database.connection() as connection:
        cursor = await connection.execute("SELECT collection FROM document_stores WHERE id = %s", (store,))
        row = await cursor.fetchone()
    assert row is not None
    return UUID(store), row["collection"]


async def problems(resources: Resources) -> list[str]:
    return [f"{finding.subject}: {finding.problem}" for finding in await check(resources)]


async def test_a_sound_document_store_has_no_findings(resources: Resources, collection: tuple[UUID, str]) -> None:
    assert await problems(resources) == []


async def test_a_vector_that_is_gone_and_one_too_many_are_found(
    resources: Resources, collection: tuple[UUID, str]
) -> None:
    ids = await resources.vectors.ids(collection[1])
    await resources.vectors.delete(collection[1], ids[:1])
    await resources.vectors.upsert(collection[1], [Point("zzz-nobody", [1.0] + [0.0] * 383)])
    found = await problems(resources)
    assert len(found) == 2
    assert f"1 chunks are missing from vectors (such as {ids[0]})" in found[0]
    assert "vectors: 1 entries belong to no chunk (such as zzz-nobody)" in found[1]


async def test_a_collection_that_is_gone_is_found(resources: Resources, collection: tuple[UUID, str]) -> None:
    await resources.vectors.drop(collection[1])
    (found,) = await problems(resources)
    assert "chunks are missing from vectors" in found


async def test_a_chunk_without_words_is_found(
    resources: Resources, collection: tuple[UUID, str], workspace: UUID
) -> None:
    async with resources.database.write(workspace) as scope:
        row = await scope.one(
            "SELECT min(number) AS number FROM chunks WHERE store_id = %(store)s", store=collection[0]
        )
        assert row is not None
        await resources.lexical.remove(scope, collection[0], [row["number"]])
    (found,) = await problems(resources)
    assert f"1 chunks are missing from the keyword index (such as {row['number']})" in found


async def test_a_lost_upload_and_an_ownerless_one_are_found(resources: Resources, collection: tuple[UUID, str]) -> None:
    keys = [key async for key in resources.blobs.keys()]  # noqa: SIM118 - no mapping
    await resources.blobs.delete(keys[0])
    await resources.blobs.put(io.BytesIO(b"nobody's"), limit=100)
    found = await problems(resources)
    assert len(found) == 2
    assert "uploaded files are gone" in found[0]
    assert "belong to no document" in found[1]


async def test_chunks_that_never_became_live_are_found(resources: Resources, collection: tuple[UUID, str]) -> None:
    async with resources.database.connection() as connection:
        await connection.execute("UPDATE chunks SET live = false WHERE position = 0")
    found = await problems(resources)
    assert len(found) == 2
    assert "documents hold another number of chunks" in found[0]
    assert "1 chunks belong to uploads that never ended" in found[1]


async def mended(resources: Resources) -> list[str]:
    return [line async for line in repair(resources)]


async def found_by(client: httpx.AsyncClient, store: UUID, query: str) -> str:
    body = {"storeId": str(store), "query": query, "inputs": {"topK": 1}}
    answer = await client.post("/api/v1/document-store/vectorstore/query", json=body)
    text: str = answer.json()["docs"][0]["pageContent"]
    return text


async def test_a_sound_document_store_is_left_as_it_is(resources: Resources, collection: tuple[UUID, str]) -> None:
    assert await mended(resources) == []


async def test_vectors_are_made_anew_from_the_ledger(
    client: httpx.AsyncClient, resources: Resources, collection: tuple[UUID, str]
) -> None:
    store, name = collection
    before = await resources.vectors.get(name, await resources.vectors.ids(name))
    await resources.vectors.drop(name)
    assert await mended(resources) == [f"document store 'House' ({store}): made {len(before)} vectors anew"]
    after = await resources.vectors.get(name, await resources.vectors.ids(name))
    for old, new in zip(before, after, strict=True):
        assert (old.id, old.metadata) == (new.id, new.metadata)
        assert list(new.vector) == pytest.approx(list(old.vector), abs=1e-5)
    assert await problems(resources) == []
    assert "harbour" in await found_by(client, store, "window over the harbour")


async def test_chunks_that_the_ledger_lost_come_back_with_the_same_file(
    resources: Resources, collection: tuple[UUID, str], talk: Talk
) -> None:
    store = collection[0]
    async with resources.database.connection() as connection:
        await connection.execute("DELETE FROM chunks WHERE store_id = %s AND text LIKE %s", (store, "%harbour%"))
    assert "1 documents hold another number of chunks than they say" in (await problems(resources))[0]
    assert "1 documents had lost chunks: upload them again" in " ".join(await mended(resources))
    assert await problems(resources) == []
    stop = asyncio.Event()
    working = asyncio.create_task(Runner(resources, alone=True).run(stop))
    house = {"files": ("house.md", TEXT.encode(), "text/markdown")}
    again = await talk.client.post(f"{API}/upsert/{store}", files=house)
    assert (again.json()["numAdded"], again.json()["numSkipped"]) == (1, 0), again.text
    stop.set()
    await working
    assert await talk.texts(str(store)) == [TEXT]
    assert await problems(resources) == []


async def test_points_and_words_of_no_chunk_are_removed(
    resources: Resources, collection: tuple[UUID, str], workspace: UUID
) -> None:
    await resources.vectors.upsert(collection[1], [Point("zzz-nobody", [1.0] + [0.0] * 383)])
    async with resources.database.write(workspace) as scope:
        await resources.lexical.add(scope, collection[0], ["words of nobody"])
    assert len(await mended(resources)) == 2
    assert await problems(resources) == []


async def test_chunks_without_words_are_indexed_anew_and_others_stay_out(
    client: httpx.AsyncClient, resources: Resources, collection: tuple[UUID, str], workspace: UUID
) -> None:
    store, _ = collection
    async with resources.database.write(workspace) as scope:
        rows = await scope.all("SELECT number FROM chunks WHERE store_id = %(store)s ORDER BY number", store=store)
        await resources.lexical.remove(scope, store, [row["number"] for row in rows])
    assert await mended(resources) == [f"document store 'House' ({store}): indexed {len(rows)} chunks anew"]
    assert await problems(resources) == []
    assert "harbour" in await found_by(client, store, "harbour")


async def test_what_waits_for_a_lost_job_says_so_and_leftovers_go(
    resources: Resources, collection: tuple[UUID, str], workspace: UUID
) -> None:
    async with resources.database.connection() as connection:
        await connection.execute("UPDATE chunks SET live = false WHERE position = 0")
        await connection.execute("UPDATE documents SET state = 'pending'")
    async with resources.database.write(workspace) as scope:
        leftover = await add_collection(scope, collection[0], building=True)
    await resources.vectors.create(leftover, 384)
    assert len(await problems(resources)) == 4
    assert len(await mended(resources)) == 5
    assert await problems(resources) == []
    async with resources.database.connection() as connection:
        row = await (await connection.execute("SELECT state, error FROM documents")).fetchone()
    assert row is not None
    assert row["state"] == "failed"
    assert "upload the file again" in row["error"]


async def test_files_of_nobody_are_removed_once_they_are_old(
    resources: Resources, collection: tuple[UUID, str]
) -> None:
    kept = [key async for key in resources.blobs.keys()]  # noqa: SIM118 - no mapping
    orphan = await resources.blobs.put(io.BytesIO(b"nobody's"), limit=100)
    folder = resources.settings.data / "blobs" / orphan.key[:2]
    (folder / f"{'0' * 32}.part").write_bytes(b"half")
    assert await mended(resources) == []
    assert await sweep(resources, SWEPT_SECONDS) == 0
    for file in (folder / orphan.key, folder / f"{'0' * 32}.part"):
        os.utime(file, (1, 1))
    first = sum([await sweep(resources, SWEPT_SECONDS, digit) for digit in "0123456789abcdef"])
    assert first == 2
    assert [key async for key in resources.blobs.keys()] == kept  # noqa: SIM118 - no mapping


async def test_a_document_store_at_work_is_left_alone(
    client: httpx.AsyncClient, resources: Resources, collection: tuple[UUID, str]
) -> None:
    answer = await client.post(
        f"/api/v1/document-store/upsert/{collection[0]}",
        files={"files": ("more.md", b"# More\n\nThere is more.", "text/markdown")},
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 202
    await resources.vectors.drop(collection[1])
    assert await mended(resources) == [f"document store 'House' ({collection[0]}): left alone, a job works on it"]


async def test_a_document_store_that_a_job_took_up_after_they_were_listed_is_left_alone(
    client: httpx.AsyncClient, resources: Resources, collection: tuple[UUID, str]
) -> None:
    other = (await client.post("/api/v1/document-store/store", json={"name": "A barn"})).json()["id"]
    async with resources.database.connection() as connection:
        await connection.execute(
            "INSERT INTO loaders (id, workspace_id, store_id, loader_id, loader_name, loader_config)"
            " SELECT gen_random_uuid(), workspace_id, %(other)s, 'file', 'file', '{}' FROM document_stores"
            " WHERE id = %(other)s",
            {"other": other},
        )
        await connection.execute(
            "INSERT INTO documents (id, workspace_id, store_id, loader_id, source, name, size, sha256, blob, recipe,"
            " state) SELECT gen_random_uuid(), workspace_id, store_id, id, 's', 's', 1, '', '', '{}', 'pending'"
            " FROM loaders WHERE store_id = %(other)s",
            {"other": other},
        )
    lines = repair(resources)
    assert "A barn" in await anext(lines)  # the list is made, 'House' comes next
    answer = await client.post(
        f"/api/v1/document-store/upsert/{collection[0]}",
        files={"files": ("more.md", b"# More\n\nThere is more.", "text/markdown")},
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 202
    async with resources.database.connection() as connection:  # as if its first batch were there
        await connection.execute("UPDATE chunks SET live = false WHERE position = 0")
    assert [line async for line in lines] == [
        f"document store 'House' ({collection[0]}): left alone, a job works on it"
    ]


async def test_what_was_written_while_the_parts_were_compared_stays(
    resources: Resources, collection: tuple[UUID, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, name = collection
    points = await resources.vectors.ids(name)
    numbers = [int(point) for point in points]

    async def words(*_: object) -> tuple[list[int], list[int]]:
        return [], numbers

    async def surplus(*_: object) -> AsyncIterator[list[str]]:
        yield points

    monkeypatch.setattr(repairing, "_words", words)
    monkeypatch.setattr(repairing, "without_chunks", surplus)
    assert await mended(resources) == []
    assert await problems(resources) == []


async def deep(resources: Resources) -> list[str]:
    return [f"{finding.subject}: {finding.problem}" for finding in await check(resources, deep=True)]


async def broken(resources: Resources, statement: Any, *params: Any) -> None:
    """Run a statement that no part of the service runs."""
    async with resources.database.connection() as connection:
        assert (await connection.execute(statement, params)).rowcount > 0


async def test_a_document_store_with_a_past_has_no_findings(
    talk: Talk, resources: Resources, worker: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MOST_SEGMENTS", 3)
    monkeypatch.setattr(compaction, "FEWEST_REMOVED", 2)
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma", "Delta")), ("b.txt", passages("Epsilon")))
    await talk.upsert(store, ("a.txt", passages("Alpha", "Zeta", "Gamma", "Delta")))
    chunks = (await talk.chunks(store))["chunks"]
    path = f"{API}/chunks/{store}/{chunks[0]['docId']}"
    edited = await talk.client.put(f"{path}/{chunks[0]['id']}", json={"pageContent": "Edited.", "metadata": {}})
    assert edited.status_code == 200, edited.text
    other = next(chunk for chunk in chunks[1:] if chunk["docId"] == chunks[0]["docId"])
    assert (await talk.client.delete(f"{path}/{other['id']}")).status_code == 200
    await talk.settled()
    assert await deep(resources) == []  # the edited and the deleted one wait to be forgotten
    for topic in ("Eta", "Theta", "Iota"):
        await talk.upsert(store, ("a.txt", passages(topic, "Gamma", "Delta")))
    await talk.settled()
    compacted = await talk.rows("SELECT 1 AS one FROM jobs WHERE kind = 'compact' AND state = 'done'")
    assert len(compacted) > 0
    assert await deep(resources) == []
    assert [line async for line in repair(resources, deep=True)] == []


async def test_chunks_that_lost_words_get_them_from_their_texts_and_keep_their_vectors(
    talk: Talk, resources: Resources, worker: Runner, embedder: FakeEmbedder
) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    await talk.settled()
    calls = len(embedder.calls)
    terms = "SELECT DISTINCT term FROM lexical_postings WHERE starts_with(term, 'bet') ORDER BY term"
    before = await talk.rows(terms)
    await broken(resources, "DELETE FROM lexical_postings WHERE starts_with(term, 'bet')")
    assert [line.partition(" (such")[0] for line in await problems(resources)] == [
        f"document store 'Handbook' ({store}): 1 chunks have not their own words in the keyword index"
    ]
    assert await mended(resources) == [f"document store 'Handbook' ({store}): indexed 1 chunks anew"]
    assert len(embedder.calls) == calls
    assert await deep(resources) == []
    assert await talk.rows(terms) == before


async def test_words_of_another_text_are_found_when_texts_are_read(
    client: httpx.AsyncClient, resources: Resources, collection: tuple[UUID, str]
) -> None:
    store, _ = collection
    await broken(resources, "UPDATE chunks SET text = replace(text, 'harbour', 'gardens')")
    assert await problems(resources) == []
    (found,) = await check(resources, deep=True)
    assert "1 chunks have not their own words in the keyword index" in found.problem
    assert found.remedy == "run `ragstone doctor --deep --fix`"
    assert await mended(resources) == []
    assert [line async for line in repair(resources, deep=True)] == [
        f"document store 'House' ({store}): indexed 1 chunks anew"
    ]
    assert await deep(resources) == []
    assert "gardens" in await found_by(client, store, "gardens")


async def test_a_keyword_index_that_lost_its_head_is_made_anew(
    client: httpx.AsyncClient, resources: Resources, collection: tuple[UUID, str]
) -> None:
    store, _ = collection
    await broken(resources, "DELETE FROM lexical_indexes")
    found = " ".join(await problems(resources))
    assert "1 chunks are missing from the keyword index" in found
    assert "the keyword index: 1 entries belong to no chunk" in found
    assert "the keyword index counts what it holds wrongly" in found
    assert len(await mended(resources)) == 2
    assert await deep(resources) == []
    assert "harbour" in await found_by(client, store, "harbour")


async def test_counts_of_the_keyword_index_are_mended(resources: Resources, collection: tuple[UUID, str]) -> None:
    await broken(resources, "UPDATE lexical_indexes SET total_length = 0")
    (found,) = await problems(resources)
    assert "the keyword index counts what it holds wrongly" in found
    assert len(await mended(resources)) == 1
    assert await problems(resources) == []


@pytest.mark.parametrize("cut", [True, False], ids=["a file that was cut", "a file of the same size"])
async def test_an_upload_with_other_bytes_is_found_and_uploading_it_again_mends_it(
    talk: Talk, resources: Resources, collection: tuple[UUID, str], worker: Runner, *, cut: bool
) -> None:
    (key,) = [key async for key in resources.blobs.keys()]  # noqa: SIM118 - no mapping
    async with resources.blobs.path(key) as file:
        file.write_bytes(file.read_bytes()[:-1] + (b"" if cut else b"!"))
    assert len(await problems(resources)) == cut
    (found,) = await check(resources, deep=True)
    assert found.problem.startswith("1 uploaded files hold other bytes than were uploaded")
    assert key in found.problem
    assert "upload these documents again" in found.remedy
    assert [line async for line in repair(resources, deep=True)] == []
    house = {"files": ("house.md", TEXT.encode(), "text/markdown")}
    assert (await talk.client.post(f"{API}/upsert/{collection[0]}", files=house)).json()["numSkipped"] == 1
    await talk.holds_together()
    assert await deep(resources) == []
