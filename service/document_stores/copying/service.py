"""A copy of a document store: the same documents, cut by another splitter or embedded otherwise.

What the original has embedded already is not embedded again (`indexing/reuse.py`). A copy is a document store as any
other, except that one which is for a while only is deleted when its time has come.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4, uuid5

from service.document_stores import records
from service.document_stores import service as document_stores
from service.document_stores.collections import records as collections
from service.document_stores.copying import records as copies
from service.document_stores.copying.types import Copy
from service.document_stores.loading.mapping import recipe_of
from service.document_stores.own_chunks import LOADER as OWN_CHUNKS
from service.document_stores.secrets import restored
from service.document_stores.space import embedder_of, fingerprint_of, make_collection
from service.document_stores.types import Component, LoaderRow, StoreRow
from service.document_stores.vectors import backend_of
from service.errors import NotFound, Unprocessable
from service.jobs import service as jobs
from service.jobs.types import Job
from service.limits.service import check_room
from service.resources import Resources
from stores.records.database import Scope

KIND = "copy"

EXPIRED_AT_ONCE = 100
"""Copies that one round of housekeeping deletes, at most."""


async def copy(
    resources: Resources,
    workspace: UUID,
    store_id: UUID,
    name: str | None = None,
    *,
    splitter: Component | None = None,
    embedding: Component | None = None,
    seconds: float | None = None,
) -> Job:
    """Make a document store with the documents and configurations of another one, and queue the job that fills it.

    `splitter` cuts everything but chunks that callers cut themselves; None: as the loaders say. `embedding` None: as
    the original. After `seconds` it is deleted; None: it stays. Edits of single chunks are not taken over, nor is what
    keeps loaders in step with their places.

    Raises `NotFound`, `Unprocessable` naming a bad field, and what the embedder raises; then nothing was made.
    """
    original = await document_stores.get(resources, workspace, store_id)
    if name is not None and not name.strip():
        raise Unprocessable("name: must not be empty")
    for loader in original.loaders:
        if loader.component != OWN_CHUNKS:
            recipe_of(resources, workspace, Component(loader.component, loader.config), _splitter(loader, splitter))
    wanted = restored(embedding, original.embedding, "embedding.config") if embedding else None
    if wanted is not None:
        await fingerprint_of(await embedder_of(resources, workspace, wanted))
    await check_room(resources, workspace)
    made = replace(original, id=uuid4(), name=name.strip() if name else f"{original.name} (copy)")
    async with resources.database.write(workspace) as scope:
        await jobs.check_room(scope, resources.settings.max_queued_jobs)
        await _make(resources, scope, original, made, wanted)
        await copies.mark(scope, made.id, original.id, seconds)
        loaders = await _loaders(scope, made, splitter)
        payload = {
            "storeId": str(made.id),
            "of": str(original.id),
            "splitter": splitter.as_json() if splitter else None,
            "docIds": loaders,
            "blobs": [],
            "partly": True,
        }
        return await jobs.submit(scope, resources.queue, KIND, store_id=made.id, payload=payload)


async def of_store(resources: Resources, workspace: UUID, store_id: UUID) -> list[Copy]:
    """The copies of a document store that are there, the oldest first. Raises `NotFound`."""
    async with resources.database.read(workspace) as scope:
        if await records.get(scope, store_id) is None:
            raise NotFound(f"Document store {store_id} not found")
        return await copies.of_store(scope, store_id)


async def forget_expired(resources: Resources) -> int:
    """Delete the copies whose time has come; says how many."""
    async with resources.database.connection() as connection:
        found = await copies.expired(connection, EXPIRED_AT_ONCE)
    gone = 0
    for workspace, store_id in found:
        try:
            await document_stores.delete(resources, workspace, store_id)
        except NotFound:  # another worker, or its owner, was quicker
            continue
        gone += 1
    return gone


def loader_in(copy_id: UUID, loader_id: UUID) -> UUID:
    """The loader of a copy that stands for one of the original."""
    return uuid5(copy_id, f"loader {loader_id}")


async def _make(
    resources: Resources, scope: Scope, original: StoreRow, made: StoreRow, embedding: Component | None
) -> None:
    """The row, and with the original's embedding also a space of the same kind: what it means by `local` is settled."""
    await records.insert(scope, made.id, made.name, original.description)
    configs: Mapping[str, Any] = {
        "embedding": embedding or original.embedding,
        "vector_store": original.vector_store,
        "record_manager": original.record_manager,
    }
    given = {key: value for key, value in configs.items() if value is not None}
    await records.update(scope, made.id, {**given, "restricted": original.restricted})
    if embedding is None and original.fingerprint is not None:
        backend = await backend_of(resources, scope, original.vector_store)
        dimension = int(original.fingerprint["dimension"])
        collection = await make_collection(resources, scope, made.id, dimension, backend)
        await collections.set_space(scope, made.id, original.fingerprint, collection)


async def _loaders(scope: Scope, made: StoreRow, splitter: Component | None) -> list[str]:
    found = []
    for loader in made.loaders:
        key = loader_in(made.id, loader.id)
        component = Component(loader.component, loader.config)
        await records.insert_loader(scope, key, made.id, component, loader.name, _splitter(loader, splitter))
        await copies.liken_loader(scope, key, loader.id)
        found.append(str(key))
    return found


def _splitter(loader: LoaderRow, splitter: Component | None) -> Component | None:
    return splitter if splitter is not None and loader.component != OWN_CHUNKS else loader.splitter
