"""An archive into a new document store, part by part, each committed with the progress of its job.

The document store is there from the beginning, as one that was deleted is: nobody sees it, and a purge removes it with
all it holds. The last transaction shows it. A run that dies is taken up after the last part that it committed.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID, uuid5

from service.document_stores.archive import records
from service.document_stores.archive.limits import Limits
from service.document_stores.archive.reading import Chunks, Content, Documents, Item, Loaders, contents
from service.document_stores.archive.secrets import bare, bare_options
from service.document_stores.archive.types import NewDocument, NewLoader, NewRow
from service.document_stores.archive.wire import ChunkLine, DocumentLine, LoaderLine, Manifest, Part
from service.document_stores.collections import records as collections
from service.document_stores.ledger.types import indexed, masked
from service.document_stores.own_chunks import LOADER as OWN_CHUNKS
from service.document_stores.shelf import Held, Indexed, Shelf
from service.document_stores.space import complete_collection, make_collection
from service.document_stores.types import Component
from service.document_stores.vectors import OWN, writing_at
from service.errors import NotFound
from service.jobs import service as jobs
from service.worker.work import Work
from stores.lexical.analysis import Analysed, analyse
from stores.records.database import Scope
from stores.vector.base import UnknownCollection

MOST_NAMED = 100
"""Parts that lack a credential are named up to so many: they are written with every commit."""


@dataclass(slots=True)
class Progress:
    """How far an import is; kept in its job's row with each commit."""

    parts: int = 0
    chunks: int = 0
    documents: int = 0
    blobs: int = 0
    unindexed: int = 0
    """Chunks that were indexed and came without a vector."""
    credentials: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> "Progress":
        """What an earlier attempt kept."""
        found = value or {}
        return cls(
            parts=found.get("parts", 0),
            chunks=found.get("numChunks", 0),
            blobs=found.get("numBlobs", 0),
            unindexed=found.get("numEmbedded", 0),
        )


