"""The chunks of a document store where they are kept: ledger, vectors and keyword index, changed together.

A chunk is indexed, in both indexes under its number, or in neither of them, with no number. The document store's row
says which collection is searched and written (`collection`), and each collection which vector store it is in. Vectors
in the ledger's own Postgres change in the ledger's transaction. Of other stores: vectors are written before the ledger
knows of them and removed after it has forgotten them, so that a crash leaves vectors too many (searches leave them out)
and never too few.

Points are made nowhere else: they carry the principals that their document has in this very transaction.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from service.document_stores import records
from service.document_stores.collections import records as collections
from service.document_stores.compacting import compact_soon
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.ledger.types import DocumentRow, NewChunk, indexed
from service.document_stores.principals import records as principals
from service.document_stores.sight import marked
from service.document_stores.vectors import writing_at
from service.errors import NotFound, ServiceError
from service.resources import Resources
from service.retrieval.base import point_id
from stores.lexical.analysis import Analysed, analyse
from stores.records.database import Scope
from stores.vector.base import Metadata, Point, Unavailable, UnknownCollection, Vector, VectorStore

log = logging.getLogger("ragstone.ingest")

LOOKED_AFTER = 1000
"""Chunks after which the indexes are looked at: one upsert may bring more than are searched quickly as they came."""
DESCRIBED_AT_ONCE = 500
"""Points that are read and written again at a time when only metadata change."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a chunk is indexed by: its embedding and its words."""

    vector: Vector
    words: Analysed


Addition = tuple[DocumentRow, NewChunk, Indexed | None]
"""A chunk to add: its document, itself, and what it is indexed by, if it is."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What a chunk of the ledger, by its id and its number so far, becomes."""

    id: UUID
    document_id: UUID
    number: int | None
    head: str
    text: str
    metadata: Metadata
    indexed: Indexed | None
    own: bool = False
    """Whether a caller brought the vector in `indexed`."""


@dataclass(frozen=True, slots=True)
class Held:
    """A collection and what holds it, which writes inside the transaction when it `joins`."""

    name: str
    vectors: VectorStore
    joins: bool


