"""Find the chunks of a document store that answer a question."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from service.chatflows.types import Turn
from service.document_stores import records
from service.document_stores.models import ServiceModels
from service.document_stores.sight import SeenLedger, Sight, seen_vectors, seen_words
from service.document_stores.space import DEFAULT_EMBEDDING, check_space, embedder_of, fingerprint_of
from service.document_stores.types import Component, FoundChunk, StoreRow
from service.document_stores.vectors import vectors_of
from service.errors import NotFound, ServiceError, StoreAway, Unprocessable
from service.nodes.service import json_object
from service.providers.embedding import LOCAL
from service.resources import Resources
from service.retrieval.base import Found, Models, Query, Sources, Stage
from service.retrieval.pipeline import Pipeline, pipeline, stage_of
from service.retrieval.trace import Trace
from service.viewers import ANYBODY, Viewer
from stores.lexical.base import Hits, Numbers
from stores.vector.base import Unavailable as OutOfReach
from stores.vector.base import UnknownCollection, Vector, WrongDimension
from stores.vector.filters import Filter, FilterError, both, parse
from stores.vector.translation import from_qdrant

DEFAULT_LIMIT = 4
"""Chunks of an answer, as in the contract, where the caller does not say."""
MAX_LIMIT = 1000
SEARCH_TYPES = ("similarity", "mmr")


def limit_of(value: object, field: str = "topK") -> int:
    """`topK` as clients send it: a number or its text, empty for the default. Raises `Unprocessable`."""
    if value is None or value == "":
        return DEFAULT_LIMIT
    try:
        limit = int(str(value))
    except ValueError:
        limit = 0
    if not 1 <= limit <= MAX_LIMIT:
        raise Unprocessable(f"{field}: must be a whole number from 1 to {MAX_LIMIT}, not {value!r}")
    return limit


def filter_of(value: object) -> Filter | None:
    """A metadata filter, or None. Raises `Unprocessable` naming the place of a fault."""
    if value is None:
        return None
    try:
        return parse(value)
    except FilterError as error:
        raise Unprocessable(str(error)) from None


_DEFAULT = pipeline()
_FOLLOW_UP = pipeline([{"name": "rewrite", "by": "turn"}])
"""For a question that comes with earlier turns: the user's last one helps to find, and more harm (ADR 0034)."""


def limit_in(vector_store: Component | None) -> int:
    """How many chunks the vector store configuration of a document store asks for, by `topK`. Raises as `limit_of`."""
    kept = vector_store.config.get("topK") if vector_store is not None else None
    return limit_of(kept, "vectorStore.config.topK")


def filter_in(vector_store: Component | None) -> Filter | None:
    """What the vector store configuration of a document store lets through, by the field that Flowise's component has
    for it. Raises `Unprocessable` naming the field."""
    return filter_among(vector_store.config, "vectorStore.config") if vector_store is not None else None


def filter_among(config: Mapping[str, Any], place: str) -> Filter | None:
    """What the fields of Flowise's vector stores that are filters let through. Raises `Unprocessable` naming the field
    in its `place`."""
    found: Filter | None = None
    for field in ("pgMetadataFilter", "chromaMetadataFilter", "pineconeMetadataFilter", "qdrantFilter"):
        where = f"{place}.{field}"
        kept = json_object(config.get(field), where)
        try:
            if field == "qdrantFilter":
                kept = from_qdrant(kept, str(config.get("metadataPayloadKey") or "metadata"))
            found = both(found, parse(kept))
        except FilterError as error:
            raise Unprocessable(f"{where}: {error}") from None
    return found


def retrieval_of(vector_store: Component | None, *, follow_up: bool = False) -> Pipeline:
    """The pipeline that a document store keeps in its vector store configuration, as `retrieval`, else the default: the
    one for questions within a conversation, if it is a `follow_up`, and with what `picking_among` the fields says.

    Raises `Unprocessable` naming the place of a fault."""
    config = vector_store.config if vector_store is not None else {}
    kept = config.get("retrieval")
    if kept is not None:
        return pipeline(kept, "vectorStore.config.retrieval")
    default = _FOLLOW_UP if follow_up else _DEFAULT
    return default.plus(picking_among(config, "vectorStore.config") or ())


def picking_among(config: Mapping[str, Any], place: str) -> Sequence[Stage] | None:
    """How Flowise's vector stores are to pick from what they found: `searchType`, of which `mmr` has `fetchK` and
    `lambda`. None where the fields do not say. Raises `Unprocessable` naming the field in its `place`."""
    kind = config.get("searchType")
    if kind in (None, ""):
        return None
    if kind not in SEARCH_TYPES:
        raise Unprocessable(f"{place}.searchType: must be one of {', '.join(SEARCH_TYPES)}, not {kind!r}")
    if kind == "similarity":
        return ()
    options = {name: config[name] for name in ("fetchK", "lambda") if config.get(name) not in (None, "")}
    return (stage_of({"name": kind, **options}, place),)


