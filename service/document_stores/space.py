"""The vector space of a document store: the embedder that fills it, and the collection that holds it."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any
from uuid import UUID

from service.credentials.service import reveal
from service.document_stores import records
from service.document_stores.collections import records as collections
from service.document_stores.indexing import records as indexing
from service.document_stores.indexing.types import Which
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.local_embedding import SAMPLE_CHUNKS, chosen, settled
from service.document_stores.secrets import masked
from service.document_stores.types import Backend, Component, StoreRow
from service.document_stores.vectors import backend_of, same_place, vectors_at, vectors_of, writing_at
from service.errors import BadRequest, Conflict, NotFound, ServiceError
from service.jobs import service as jobs
from service.providers.embedding import LOCAL
from service.providers.embedding.base import Embedder
from service.resources import Resources
from stores.records.database import Scope
from stores.vector.base import Unavailable, UnknownCollection, VectorStore

log = logging.getLogger("ragstone.ingest")

DEFAULT_EMBEDDING = Component(LOCAL)
"""The embedding of document stores that name none: a bundled offline model."""

DEFAULT_VECTOR_STORE = Component("pgvector")
"""The vector store of document stores that name none: the service's own."""


class EmbeddingChanged(Conflict):
    """The document store's vectors come from another embedding."""

    code = "embedding_changed"
    private = True


@dataclass(frozen=True, slots=True)
class Space:
    """Where the vectors of a document store lie, and who makes them."""

    store_id: UUID
    collection: str
    embedder: Embedder
    vectors: VectorStore
    """What holds the collection; transactions go by `shelf`."""


async def embedder_of(
    resources: Resources, workspace: UUID, embedding: Component | None, made_by: Mapping[str, Any] | None = None
) -> Embedder:
    """The embedder that a configuration names, with the data of its credential. `made_by` is the fingerprint of the
    document store's vectors, which says what `local` means there.

    Raises the provider's errors for a configuration that cannot be used, `NotFound` for an unknown credential.
    """
    component = embedding or DEFAULT_EMBEDDING
    if component.name == LOCAL:
        return await resources.embedders.get(settled(made_by, resources.embedders.defaults) or LOCAL)
    config = dict(component.config)
    reference = config.pop("credential", None) or config.pop("FLOWISE_CREDENTIAL_ID", None)
    credential = {}
    if reference:
        try:
            credential_id = UUID(str(reference))
        except ValueError:
            raise BadRequest(f"embedding.config.credential: '{reference}' is not a credential id") from None
        host = resources.embedders.destination(component.name, config)
        if host == "":  # its address stands in the credential itself
            told = await reveal(resources, workspace, credential_id)
            host = resources.embedders.destination(component.name, config, told)
        credential = dict(await reveal(resources, workspace, credential_id, host=host))
    return await resources.embedders.get(component.name, config, credential)


async def fingerprint_of(embedder: Embedder) -> dict[str, Any]:
    """The embedder's fingerprint as document stores keep it."""
    found: dict[str, Any] = json.loads((await embedder.fingerprint()).as_json())
    return found


def check_space(store: StoreRow, fingerprint: Mapping[str, Any], asked: Component | None = None) -> None:
    """Raises `EmbeddingChanged` when the document store's vectors are from another space than `fingerprint`, which is
    that of its configured embedding, or of the one that a call asks for."""
    if store.fingerprint is None or dict(store.fingerprint) == dict(fingerprint):
        return
    old, new = (f"'{each.get('model')}' of {each.get('provider')}" for each in (store.fingerprint, fingerprint))
    if asked is not None:
        fields = f" --config {quote(json.dumps(masked(asked.config)))}" if asked.config else ""
        raise EmbeddingChanged(
            f"The vectors of document store '{store.name}' were made by {old}, and the embedding is to be {new}."
            f" Run `ragstone store reindex {store.id} --embedding {quote(asked.name)}{fields}` to make them anew by it,"
            " or upsert into a new document store."
        )
    raise EmbeddingChanged(
        f"The vectors of document store '{store.name}' were made by {old}, the configured embedding is {new}."
        f" Run `ragstone store reindex {store.id}` to make its vectors anew, give it its former embedding, or upsert"
        " into a new document store."
    )


async def current_space(resources: Resources, workspace: UUID, store_id: UUID) -> Space | None:
    """The space that a document store has; None while it has none.

    Raises `NotFound`, and `EmbeddingChanged` when the configured embedder writes into another space.
    """
    async with resources.database.read(workspace) as scope:
        store = await records.get(scope, store_id)
    if store is None:
        raise NotFound(f"Document store {store_id} was deleted")
    if store.collection is None:
        return None
    embedder = await embedder_of(resources, workspace, store.embedding, store.fingerprint)
    check_space(store, await fingerprint_of(embedder))
    return Space(store_id, store.collection, embedder, await vectors_of(resources, store))


def undecided(resources: Resources, store: StoreRow) -> bool:
    """Whether the first texts of a document store are to decide which bundled model embeds them."""
    if (store.embedding or DEFAULT_EMBEDDING).name != LOCAL:
        return False
    return settled(store.fingerprint, resources.embedders.defaults) is None