class Import:
    """One run of one import job, of an archive that was checked."""

    def __init__(self, work: Work, store_id: UUID, manifest: Manifest, name: str | None) -> None:
        """`name` takes the place of the one in the archive."""
        self._work = work
        self._store = store_id
        self._manifest = manifest
        self._name = name or manifest.name
        self._progress = Progress.from_json(work.job.result)
        self._fill = uuid5(store_id, "fill")
        """The job that indexes what was indexed and comes without a vector; its chunks are known by it."""
        self._loader_of: list[int] = []
        """The loader of each document, by their places in the archive."""
        self._own: list[bool] = []
        """Whether callers cut its chunks, and may have brought their vectors."""

    async def run(self, path: Path) -> Mapping[str, Any]:
        """Write everything and show the document store; returns the job's result."""
        with path.open("rb") as file:
            items = contents(file, Limits.of(self._work.resources.settings))
            while (item := await asyncio.to_thread(next, items, None)) is not None:
                await self._write(item)
        await self._complete()
        return await self._show()

    async def _write(self, item: Item) -> None:
        match item:
            case Manifest():
                await self._describe(item)
            case Loaders(batches):
                await self._loaders(batches)
            case Documents(batches):
                await self._documents(batches)
            case Chunks():
                if item.number >= self._progress.parts:
                    await self._chunks(item)
            case Content():
                await self._content(item)

    async def _describe(self, manifest: Manifest) -> None:
        parts = {
            "embedding": manifest.embedding,
            "vectorStore": manifest.vector_store,
            "recordManager": manifest.record_manager,
        }
        self._progress.credentials = [name for name, part in parts.items() if part is not None and part.credential]
        # A server that an archive names is nobody's choice here: what is imported lies in the service's own vector
        # store, from where a re-index moves it without embedding.
        vector_store = _known(manifest.vector_store, OWN)
        values = {
            "name": self._name,
            "description": manifest.description,
            "embedding": _config(manifest.embedding),
            "vector_store": _config(vector_store),
            "record_manager": _config(manifest.record_manager),
            "restricted": manifest.restricted,
        }
        async with self._work.resources.database.write(self._work.job.workspace) as scope:
            collection = await self._hold(scope)
            await records.describe(scope, self._store, values)
            if manifest.vectors and manifest.fingerprint is not None and not collection:
                dimension = manifest.fingerprint.dimension
                made = await make_collection(self._work.resources, scope, self._store, dimension, None)
                await collections.set_space(scope, self._store, manifest.fingerprint.model_dump(), made)
            await self._note(scope)

    async def _loaders(self, batches: Iterator[list[LoaderLine]]) -> None:
        start = 0
        while batch := await asyncio.to_thread(next, batches, None):
            rows = [_loader(self._loader_id(place), line) for place, line in enumerate(batch, start)]
            named = [f"loader '{line.label}'" for line in batch if line.component.credential]
            self._progress.credentials += named[: max(MOST_NAMED - len(self._progress.credentials), 0)]
            async with self._work.resources.database.write(self._work.job.workspace) as scope:
                await self._hold(scope)
                await records.insert_loaders(scope, self._store, rows)
            start += len(batch)

    async def _documents(self, batches: Iterator[list[DocumentLine]]) -> None:
        while batch := await asyncio.to_thread(next, batches, None):
            start = len(self._loader_of)
            rows = [
                _document(self._document_id(place), self._loader_id(line.loader), line)
                for place, line in enumerate(batch, start)
            ]
            self._loader_of += [line.loader for line in batch]
            self._own += [line.recipe["loader"] == OWN_CHUNKS for line in batch]
            async with self._work.resources.database.write(self._work.job.workspace) as scope:
                await self._hold(scope)
                await records.insert_documents(scope, self._store, self._work.job.id, rows)
        self._progress.documents = len(self._loader_of)

    async def _chunks(self, part: Chunks) -> None:
        present = [False] * len(part.chunks)
        if part.vectors is not None:
            present = [bool(row.any()) for row in part.vectors]
        ready = [place for place, line in enumerate(part.chunks) if line.indexed and present[place]]
        words = await asyncio.to_thread(_analyse, [part.chunks[place] for place in ready])
        async with self._work.resources.database.write(self._work.job.workspace) as scope:
            collection = await self._hold(scope)
            vectors, joins = await writing_at(self._work.resources, scope, None)
            searched = Held(collection, vectors, joins) if collection else None
            shelf = Shelf(self._work.resources, scope, self._store, searched, ())
            brought = part.vectors
            given = [
                (
                    self._document_id(part.chunks[place].document),
                    part.chunks[place].metadata,
                    Indexed(brought[place], found),
                )
                for place, found in zip(ready, words, strict=True)
                if brought is not None
            ]
            numbers = dict(zip(ready, await shelf.index(given), strict=True))
            rows = [self._row(line, numbers.get(place)) for place, line in enumerate(part.chunks)]
            await records.insert_chunks(scope, self._store, rows)
            self._progress.parts = part.number + 1
            self._progress.chunks += len(rows)
            self._progress.unindexed += sum(line.indexed for line in part.chunks) - len(ready)
            await self._note(scope)

    def _row(self, line: ChunkLine, number: int | None) -> NewRow:
        return NewRow(
            id=masked(self._store, UUID(line.key)),
            document_id=self._document_id(line.document),
            loader_id=self._loader_id(self._loader_of[line.document]),
            number=number,
            position=line.position,
            head=line.head,
            text=line.text,
            metadata=line.metadata,
            edited=line.edited,
            own_vector=number is not None and self._own[line.document],
            job_id=self._fill if line.indexed and number is None else self._work.job.id,
        )

    async def _content(self, item: Content) -> None:
        resources, digest = self._work.resources, bytes.fromhex(item.sha256)
        async with resources.database.read(self._work.job.workspace) as scope:
            if not await records.needs_upload(scope, self._store, digest):
                return
        blob = await resources.blobs.put(cast(BinaryIO, item.member), limit=item.member.size)
        async with resources.database.write(self._work.job.workspace) as scope:
            await self._hold(scope)
            await records.give_upload(scope, self._store, digest, blob.key)
            self._progress.blobs += 1
            await self._note(scope)

    async def _complete(self) -> None:
        """Have the collection's index built before anybody searches it."""
        work = self._work
        async with work.resources.database.write(work.job.workspace) as scope:
            collection = await self._hold(scope)
            await self._note(scope, "completing")
        if collection:
            with suppress(UnknownCollection):  # purged: the next step says so
                await complete_collection(work.resources, work.job.workspace, collection)

    async def _show(self) -> Mapping[str, Any]:
        work = self._work
        async with work.resources.database.write(work.job.workspace) as scope:
            await self._hold(scope)
            await records.settle(scope, self._store)
            await records.show(scope, self._store)
            result: dict[str, Any] = {**self._result(), "shown": True}
            if self._progress.unindexed:
                payload = {"storeId": str(self._store), "addedBy": str(self._fill)}
                await jobs.reserve(scope, self._fill, "index", store_id=self._store)
                await jobs.enqueue(scope, work.resources.queue, self._fill, payload)
                result["fillJobId"] = str(self._fill)
            await work.note(scope, "importing", self._progress.chunks, self._progress.chunks, result)
        return result

    def _result(self) -> dict[str, Any]:
        progress = self._progress
        return {
            "storeId": str(self._store),
            "name": self._name,
            "created": self._manifest.created,
            "numDocuments": progress.documents,
            "numChunks": progress.chunks,
            "numBlobs": progress.blobs,
            "numEmbedded": progress.unindexed,
            "credentials": progress.credentials,
            "parts": progress.parts,
        }

    async def _note(self, scope: Scope, stage: str = "importing") -> None:
        total = self._manifest.counts.chunks
        await self._work.note(scope, stage, self._progress.chunks, total, self._result())

    async def _hold(self, scope: Scope) -> str:
        """The document store's collection, "" without one. Raises `NotFound` when it was purged."""
        collection = await records.hold(scope, self._store)
        if collection is None:
            raise NotFound(f"Document store {self._store} is no longer there to be imported into")
        return collection

    def _loader_id(self, place: int) -> UUID:
        return uuid5(self._store, f"loader {place}")

    def _document_id(self, place: int) -> UUID:
        return uuid5(self._store, f"document {place}")


