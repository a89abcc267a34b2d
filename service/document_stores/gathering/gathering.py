"""The first stage of a job whose loader fetches what it loads: its place is listed, what may have changed is fetched,
what has changed becomes documents, what is gone is marked.

Every document is claimed in the transaction that notes what it was made from, so that a job which dies is taken up at
the next item: what it had claimed is unchanged then, and waits for the same job. The last transaction of an errand
marks what is gone and notes that the errand is done. Only a complete listing lets documents leave.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any, BinaryIO, cast
from uuid import UUID, uuid4

from service.connectors import open_connector
from service.connectors.base import DETECT, GONE, Connector, Gone, Got, Incomplete, Item, Known
from service.document_stores import records as stores
from service.document_stores.cleanup import cleaning_of
from service.document_stores.gathering import records
from service.document_stores.gathering.types import Empty, Errand, Held, Origin, Tally, Target, left_of, shown
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.types import LONGEST_MIME
from service.document_stores.loading.files import place_of
from service.document_stores.loading.mapping import recipe_of
from service.document_stores.recipe import Recipe
from service.egress.errors import EgressFailed
from service.errors import NotFound, ServiceError, TooLarge, Unprocessable
from service.jobs import service as jobs
from service.secret_names import redacted_text
from service.worker.work import Work
from stores.blobs.base import Blob, BlobTooLarge
from stores.blobs.pending import pending
from stores.records.database import Scope

MAX_ITEMS = 200_000
"""Most documents of one loader; also the most that a place may list, each as often as it does."""

IN_MEMORY = 1024 * 1024
"""Bytes of a document that are held in memory before a temporary file takes them."""

NOTE_SECONDS = 1.0
"""How often progress is noted while nothing is committed."""

NO_BYTES = Blob("", 0, sha256().digest())
"""What a document has that was never fetched."""


class NothingListed(Unprocessable):
    """The place lists no documents."""

    code = "nothing_listed"


async def gather_all(work: Work) -> Work:
    """Do the errands of a job's payload that are left; returns the work with what was committed with the last of them.

    A loader that somebody asked for says why, when its place cannot be listed. Raises `Stopped`, `NotFound` when
    document store or loader go meanwhile, and the reason when a place lists nothing at all.
    """
    for errand in left_of(work.payload):
        work = await _gather(work, errand)
    return work


def counts_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the errands of a job did, in all; nothing for a job without errands."""
    return _sum(payload).as_json() if payload.get("fetch") else {}


def _sum(payload: Mapping[str, Any]) -> Tally:
    return sum((Tally.from_json(each) for each in payload.get("gathered", {}).values()), Tally())


async def _gather(work: Work, errand: Errand) -> Work:
    resources, workspace, store_id = work.resources, work.job.workspace, UUID(work.payload["storeId"])
    async with resources.database.read(workspace) as scope:
        store = await stores.get(scope, store_id)
        found = await records.component(scope, store_id, errand.loader_id) if store else None
    if store is None:
        raise NotFound(f"Document store {store_id} was deleted")
    if found is None:  # what was deleted is not wanted any more; other loaders of the job are
        return work
    component, splitter = found
    label = place_of(component.name, component.config)
    namespace = errand.namespace if errand.namespace is not None else cleaning_of(store.record_manager).namespace
    try:
        recipe = recipe_of(resources, workspace, component, splitter).as_json()
        target = Target(store_id, errand.loader_id, work.job.id, recipe, namespace, errand.remake)
        async with open_connector(resources, workspace, component.name, component.config) as connector:
            return await Gathering(work, errand, target, connector, label).run()
    except ServiceError as error:
        if errand.empty is Empty.FAILS:
            bare = Target(store_id, errand.loader_id, work.job.id, Recipe(DETECT).as_json(), namespace, errand.remake)
            await _fail_place(work, bare, label, error)
        raise


async def _fail_place(work: Work, target: Target, label: str, error: ServiceError) -> None:
    """Show with the loader why its place cannot be asked; what it has stays."""
    with suppress(NotFound):
        async with _changing(work, target) as scope:
            await _fail(scope, target, Item(f"place:{target.loader_id}", label), error)


@asynccontextmanager
async def _changing(work: Work, target: Target) -> AsyncIterator[Scope]:
    """A transaction in which neither the document store nor the loader can go. Raises `NotFound` when one is gone."""
    async with work.resources.database.write(work.job.workspace) as scope:
        if await stores.hold(scope, target.store_id) is None:
            raise NotFound(f"Document store {target.store_id} was deleted")
        if not await records.has_loader(scope, target.loader_id):
            raise NotFound(f"Loader {target.loader_id} was deleted")
        yield scope


async def _fail(scope: Scope, target: Target, item: Item, error: ServiceError) -> None:
    """Say at the document why it could not be fetched; what it had before stays, and so does what another loader
    has fetched."""
    held = await records.held_under(scope, target, item.source)
    if held is None:
        document_id, _ = await _claim(scope, target, item, item.name, item.mime, NO_BYTES)
    elif held.loader_id == target.loader_id:
        document_id = held.id
        await records.reclaim(scope, target, held, target.recipe_of(item.url), None)
    else:
        return
    await ledger.fail(scope, document_id, target.job_id, error.code, redacted_text(error.message))