@dataclass(slots=True)
class Shelf:
    """The chunks of one document store inside one transaction; see `changing`."""

    resources: Resources
    scope: Scope
    store_id: UUID
    searched: Held | None
    """Where its vectors are; None: it has none, and its chunks are not indexed."""
    filling: Sequence[Held]
    """Collections that are being filled to take its place."""
    removed: list[str] = field(default_factory=list)

    @property
    def collection(self) -> str | None:
        """The name of the searched collection."""
        return self.searched.name if self.searched else None

    @property
    def building(self) -> list[str]:
        """The names of those that are being filled."""
        return [held.name for held in self.filling]

    @property
    def held(self) -> list[Held]:
        """All of them."""
        return [*filter(None, (self.searched,)), *self.filling]

    def at(self, collection: str) -> VectorStore:
        """What one of them is written by. Raises `UnknownCollection` for others."""
        for held in self.held:
            if held.name == collection:
                return held.vectors
        raise UnknownCollection(collection)

    async def add(self, job_id: UUID, rows: Sequence[Addition], collection: str | None) -> None:
        """Add chunks; nobody sees them before their document is complete. `collection` is what their vectors were made
        for: when the document store has another one by now, or none, they are not indexed."""
        if rows:
            given = [(document.id, chunk.metadata, indexed) for document, chunk, indexed in rows]
            numbers = await self._index(given, collection)
            added = [(document, chunk, number) for (document, chunk, _), number in zip(rows, numbers, strict=True)]
            await chunk_rows.insert(self.scope, self.store_id, job_id, added)

    async def replace(self, rows: Sequence[Revision], collection: str | None, *, edited: bool) -> None:
        """Give chunks another text and metadata, in both indexes too; `collection` as for `add`."""
        if rows:
            await self.forget([row.number for row in rows if row.number is not None])
            numbers = await self._index([(row.document_id, row.metadata, row.indexed) for row in rows], collection)
            changed = [
                (row.id, number, row.head, row.text, row.metadata, row.own)
                for row, number in zip(rows, numbers, strict=True)
            ]
            await chunk_rows.replace(self.scope, self.store_id, changed, edited=edited)

    async def points(self, rows: Sequence[tuple[int, UUID, Vector, Metadata]]) -> list[Point]:
        """The points of chunks, of which are given number, document, vector and metadata."""
        held = await principals.held(self.scope, {document for _, document, _, _ in rows})
        return [
            Point(point_id(number), vector, marked(metadata, held.get(document)))
            for number, document, vector, metadata in rows
        ]

    async def index(self, rows: Sequence[tuple[UUID, Metadata, Indexed]]) -> list[int]:
        """Put chunks, of which are given document, metadata and what they are indexed by, into the keyword index and
        the collection; returns their numbers, for the ledger to keep."""
        if not rows:
            return []
        if self.searched is None:
            raise UnknownCollection(f"document store {self.store_id} has no vectors")
        words = [indexed.words for _, _, indexed in rows]
        numbers = [int(n) for n in await self.resources.lexical.add_analysed(self.scope, self.store_id, words)]
        points = [
            (number, document, indexed.vector, metadata)
            for (document, metadata, indexed), number in zip(rows, numbers, strict=True)
        ]
        await self.searched.vectors.upsert(self.searched.name, await self.points(points))
        if numbers[0] // LOOKED_AFTER < (numbers[-1] + 1) // LOOKED_AFTER:
            await compact_soon(self.scope, self.resources.queue, self.store_id)
        return numbers

    async def _index(
        self, rows: Sequence[tuple[UUID, Metadata, Indexed | None]], collection: str | None
    ) -> Sequence[int | None]:
        """The numbers of those that are indexed now, None for the others."""
        if collection is None or collection != self.collection:
            return [None] * len(rows)
        given = [(document, metadata, indexed) for document, metadata, indexed in rows if indexed is not None]
        numbers = iter(await self.index(given))
        return [None if indexed is None else next(numbers) for _, _, indexed in rows]

    async def remove(self, chunks: Sequence[UUID]) -> None:
        """Remove chunks: not found by anybody once the transaction is committed."""
        if chunks:
            await self.forget(await chunk_rows.delete(self.scope, self.store_id, chunks))

    async def forget(self, numbers: Sequence[int]) -> None:
        """Take out of both indexes what the ledger no longer has under these numbers."""
        if not numbers:
            return
        await self.resources.lexical.remove(self.scope, self.store_id, numbers)
        ids = [point_id(number) for number in numbers]
        for held in self.held:
            if held.joins:
                await held.vectors.delete(held.name, ids)
        if not self._joins():
            self.removed += ids

    async def describe(self, rows: Sequence[Revision]) -> Mapping[UUID, int]:
        """Give indexed chunks, whose text and embedding stay, other metadata in the vector store. Returns the numbers
        of those that were given another one: a store that does not join the transaction must not show metadata that the
        ledger may never have, so there they become new points, with the vectors of the old ones."""
        renumbered: dict[UUID, int] = {}
        for start in range(0, len(rows), DESCRIBED_AT_ONCE):
            page = {
                point_id(row.number): row for row in rows[start : start + DESCRIBED_AT_ONCE] if row.number is not None
            }
            if self._joins():
                for held in self.held:
                    points = await held.vectors.get(held.name, list(page))
                    fresh = [
                        (int(point.id), page[point.id].document_id, point.vector, page[point.id].metadata)
                        for point in points
                    ]
                    await held.vectors.upsert(held.name, await self.points(fresh))
            elif self.searched is not None:
                points = await self.searched.vectors.get(self.searched.name, list(page))
                moved = [page[point.id] for point in points]
                texts = [indexed(row.head, row.text) for row in moved]
                words = await asyncio.to_thread(lambda texts=texts: [analyse(text) for text in texts])  # type: ignore[misc]
                await self.forget([row.number for row in moved if row.number is not None])
                numbers = await self.index(
                    [
                        (row.document_id, row.metadata, Indexed(point.vector, each))
                        for row, point, each in zip(moved, points, words, strict=True)
                    ]
                )
                renumbered |= {row.id: number for row, number in zip(moved, numbers, strict=True)}
        await chunk_rows.renumber(self.scope, self.store_id, renumbered)
        return renumbered

    async def mark(self, document_ids: Sequence[UUID]) -> None:
        """Let the points of documents say who may find them; the caller has locked their rows."""
        for document_id in document_ids:
            after: UUID | None = None
            while rows := await principals.numbered(self.scope, self.store_id, document_id, after, DESCRIBED_AT_ONCE):
                after = rows[-1].id
                await self.describe(
                    [Revision(row.id, document_id, row.number, row.head, row.text, row.metadata, None) for row in rows]
                )
        if document_ids:
            await principals.settle(self.scope, document_ids)

    def _joins(self) -> bool:
        return all(held.joins for held in self.held)


@asynccontextmanager
async def changing(
    resources: Resources, workspace: UUID, store_id: UUID, *, alone: bool = False
) -> AsyncIterator[Shelf]:
    """A transaction in which the chunks of a document store change; it cannot be deleted meanwhile, nor given another
    vector space. Who changes chunks locks their documents first; with `alone`, nobody else changes any.

    Raises `NotFound` when it is gone already.
    """
    async with resources.database.write(workspace) as scope:
        store = await (records.lock if alone else records.hold)(scope, store_id)
        if store is None:
            raise NotFound(f"Document store {store_id} not found")
        building = await collections.of_store(scope, store_id, building=True)
        places = await collections.placed(scope, building) if building else {}
        filling = [Held(name, *await writing_at(resources, scope, place)) for name, place in places.items()]
        searched = None
        if store.collection is not None:
            searched = Held(store.collection, *await writing_at(resources, scope, store.backend))
        shelf = Shelf(resources, scope, store_id, searched, filling)
        yield shelf
    if shelf.removed:
        await _clear(shelf)


async def _clear(shelf: Shelf) -> None:
    """Remove what the ledger has forgotten, in one step with it or not, from stores that join no transaction. One that
    is out of reach keeps points that no search shows; the doctor removes them."""
    for held in shelf.held:
        if held.joins:
            continue
        try:
            await held.vectors.delete(held.name, shelf.removed)
        except UnknownCollection:
            continue  # dropped meanwhile, with everything in it
        except (Unavailable, ServiceError) as error:
            log.warning("%d vectors of no chunk are left in %s: %s", len(shelf.removed), held.name, error)
