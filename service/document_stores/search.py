"""Find the chunks of a document store that answer a question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from service.document_stores import records
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.space import check_space, embedder_of, fingerprint_of
from service.document_stores.types import FoundChunk, StoreRow
from service.errors import NotFound, Unavailable, Unprocessable
from service.plugins import resolve
from service.providers.embedding.pool import LOCAL
from service.resources import Resources
from service.retrieval import RETRIEVERS
from service.retrieval.base import Hit, Query, Retriever, Sources
from stores.lexical.base import Hits, Numbers
from stores.records.database import Database
from stores.vector.base import Unavailable as OutOfReach
from stores.vector.base import UnknownCollection, Vector, WrongDimension
from stores.vector.filters import Filter, FilterError, parse

DEFAULT_STRATEGY = "hybrid"
DEFAULT_LIMIT = 4
"""Chunks of an answer, as in the contract, where the caller does not say."""
MAX_LIMIT = 1000

SPARE = 3
"""Hits asked for per chunk that is shown, as some may not be live: their document is being indexed or went."""

SPARE_WHEN_SHORT = 300
"""Further hits asked for when even so too few may be shown: a long document is being indexed."""

BUNDLED_LANGUAGES = frozenset({"en"})
"""What the bundled model reads; in other languages the words of a question count for more."""


def limit_of(value: object) -> int:
    """`topK` as clients send it: a number or its text, empty for the default. Raises `Unprocessable`."""
    if value is None or value == "":
        return DEFAULT_LIMIT
    try:
        limit = int(str(value))
    except ValueError:
        limit = 0
    if not 1 <= limit <= MAX_LIMIT:
        raise Unprocessable(f"topK: must be a whole number from 1 to {MAX_LIMIT}, not {value!r}")
    return limit


def filter_of(value: object) -> Filter | None:
    """A metadata filter, or None. Raises `Unprocessable` naming the place of a fault."""
    if value is None:
        return None
    try:
        return parse(value)
    except FilterError as error:
        raise Unprocessable(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What strategies ask of the ledger, for one document store; see `service.retrieval.base.Ledger`."""

    database: Database
    workspace: UUID
    store_id: UUID

    async def allowed(self, where: Filter) -> Numbers:
        async with self.database.read(self.workspace) as scope:
            return np.array(await chunk_rows.numbers_where(scope, self.store_id, where), np.int32)


async def search(
    resources: Resources,
    workspace: UUID,
    store_id: UUID,
    query: str,
    *,
    k: int = DEFAULT_LIMIT,
    where: Filter | None = None,
    strategy: str = DEFAULT_STRATEGY,
) -> list[FoundChunk]:
    """The `k` chunks that answer `query` best, best first; none from a document store that holds nothing.

    Raises `NotFound` for an unknown document store, `Unprocessable` for an unknown strategy, `EmbeddingChanged` when
    the service's own model is another one than the vectors were made by, and what the embedder raises.
    """
    make = resolve(RETRIEVERS, strategy, "retrieval strategy")
    text = query.replace("\x00", "").strip()
    store = await _store(resources, workspace, store_id)
    try:
        return await _search(resources, store, make, Query(text, k, where))
    except (UnknownCollection, WrongDimension):  # deleted, or emptied and given another embedding, a moment ago
        resources.stores.forget(workspace, store_id)
        store = await _store(resources, workspace, store_id)
        return await _search(resources, store, make, Query(text, k, where))


async def _search(
    resources: Resources, store: StoreRow, make: Callable[[Sources], Retriever], asked: Query
) -> list[FoundChunk]:
    if store.collection is None or not asked.text:
        return []
    retriever = make(await _sources(resources, store, store.collection))
    found: list[FoundChunk] = []
    for limit in (SPARE * asked.limit, SPARE * asked.limit + SPARE_WHEN_SHORT):
        try:
            hits = await retriever.retrieve(Query(asked.text, limit, asked.where))
        except OutOfReach as error:
            raise Unavailable(f"The vector store does not answer: {error}", headers={"Retry-After": "5"}) from error
        found = await _show(resources, store, hits, asked.limit)
        if len(found) == asked.limit or len(hits) < limit:
            break
    return found


async def _store(resources: Resources, workspace: UUID, store_id: UUID) -> StoreRow:
    if kept := resources.stores.get(workspace, store_id):
        return kept
    async with resources.database.read(workspace) as scope:
        store = await records.get(scope, store_id)
    if store is None:
        raise NotFound(f"Document store {store_id} not found")
    resources.stores.keep(store)
    return store


async def _sources(resources: Resources, store: StoreRow, collection: str) -> Sources:
    embedder = await embedder_of(resources, store.workspace, store.embedding)
    check_space(store, await fingerprint_of(embedder))
    bundled = store.embedding is None or store.embedding.name == LOCAL

    async def embed(text: str) -> Vector:
        return await embedder.embed_query_array(text)

    async def lexical(query: str, limit: int, *, allowed: Numbers | None = None) -> Hits:
        async with resources.database.read(store.workspace) as scope:
            return await resources.lexical.search(scope, store.id, query, limit, allowed=allowed)

    return Sources(
        vectors=resources.vectors,
        collection=collection,
        embed=embed,
        lexical=lexical,
        ledger=_Ledger(resources.database, store.workspace, store.id),
        languages=BUNDLED_LANGUAGES if bundled else None,
    )


async def _show(resources: Resources, store: StoreRow, hits: Sequence[Hit], limit: int) -> list[FoundChunk]:
    """The chunks behind the best hits; those that are not live yet, or no longer, are passed over."""
    by_number = {hit.number: hit for hit in hits}
    async with resources.database.read(store.workspace) as scope:
        rows = await chunk_rows.best(scope, store.id, list(by_number), limit)
    return [
        FoundChunk(
            id=row.id,
            text=row.text,
            metadata={**row.metadata, "docId": str(row.loader_id)},
            score=hit.score,
            similarity=hit.parts.get("cosine"),
            document_id=row.document_id,
            loader_id=row.loader_id,
            position=row.position,
        )
        for row, hit in ((row, by_number[row.number]) for row in rows if row.number is not None)
    ]
