"""One run of a sync source: list the origin, fetch what may have changed, claim what has, mark what is gone.

Every claim is committed with the note of what it was made from, so that a run which dies is taken up at the next item:
what it had claimed is unchanged then, and waits for the same job. Only a complete listing lets documents leave.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, BinaryIO, cast
from uuid import UUID

from service.connectors.base import Connector, Gone, Got, Item, Known
from service.document_stores.gathering import service as documents
from service.document_stores.gathering.records import Held
from service.document_stores.gathering.service import Gathered, Target
from service.egress.errors import EgressFailed
from service.errors import ServiceError, TooLarge
from service.jobs import service as jobs
from service.sync import records
from service.sync.types import ItemRow, SyncSource
from service.worker.work import Stopped, Work
from stores.blobs.base import BlobTooLarge
from stores.records.database import Scope

GONE = (404, 410)
"""Answers by which an origin says that an item is no longer there."""

MAX_ITEMS = 200_000
"""Most items of one sync source."""

MAX_FAILURES = 500
"""Most failed items that a run spells out; their number is always complete."""

IN_MEMORY = 1024 * 1024
"""Bytes of an item that are held in memory before a temporary file takes them."""

NOTE_SECONDS = 1.0
"""How often progress is noted while nothing is committed."""


@dataclass(slots=True)
class Tally:
    """What a run did so far. `failed` are the items that could not be fetched; their documents stay as they are."""

    listed: int = 0
    unchanged: int = 0
    fetched: int = 0
    claimed: int = 0
    gone: int = 0
    failures: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    """Why the listing is not complete."""
    kept: int = 0
    """Documents that would have left, had the listing not been empty or incomplete."""

    def as_json(self) -> dict[str, Any]:
        """What the job's result says of it."""
        return {
            "listed": self.listed,
            "unchanged": self.unchanged,
            "fetched": self.fetched,
            "claimed": self.claimed,
            "left": self.gone,
            "fetchFailures": self.failures,
            "complete": self.error is None,
            "listingError": self.error,
            "keptForSafety": self.kept,
        }

    def result(self) -> dict[str, Any]:
        """The job's result while items are gathered: nothing is indexed yet."""
        none = dict.fromkeys(("numAdded", "numUpdated", "numSkipped", "numDeleted", "documents"), 0)
        return {**none, "failed": self.failed, **self.as_json()}


