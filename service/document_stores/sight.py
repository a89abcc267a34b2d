"""What a viewer finds in a document store: vectors, words and ledger, each of which shows that and no more (ADR 0033).

Points carry the principals of their document under `FIELD`, a name that no filter of a caller can spell: in the filter
grammar, `$` begins an operator. Every query of the vector store is narrowed by it in the engine, and the words are by
the ledger. What is shown in the end is read from the ledger, which asks the documents themselves once more: a change is
in force with its commit, whatever points and caches say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import SplitResult
from uuid import UUID

import numpy as np

from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.ledger.types import ChunkRow
from service.document_stores.types import StoreRow
from service.retrieval.base import LexicalSearch, Span
from service.viewers import Viewer
from stores.lexical.base import Hits, Numbers
from stores.records.database import Database
from stores.vector.base import Match, Metadata, Point, Unsupported, Vector, VectorStore
from stores.vector.filters import Condition, Filter, Not, Operator, Or, both

FIELD = "$principals"
"""Where a point keeps the principals of its document; not there: it is not restricted."""

_IS_RESTRICTED = Condition((FIELD,), Operator.EXISTS, (True,))

WIDER = 8
"""By how much more words are searched for when too few of those that were found may be shown."""
WIDEST = 8_192
"""Hits of the words that are looked up by number; beyond, the numbers of all that may be shown are read."""


def marked(metadata: Metadata, principals: Sequence[str] | None) -> dict[str, Any]:
    """A point's metadata: the chunk's and the principals of its document. What the chunk itself has under `FIELD`, from
    a file or a caller, never becomes a point's."""
    plain = {key: value for key, value in metadata.items() if key != FIELD}
    return plain if principals is None else {**plain, FIELD: list(principals)}


@dataclass(frozen=True, slots=True)
class Sight:
    """A viewer before a document store. `narrow`: what its points must pass; None: all of them may be found."""

    viewer: Viewer
    narrow: Filter | None
    blind: bool
    """Nothing may be found."""

    @classmethod
    def of(cls, viewer: Viewer, store: StoreRow) -> Self:
        """What this viewer may find there. A document store without any restricted document costs nothing more."""
        if store.restricted:
            return cls(viewer, _among(viewer), blind=viewer.everything or not viewer.principals)
        if viewer.everything or not store.guarded:
            return cls(viewer, None, blind=False)
        open_to_all = Not(_IS_RESTRICTED)
        return cls(viewer, Or((open_to_all, _among(viewer))) if viewer.principals else open_to_all, blind=False)


def _among(viewer: Viewer) -> Filter:
    return Condition((FIELD,), Operator.IN, tuple(sorted(viewer.principals)))


@dataclass(frozen=True, slots=True)
class SeenLedger:
    """The ledger of one document store, as a viewer sees it; see `service.retrieval.base.Ledger`."""

    database: Database
    workspace: UUID
    store_id: UUID
    sight: Sight

    @property
    def narrowed(self) -> bool:
        """Whether the viewer may not find everything."""
        return self.sight.narrow is not None

    @property
    def frank(self) -> bool:
        """Whether nothing is kept from the viewer: points may be a moment behind the ledger in what they keep."""
        return self.sight.viewer.everything

    async def allowed(self, where: Filter | None) -> Numbers:
        """The numbers of the chunks that pass a filter and may be found."""
        async with self.database.read(self.workspace) as scope:
            return await chunk_rows.numbers_where(scope, self.store_id, where, self._viewer)

    async def few(self, where: Filter | None, most: int) -> Numbers | None:
        """As `allowed`; None when there are more than `most`."""
        async with self.database.read(self.workspace) as scope:
            found = await chunk_rows.numbers_where(scope, self.store_id, where, self._viewer, most=most + 1)
        return found if len(found) <= most else None

    @property
    def _viewer(self) -> Viewer | None:
        return self.sight.viewer if self.narrowed else None

    async def among(self, numbers: Numbers, where: Filter | None = None) -> Numbers:
        """Those of the numbers whose chunks may be found and pass the filter, in their order."""
        async with self.database.read(self.workspace) as scope:
            found = await chunk_rows.visible(scope, self.store_id, numbers.tolist(), self.sight.viewer, where)
        return numbers[np.isin(numbers, np.array(sorted(found), np.int32))]

    async def live(self, numbers: Sequence[int], limit: int) -> Sequence[ChunkRow]:
        """The first `limit` of the numbered chunks that may be shown, in the order of `numbers`."""
        async with self.database.read(self.workspace) as scope:
            return await chunk_rows.best(scope, self.store_id, numbers, limit, self.sight.viewer)

    async def near(self, spans: Sequence[Span], where: Filter | None) -> Sequence[ChunkRow]:
        """The chunks in these spans that may be shown and pass the filter, by document and position."""
        async with self.database.read(self.workspace) as scope:
            parts = [(span.document_id, span.first, span.last) for span in spans]
            return await chunk_rows.near(scope, self.store_id, parts, where, self.sight.viewer)


