"""What clients say to document stores, in short, and the invariant that must hold whenever nothing is under way."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from service.document_stores.check.service import check
from service.resources import Resources

API = "/api/v1/document-store"
FAKE: dict[str, Any] = {"name": "fake", "config": {"dimension": 16}}

PASSAGES: dict[str, Any] = {
    "name": "recursiveCharacterTextSplitter",
    "config": {"chunkSize": 600, "chunkOverlap": 0},
}
"""Cuts what `passages` makes into one chunk a passage."""

UNFINISHED = """
    SELECT 'hidden' AS what, id FROM chunks WHERE NOT live
    UNION ALL SELECT state, id FROM documents WHERE state = 'pending' OR (state = 'leaving' AND job_id IS NOT NULL)
    UNION ALL SELECT 'doubled', document_id FROM chunks GROUP BY document_id, position HAVING count(*) > 1
"""
"""What must not be there when no job is open."""

File = tuple[str, bytes | str]
"""A name and its content."""


def part(file: File) -> tuple[str, tuple[str, bytes]]:
    """A file as a part of a form."""
    name, content = file
    return "files", (name, content.encode() if isinstance(content, str) else content)


def passages(*topics: str, words: int = 50) -> str:
    """A text of one passage a topic, long enough that each becomes a chunk of its own."""
    return "\n\n".join(
        f"{topic} stands here. " + " ".join(f"{topic}{number % 7}" for number in range(words)) + "." for topic in topics
    )


@dataclass(slots=True)
class Talk:
    """One client, and the resources behind the application."""

    client: httpx.AsyncClient
    resources: Resources
    workspace: UUID

    async def store(self, name: str = "Handbook", **configs: Any) -> str:
        """A new document store with the embedder that costs nothing."""
        body = {"name": name, "embeddingConfig": json.dumps(FAKE), **configs}
        response = await self.client.post(f"{API}/store", json=body)
        assert response.status_code == 200, response.text
        made: str = response.json()["id"]
        return made

    async def send(
        self, store: str, *files: File, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """An upsert as a form; objects become JSON text. Passages are cut apart unless it says otherwise."""
        if "docId" not in fields:
            fields.setdefault("splitter", PASSAGES)
        data = {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in fields.items()
        }
        return await self.client.post(
            f"{API}/upsert/{store}", files=[part(file) for file in files] or None, data=data, headers=headers
        )

    async def upsert(self, store: str, *files: File, **fields: Any) -> dict[str, Any]:
        """An upsert that must succeed: its answer."""
        response = await self.send(store, *files, **fields)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def start(self, store: str, *files: File, **fields: Any) -> str:
        """An upsert that nobody waits for: the path of its job."""
        response = await self.send(store, *files, headers={"Prefer": "respond-async"}, **fields)
        assert response.status_code == 202, response.text
        assert response.headers["Preference-Applied"] == "respond-async"
        location: str = response.headers["Location"]
        assert response.json()["url"] == location
        return location

    async def end(self, job: str, *, seconds: float = 60) -> dict[str, Any]:
        """A job when it has ended."""
        async with asyncio.timeout(seconds):
            while (found := (await self.client.get(job)).json())["state"] in ("queued", "running"):  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.02)
        return dict(found)

    async def query(self, store: str, text: str, **inputs: Any) -> list[dict[str, Any]]:
        """The chunks that a question finds."""
        body = {"storeId": store, "query": text, "inputs": inputs}
        response = await self.client.post(f"{API}/vectorstore/query", json=body)
        assert response.status_code == 200, response.text
        docs: list[dict[str, Any]] = response.json()["docs"]
        return docs

    async def chunks(self, store: str, loader: str = "all", page: int = 1) -> dict[str, Any]:
        """A page of chunks."""
        response = await self.client.get(f"{API}/chunks/{store}/{loader}/{page}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def texts(self, store: str) -> list[str]:
        """The text of every chunk of a small document store."""
        return [chunk["pageContent"] for chunk in (await self.chunks(store))["chunks"]]

    async def documents(self, store: str) -> list[dict[str, Any]]:
        """The documents with their states."""
        found: list[dict[str, Any]] = (await self.client.get(f"{API}/documents/{store}")).json()
        return found

    async def read(self, store: str) -> dict[str, Any]:
        """The document store."""
        found: dict[str, Any] = (await self.client.get(f"{API}/store/{store}")).json()
        return found

    async def settled(self) -> None:
        """Wait until no job is open."""
        async with asyncio.timeout(60):
            while await self.rows("SELECT id FROM jobs WHERE state IN ('queued', 'running')"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def rows(self, statement: Any, *params: Any) -> Sequence[dict[str, Any]]:
        """Rows of the database, whatever workspace they belong to."""
        async with self.resources.database.connection() as connection:
            return await (await connection.execute(statement, params)).fetchall()

    async def holds_together(self) -> None:
        """Once no job is open: ledger, vectors, keyword index, uploads and counts agree, and nothing is left over."""
        await self.settled()
        for _ in range(200):  # what follows an ended job, such as removing a replaced upload, may be a moment behind
            findings = [*await check(self.resources), *await self.rows(UNFINISHED)]
            if not findings:
                break
            await asyncio.sleep(0.05)
        assert findings == [], findings
