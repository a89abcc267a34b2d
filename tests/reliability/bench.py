"""One process that can die, its successor, and what callers see of what they wrote."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg

from service.document_stores.check.repair import repair, sweep
from service.document_stores.check.service import check
from service.resources import Resources
from service.worker.runner import Runner
from stores.vector.base import Capability
from tests.reliability.faults import Crash, Faults
from tests.service.document_stores.talk import API, FAKE, UNFINISHED, Talk

Json = dict[str, Any]

ASYNC = {"Prefer": "respond-async"}

OPEN = "SELECT id FROM jobs WHERE state IN ('queued', 'running') ORDER BY created_at, id"

HELD = """
    SELECT s.name AS store, d.name, d.state, d.error_code, c.position, c.text, c.metadata, c.live,
    c.number IS NOT NULL AS indexed, c.edited FROM document_stores s LEFT JOIN documents d ON d.store_id = s.id
    LEFT JOIN chunks c ON c.document_id = d.id WHERE s.deleted_at IS NULL ORDER BY s.name, d.name, c.position, c.id
"""

LEFT = """
    SELECT (SELECT count(*) FROM document_stores) AS stores, (SELECT count(*) FROM documents) AS documents,
    (SELECT count(*) FROM chunks) AS chunks, (SELECT count(*) FROM collections) AS collections,
    (SELECT count(*) FROM loaders) AS loaders, (SELECT count(*) FROM lexical_indexes) AS words,
    (SELECT count(*) FROM lexical_postings) AS postings, (SELECT count(*) FROM attachments) AS attachments,
    (SELECT count(*) FROM sync_sources) AS sources,
    (SELECT count(*) FROM pg_tables WHERE tablename LIKE 'vectors_ds_%%') AS tables
"""

SURPLUS = ("entries belong to no chunk", "collections of vectors are not searched")
"""What a crash may leave in a vector store that joins no transaction: searches pass it over, `doctor --fix` removes
it."""


@dataclass
class Bench:
    """A client, the process behind it, and the process that takes over when this dies."""

    talk: Talk
    faults: Faults
    folder: Path
    flow: str = ""
    unended: dict[UUID, None] = field(default_factory=dict)
    """Jobs that were run and did not come to their end: the queue gives them out again."""

    @property
    def client(self) -> httpx.AsyncClient:
        """The client of the default workspace."""
        return self.talk.client

    @property
    def resources(self) -> Resources:
        """What the process has opened."""
        return self.talk.resources

    async def call(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """What a call answers, whose status must be this one; 404 is fine for what is gone already."""
        response = await self.client.request(method, path, **options)
        assert response.status_code == status, (path, response.text)
        return response.json() if response.content else None

    async def drain(self) -> None:
        """Do every job that is open, and what follows those that ended."""
        runner = Runner(self.resources)
        while jobs := [*self.unended, *[row["id"] for row in await self.talk.rows(OPEN)]]:
            for job in dict.fromkeys(jobs):
                self.unended[job] = None
                await runner._run(str(job))
                del self.unended[job]

    async def dies(self, act: Callable[[], Awaitable[None]]) -> bool:
        """Do something; whether the process died of it. Then another one has taken over."""
        try:
            await act()
        except BaseException as error:
            if not self.faults.dead:
                raise
            if not isinstance(error, Crash | BaseExceptionGroup):
                raise
        died = self.faults.dead
        self.faults.revive()
        self.resources.stores._rows.clear()
        return died

    async def breaks(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do something that is not told of one of its commits: a caller is asked to send it again, a worker's job is
        run again, or nobody needed to know."""
        try:
            await act()
        except psycopg.OperationalError:
            pass
        except AssertionError as error:
            if "503" not in str(error):
                raise
        self.faults.revive()
        self.resources.stores._rows.clear()

    @property
    def joins(self) -> bool:
        """Whether vectors change in the ledger's transactions."""
        own = Capability.TRANSACTION in self.resources.vectors.capabilities
        return own and not self.resources.pool._open

    async def sound(self) -> None:
        """I3: nothing waits, is unfinished, doubled or left over. Files that a death left are swept as after a day."""
        await sweep(self.resources, 0)
        findings = [*await check(self.resources), *await self.talk.rows(UNFINISHED)]
        if not self.joins and findings:
            assert all(any(known in str(finding) for known in SURPLUS) for finding in findings), findings
            mended = [line async for line in repair(self.resources)]
            assert mended, findings
            findings = [*await check(self.resources)]
        assert findings == [], findings

    async def look(self) -> Json:
        """What callers see: documents, chunks, what searches find, how much is kept."""
        rows = await self.talk.rows(HELD)
        stores = await self.talk.rows(
            "SELECT id, name, collection, embedding_config ->> 'config' AS embedding FROM document_stores"
            " WHERE deleted_at IS NULL ORDER BY name"
        )
        seen: Json = {"held": [tuple(_plain(value) for value in row.values()) for row in rows]}
        for store in stores:
            name = store["name"]
            seen[f"space of {name}"] = (store["collection"] is not None, store["embedding"])
            indexed = sorted(row["text"] for row in rows if row["store"] == name and row["indexed"] and row["live"])
            for what in ({}, {"filter": {"by": "hand"}}):
                found = await self.talk.query(str(store["id"]), "stands here", topK=500, **what)
                texts = sorted(doc["pageContent"] for doc in found)
                wanted = [
                    row["text"]
                    for row in rows
                    if row["store"] == name
                    and row["indexed"]
                    and row["live"]
                    and (not what or row["metadata"].get("by") == "hand")
                ]
                assert texts == sorted(wanted), (name, what, texts, indexed)  # I1, I2
        kept = await self.talk.rows("SELECT count(DISTINCT blob) AS n FROM documents WHERE blob <> ''")
        brought = await self.talk.rows("SELECT name FROM attachments ORDER BY name")
        history = await self.talk.rows("SELECT count(*) AS n FROM upsert_history")
        return {**seen, "uploads": kept[0]["n"], "attachments": brought, "history": history[0]["n"]}

    async def nothing_is_left(self) -> None:
        """Delete every document store and chatflow: rows, vectors, words and files go."""
        for flow in await self.call("GET", "/api/v1/chatflows"):
            await self.call("DELETE", f"/api/v1/chatflows/{flow['id']}")
        for store in await self.call("GET", f"{API}/store"):
            await self.call("DELETE", f"{API}/store/{store['id']}")
        await self.drain()
        await sweep(self.resources, 0)
        assert set(dict((await self.talk.rows(LEFT))[0]).values()) == {0}, await self.talk.rows(LEFT)
        assert [key async for key in self.resources.blobs.keys()] == []  # noqa: SIM118 - no mapping
        for server in self.resources.pool._open.values():
            assert server._inner._collections == {}  # type: ignore[attr-defined]  # memory stands for servers
        await self.talk.rows("DELETE FROM upsert_history RETURNING id")
        await self.talk.rows("DELETE FROM jobs RETURNING id")
        await self.talk.rows("DELETE FROM procrastinate_jobs RETURNING id")


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


def embedding(dimension: int = 16) -> Json:
    """How calls name the embedder that costs nothing."""
    return {"embeddingName": FAKE["name"], "embeddingConfig": {"dimension": dimension}}