async def _claim(
    scope: Scope, target: Target, item: Item, name: str, mime: str | None, blob: Blob
) -> tuple[UUID, str | None]:
    """Make bytes the newest of an item's document; returns its id, and the blob that it had before."""
    row = {
        "id": uuid4(),
        "store_id": target.store_id,
        "loader_id": target.loader_id,
        "job_id": target.job_id,
        "source": item.source,
        "name": name[-1000:] or "document",
        "mime": mime if mime and len(mime) <= LONGEST_MIME else None,
        "size": blob.size,
        "sha256": blob.sha256,
        "blob": blob.key,
        "recipe": target.recipe_of(item.url),
        "namespace": target.namespace,
    }
    return await ledger.claim(scope, row, remake=target.remake)


class Gathering:
    """One errand: a place, asked once."""

    def __init__(self, work: Work, errand: Errand, target: Target, connector: Connector, label: str) -> None:
        """`label`: what people know the place by."""
        self._work = work
        self._errand = errand
        self._target = target
        self._connector = connector
        self._label = label
        self._tally = Tally()
        self._before = _sum(work.payload)
        self._first: str | None = None
        self._listed: set[str] = set()
        self._named: dict[str, Item] = {}
        """Items whose addresses hold a secret, as their place named them: only to fetch them by."""
        self._held: dict[str, Held] = {}
        self._noted = 0.0
        self._writing = asyncio.Lock()  # each transaction notes the tally in the job's row: one at a time is as fast
        self._fetchers = connector.parallel if connector.parallel > 1 else 0  # 0: in turn with the listing

    async def run(self) -> Work:
        """Claim and mark; returns the work with what was committed, by which the errand is known to be done.

        Raises the connector's error when nothing was listed until then.
        """
        async with self._work.resources.database.read(self._work.job.workspace) as scope:
            self._held = await records.held_by(scope, self._target)
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
        async with self._writing, _changing(self._work, self._target) as scope:
            yield scope

    # Listing

    async def _list(self, queue: "asyncio.Queue[Item | None]") -> None:
        seen = 0
        try:
            async with aclosing(cast("Any", self._connector.items())) as items:
                async for found in items:
                    if seen == MAX_ITEMS:
                        raise TooLarge(f"{self._label} lists more than {MAX_ITEMS} documents; narrow it")
                    seen += 1
                    item = shown(found)
                    if item.source not in self._listed:
                        if item is not found:
                            self._named[item.source] = found
                        await self._take(item, queue)
            self._check_refused()
        except ServiceError as error:
            if self._first is None:
                raise
            self._tally.error = {"code": error.code, "message": redacted_text(error.message)}
        for _ in range(self._fetchers):
            await queue.put(None)

    def _check_refused(self) -> None:
        """Raises `Incomplete` when the place refuses to show what it has shown before."""
        hidden = [source for source in self._connector.refused if source in self._held]
        if hidden:
            raise Incomplete(
                f"{len(hidden)} documents were refused that had been shown before, first {hidden[0]}; they stay, and"
                " so does what may only be found by them"
            )

    async def _take(self, item: Item, queue: "asyncio.Queue[Item | None]") -> None:
        self._first = self._first or item.source
        self._listed.add(item.source)
        self._tally.listed += 1
        held = self._held.get(item.source)
        if held is not None and held.origin is not None and held.origin.is_of(item) and self._needs_nothing(held, item):
            self._tally.unchanged += 1
            await self._note_now_and_then()
        elif self._fetchers:
            await queue.put(item)
        else:
            await self._try(item)

    def _needs_nothing(self, held: Held, item: Item) -> bool:
        """Whether an unchanged document is as the errand wants it."""
        mine = held.job_id == self._target.job_id or not self._errand.every
        return mine and self._target.settled(held, item.url)

    async def _note_now_and_then(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._noted >= NOTE_SECONDS:
            async with self._changing() as scope:
                await self._note(scope)

    async def _note(self, scope: Scope) -> None:
        """Raises `Stopped` when another attempt runs, or the job is to stop."""
        self._noted = asyncio.get_running_loop().time()
        done = self._tally.unchanged + self._tally.fetched + self._tally.failures
        await self._work.note(scope, "fetching", done, self._tally.listed, self._result())

    # Fetching

    async def _fetch_all(self, queue: "asyncio.Queue[Item | None]") -> None:
        while (item := await queue.get()) is not None:
            await self._try(item)

    async def _try(self, item: Item) -> None:
        """Fetch an item. One that cannot be fetched is kept as failed, with its reason; one that the place calls gone
        leaves, and if it never was there it is no document, unless it is what was asked for."""
        try:
            await self._fetch(item)
        except ServiceError as error:
            self._tally.failures += 1
            self._tally.fail(item.name, error.code, redacted_text(error.message))
            if _is_gone(error) and (item.source in self._held or item.source != self._first):
                self._listed.discard(item.source)
            else:
                async with self._changing() as scope:
                    await _fail(scope, self._target, item, error)
                    await self._note(scope)
        await self._note_now_and_then()

    async def _fetch(self, item: Item) -> None:
        held = self._held.get(item.source) or await self._elsewhere(item)
        known = held.origin if held is not None and not held.lost else None
        if held is not None and known is not None and known.is_of(item):
            await self._keep(item, held, replace(known, url=item.url))
            return
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
            stream = cast(BinaryIO, spool)
            place = self._named.get(item.source, item)
            got = await self._connector.fetch(place, stream, Known(known.etag, known.modified) if known else None)
            self._tally.fetched += 1
            if not isinstance(got, Got):
                assert held is not None
                assert known is not None
                await self._keep(item, held, replace(known, url=item.url, etag=item.etag or known.etag, size=item.size))
                return
            origin = Origin(item.url, got.etag, got.modified or item.modified, item.size)
            if held is not None and not held.lost and held.sha256 == await asyncio.to_thread(_digest, stream):
                await self._keep(item, held, origin)
            else:
                stream.seek(0)
                await self._renew(item, got, stream, origin)

    async def _elsewhere(self, item: Item) -> Held | None:
        """The document of an item that another loader of the document store has."""
        async with self._work.resources.database.read(self._work.job.workspace) as scope:
            return await records.held_under(scope, self._target, item.source)

    async def _keep(self, item: Item, held: Held, origin: Origin) -> None:
        """The content is the one that is held: note how it is known now; it is indexed again only if it is not as it
        should be: it failed, or is to become chunks in another way."""
        if self._needs_nothing(held, item):
            self._tally.unchanged += 1
            if origin != held.origin:
                async with self._changing() as scope:
                    await records.set_origin(scope, held.id, held.blob, origin)
                    await self._note(scope)
            return
        async with self._changing() as scope:
            recipe = self._target.recipe_of(item.url)
            self._tally.claimed += await records.reclaim(scope, self._target, held, recipe, origin)
            await self._note(scope)

    async def _renew(self, item: Item, got: Got, stream: BinaryIO, origin: Origin) -> None:
        """The content is another one."""
        resources = self._work.resources
        limit = resources.settings.max_upload
        async with pending(resources.blobs) as fresh:
            try:
                blob = fresh.add(await resources.blobs.put(stream, limit=limit))
            except BlobTooLarge:
                raise TooLarge(f"max_upload: '{item.name}' is larger than {limit} bytes") from None
            async with self._changing() as scope:
                name, mime = redacted_text(got.name) or item.name, got.mime or item.mime
                document_id, old = await _claim(scope, self._target, item, name, mime, blob)
                await records.set_origin(scope, document_id, blob.key, origin)
                if old and await ledger.blobs_in_use(scope, self._target.store_id, [old]):
                    old = None
                self._tally.claimed += 1
                await self._note(scope)
                fresh.referred()
        if old:
            await resources.blobs.delete(old)

    # The end

    async def _close(self) -> Work:
        """Mark what is gone, and commit that this errand is done."""
        tally, job, errand = self._tally, self._work.job, self._errand
        listed = sorted(self._listed)
        if tally.error is not None:
            tally.fail(self._label, tally.error["code"], tally.error["message"])
        if not listed and tally.error is None and errand.empty is Empty.FAILS:
            raise NothingListed(f"{self._label} lists no documents; nothing was changed")
        async with self._changing() as scope:
            blobs: list[str] = []
            if errand.may_remove and tally.error is None and (listed or errand.empty is Empty.REMOVES):
                count, blobs = await records.leave(scope, self._target, listed)
                tally.gone += count
            elif errand.may_remove:
                tally.kept += await records.count_others(scope, self._target, listed)
            await self._note(scope)
            blobs = [*job.payload["blobs"], *blobs]
            gathered = {**job.payload.get("gathered", {}), str(errand.loader_id): tally.as_json()}
            closed = await jobs.set_payload(scope, job.id, {**job.payload, "gathered": gathered, "blobs": blobs})
        return replace(self._work, job=replace(closed, result=self._result()))

    def _result(self) -> dict[str, Any]:
        """The job's result while it fetches: nothing is indexed yet."""
        none = dict.fromkeys(("numAdded", "numUpdated", "numSkipped", "numDeleted", "documents"), 0)
        return {**none, **(self._before + self._tally).as_json()}


def _is_gone(error: ServiceError) -> bool:
    return isinstance(error, Gone) or (isinstance(error, EgressFailed) and error.answer in GONE)


def _digest(stream: BinaryIO) -> bytes:
    stream.seek(0)
    digest = sha256()
    while piece := stream.read(1024 * 1024):
        digest.update(piece)
    return digest.digest()
