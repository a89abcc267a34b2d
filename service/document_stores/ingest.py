"""The ingestion pipeline: load, split, compare with the ledger, embed in batches, commit each batch.

A batch's chunks, vectors, keyword postings and progress are committed together, so a run that dies is taken up at the
next batch. A document becomes live with the commit of its last batch; until then its earlier chunks answer.

Without a vector space, chunks are made and kept but not indexed: `indexing.fill` does that once there is a space.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from loaders.base import Failure, LoaderError, Source
from loaders.splitters.base import SplitterError
from service.document_stores.cleanup import Cleanup
from service.document_stores.indexing.reuse import Found, Reuse
from service.document_stores.indexing.texts import BATCH, overlapped
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.ledger.types import DocumentRow, NewChunk, told
from service.document_stores.ledger.types import indexed as index_text
from service.document_stores.outcome import Outcome, Progress
from service.document_stores.own_chunks import LOADER as OWN_CHUNKS
from service.document_stores.own_chunks.reading import plan as plan_own
from service.document_stores.principals import records as principals
from service.document_stores.recipe import Recipe, plan
from service.document_stores.shelf import Addition, Indexed, Revision, Shelf, changing
from service.document_stores.space import Space, fingerprint_of
from service.errors import TooLarge
from service.worker.work import Work
from stores.blobs.base import UnknownBlob
from stores.records.database import Scope

AHEAD = 2
"""Documents that are loaded and wait while others are embedded."""
LANES = 2
"""Documents loaded at once, so that one that takes long (a scan) holds up no other."""
EARLY = 16
"""Chunks of a batch that does not wait for more of them: while none come, an embedder would do nothing."""
PATIENCE = 1.0
"""Seconds that fewer wait for the next document, which may be a long scan."""

FindSpace = Callable[[Sequence[str]], Awaitable[Space]]
"""The space for texts that are to be put in first."""

_TOLD = (str, int, bool, type(None))
"""Types whose equal values are the same JSON, if they are of one type."""


@dataclass(slots=True)
class Prepared:
    """A document that was loaded and split. `to_add` are the planned chunks that the ledger lacks, or has otherwise
    because they were edited; what these are indexed by waits in `restored` until the document is complete."""

    document: DocumentRow
    digest: bytes
    mime: str | None
    chunks: list[NewChunk]
    to_add: list[NewChunk]
    restored: dict[UUID, Indexed | None] = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """Chunks to add, and the documents that are complete when they are committed."""

    chunks: list[tuple[Prepared, NewChunk]] = field(default_factory=list)
    complete: list[Prepared] = field(default_factory=list)


class Ingestion:
    """One run of one ingestion job."""

    def __init__(self, work: Work, store_id: UUID, space: Space | None, find: FindSpace | None = None) -> None:
        """`space` is the vector space of the document store that the job fills; None: chunks are not indexed, unless
        there is `find`, which makes it for the first texts."""
        self._work = work
        self._find = find
        self._finding = asyncio.Lock()
        self._fill(space)
        self._store = store_id
        self._cleanup = Cleanup(work.payload.get("cleanup", Cleanup.INCREMENTAL))
        self._outcome = Outcome.from_json(work.job.result)
        self._writing = asyncio.Lock()  # one transaction at a time notes the outcome, so that none is lost
        self._done = 0
        self._total: int | None = None
        self._room = work.resources.settings.max_chunks

    @property
    def done(self) -> int:
        """Chunks that the job is done with."""
        return self._done

    async def run(self) -> Outcome:
        """Index every document that waits for the job."""
        documents = await self._settle_unchanged()
        queue: asyncio.Queue[Prepared | None] = asyncio.Queue(AHEAD)
        producer = asyncio.create_task(self._prepare_all(documents, queue))
        try:
            await overlapped(self._batches(queue, producer), self._index, self._commit)
            await producer
        finally:
            producer.cancel()
            with suppress(asyncio.CancelledError):
                await producer
        return self._outcome

    # Loading

    async def _settle_unchanged(self) -> list[DocumentRow]:
        """Documents whose live chunks come from the very same content and recipe need nothing; returns the others."""
        job = self._work.job
        async with changing(self._work.resources, job.workspace, self._store) as shelf:
            documents = await ledger.of_job(shelf.scope, job.id)
            digests = _digests(documents)
            same = {
                document.id
                for document in documents
                if document.digest == digests[document.id]
                and (self._cleanup is Cleanup.NONE or not document.superseded)
            }
            settled = await ledger.settle(shelf.scope, self._store, sorted(same), job.id)
            await shelf.remove(await chunk_rows.hidden(shelf.scope, list(settled)))
            await shelf.mark(await principals.unmarked(shelf.scope, list(settled)))
            self._outcome.counts.skipped += sum(settled.values())
            self._outcome.documents += len(settled)
            self._done = await ledger.chunks_done(shelf.scope, job.id)
            self._room -= await chunk_rows.count(shelf.scope, self._store)
            await self._note(shelf.scope)
        return [document for document in documents if document.id not in same]

    async def _prepare_all(self, documents: Sequence[DocumentRow], queue: asyncio.Queue[Prepared | None]) -> None:
        progress = Progress(self._done, sum(document.size for document in documents))
        waiting = iter(documents)
        lanes = [asyncio.create_task(self._prepare_in_turn(waiting, progress, queue)) for _ in range(LANES)]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
        self._total = progress.before + progress.planned
        await queue.put(None)

    async def _prepare_in_turn(
        self, waiting: Iterator[DocumentRow], progress: Progress, queue: asyncio.Queue[Prepared | None]
    ) -> None:
        for document in waiting:
            try:
                prepared = await self._prepare(document)
            except LoaderError as error:
                await self._fail(document, error.failure.value, error.message)
            except SplitterError as error:
                await self._fail(document, "bad_option", str(error))
            except UnknownBlob:
                await self._fail(document, "upload_lost", "The uploaded file is no longer there.")
            else:
                first, self._total = self._total is None, progress.add(document.size, len(prepared.chunks))
                if first and len(prepared.to_add) > BATCH:
                    await self._tell()
                await queue.put(prepared)
                continue
            progress.add(document.size, 0)

    async def _tell(self, stage: str = "indexing") -> None:
        """Say where the job stands without a batch: a slow embedder may take long over one."""
        async with self._writing, self._work.resources.database.write(self._work.job.workspace) as scope:
            await self._note(scope, stage)

    async def _prepare(self, document: DocumentRow) -> Prepared:
        work, recipe = self._work, Recipe.from_json(document.recipe)
        chunks = await self._plan(document, recipe)
        self._check_texts(chunks)
        async with work.resources.database.read(work.job.workspace) as scope:
            present = await chunk_rows.known(scope, self._store, [chunk.id for chunk in chunks], edited=False)
        to_add = [chunk for chunk in chunks if chunk.id not in present]
        return Prepared(document, _digest(document, recipe), document.mime, chunks, to_add)

    async def _plan(self, document: DocumentRow, recipe: Recipe) -> list[NewChunk]:
        resources, splitter = self._work.resources, recipe.make_splitter()
        async with resources.blobs.path(document.blob) as path:
            if recipe.loader == OWN_CHUNKS:
                space = await fingerprint_of(self._space.embedder) if self._space else None
                return await asyncio.to_thread(
                    plan_own, self._store, document.source, document.name, recipe.metadata, path, space
                )
            loaded = await resources.sandbox.load(_source(document, path), recipe.loader, recipe.loader_options)
        return await asyncio.to_thread(plan, self._store, document.source, recipe, loaded.documents, splitter)

    def _check_texts(self, chunks: Sequence[NewChunk]) -> None:
        """Raises `LoaderError` for chunks that are longer than chunks may be."""
        longest = max((len(chunk.text) for chunk in chunks), default=0)
        if longest > (limit := self._work.resources.settings.max_chunk_text):
            message = (
                f"max_chunk_text: a chunk has {longest} characters, the limit is {limit}; take a smaller chunkSize"
            )
            raise LoaderError(Failure.TOO_LARGE, message)

    async def _fail(self, document: DocumentRow, code: str, message: str) -> None:
        job, message = self._work.job, told(message)
        async with self._writing, self._work.resources.database.write(job.workspace) as scope:
            if await ledger.fail(scope, document.id, job.id, code, message):
                self._outcome.failed.append({"name": document.name, "code": code, "message": message})
                await self._note(scope)

    # Indexing

    def _fill(self, space: Space | None) -> None:
        """Index by this space from now on."""
        self._space = space
        self._collection = space.collection if space else None
        resources, workspace = self._work.resources, self._work.job.workspace
        self._reuse = Reuse(resources, workspace, space, self._note_waiting) if space else None

    async def _found(self, batch: Batch) -> None:
        """Find the space for the texts of the first batch. Vectors that callers bring are taken for the first bundled
        model's, as what was said of them was checked against that one."""
        async with self._finding:
            if self._find is not None:
                chunks = [chunk for _, chunk in batch.chunks]
                chunks = chunks or [chunk for item in batch.complete for chunk in item.chunks]
                brought = any(chunk.vector is not None for chunk in chunks)
                texts = [] if brought else [index_text(chunk.head, chunk.text) for chunk in chunks]
                self._fill(await self._find(texts))
                self._find = None

    async def _index(self, batch: Batch) -> Found | None:
        """What the chunks of a batch are indexed by. A provider that limits or fails for a while is waited for."""
        await self._found(batch)
        return await self._reuse.chunks([chunk for _, chunk in batch.chunks]) if self._reuse else None

    async def _batches(
        self, queue: asyncio.Queue[Prepared | None], producer: asyncio.Task[None]
    ) -> AsyncIterator[Batch]:
        batch = Batch()
        while True:
            if queue.empty() and len(batch.chunks) >= EARLY:
                yield batch
                batch = Batch()
            try:
                prepared = await self._next(queue, producer, PATIENCE if batch.complete or batch.chunks else None)
            except TimeoutError:
                yield batch
                batch = Batch()
                continue
            if prepared is None:
                break
            self._done += len(prepared.chunks) - len(prepared.to_add)
            for chunk in prepared.to_add:
                if len(batch.chunks) == BATCH:
                    yield batch
                    batch = Batch()
                batch.chunks.append((prepared, chunk))
            batch.complete.append(prepared)
            if len(batch.chunks) == BATCH or len(batch.complete) >= BATCH:
                yield batch
                batch = Batch()
        if batch.chunks or batch.complete:
            yield batch

    @staticmethod
    async def _next(
        queue: asyncio.Queue[Prepared | None], producer: asyncio.Task[None], patience: float | None
    ) -> Prepared | None:
        """The next loaded document, None after the last. Raises what ended the producer early, and `TimeoutError` after
        `patience` seconds without one."""
        getting = asyncio.create_task(queue.get())
        try:
            done, _ = await asyncio.wait({getting, producer}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise TimeoutError
            if not getting.done():
                producer.result()
            return await getting
        finally:
            getting.cancel()

    async def _note_waiting(self) -> None:
        await self._tell("waiting")

    async def _commit(self, batch: Batch, found: Found | None) -> None:
        resources, job = self._work.resources, self._work.job
        async with self._writing, changing(resources, job.workspace, self._store) as shelf:
            touched = {item.document.id for item, _ in batch.chunks} | {item.document.id for item in batch.complete}
            owned = await ledger.lock(shelf.scope, sorted(touched), job.id)
            present = await chunk_rows.known(shelf.scope, self._store, [chunk.id for _, chunk in batch.chunks])
            rows: list[Addition] = []
            indexes = found.indexed if found else [None] * len(batch.chunks)
            for (item, chunk), indexed in zip(batch.chunks, indexes, strict=True):
                if chunk.id in present:
                    item.restored[chunk.id] = indexed
                elif item.document.id in owned:
                    rows.append((item.document, chunk, indexed))
            self._room -= len(rows)
            if self._room < 0:
                limit = resources.settings.max_chunks
                raise TooLarge(f"max_chunks: the document store would hold more than {limit} chunks")
            await shelf.add(job.id, rows, self._collection)
            self._outcome.counts.added += len(rows)
            if found:
                self._outcome.embedded += found.embedded
                self._outcome.replaced += sum(chunk.foreign for _, chunk in batch.chunks)
            self._done += len(batch.chunks)
            completed = [item for item in batch.complete if item.document.id in owned]
            for item in completed:
                await self._complete(shelf, item)
            await shelf.mark(await principals.unmarked(shelf.scope, [item.document.id for item in completed]))
            await self._note(shelf.scope)

    async def _complete(self, shelf: Shelf, item: Prepared) -> None:
        """Make the plan the document's live content: what it does not name goes, what it names anew becomes live."""
        job, counts = self._work.job, self._outcome.counts
        before = await chunk_rows.index_of(shelf.scope, item.document.id)
        planned = {chunk.id: chunk for chunk in item.chunks}
        if lost := planned.keys() - before.keys():
            raise RuntimeError(f"{len(lost)} chunks of {item.document.name!r} went while its job ran")
        stale = [chunk for chunk in before if chunk not in planned]
        former: list[UUID] = []  # shown beside the new ones: nothing that was live goes
        if self._cleanup is Cleanup.NONE:
            former = sorted((each for each in stale if before[each]["live"]), key=lambda each: before[each]["position"])
            stale = [chunk for chunk in stale if not before[chunk]["live"]]
        await shelf.remove(stale)
        counts.deleted += sum(before[chunk]["live"] for chunk in stale)  # the others were never shown
        kept = [(row, planned[chunk]) for chunk, row in before.items() if chunk in planned]
        edited = [
            Revision(
                chunk.id,
                item.document.id,
                row["number"],
                chunk.head,
                chunk.text,
                chunk.metadata,
                item.restored.get(chunk.id),
                own=chunk.vector is not None,
            )
            for row, chunk in kept
            if row["edited"]
        ]
        await shelf.replace(edited, self._collection, edited=False)
        changed = {chunk.id for row, chunk in kept if _differ(row["metadata"], chunk.metadata)}
        await shelf.describe(
            [
                Revision(chunk.id, item.document.id, row["number"], chunk.head, chunk.text, chunk.metadata, None)
                for row, chunk in kept
                if chunk.id in changed and not row["edited"] and row["number"] is not None
            ]
        )
        moved = [
            (chunk.id, chunk.position, chunk.metadata)
            for row, chunk in kept
            if row["position"] != chunk.position or chunk.id in changed
        ]
        moved += [
            (chunk, position, before[chunk]["metadata"]) for position, chunk in enumerate(former, len(item.chunks))
        ]
        await chunk_rows.revise(shelf.scope, self._store, moved)
        await ledger.complete(shelf.scope, item.document, item.digest, item.mime, job.id, superseded=len(former))
        for row, chunk in kept:
            if not row["live"]:
                counts.added += row["job_id"] != job.id  # left by an upload that did not end
            elif row["edited"] or chunk.id in changed:
                counts.updated += 1
            else:
                counts.skipped += 1
        self._outcome.documents += 1

    async def _note(self, scope: Scope, stage: str = "indexing") -> None:
        """Keep progress and counts with the batch's commit. Raises `Stopped` when the job is to stop."""
        # What a killed run stored of documents that it did not finish is found only when these are loaded again.
        before = self._work.job.done
        done = max(self._done, before if self._total is None else min(before, self._total))
        await self._work.note(scope, stage, done, self._total, self._outcome.as_json())


def _differ(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether two JSON objects differ, if only in a type: to Python, 1 equals 1.0 and true."""
    if left != right:
        return True
    if all(type(value) in _TOLD and type(right[key]) is type(value) for key, value in left.items()):
        return False  # most metadata; this is asked for each unchanged chunk
    return json.dumps(left, sort_keys=True) != json.dumps(right, sort_keys=True)


def _digests(documents: Sequence[DocumentRow]) -> dict[Any, bytes]:
    """The digest of each document by id; most documents of a job share their recipe."""
    recipes: dict[str, Recipe] = {}
    found = {}
    for document in documents:
        key = json.dumps(document.recipe, sort_keys=True)
        recipe = recipes.setdefault(key, Recipe.from_json(document.recipe))
        found[document.id] = _digest(document, recipe)
    return found


def _digest(document: DocumentRow, recipe: Recipe) -> bytes:
    return recipe.digest(document.sha256, _source(document, Path()))


def _source(document: DocumentRow, path: Path) -> Source:
    return Source(path, document.name, document.mime or "")
