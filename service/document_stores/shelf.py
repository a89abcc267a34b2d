"""The chunks of a document store where they are kept: ledger, vectors and keyword index, changed together.

Vectors in the ledger's own Postgres change in the ledger's transaction. Of other stores: vectors are written before the
ledger knows of them and removed after it has forgotten them, so that a crash leaves vectors too many (searches leave
them out) and never too few.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from service.document_stores import records
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.types import DocumentRow, NewChunk
from service.errors import NotFound
from service.resources import Resources
from service.retrieval.base import point_id
from stores.lexical.analysis import Analysed
from stores.records.database import Scope
from stores.vector.base import Capability, Metadata, Point, Vector, VectorStore

Addition = tuple[DocumentRow, NewChunk, Vector, Analysed]
"""A chunk to add: its document, itself, its embedding, its words."""


def collection_of(store_id: UUID) -> str:
    """The name of the vector collection of a document store."""
    return f"ds_{store_id.hex}"


@dataclass(slots=True)
class Shelf:
    """The chunks of one document store inside one transaction; see `changing`."""

    resources: Resources
    scope: Scope
    store_id: UUID
    vectors: VectorStore
    joins: bool
    removed: list[str] = field(default_factory=list)

    async def add(self, job_id: UUID, rows: Sequence[Addition]) -> None:
        """Add chunks; nobody sees them before their document is complete."""
        if not rows:
            return
        numbers = await self.resources.lexical.add_analysed(self.scope, self.store_id, [words for *_, words in rows])
        points = [
            Point(point_id(int(number)), vector, chunk.metadata)
            for (_, chunk, vector, _), number in zip(rows, numbers, strict=True)
        ]
        await self.vectors.upsert(collection_of(self.store_id), points)
        added = [(document, chunk, int(number)) for (document, chunk, *_), number in zip(rows, numbers, strict=True)]
        await ledger.insert_chunks(self.scope, self.store_id, job_id, added)

    async def remove(self, chunks: Sequence[UUID]) -> None:
        """Remove chunks: not found by anybody once the transaction is committed."""
        if not chunks:
            return
        numbers = await ledger.delete_chunks(self.scope, self.store_id, chunks)
        await self.resources.lexical.remove(self.scope, self.store_id, numbers)
        ids = [point_id(number) for number in numbers]
        if self.joins:
            await self.vectors.delete(collection_of(self.store_id), ids)
        else:
            self.removed += ids

    async def describe(self, chunks: Mapping[int, Metadata]) -> None:
        """Give vectors, by their chunks' numbers, these metadata; the embeddings stay."""
        if not chunks:
            return
        metadata = {point_id(number): value for number, value in chunks.items()}
        points = await self.vectors.get(collection_of(self.store_id), list(metadata))
        fresh = [Point(point.id, point.vector, metadata[point.id]) for point in points]
        await self.vectors.upsert(collection_of(self.store_id), fresh)


@asynccontextmanager
async def changing(resources: Resources, workspace: UUID, store_id: UUID) -> AsyncIterator[Shelf]:
    """A transaction in which the chunks of a document store change; it cannot be deleted meanwhile.

    Raises `NotFound` when it is gone already.
    """
    joins = Capability.TRANSACTION in resources.vectors.capabilities
    async with resources.database.write(workspace) as scope:
        if not await records.hold(scope, store_id):
            raise NotFound(f"Document store {store_id} was deleted")
        vectors = resources.vectors.within(scope.connection) if joins else resources.vectors
        shelf = Shelf(resources, scope, store_id, vectors, joins)
        yield shelf
    if shelf.removed:
        await resources.vectors.delete(collection_of(store_id), shelf.removed)
