"""The vector space of a document store: the embedder that fills it, and the collection that holds it."""

import json
from dataclasses import dataclass
from uuid import UUID

from service.credentials.service import reveal
from service.document_stores import records
from service.document_stores.types import Component, StoreRow
from service.errors import BadRequest, Conflict, NotFound
from service.providers.embedding.base import Embedder
from service.providers.embedding.pool import LOCAL
from service.resources import Resources

DEFAULT_EMBEDDING = Component(LOCAL)
"""The embedding of document stores that name none: the bundled offline model."""


class EmbeddingChanged(Conflict):
    """The document store's vectors come from another embedding."""

    code = "embedding_changed"


@dataclass(frozen=True, slots=True)
class Space:
    """Where the vectors of a document store lie, and who makes them."""

    store_id: UUID
    collection: str
    embedder: Embedder


async def embedder_of(resources: Resources, workspace: UUID, embedding: Component | None) -> Embedder:
    """The embedder that a configuration names, with the data of its credential.

    Raises the provider's errors for a configuration that cannot be used, `NotFound` for an unknown credential.
    """
    component = embedding or DEFAULT_EMBEDDING
    config = dict(component.config)
    reference = config.pop("credential", None) or config.pop("FLOWISE_CREDENTIAL_ID", None)
    credential = {}
    if reference:
        try:
            credential_id = UUID(str(reference))
        except ValueError:
            raise BadRequest(f"embedding.config.credential: '{reference}' is not a credential id") from None
        credential = dict(await reveal(resources, workspace, credential_id))
    return await resources.embedders.get(component.name, config, credential)


async def open_space(resources: Resources, store: StoreRow) -> Space:
    """The space to fill, made with the first upsert.

    Raises `EmbeddingChanged` when the configured embedder writes into another space than the store's vectors are in.
    """
    embedder = await embedder_of(resources, store.workspace, store.embedding)
    fingerprint = await embedder.fingerprint()
    collection = store.collection or f"ds_{store.id.hex}"
    await resources.vectors.create(collection, fingerprint.dimension)
    async with resources.database.write(store.workspace) as scope:
        now = await records.lock(scope, store.id)
        if now is None:
            raise NotFound(f"Document store {store.id} not found")
        if now.fingerprint is None:
            await records.set_space(scope, store.id, json.loads(fingerprint.as_json()), collection)
        elif dict(now.fingerprint) != json.loads(fingerprint.as_json()):
            old, new = now.fingerprint.get("model"), fingerprint.model
            raise EmbeddingChanged(
                f"The vectors of document store '{store.name}' were made by '{old}', the configured embedding is"
                f" '{new}'. Give the store its former embedding, or upsert into a new document store."
            )
    return Space(store.id, collection, embedder)
