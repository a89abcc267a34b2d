"""The check of ledger, vectors, keyword index and uploads finds what was broken on purpose."""

import asyncio
import io
from uuid import UUID

import httpx
import pytest

from service.document_stores.check import check
from service.resources import Resources
from service.worker.runner import Runner
from stores.vector.base import Point

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