def _analyse(lines: list[ChunkLine]) -> list[Analysed]:
    return [analyse(indexed(line.head, line.text)) for line in lines]


def _known(part: Part | None, names: tuple[str, ...]) -> Part | None:
    return part if part is not None and part.name in names else None


def _component(part: Part) -> Component:
    """Without credentials and secrets, which archives do not hold: one that names a credential of whoever imports it
    was forged to have it sent somewhere."""
    return bare(Component(part.name, part.config))[0]


def _config(part: Part | None) -> dict[str, Any] | None:
    return _component(part).as_json() if part is not None else None


def _loader(loader_id: UUID, line: LoaderLine) -> NewLoader:
    splitter = _component(line.splitter) if line.splitter else None
    return NewLoader(loader_id, _component(line.component), line.label, splitter, line.kept, line.principals)


def _document(document_id: UUID, loader_id: UUID, line: DocumentLine) -> NewDocument:
    return NewDocument(
        id=document_id,
        loader_id=loader_id,
        source=line.source,
        name=line.name,
        mime=line.mime,
        size=line.size,
        sha256=bytes.fromhex(line.sha256),
        recipe={**line.recipe, "loaderOptions": bare_options(line.recipe["loaderOptions"])},
        state=line.state,
        digest=bytes.fromhex(line.digest) if line.digest else None,
        error_code=line.error_code,
        error=line.error,
        namespace=line.namespace,
        superseded=line.superseded,
        edited=line.edited,
        principals=line.principals,
    )
