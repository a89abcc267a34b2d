"""The re-index: fill a second collection, then put it in the first one's place, in the same vector store or another.

Writers go on meanwhile: what they add is seen by the next pass, what they remove or describe anew they remove and
describe in both collections. The last pass has the document store for itself, and ends with the switch in the same
transaction; a search sees the old space or the new one, never a mixture.
"""

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import count as counting
from typing import Any
from uuid import UUID

from service.document_stores import records
from service.document_stores.check.records import highest
from service.document_stores.collections import records as collections
from service.document_stores.indexing.fill import (
    PAGE,
    SpaceChanged,
    of_no_chunk,
    restore_vectors,
    without_chunks,
    without_vectors,
)
from service.document_stores.indexing.lender import Lender
from service.document_stores.indexing.records import count
from service.document_stores.indexing.texts import BATCH, index_texts
from service.document_stores.indexing.types import Which
from service.document_stores.pacing import paced
from service.document_stores.shelf import Shelf, changing
from service.document_stores.space import (
    DEFAULT_VECTOR_STORE,
    Space,
    complete_collection,
    drop_in,
    drop_soon,
    filling_embedder,
    fingerprint_of,
    make_collection,
)
from service.document_stores.types import Backend, Component
from service.document_stores.vectors import backend_of, same_place, vectors_at
from service.errors import NotFound
from service.jobs import service as jobs
from service.providers.errors import ProviderError
from service.resources import Resources
from service.retrieval.base import point_id
from service.worker.work import Work
from stores.records.database import Scope
from stores.vector.base import UnknownCollection

PASSES = 20
"""Passes before writers are held back for as long as the rest takes, should they be as fast as the re-index."""


class _NotYet(Exception):
    """Too much is left to fill in while writers wait, or the provider wants a pause."""


async def reindex(work: Work) -> Mapping[str, Any]:
    """Make the vectors of a document store anew by the embedding in the payload, and search these from then on."""
    return await _Reindexing(work).run()


async def abandon(work: Work) -> Mapping[str, Any]:
    """After a re-index that failed or was cancelled: what it filled goes, the old space stays."""
    resources, workspace, store_id = work.resources, work.job.workspace, UUID(work.payload["storeId"])
    collection = work.payload.get("collection")
    with suppress(NotFound):  # deleted, with everything in it
        async with changing(resources, workspace, store_id, alone=True) as shelf:
            made = await collections.of_store(shelf.scope, store_id)
            filled = [name for name in made if name == collection != shelf.collection]
            await collections.give_up(shelf.scope, filled)
        await drop_soon(resources, workspace, filled)
    return {}


