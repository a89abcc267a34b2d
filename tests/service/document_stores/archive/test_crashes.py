"""Imports that die at any step are taken up again; those that are given up leave nothing."""

import functools
import io
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from service.document_stores.archive import jobs as archive_jobs
from service.document_stores.archive import records, writing
from service.document_stores.archive.service import draft, stream, take_in
from service.jobs import service as jobs
from service.worker.runner import Runner
from service.worker.work import Work
from tests.service.document_stores.talk import API, Talk, passages

TABLES = "SELECT count(*) AS n FROM pg_tables WHERE tablename LIKE 'vectors_%%'"


ROWS = """
    SELECT (SELECT count(*) FROM document_stores) AS stores, (SELECT count(*) FROM documents) AS documents,
    (SELECT count(*) FROM chunks) AS chunks, (SELECT count(*) FROM collections) AS collections,
    (SELECT count(*) FROM lexical_indexes) AS words
"""


class Crash(BaseException):
    """The process dies here."""


class Faults:
    """Counts the side effects of an import and dies before or after one of them."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.before = True
        self.seen = 0

    def around(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(call)
        async def watched(*arguments: Any, **options: Any) -> Any:
            mine, self.seen = self.seen, self.seen + 1
            if mine == self.at and self.before:
                raise Crash
            result = await call(*arguments, **options)
            if mine == self.at:
                raise Crash
            return result

        return watched


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, talk: Talk) -> Faults:
    made = Faults()
    for name in ("describe", "insert_loaders", "insert_documents", "insert_chunks", "give_upload", "settle", "show"):
        monkeypatch.setattr(records, name, made.around(getattr(records, name)))
    for name in ("put", "delete"):
        whole = type(talk.resources.blobs)
        monkeypatch.setattr(whole, name, made.around(getattr(whole, name)))
    monkeypatch.setattr(Work, "note", made.around(Work.note))
    monkeypatch.setattr(writing, "PART_CHUNKS", 2)
    return made


async def archived(talk: Talk, runner: Runner) -> bytes:
    """An archive of several parts; nothing else is left."""
    store = await talk.store("Small")
    files = [(f"{n}.txt", passages(*(f"T{n}x{m}" for m in range(2)))) for n in range(3)]
    await talk.upsert(store, *files)
    made = await draft(talk.resources, talk.workspace, UUID(store), vectors=True, blobs=True)
    archive = b"".join([piece async for piece in stream(talk.resources, made)])
    await talk.client.delete(f"{API}/store/{store}")
    await talk.settled()
    return archive


async def attempt(talk: Talk, job_id: UUID) -> bool:
    """One run of an import; False when it died."""
    async with talk.resources.database.connection() as connection:
        job = await jobs.begin(connection, job_id)
    assert job is not None
    try:
        await archive_jobs.load(Work(job, talk.resources))
    except Crash:
        return False
    return True


async def begun(talk: Talk, archive: bytes) -> UUID:
    """An import that no worker takes up."""

    async def forgotten(*_: Any, **__: Any) -> None:
        """Nobody is told."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(talk.resources.queue), "put", forgotten)
        job = await take_in(talk.resources, talk.workspace, io.BytesIO(archive), None)
    return job.id


@pytest.fixture
async def archive(talk: Talk, worker: Runner) -> bytes:
    return await archived(talk, worker)


async def test_a_crash_at_any_side_effect_is_made_good(talk: Talk, archive: bytes, faults: Faults) -> None:
    job = await begun(talk, archive)
    faults.seen = 0
    assert await attempt(talk, job)
    steps = faults.seen
    assert steps > 15
    wanted = await look(talk)
    await forget(talk)
    for before in (True, False):
        for step in range(steps):
            faults.at = None
            job = await begun(talk, archive)
            faults.seen, faults.at, faults.before = 0, step, before
            if not await attempt(talk, job):
                shown = await talk.client.get(f"{API}/store")
                assert len(shown.json()) <= (1 if step >= steps - 3 else 0), (step, before)
                faults.at = None
                assert await attempt(talk, job)
            assert await look(talk) == wanted, (step, before)
            await forget(talk)


async def look(talk: Talk) -> dict[str, Any]:
    """What the import made."""
    stores = (await talk.client.get(f"{API}/store")).json()
    assert len(stores) == 1
    store = stores[0]["id"]
    page = await talk.chunks(store)
    kept = await talk.rows("SELECT blob FROM documents WHERE blob <> ''")
    keys = {key async for key in talk.resources.blobs.keys()}  # noqa: SIM118 - no mapping
    assert {row["blob"] for row in kept} <= keys
    collection = (await talk.rows("SELECT collection FROM document_stores WHERE deleted_at IS NULL"))[0]["collection"]
    return {
        "name": stores[0]["name"],
        "chunks": [chunk["pageContent"] for chunk in page["chunks"]],
        "characters": page["characters"],
        "vectors": await talk.resources.vectors.count(collection),
        "uploads": len({row["blob"] for row in kept}),
        "found": [doc["pageContent"] for doc in await talk.query(store, "T1x1 stands here", topK=3)],
    }


async def forget(talk: Talk) -> None:
    """Delete what was imported, and wait until it is gone."""
    for store in (await talk.client.get(f"{API}/store")).json():
        await talk.client.delete(f"{API}/store/{store['id']}")
    await talk.rows("UPDATE jobs SET state = 'done' WHERE kind = 'import' RETURNING id")
    await talk.settled()


async def test_an_import_that_is_cancelled_leaves_nothing(talk: Talk, archive: bytes, faults: Faults) -> None:
    job = await begun(talk, archive)
    faults.seen, faults.at = 0, 12
    assert not await attempt(talk, job)
    faults.at = None
    assert await talk.rows("SELECT 1 AS one FROM chunks LIMIT 1")
    async with talk.resources.database.write(talk.workspace) as scope:
        await jobs.cancel_in(scope, talk.resources.queue, job)
    async with talk.resources.database.connection() as connection:
        found = await jobs.find(connection, job)
    assert found is not None
    await archive_jobs.abandon(Work(found, talk.resources))
    await talk.settled()
    assert dict((await talk.rows(ROWS))[0]) == {"stores": 0, "documents": 0, "chunks": 0, "collections": 0, "words": 0}
    assert (await talk.rows(TABLES))[0]["n"] == 0
    assert [key async for key in talk.resources.blobs.keys()] == []  # noqa: SIM118 - no mapping
