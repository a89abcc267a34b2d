"""The fill: chunks of the ledger into both indexes, batch by batch, each committed with the progress of its job.

What is embedded stands in the ledger, so that vectors can be made from it at any time: when a document store is given
its first ones, when it gets others (re-index), and when some were lost (`ragstone doctor --fix`). A run that dies is
taken up at the next batch; memory does not grow with the document store.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from uuid import UUID

from service.document_stores.indexing import records
from service.document_stores.indexing.lender import Lender
from service.document_stores.indexing.reuse import Found, Reuse, Waiting
from service.document_stores.indexing.texts import BATCH, overlapped
from service.document_stores.indexing.types import Which
from service.document_stores.ledger.types import PendingChunk
from service.document_stores.shelf import changing
from service.document_stores.space import Space
from service.resources import Resources
from service.retrieval.base import point_id
from stores.records.database import Scope
from stores.vector.base import Vector, VectorStore

PAGE = 2_000
"""Numbers that are looked up at a time."""

Note = Callable[[Scope, int], Awaitable[None]]
"""Called in the transaction of each batch with the number of chunks in it; may raise, which undoes the batch."""

Reading = Callable[[], AbstractAsyncContextManager[Scope]]
"""How the ledger is read, page by page: over any connection, or in the transaction of who has the document store."""


class SpaceChanged(Exception):
    """The document store has other vectors by now than those that were to be filled in, or none."""


async def fill(
    resources: Resources, workspace: UUID, space: Space, which: Which, job_id: UUID, note: Note, waiting: Waiting
) -> None:
    """Index the live chunks of `which` that are not indexed: number, postings, vector. They count as added by the job.

    Raises `SpaceChanged` when `space` is no longer the document store's, `NotFound` when this is deleted, the
    provider's errors, and what `note` and `waiting` raise; what was committed until then stays.
    """

    again = True
    reuse = Reuse(resources, workspace, space, waiting)

    async def commit(batch: list[PendingChunk], found: Found) -> None:
        nonlocal again
        async with changing(resources, workspace, space.store_id) as shelf:
            if shelf.collection != space.collection:
                raise SpaceChanged
            present = await records.lock_unindexed(shelf.scope, space.store_id, batch)
            ready = []
            for chunk, indexed in zip(batch, found.indexed, strict=True):
                now = present.get(chunk.id)
                if now is not None and now.index_text == chunk.index_text:
                    ready.append((now, indexed))
                again = again or (now is not None and now.index_text != chunk.index_text)  # edited meanwhile
            numbers = await shelf.index([(chunk.document_id, chunk.metadata, indexed) for chunk, indexed in ready])
            rows = [(chunk.id, number) for (chunk, _), number in zip(ready, numbers, strict=True)]
            await records.assign(shelf.scope, space.store_id, job_id, rows)
            await note(shelf.scope, len(rows))

    while again:
        again = False
        batches = _unindexed(resources, workspace, space.store_id, which)
        await overlapped(batches, lambda batch: _index(reuse, batch), commit)


async def restore_vectors(
    resources: Resources,
    workspace: UUID,
    space: Space,
    note: Note,
    waiting: Waiting,
    *,
    after: int = 0,
    lender: Lender | None = None,
) -> None:
    """Give every indexed chunk whose number is above `after` and has no point in `space.collection` a vector there,
    under its number as it is. The collection is the document store's own or one that is being built to take its place.
    What `lender` has is not embedded.

    Raises as `fill` does. Chunks that are indexed meanwhile are not all seen: their writers see to them.
    """

    reuse = Reuse(resources, workspace, space, waiting)

    async def commit(batch: list[PendingChunk], found: Sequence[Vector]) -> None:
        async with changing(resources, workspace, space.store_id) as shelf:
            if space.collection not in (shelf.collection, *shelf.building):
                raise SpaceChanged
            present = await records.lock_numbered(shelf.scope, space.store_id, batch)
            points = [
                (chunk.number, chunk.document_id, vector, present[chunk.number].metadata)
                for chunk, vector in zip(batch, found, strict=True)
                if chunk.number is not None and chunk.number in present  # an edited chunk has another number
            ]
            await shelf.at(space.collection).upsert(space.collection, await shelf.points(points))
            await note(shelf.scope, len(points))

    batches = without_vectors(partial(resources.database.read, workspace), space, after)
    await overlapped(batches, lambda batch: vectors_of(reuse, batch, lender), commit)


async def vectors_of(reuse: Reuse, batch: Sequence[PendingChunk], lender: Lender | None) -> Sequence[Vector]:
    """The vectors of chunks in their order: lent ones, and others as `reuse` has or makes them."""
    lent = await lender.lend(batch) if lender else {}
    made = await reuse.texts([chunk.index_text for chunk in batch if chunk.number not in lent])
    rest = iter(made.indexed)
    return [lent[chunk.number] if chunk.number in lent else next(rest).vector for chunk in batch]


async def _index(reuse: Reuse, batch: Sequence[PendingChunk]) -> Found:
    return await reuse.texts([chunk.index_text for chunk in batch])


async def _unindexed(
    resources: Resources, workspace: UUID, store_id: UUID, which: Which
) -> AsyncIterator[list[PendingChunk]]:
    after: UUID | None = None
    while True:
        async with resources.database.read(workspace) as scope:
            batch = await records.next_unindexed(scope, store_id, which, after, BATCH)
        if not batch:
            return
        yield batch
        after = batch[-1].id


async def without_vectors(reading: Reading, space: Space, after: int = 0) -> AsyncIterator[list[PendingChunk]]:
    """The indexed chunks whose number is above `after` and that have no point in `space.collection`, in batches."""
    while True:
        async with reading() as scope:
            numbers = await records.next_indexed(scope, space.store_id, after, PAGE)
        if not numbers:
            return
        present = await _points(space.vectors, space.collection, after, numbers[-1])
        missing = [number for number in numbers if point_id(number) not in present]
        for start in range(0, len(missing), BATCH):
            async with reading() as scope:
                batch = await records.numbered(scope, space.store_id, missing[start : start + BATCH])
            if batch:
                yield batch
        after = numbers[-1]


async def without_chunks(reading: Reading, space: Space, after: str = "") -> AsyncIterator[list[str]]:
    """The ids behind `after` of the points in `space.collection` that belong to no chunk, in batches; where writers go
    on meanwhile, some may get theirs a moment later."""
    while page := await space.vectors.ids(space.collection, after=after, limit=PAGE):
        async with reading() as scope:
            lost = await of_no_chunk(scope, space.store_id, page)
        if lost:
            yield lost
        after = page[-1]


async def of_no_chunk(scope: Scope, store_id: UUID, points: Sequence[str]) -> list[str]:
    """Those of the points that belong to no chunk of the ledger."""
    numbers = [int(point) for point in points if point.isascii() and point.isdigit() and len(point) <= 10]
    chunks = {point_id(number) for number in await records.known(scope, store_id, numbers)}
    return [point for point in points if point not in chunks]


async def _points(vectors: VectorStore, collection: str, after: int, last: int) -> set[str]:
    """The ids of the collection's points above `after` and up to `last`."""
    found: set[str] = set()
    start, end = point_id(after), point_id(last)
    while page := await vectors.ids(collection, after=start, limit=PAGE):
        found.update(point for point in page if point <= end)
        if page[-1] >= end:
            break
        start = page[-1]
    return found