async def filling_embedder(
    resources: Resources, workspace: UUID, store: StoreRow, texts: Sequence[str] | None = None
) -> Embedder:
    """The embedder by which a document store is to be filled, perhaps anew. Where its language decides, `texts` are
    what is put in first; None: its chunks."""
    if not undecided(resources, store):
        return await embedder_of(resources, workspace, store.embedding, store.fingerprint)
    if texts is None:
        async with resources.database.read(workspace) as scope:
            chunks = await indexing.next_unindexed(scope, store.id, Which(), None, SAMPLE_CHUNKS)
            numbers = (await indexing.next_indexed(scope, store.id, 0, SAMPLE_CHUNKS)) if not chunks else []
            chunks = chunks or await indexing.numbered(scope, store.id, numbers)
        texts = [chunk.index_text for chunk in chunks]
    return await resources.embedders.get(chosen(texts))


async def open_space(
    resources: Resources, workspace: UUID, store_id: UUID, texts: Sequence[str] | None = None
) -> Space:
    """The space to fill, made with the first upsert where the configuration says, and made anew for another embedder or
    elsewhere while it is empty. Vectors that are there stay where they are. `texts` are what is to be put in first;
    None: the chunks that are not indexed yet.

    Raises `EmbeddingChanged` when the configured embedder writes into another space than the store's vectors are in,
    and what `backend_of` raises.
    """
    while True:
        async with resources.database.read(workspace) as scope:
            store = await records.get(scope, store_id)
            if store is None:
                raise NotFound(f"Document store {store_id} was deleted")
            wanted = await backend_of(resources, scope, store.vector_store)
        embedder = await filling_embedder(resources, workspace, store, texts)
        fingerprint = await fingerprint_of(embedder)
        same = dict(store.fingerprint or {}) == fingerprint and same_place(store.backend, wanted)
        if store.collection is not None and same:
            return Space(store_id, store.collection, embedder, await vectors_of(resources, store))
        former = None
        async with resources.database.write(workspace) as scope:
            now = await records.lock(scope, store_id)
            read, held = ((each.embedding, each.fingerprint, each.vector_store) for each in (store, now or store))
            if now is None or held != read:
                continue
            collection, place = now.collection, now.backend
            if collection is not None and await chunk_rows.any_indexed(scope, store_id):
                check_space(now, fingerprint)
            elif collection is None or now.fingerprint != fingerprint or not same_place(place, wanted):
                former, place = collection, wanted
                collection = await make_collection(resources, scope, store_id, int(fingerprint["dimension"]), wanted)
                await collections.set_space(scope, store_id, fingerprint, collection)
            vectors = await vectors_at(resources, scope, place)
        resources.stores.forget(workspace, store_id)
        if former is not None:
            await drop_soon(resources, workspace, [former])
        return Space(store_id, collection, embedder, vectors)


async def make_collection(
    resources: Resources,
    scope: Scope,
    store_id: UUID,
    dimension: int,
    backend: Backend | None,
    *,
    building: bool = False,
) -> str:
    """A new, empty collection for the vectors of a document store, of which the caller has the `lock`, in `backend`.
    `building`: it is to take the searched one's place once it is filled."""
    collection = await collections.add(scope, store_id, backend=backend, building=building)
    vectors, _ = await writing_at(resources, scope, backend)
    await vectors.drop(collection)  # left by a transaction that did not end: then its name was not given yet
    await vectors.create(collection, dimension)
    return collection


async def complete_collection(resources: Resources, workspace: UUID, name: str) -> None:
    """Have a collection completed, wherever it is. Raises `UnknownCollection` when it is gone."""
    async with resources.database.read(workspace) as scope:
        places = await collections.placed(scope, [name])
        if name not in places:
            raise UnknownCollection(name)
        vectors = await vectors_at(resources, scope, places[name])
    await vectors.complete(name)
    async with resources.database.write(workspace) as scope:
        await collections.note_complete(scope, name)


async def drop_in(resources: Resources, scope: Scope, names: Sequence[str]) -> list[str]:
    """Drop collections that no document store searches from this transaction on, where that is part of it. The others
    are given up and returned, for `drop_soon` once it is committed."""
    left = []
    for name, backend in (await collections.placed(scope, names)).items():
        if backend is not None:  # another's server, which may be out of reach
            left.append(name)
            continue
        vectors, joins = await writing_at(resources, scope, None)
        if joins:
            await vectors.drop(name)
        else:
            left.append(name)
    await collections.forget(scope, [name for name in names if name not in left])
    await collections.give_up(scope, left)
    return left


async def drop_collections(resources: Resources, workspace: UUID, names: Sequence[str]) -> None:
    """Drop collections that no document store searches any more, wherever they are. May be done twice. Where one cannot
    be dropped, the others are; then raises what its vector store raised."""
    problem: Unavailable | ServiceError | None = None
    async with resources.database.read(workspace) as scope:
        places = await collections.placed(scope, names)
    for name, backend in places.items():
        try:
            async with resources.database.read(workspace) as scope:
                vectors = await vectors_at(resources, scope, backend)
            await vectors.drop(name)
        except (Unavailable, ServiceError) as error:
            problem = error
            continue
        async with resources.database.write(workspace) as scope:
            await collections.forget(scope, [name])
    if problem is not None:
        raise problem


async def drop_soon(resources: Resources, workspace: UUID, names: Sequence[str]) -> None:
    """As `drop_collections`; where a vector store does not answer, a job does it when it can."""
    try:
        await drop_collections(resources, workspace, names)
    except (Unavailable, ServiceError) as error:
        log.warning("Vectors that are no longer searched are removed later: %s", error)
        async with resources.database.write(workspace) as scope:
            await jobs.submit(scope, resources.queue, "drop_vectors", payload={"collections": list(names)})