class Run:
    """The gathering half of one run; the indexing half is that of an upsert."""

    def __init__(self, work: Work, source: SyncSource, connector: Connector, target: Target, *, force: bool) -> None:
        """`force`: let documents leave even when the origin lists nothing."""
        self._work = work
        self._source = source
        self._connector = connector
        self._target = target
        self._force = force
        self._tally = Tally()
        self._listed: set[str] = set()
        self._items: dict[str, ItemRow] = {}
        self._held: dict[str, Held] = {}
        self._noted = 0.0
        self._fetchers = connector.parallel if connector.parallel > 1 else 0  # 0: in turn with the listing

    async def gather(self) -> Work:
        """Claim and mark; returns the work with the payload that indexing needs, committed with the last step.

        Raises the connector's error when it lists nothing at all for it.
        """
        async with self._work.resources.database.read(self._work.job.workspace) as scope:
            self._items = await records.items(scope, self._source.id)
            self._held = await documents.held(scope, self._target, list(self._items))
        queue: asyncio.Queue[Item | None] = asyncio.Queue(self._fetchers * 2)
        tasks = [asyncio.create_task(self._list(queue))]
        tasks += [asyncio.create_task(self._fetch_all(queue)) for _ in range(self._fetchers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return await self._close()

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[Scope]:
        """A transaction in which neither the document store nor the sync source can go. Raises `NotFound` when the
        document store is gone, `Stopped` when the source is."""
        async with self._work.resources.database.write(self._work.job.workspace) as scope:
            await documents.hold(scope, self._target.store_id)
            if not await records.hold(scope, self._source.id):
                raise Stopped
            yield scope

    # Listing

    async def _list(self, queue: "asyncio.Queue[Item | None]") -> None:
        try:
            async for item in self._connector.items():
                if item.source in self._listed:
                    continue
                if len(self._listed) == MAX_ITEMS:
                    raise TooLarge(f"The source lists more than {MAX_ITEMS} items; narrow it")
                self._listed.add(item.source)
                self._tally.listed += 1
                if self._is_unchanged(item):
                    self._tally.unchanged += 1
                    await self._note_now_and_then()
                elif self._fetchers:
                    await queue.put(item)
                else:
                    await self._try(item)
        except ServiceError as error:
            if not self._listed:
                raise
            self._tally.error = {"code": error.code, "message": error.message}
        for _ in range(self._fetchers):
            await queue.put(None)

    def _is_unchanged(self, item: Item) -> bool:
        """Whether the listing alone shows that nothing is to be done."""
        row, held = self._items.get(item.source), self._held.get(item.source)
        return row is not None and held is not None and self._target.settled(held, item.url) and _same(item, row)

    async def _note_now_and_then(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._noted >= NOTE_SECONDS:
            self._noted = now
            async with self._work.resources.database.write(self._work.job.workspace) as scope:
                await self._note(scope)

    async def _note(self, scope: Scope) -> None:
        """Raises `Stopped` when another attempt runs, or the job is to stop."""
        done = self._tally.unchanged + self._tally.fetched + self._tally.failures
        await self._work.note(scope, "fetching", done, self._tally.listed, self._tally.result())

    # Fetching

    async def _fetch_all(self, queue: "asyncio.Queue[Item | None]") -> None:
        while (item := await queue.get()) is not None:
            await self._try(item)

    async def _try(self, item: Item) -> None:
        """Fetch an item; what cannot be fetched is counted, and its document stays unless the origin calls it gone."""
        try:
            await self._fetch(item)
        except ServiceError as error:
            if isinstance(error, Gone) or (isinstance(error, EgressFailed) and error.answer in GONE):
                self._listed.discard(item.source)
            self._tally.failures += 1
            if len(self._tally.failed) < MAX_FAILURES:
                self._tally.failed.append({"name": item.name, "code": error.code, "message": error.message})
        await self._note_now_and_then()

    async def _fetch(self, item: Item) -> None:
        row, held = self._items.get(item.source), self._held.get(item.source)
        if held is not None and held.lost:
            row = held = None
        if row is not None and held is not None and _same(item, row):
            await self._claim_again(item, held, row)
            return
        known = Known(row.etag, row.modified) if row is not None and held is not None else None
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
            stream = cast(BinaryIO, spool)
            got = await self._connector.fetch(item, stream, known)
            self._tally.fetched += 1
            if not isinstance(got, Got):
                assert row is not None
                assert held is not None
                await self._keep(item, held, replace(row, size=item.size, etag=item.etag or row.etag))
                return
            digest = await asyncio.to_thread(_digest, stream)
            modified = got.modified or item.modified
            fresh = ItemRow(
                item.source, self._source.id, got.etag, modified, item.size
            )  # its document is not known yet
            if held is None:
                async with self._work.resources.database.read(self._work.job.workspace) as scope:
                    held = (await documents.held(scope, self._target, [item.source])).get(item.source)
            if held is not None and not held.lost and held.sha256 == digest:
                await self._keep(item, held, replace(fresh, document_id=held.id))
            else:
                stream.seek(0)
                await self._claim(item, got, stream, fresh)

    async def _keep(self, item: Item, held: Held, row: ItemRow) -> None:
        """The content is the one that is held: note how it is known now; indexed again only if it is not as it should
        be."""
        if not self._target.settled(held, item.url):
            await self._claim_again(item, held, row)
            return
        self._tally.unchanged += 1
        if row != self._items.get(item.source):
            async with self._changing() as scope:
                await self._note(scope)
                await records.put_item(scope, self._source.id, row)

    async def _claim_again(self, item: Item, held: Held, row: ItemRow) -> None:
        """Index what is held anew: it failed, or is to become chunks in another way."""
        async with self._changing() as scope:
            if await documents.reclaim(scope, self._target, held, item.url):
                await records.put_item(scope, self._source.id, row)
                self._tally.claimed += 1
            await self._note(scope)

    async def _claim(self, item: Item, got: Got, stream: BinaryIO, row: ItemRow) -> None:
        resources = self._work.resources
        limit = resources.settings.max_upload
        try:
            blob = await resources.blobs.put(stream, limit=limit)
        except BlobTooLarge:
            raise TooLarge(f"max_upload: '{item.name}' is larger than {limit} bytes") from None
        undone = False
        try:
            async with self._changing() as scope:
                try:
                    name, mime = (got.name or item.name)[-1000:], got.mime or item.mime
                    content = Gathered(item.source, name, mime, blob, item.url, got.etag, got.modified)
                    document_id, old = await documents.claim(scope, self._target, content)
                    fresh = replace(row, document_id=document_id)
                    await records.put_item(scope, self._source.id, fresh, stale=old)
                    self._tally.claimed += 1
                    await self._note(scope)
                except BaseException:
                    undone = True  # what fails later, with the commit, may have been committed
                    raise
        finally:
            if undone:
                await resources.blobs.delete(blob.key)

    # The end

    async def _close(self) -> Work:
        """Mark what is gone, and commit that the run may be indexed."""
        tally, job = self._tally, self._work.job
        async with self._changing() as scope:
            there = await documents.count(scope, self._target.loader_id)
            blobs: list[str] = []
            if self._source.delete_missing and there:
                safe = tally.error is None and (bool(self._listed) or self._force)
                if safe:
                    blobs = await documents.leave(scope, self._target, sorted(self._listed))
                    tally.gone = len(blobs)
                else:
                    held = await documents.held(scope, self._target, sorted(self._listed))
                    tally.kept = max(0, there - sum(each.loader_id == self._target.loader_id for each in held.values()))
            await self._note(scope)
            payload = {**job.payload, "gathered": tally.as_json(), "blobs": blobs, "partly": True}
            closed = await jobs.set_payload(scope, job.id, payload)
        return replace(self._work, job=replace(closed, result=tally.result()))


def _same(item: Item, row: ItemRow) -> bool:
    """Whether a listed item is the one that was taken: by its ETag, else by time and size together."""
    if item.etag is not None or row.etag is not None:
        return item.etag is not None and item.etag == row.etag
    return (
        item.modified is not None and item.size is not None and (item.modified, item.size) == (row.modified, row.size)
    )


def _digest(stream: BinaryIO) -> bytes:
    stream.seek(0)
    digest = sha256()
    while piece := stream.read(1024 * 1024):
        digest.update(piece)
    return digest.digest()


def counts_of(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the gathering half of a run counted."""
    found: Mapping[str, Any] = payload.get("gathered") or {}
    return found


async def tidy(work: Work, store_id: UUID, sync_id: UUID) -> None:
    """Remove the uploads that were replaced by runs which have ended."""
    resources, workspace = work.resources, work.job.workspace
    async with resources.database.read(workspace) as scope:
        stale = await records.stale_blobs(scope, sync_id)
        used = await documents.blobs_in_use(scope, store_id, stale) if stale else set()
    for key in set(stale) - used:
        await resources.blobs.delete(key)
    if stale:
        async with resources.database.write(workspace) as scope:
            await records.forget_stale(scope, sync_id, stale)