class _Reindexing:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._resources: Resources = work.resources
        self._workspace = work.job.workspace
        self._store = UUID(work.payload["storeId"])
        self._embedding = Component(**work.payload["embedding"])
        self._named = bool(work.payload.get("embeddingNamed", True))
        vector_store = work.payload.get("vectorStore")
        self._vector_store = Component(**vector_store) if vector_store else None
        self._configured: Component | None = None
        self._lender: Lender | None = None
        self._collection: str | None = work.payload.get("collection")
        self._done = int((work.job.result or {}).get("numIndexed", 0))
        self._total: int | None = None
        self._seen = 0
        """The highest number of a chunk when the last pass began: numbers grow from one writer's commit to the next's,
        so that all that is left to fill in lies above it."""
        self._stray: list[str] = []
        """Points of no chunk, as the passes saw it."""

    async def run(self) -> Mapping[str, Any]:
        async with self._resources.database.read(self._workspace) as scope:
            store = await records.get(scope, self._store)
        if store is None:
            raise NotFound(f"Document store {self._store} was deleted")
        self._configured = store.vector_store
        wanted = replace(store, embedding=self._embedding)
        embedder = await filling_embedder(self._resources, self._workspace, wanted)
        fingerprint = await paced(lambda: fingerprint_of(embedder), self._waiting, embedder.pace)
        if not await self._prepare(fingerprint):
            return self._result()
        assert self._collection is not None
        async with self._resources.database.read(self._workspace) as scope:
            place = (await collections.placed(scope, [self._collection])).get(self._collection)
            vectors = await vectors_at(self._resources, scope, place)
        space = Space(self._store, self._collection, embedder, vectors)
        for attempt in counting(1):
            await self._pass(space)
            await self._complete(space)
            with suppress(_NotYet):
                await self._switch(space, fingerprint, most=BATCH if attempt < PASSES else None)
                break
        self._resources.stores.forget(self._workspace, self._store)
        return self._result()

    async def _pass(self, space: Space) -> None:
        """Fill in what came since the pass before, and look for points that nothing needs."""
        resources, before = self._resources, self._seen
        reading = partial(resources.database.read, self._workspace)
        async with reading() as scope:
            self._seen = await highest(scope, self._store)
        try:
            await restore_vectors(
                resources, self._workspace, space, self._note, self._waiting, after=before, lender=self._lender
            )
        except SpaceChanged as error:
            raise self._removed() from error
        async for points in without_chunks(reading, space, point_id(before) if before else ""):
            self._stray += points

    async def _complete(self, space: Space) -> None:
        """Have the collection's index built, where that is not done point by point: writers and searches go on."""
        async with self._resources.database.write(self._workspace) as scope:
            await self._note(scope, 0, "completing")
        try:
            await complete_collection(self._resources, self._workspace, space.collection)
        except UnknownCollection as error:
            raise self._removed() from error

    async def _prepare(self, fingerprint: Mapping[str, Any]) -> bool:
        """A collection to fill, the one of an attempt that died if there is one. False when there is nothing to fill:
        a document store without vectors just takes the embedding and the vector store."""
        async with changing(self._resources, self._workspace, self._store, alone=True) as shelf:
            wanted = await backend_of(self._resources, shelf.scope, self._vector_store or self._configured)
            await self._borrow(shelf.scope, fingerprint, wanted)
            if self._collection in shelf.building:
                pass
            elif self._collection is not None and self._collection == shelf.collection:
                return False  # an earlier attempt switched, and died before it could say so
            elif shelf.collection is None:
                await self._configure(shelf.scope, fingerprint)
            else:
                dimension = int(fingerprint["dimension"])
                self._collection = await make_collection(
                    self._resources, shelf.scope, self._store, dimension, wanted, building=True
                )
                self._done = 0
                payload = {**self._work.payload, "collection": self._collection}
                await jobs.set_payload(shelf.scope, self._work.job.id, payload)
            self._total = await count(shelf.scope, self._store, Which(), indexed=True)
            await self._note(shelf.scope, 0)
            return shelf.collection is not None

    async def _borrow(self, scope: Scope, fingerprint: Mapping[str, Any], wanted: Backend | None) -> None:
        """Take over the vectors that are there, when they are the same and only move."""
        store = await records.get(scope, self._store)
        if store is None or store.collection is None or store.fingerprint is None:
            return
        if dict(store.fingerprint) == dict(fingerprint) and not same_place(store.backend, wanted):
            self._lender = Lender(await vectors_at(self._resources, scope, store.backend), store.collection)

    async def _configure(self, scope: Scope, fingerprint: Mapping[str, Any]) -> None:
        """Configure the document store for what was asked for. What was configured meanwhile stays: nobody asked for
        another vector store, or for another embedding, and these vectors are from the space of the one that is there.
        """
        store = await records.get(scope, self._store)
        same = store is not None and store.fingerprint is not None and dict(store.fingerprint) == dict(fingerprint)
        configs = {} if same and not self._named else {"embedding": self._embedding}
        if self._vector_store is not None:
            configs["vector_store"] = self._vector_store
        if configs:
            await records.update(scope, self._store, configs)

    async def _switch(self, space: Space, fingerprint: Mapping[str, Any], most: int | None) -> None:
        """Fill in what is left, `most` chunks of it, and take the new collection, while nobody else writes.

        Raises `_NotYet` when more is left or the provider wants a pause; then nothing has changed.
        """
        async with changing(self._resources, self._workspace, self._store, alone=True) as shelf:
            if space.collection not in shelf.building:
                raise self._removed()
            filled = await self._fill_rest(shelf, space, most)
            await self._clear(shelf, space)
            former = await collections.of_store(shelf.scope, self._store, building=False)
            await self._configure(shelf.scope, fingerprint)
            await collections.set_space(shelf.scope, self._store, fingerprint, space.collection)
            left = await drop_in(self._resources, shelf.scope, former)
            await self._note(shelf.scope, filled)
        if left:
            await drop_soon(self._resources, self._workspace, left)

    async def _clear(self, shelf: Shelf, space: Space) -> None:
        """Remove the points of no chunk that the passes saw, and those behind them."""
        own = replace(space, vectors=shelf.at(space.collection))
        async for points in without_chunks(lambda: nullcontext(shelf.scope), own, point_id(self._seen)):
            self._stray += points
        for start in range(0, len(self._stray), PAGE):
            lost = await of_no_chunk(shelf.scope, self._store, self._stray[start : start + PAGE])
            await own.vectors.delete(space.collection, lost)

    async def _fill_rest(self, shelf: Shelf, space: Space, most: int | None) -> int:
        """How many chunks were left. The job's row is not written meanwhile, as its worker renews its lease there."""
        filled = 0
        own = replace(space, vectors=shelf.at(space.collection))
        async for batch in without_vectors(lambda: nullcontext(shelf.scope), own, self._seen):
            filled += len(batch)
            if most is not None and filled > most:
                raise _NotYet
            vectors = await self._lender.lend(batch) if self._lender else {}
            rest = [chunk for chunk in batch if chunk.number not in vectors]
            try:
                found = await index_texts(space.embedder, [chunk.index_text for chunk in rest], None)
            except ProviderError as error:
                if error.transient:
                    raise _NotYet from error
                raise
            vectors |= {chunk.number: indexed.vector for chunk, indexed in zip(rest, found, strict=True)}
            points = [
                (chunk.number, chunk.document_id, vectors[chunk.number], chunk.metadata)
                for chunk in batch
                if chunk.number is not None
            ]
            await shelf.at(space.collection).upsert(space.collection, await shelf.points(points))
        return filled

    def _removed(self) -> NotFound:
        return NotFound(f"The vectors of document store {self._store} were removed while it was re-indexed")

    async def _note(self, scope: Scope, count: int, stage: str = "indexing") -> None:
        self._done += count
        total = None if self._total is None else max(self._total, self._done)
        await self._work.note(scope, stage, self._done, total, self._result())

    async def _waiting(self) -> None:
        async with self._resources.database.write(self._workspace) as scope:
            await self._note(scope, 0, "waiting")

    def _result(self) -> dict[str, Any]:
        where = self._vector_store or self._configured or DEFAULT_VECTOR_STORE
        return {"numIndexed": self._done, "embedding": self._embedding.name, "vectorStore": where.name}