async def search(
    resources: Resources,
    workspace: UUID,
    store_id: UUID,
    query: str,
    *,
    viewer: Viewer = ANYBODY,
    k: int | None = None,
    where: Filter | None = None,
    retrieval: Pipeline | None = None,
    more: Sequence[Stage] = (),
    models: Models | None = None,
    history: Sequence[Turn] = (),
    trace: Trace | None = None,
) -> list[FoundChunk]:
    """The `k` chunks that answer `query` best of those that `viewer` may find, best first; none from a document store
    that holds nothing. None for `k`: as many as the document store's configuration says, else `DEFAULT_LIMIT`.

    `retrieval` takes the place of the document store's own pipeline, `more` stages are added to either; `models` are
    lent to the stages; `trace` is told what they did.

    Raises `NotFound` for an unknown document store, `EmbeddingChanged` when the service's own model is another one than
    the vectors were made by, and what the pipeline and the embedder raise.
    """
    text = query.replace("\x00", "").strip()
    store = await store_of(resources, workspace, store_id)
    where = both(where, filter_in(store.vector_store))
    asked = Query(text, k or limit_in(store.vector_store), where, history)
    try:
        return await _search(resources, store, viewer, _stages(store, retrieval, more, asked), asked, models, trace)
    except (UnknownCollection, WrongDimension):  # deleted, or emptied and given another embedding, a moment ago
        resources.stores.forget(workspace, store_id)
        store = await store_of(resources, workspace, store_id)
        return await _search(resources, store, viewer, _stages(store, retrieval, more, asked), asked, models, trace)


def _stages(store: StoreRow, retrieval: Pipeline | None, more: Sequence[Stage], asked: Query) -> Pipeline:
    stages = retrieval or retrieval_of(store.vector_store, follow_up=bool(asked.history) and not more)
    return stages.plus(more) if more else stages


async def _search(
    resources: Resources,
    store: StoreRow,
    viewer: Viewer,
    stages: Pipeline,
    asked: Query,
    models: Models | None,
    trace: Trace | None,
) -> list[FoundChunk]:
    sight = Sight.of(viewer, store)
    if store.collection is None or not asked.text or sight.blind:
        return []
    sources = await _sources(resources, store, store.collection, sight, models)
    if trace is not None:
        trace.stages.clear()
    try:
        found = await stages.run(asked, sources, trace)
    except OutOfReach as error:
        raise StoreAway(error) from error
    return [_shown(item) for item in found]


async def foresee(resources: Resources, workspace: UUID, store_id: UUID, query: str) -> None:
    """Begin to embed a question that a search of the document store is likely to come with, where this machine does
    that and nothing else waits for it. Whatever is wrong here, the search will say."""
    store, text = resources.stores.last(workspace, store_id), query.strip()
    if store is not None and text and (store.embedding or DEFAULT_EMBEDDING).name == LOCAL:
        with suppress(ServiceError):
            embedder = await embedder_of(resources, workspace, store.embedding, store.fingerprint)
            embedder.foresee(text)


async def store_of(resources: Resources, workspace: UUID, store_id: UUID) -> StoreRow:
    """A document store as searches read it, which may be as it was a moment ago. Raises `NotFound`."""
    if kept := resources.stores.get(workspace, store_id):
        return kept
    async with resources.database.read(workspace) as scope:
        store = await records.get(scope, store_id)
    if store is None:
        raise NotFound(f"Document store {store_id} not found")
    resources.stores.keep(store)
    return store


async def _sources(
    resources: Resources, store: StoreRow, collection: str, sight: Sight, models: Models | None
) -> Sources:
    """The document store as the viewer sees it: stages get nothing else of it."""
    embedder = await embedder_of(resources, store.workspace, store.embedding, store.fingerprint)
    check_space(store, await fingerprint_of(embedder))

    async def embed(text: str) -> Vector:
        return await embedder.embed_query_array(text)

    async def embed_texts(texts: Sequence[str]) -> Sequence[Vector]:
        return list(await embedder.embed_array(list(texts), urgent=True))

    async def lexical(query: str, limit: int, *, allowed: Numbers | None = None) -> Hits:
        async with resources.database.read(store.workspace) as scope:
            return await resources.lexical.search(scope, store.id, query, limit, allowed=allowed)

    ledger = SeenLedger(resources.database, store.workspace, store.id, sight)
    return Sources(
        vectors=seen_vectors(await vectors_of(resources, store), sight),
        collection=collection,
        embed=embed,
        lexical=seen_words(lexical, ledger),
        ledger=ledger,
        languages=embedder.languages,
        unrelated=embedder.unrelated,
        embed_texts=embed_texts,
        models=models or ServiceModels(resources, store.workspace),
    )


def _shown(found: Found) -> FoundChunk:
    row = found.chunk
    return FoundChunk(
        id=row.id,
        text=row.text,
        metadata={**row.metadata, "docId": str(row.loader_id)},
        score=found.score,
        similarity=found.parts.get("cosine"),
        document_id=row.document_id,
        loader_id=row.loader_id,
        position=row.position,
    )