def seen_words(search: LexicalSearch, ledger: SeenLedger) -> LexicalSearch:
    """The keyword search, finding only what may be shown. Most of what is found may be, as a rule: so it is looked up
    by number, and more is searched for while too little of it is left."""
    if ledger.sight.narrow is None:
        return search

    async def seen(query: str, limit: int, *, allowed: Numbers | None = None) -> Hits:
        if allowed is not None:  # by `SeenLedger.allowed`
            return await search(query, limit, allowed=allowed)
        wanted = limit
        while wanted <= WIDEST:
            hits = await search(query, wanted)
            kept = await ledger.among(hits.numbers)
            if len(kept) >= limit or len(hits.numbers) < wanted:
                return replace(hits, numbers=kept[:limit], scores=hits.of(kept[:limit]))
            wanted *= WIDER
        return await search(query, limit, allowed=await ledger.allowed(None))

    return seen


class SeenVectors(VectorStore):
    """A vector store to search only, that finds only what may be shown. `score`, `among` and `get` name points by ids,
    which come from what was found or from the ledger."""

    def __init__(self, vectors: VectorStore, narrow: Filter) -> None:
        """Search `vectors` for points that pass `narrow`."""
        self._vectors = vectors
        self._narrow = narrow

    @classmethod
    def open(cls, url: SplitResult, database: object) -> Self:
        """Never: it is made of another one."""
        raise Unsupported("a view of a vector store has no URL")

    @property
    def filters(self) -> bool:
        return self._vectors.filters

    @property
    def narrows(self) -> bool:
        return self._vectors.narrows

    @property
    def idle(self) -> bool:
        return self._vectors.idle

    async def query(self, collection: str, vector: Vector, limit: int, *, where: Filter | None = None) -> list[Match]:
        return await self._vectors.query(collection, vector, limit, where=both(self._narrow, where))

    async def among(self, collection: str, vector: Vector, limit: int, ids: Sequence[str]) -> list[Match]:
        return await self._vectors.among(collection, vector, limit, ids)

    async def count(self, collection: str, *, where: Filter | None = None) -> int:
        return await self._vectors.count(collection, where=both(self._narrow, where))

    async def get(self, collection: str, ids: Sequence[str]) -> list[Point]:
        return await self._vectors.get(collection, ids)

    async def score(self, collection: str, vector: Vector, ids: Sequence[str]) -> dict[str, float]:
        return await self._vectors.score(collection, vector, ids)

    async def ids(self, collection: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Never: it would tell of points that may not be shown."""
        raise Unsupported("points are not listed for viewers")

    async def create(self, collection: str, dimension: int) -> None:
        """Never: it is for searching."""
        raise Unsupported("a view of a vector store is not written to")

    async def drop(self, collection: str) -> None:
        """Never: it is for searching."""
        raise Unsupported("a view of a vector store is not written to")

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Never: it is for searching."""
        raise Unsupported("a view of a vector store is not written to")

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Never: it is for searching."""
        raise Unsupported("a view of a vector store is not written to")


def seen_vectors(vectors: VectorStore, sight: Sight) -> VectorStore:
    """The vector store as a viewer sees it."""
    return vectors if sight.narrow is None else SeenVectors(vectors, sight.narrow)
