"""The first stage of an upsert whose loader fetches what it loads: its place is asked, what is new becomes documents.

Every document is claimed in the transaction that notes it, so that a run which dies goes on: what it had fetched is
unchanged then. What the place no longer lists leaves with the job; only a complete listing says so.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, BinaryIO, cast
from uuid import UUID, uuid4

from service.connectors import open_connector
from service.connectors.base import Connector, Gone, Got, Item, Known
from service.document_stores import records as stores
from service.document_stores.ingest import Outcome
from service.document_stores.ledger import records as ledger
from service.document_stores.loading import records
from service.document_stores.loading.errands import Errand
from service.document_stores.loading.records import Fetched
from service.egress.errors import EgressFailed
from service.errors import NotFound, ServiceError, TooLarge, Unprocessable
from service.jobs import service as jobs
from service.worker.work import Work
from stores.blobs.base import Blob, BlobTooLarge
from stores.records.database import Scope

GONE = (404, 410)
"""Answers by which a place says that a document is no longer there."""

MAX_ITEMS = 100_000
"""Most documents of one loader."""

IN_MEMORY = 1024 * 1024
"""Bytes of a document that are held in memory before a temporary file takes them."""


class NothingListed(Unprocessable):
    """The place lists no documents."""

    code = "nothing_listed"


async def fetch_all(work: Work) -> tuple[Work, list[dict[str, Any]]]:
    """Fetch what the loaders of a job want fetched; returns the job with what replaced uploads it has to remove, and
    what could not be fetched: name, code, message.

    Raises `Stopped`, and the reason when a place cannot be listed at all.
    """
    failed: list[dict[str, Any]] = []
    for value in work.payload.get("fetch", ()):
        fetching = Fetching(work, Errand.from_json(value))
        work = await fetching.run()
        failed += fetching.failed
    return work, failed


@dataclass(slots=True)
class Fetching:
    """One loader's place, asked once."""

    work: Work
    errand: Errand
    failed: list[dict[str, Any]] = field(default_factory=list)
    _listed: set[str] = field(default_factory=set)
    _done: int = 0
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> Work:
        """Ask the place."""
        complete = True
        try:
            resources, workspace = self.work.resources, self.work.job.workspace
            async with open_connector(resources, workspace, self.errand.component, self.errand.config) as connector:
                await self._each(connector)
            if not self._listed:
                raise NothingListed(f"{self.errand.label} lists no documents; nothing was changed")
        except ServiceError as error:
            if not self._listed:
                await self._fail(Item(self.errand.place, self.errand.label), error)
                raise
            complete = False
            self.failed.append(_failure(self.errand.label, error))
        if complete:
            async with self._claiming() as scope:
                gone = await ledger.mark_leaving(scope, self.errand.loader_id, sorted(self._listed), self.work.job.id)
                await self._unneeded(scope, gone)
        return self.work

    async def _each(self, connector: Connector) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            async for item in connector.items():
                if item.source in self._listed:
                    continue
                if len(self._listed) == MAX_ITEMS:
                    raise TooLarge(f"{self.errand.label} lists more than {MAX_ITEMS} documents; narrow it")
                first = not self._listed
                self._listed.add(item.source)
                if connector.parallel == 1:
                    await self._try(connector, item, first=first)
                    continue
                running.add(asyncio.create_task(self._try(connector, item, first=first)))
                if len(running) >= connector.parallel:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
        finally:
            await _ended(running)

    async def _try(self, connector: Connector, item: Item, *, first: bool) -> None:
        """Fetch a document. One that cannot be fetched is kept as failed, with its reason; one that the place calls
        gone leaves, and if it never was there it is no document, unless it is what was asked for."""
        async with self.work.resources.database.read(self.work.job.workspace) as scope:
            held = await records.fetched(scope, self._store, item.source)
        try:
            await self._fetch(connector, item, held)
        except ServiceError as error:
            self.failed.append(_failure(item.name, error))
            if _is_gone(error) and (held is not None or not first):
                self._listed.discard(item.source)
            else:
                await self._fail(item, error)
        self._done += 1

    async def _fetch(self, connector: Connector, item: Item, held: Fetched | None) -> None:
        known = Known(held.etag, held.modified) if held is not None and held.whole else None
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
            stream = cast(BinaryIO, spool)
            got = await connector.fetch(item, stream, known)
            if isinstance(got, Got):
                stream.seek(0)
                await self._claim(item, got, stream)
                return
        assert held is not None
        async with self._claiming() as scope:
            await self._reclaim(scope, item, held)
            await self._note(scope)

    async def _claim(self, item: Item, got: Got, stream: BinaryIO) -> None:
        blob = await self._keep(item, stream)
        origin = {"url": item.url, "etag": got.etag, "modified": got.modified}
        name, mime = got.name or item.name, got.mime or item.mime
        try:
            async with self._claiming() as scope:
                row = self._row(item, name, mime, blob)
                document, old = await ledger.claim(scope, row, remake=self.errand.remake)
                await records.set_origin(scope, document, origin)
                await self._unneeded(scope, [old] if old else [])
                await self._note(scope)
        except BaseException:
            await self.work.resources.blobs.delete(blob.key)
            raise

    async def _fail(self, item: Item, error: ServiceError) -> None:
        """Say at the document why it could not be fetched; what it had before stays."""
        empty: Blob | None = None
        try:
            async with self._claiming() as scope:
                held = await records.fetched(scope, self._store, item.source)
                if held is None:
                    empty = await self._keep(item, BytesIO())
                    document, _ = await ledger.claim(scope, self._row(item, item.name, item.mime, empty))
                    await records.set_origin(scope, document, {"url": item.url})
                else:
                    document = held.id
                    await self._reclaim(scope, item, held)
                await ledger.fail(scope, document, self.work.job.id, error.code, error.message)
                await self._note(scope)
        except BaseException:
            if empty is not None:
                await self.work.resources.blobs.delete(empty.key)
            raise

    async def _reclaim(self, scope: Scope, item: Item, held: Fetched) -> None:
        """The document is the job's, with the bytes that it has."""
        errand, job = self.errand, self.work.job
        recipe = self._recipe(item.url)
        await records.reclaim(scope, held.id, errand.loader_id, job.id, recipe, remake=errand.remake)

    async def _keep(self, item: Item, stream: BinaryIO) -> Blob:
        limit = self.work.resources.settings.max_upload
        try:
            return await self.work.resources.blobs.put(stream, limit=limit)
        except BlobTooLarge:
            raise TooLarge(f"max_upload: '{item.name}' is larger than {limit} bytes") from None

    # Writing

    @property
    def _store(self) -> UUID:
        return UUID(self.work.payload["storeId"])

    @asynccontextmanager
    async def _claiming(self) -> AsyncIterator[Scope]:
        """A transaction of the document store, one at a time. Raises `NotFound` when it was deleted."""
        async with self._writing, self.work.resources.database.write(self.work.job.workspace) as scope:
            if await stores.hold(scope, self._store) is None:
                raise NotFound(f"Document store {self._store} was deleted")
            yield scope

    async def _note(self, scope: Scope) -> None:
        """Raises `Stopped` when the job is to stop."""
        result = {**Outcome.from_json(self.work.job.result).as_json(), "fetched": self._done + 1}
        await self.work.note(scope, "fetching", self._done + 1, None, result)

    async def _unneeded(self, scope: Scope, blobs: Sequence[str]) -> None:
        """Uploads that nobody needs when the job has ended: whatever attempt ends it must know them."""
        if blobs:
            payload = {**self.work.payload, "blobs": [*self.work.payload["blobs"], *blobs]}
            await jobs.set_payload(scope, self.work.job.id, payload)
            self.work = replace(self.work, job=replace(self.work.job, payload=payload))

    def _recipe(self, url: str | None) -> Mapping[str, Any]:
        """The loader's recipe; what has an address is cited by it."""
        metadata = self.errand.recipe.get("metadata", {})
        return {**self.errand.recipe, "metadata": {"source": url, **metadata}} if url else self.errand.recipe

    def _row(self, item: Item, name: str, mime: str | None, blob: Blob) -> dict[str, Any]:
        return {
            "id": uuid4(),
            "store_id": self._store,
            "loader_id": self.errand.loader_id,
            "job_id": self.work.job.id,
            "source": item.source,
            "name": name[-1000:] or "document",
            "mime": mime,
            "size": blob.size,
            "sha256": blob.sha256,
            "blob": blob.key,
            "recipe": self._recipe(item.url),
            "namespace": self.errand.namespace,
        }


async def _ended(tasks: set[asyncio.Task[None]]) -> None:
    """Wait for fetches that are under way, unless one of them fails: then the others are stopped."""
    try:
        for task in tasks:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_gone(error: ServiceError) -> bool:
    return isinstance(error, Gone) or (isinstance(error, EgressFailed) and error.answer in GONE)


def _failure(name: str, error: ServiceError) -> dict[str, Any]:
    return {"name": name, "code": error.code, "message": error.message}
