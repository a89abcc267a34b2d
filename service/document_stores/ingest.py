"""The ingestion pipeline: load, split, compare with the ledger, embed in batches, commit each batch.

A batch's chunks, vectors, keyword postings and progress are committed together, so a run that dies is taken up at the
next batch. A document becomes live with the commit of its last batch; until then its earlier chunks answer.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from loaders.base import LoaderError, Source
from loaders.sandbox import Limits, Sandbox
from loaders.splitters.base import SplitterError
from service.document_stores import records
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.types import Counts, DocumentRow, NewChunk
from service.document_stores.recipe import Recipe, plan
from service.document_stores.space import Space
from service.errors import TooLarge
from service.providers.embedding.base import Vectors
from service.providers.errors import ProviderError, RateLimited
from service.retrieval.base import point_id
from service.worker.work import Cancelled, Work
from stores.blobs.base import UnknownBlob
from stores.lexical.analysis import Analysed, analyse
from stores.records.database import Scope
from stores.vector.base import Capability, Point

log = logging.getLogger("ragstone.ingest")

BATCH = 64
"""Chunks embedded and committed together: small enough to lose little, large enough to cost few commits."""

AHEAD = 2
"""Documents loaded while earlier ones are embedded."""

PATIENCE_SECONDS = 900.0
"""How long a batch waits for a provider that limits or fails, in all."""


@dataclass(slots=True)
class Prepared:
    """A document that was loaded and split. `to_add` are the planned chunks that the ledger lacks."""

    document: DocumentRow
    digest: bytes
    mime: str | None
    chunks: list[NewChunk]
    to_add: list[NewChunk]


@dataclass(slots=True)
class Outcome:
    """What a job did so far; kept in the job's row with each commit, so that a later attempt goes on counting."""

    counts: Counts = field(default_factory=Counts)
    failed: list[dict[str, Any]] = field(default_factory=list)
    documents: int = 0

    def as_json(self) -> dict[str, Any]:
        """The contract's names for the counts, and the documents that failed."""
        return {
            "numAdded": self.counts.added,
            "numUpdated": self.counts.updated,
            "numSkipped": self.counts.skipped,
            "numDeleted": self.counts.deleted,
            "documents": self.documents,
            "failed": self.failed,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> "Outcome":
        """The outcome that an earlier attempt kept."""
        if not value:
            return cls()
        counts = Counts(value["numAdded"], value["numUpdated"], value["numSkipped"], value["numDeleted"])
        return cls(counts, list(value["failed"]), value["documents"])


class Ingestion:
    """One run of one ingestion job."""

    def __init__(self, work: Work, space: Space) -> None:
        """`space` is the vector space of the document store that the job fills."""
        self._work = work
        self._space = space
        self._store = space.store_id
        self._outcome = Outcome.from_json(work.job.result)
        self._seen = 0
        self._total: int | None = None
        settings = work.resources.settings
        self._limits = Limits(settings.parser_memory, settings.parser_cpu, settings.parser_wall)
        self._room = settings.max_chunks

    async def run(self) -> Outcome:
        """Index every document that waits for the job."""
        documents = await self._settle_unchanged()
        queue: asyncio.Queue[Prepared | None] = asyncio.Queue(AHEAD)
        producer = asyncio.create_task(self._prepare_all(documents, queue))
        try:
            await self._index(queue, producer)
            await producer
        finally:
            producer.cancel()
            with suppress(asyncio.CancelledError):
                await producer
        return self._outcome

    # Loading

    async def _settle_unchanged(self) -> list[DocumentRow]:
        """Documents whose live chunks come from the very same content and recipe need nothing; returns the others."""
        async with self._work.resources.database.write(self._work.job.workspace) as scope:
            documents = await ledger.of_job(scope, self._work.job.id)
            rest = []
            for document in documents:
                digest = Recipe.from_json(document.recipe).digest(document.sha256)
                if document.digest == digest:
                    await ledger.complete(scope, document.id, digest, document.mime)
                    self._outcome.counts.skipped += document.chunks
                    self._outcome.documents += 1
                else:
                    rest.append(document)
            self._room -= await ledger.count_chunks(scope, self._store)
            await self._note(scope)
        return rest

    async def _prepare_all(self, documents: Sequence[DocumentRow], queue: asyncio.Queue[Prepared | None]) -> None:
        planned = 0
        async with Sandbox(self._limits) as sandbox:
            for document in documents:
                try:
                    prepared = await self._prepare(document, sandbox)
                except LoaderError as error:
                    await self._fail(document, error.failure.value, error.message)
                    continue
                except SplitterError as error:
                    await self._fail(document, "bad_option", str(error))
                    continue
                except UnknownBlob:
                    await self._fail(document, "upload_lost", "The uploaded file is no longer there.")
                    continue
                planned += len(prepared.chunks)
                await queue.put(prepared)
        self._total = planned
        await queue.put(None)

    async def _prepare(self, document: DocumentRow, sandbox: Sandbox) -> Prepared:
        recipe = Recipe.from_json(document.recipe)
        splitter = recipe.make_splitter()
        async with self._work.resources.blobs.path(document.blob) as path:
            source = Source(path, document.name)
            loaded = await sandbox.load(source, recipe.loader, recipe.loader_options)
        chunks = await asyncio.to_thread(plan, self._store, document.source, recipe, loaded.documents, splitter)
        async with self._work.resources.database.read(self._work.job.workspace) as scope:
            present = await ledger.known(scope, self._store, [chunk.id for chunk in chunks])
        to_add = [chunk for chunk in chunks if chunk.id not in present]
        return Prepared(document, recipe.digest(document.sha256), document.mime, chunks, to_add)

    async def _fail(self, document: DocumentRow, code: str, message: str) -> None:
        async with self._work.resources.database.write(self._work.job.workspace) as scope:
            if await ledger.fail(scope, document.id, self._work.job.id, code, message):
                self._outcome.failed.append({"name": document.name, "code": code, "message": message})
                await self._note(scope)

    # Indexing

    async def _index(self, queue: asyncio.Queue[Prepared | None], producer: asyncio.Task[None]) -> None:
        """Embed one batch while the one before is committed."""
        committing: asyncio.Task[None] | None = None
        try:
            async for batch, complete in self._batches(queue, producer):
                texts = [chunk.index_text for _, chunk in batch]
                vectors, words = await asyncio.gather(self._embed(texts), asyncio.to_thread(_analyse, texts))
                if committing:
                    await committing
                committing = asyncio.create_task(self._commit(batch, vectors, words, complete))
            if committing:
                await committing
        finally:
            if committing and not committing.done():
                committing.cancel()
                with suppress(asyncio.CancelledError):
                    await committing

    async def _batches(
        self, queue: asyncio.Queue[Prepared | None], producer: asyncio.Task[None]
    ) -> AsyncIterator[tuple[list[tuple[DocumentRow, NewChunk]], list[Prepared]]]:
        """Batches of chunks to add, each with the documents that are complete when it is committed."""
        batch: list[tuple[DocumentRow, NewChunk]] = []
        complete: list[Prepared] = []
        while (prepared := await self._next(queue, producer)) is not None:
            for chunk in prepared.to_add:
                batch.append((prepared.document, chunk))
                if len(batch) == BATCH and chunk is not prepared.to_add[-1]:
                    yield batch, complete
                    batch, complete = [], []
            complete.append(prepared)
            if len(batch) >= BATCH or len(complete) >= BATCH:
                yield batch, complete
                batch, complete = [], []
        if batch or complete:
            yield batch, complete

    @staticmethod
    async def _next(queue: asyncio.Queue[Prepared | None], producer: asyncio.Task[None]) -> Prepared | None:
        """The next loaded document, None after the last; raises what ended the producer early."""
        getting = asyncio.create_task(queue.get())
        await asyncio.wait({getting, producer}, return_when=asyncio.FIRST_COMPLETED)
        if not getting.done() and producer.done() and queue.empty():
            getting.cancel()
            producer.result()
            return None
        return await getting

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors; a provider that limits or fails for a while is waited for."""
        waited, pause = 0.0, 1.0
        while True:
            try:
                return await self._space.embedder.embed_array(texts)
            except ProviderError as error:
                told = error.retry_after if isinstance(error, RateLimited) else None
                pause = min(told or pause * 2, 60.0)
                if not error.transient or waited + pause > PATIENCE_SECONDS:
                    raise
                log.info("Embedding provider: %s; trying again in %.1f s", error.message, pause)
                await asyncio.sleep(pause)
                waited += pause

    async def _commit(
        self,
        batch: Sequence[tuple[DocumentRow, NewChunk]],
        vectors: Vectors,
        words: Sequence[Analysed],
        complete: Sequence[Prepared],
    ) -> None:
        resources, job = self._work.resources, self._work.job
        joins = Capability.TRANSACTION in resources.vectors.capabilities
        async with resources.database.write(job.workspace) as scope:
            if not await records.hold(scope, self._store):
                raise Cancelled
            touched = {document.id for document, _ in batch} | {item.document.id for item in complete}
            owned = await ledger.lock(scope, sorted(touched), job.id)
            present = await ledger.known(scope, self._store, [chunk.id for _, chunk in batch])
            rows = [
                (document, chunk, vector, terms)
                for (document, chunk), vector, terms in zip(batch, vectors, words, strict=True)
                if document.id in owned and chunk.id not in present
            ]
            self._room -= len(rows)
            if self._room < 0:
                limit = resources.settings.max_chunks
                raise TooLarge(f"max_chunks: the document store would hold more than {limit} chunks")
            store = resources.vectors.within(scope.connection) if joins else resources.vectors
            numbers = await resources.lexical.add_analysed(scope, self._store, [terms for *_, terms in rows])
            points = [
                Point(point_id(int(number)), vector, chunk.metadata)
                for (_, chunk, vector, _), number in zip(rows, numbers, strict=True)
            ]
            await store.upsert(self._space.collection, points)
            added = [
                (document, chunk, int(number)) for (document, chunk, *_), number in zip(rows, numbers, strict=True)
            ]
            await ledger.insert_chunks(scope, self._store, job.id, added)
            self._outcome.counts.added += len(added)
            dropped: list[str] = []
            for item in complete:
                if item.document.id in owned:
                    dropped += await self._complete(scope, item)
            if joins:
                await store.delete(self._space.collection, dropped)
            self._seen += len(batch)
            await self._note(scope)
        if not joins:
            await resources.vectors.delete(self._space.collection, dropped)

    async def _complete(self, scope: Scope, item: Prepared) -> list[str]:
        """Make the plan the document's live content; returns the ids of the points that went."""
        before = await ledger.chunk_index(scope, item.document.id)
        planned = {chunk.id: chunk for chunk in item.chunks}
        stale = [chunk for chunk in before if chunk not in planned]
        numbers = await ledger.delete_chunks(scope, self._store, stale) if stale else []
        if numbers:
            await self._work.resources.lexical.remove(scope, self._store, numbers)
        kept = [(row, planned[chunk]) for chunk, row in before.items() if chunk in planned]
        moved = [
            (chunk.id, chunk.position, chunk.metadata)
            for row, chunk in kept
            if row["position"] != chunk.position
            or row["metadata"] != chunk.metadata
            or row["loader_id"] != item.document.loader_id
        ]
        revised = {point_id(row["number"]): chunk for row, chunk in kept if row["metadata"] != chunk.metadata}
        if moved:
            await ledger.revise_chunks(scope, self._store, item.document.loader_id, moved)
        if revised:
            await self._revise_vectors(scope, revised)
        await ledger.complete(scope, item.document.id, item.digest, item.mime)
        counts = self._outcome.counts
        counts.deleted += len(stale)
        counts.updated += len(revised)
        counts.skipped += sum(row["job_id"] != self._work.job.id for row, _ in kept) - len(revised)
        self._outcome.documents += 1
        return [point_id(number) for number in numbers]

    async def _revise_vectors(self, scope: Scope, chunks: Mapping[str, NewChunk]) -> None:
        """Give vectors new metadata; the embedding itself is kept."""
        store = self._work.resources.vectors
        if Capability.TRANSACTION in store.capabilities:
            store = store.within(scope.connection)
        points = await store.get(self._space.collection, list(chunks))
        fresh = [Point(point.id, point.vector, chunks[point.id].metadata) for point in points]
        await store.upsert(self._space.collection, fresh)

    async def _note(self, scope: Scope) -> None:
        """Keep progress and counts with the batch's commit. Raises `Cancelled` when the job is to stop."""
        await self._work.note(scope, "indexing", self._seen, self._total, self._outcome.as_json())


def _analyse(texts: Sequence[str]) -> list[Analysed]:
    return [analyse(text) for text in texts]
