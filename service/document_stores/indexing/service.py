"""The vectors of a document store: configured, filled in, taken away again."""

from collections.abc import Mapping
from uuid import UUID

from service.document_stores import records as store_rows
from service.document_stores.cleanup import cleaning_of
from service.document_stores.collections import records as collections
from service.document_stores.compacting import compact_soon
from service.document_stores.indexing import records
from service.document_stores.intake import check_components
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.secrets import with_secrets
from service.document_stores.service import get
from service.document_stores.shelf import changing
from service.document_stores.space import check_space, drop_in, drop_soon, embedder_of, fingerprint_of
from service.document_stores.types import Component, StoreRow
from service.document_stores.vectors import backend_of, check_place
from service.errors import NotFound
from service.jobs import service as jobs
from service.jobs.types import Job
from service.resources import Resources
from stores.records.database import Scope

Configs = Mapping[str, Component | None]
"""`embedding`, `vector_store`, `record_manager`, those that are to change; None clears one."""


async def configure(resources: Resources, workspace: UUID, store_id: UUID, configs: Configs) -> StoreRow:
    """Give a document store these configurations.

    Raises `NotFound`, `Unprocessable` for components that there are not, `EmbeddingChanged` for an embedding that its
    vectors were not made by, and `BackendChanged` for a vector store that they are not in; then nothing has changed.
    """
    configs, fingerprint = await _checked(resources, workspace, store_id, configs)
    async with resources.database.write(workspace) as scope:
        await _configure(resources, scope, store_id, configs, fingerprint)
    resources.stores.forget(workspace, store_id)
    return await get(resources, workspace, store_id)


async def insert(
    resources: Resources, workspace: UUID, store_id: UUID, configs: Configs, loader_id: UUID | None = None
) -> Job:
    """As `configure`, and queue the job that indexes what is not indexed yet, or what is not of one loader."""
    configs, fingerprint = await _checked(resources, workspace, store_id, configs, loader_id)
    async with resources.database.write(workspace) as scope:
        await _configure(resources, scope, store_id, configs, fingerprint)
        payload = {"storeId": str(store_id)} | ({"docId": str(loader_id)} if loader_id else {})
        job = await jobs.submit(scope, resources.queue, "index", store_id=store_id, payload=payload)
    resources.stores.forget(workspace, store_id)
    return job


async def remove_vectors(resources: Resources, workspace: UUID, store_id: UUID, loader_id: UUID | None = None) -> None:
    """Take the chunks of a document store, or of one loader, out of both indexes: listed, but found by no search from
    the commit on. Without its vectors, the document store has no vector space either.

    Raises `NotFound`. Jobs that index these chunks are cancelled.
    """
    dropped: list[str] = []
    async with changing(resources, workspace, store_id, alone=True) as shelf:
        scope = shelf.scope
        if loader_id is not None and not await records.has_loader(scope, store_id, loader_id):
            raise NotFound(f"docId: loader {loader_id} not found in document store {store_id}")
        for job in await jobs.open_jobs(scope, store_id):
            if job.kind in ("index", "reindex") and loader_id in (None, _uuid(job.payload.get("docId"))):
                await jobs.cancel_in(scope, resources.queue, job.id)
        numbers = await records.unindex(scope, store_id, loader_id)
        if loader_id is not None:
            await shelf.forget(numbers)
        else:
            await resources.lexical.remove(scope, store_id, numbers)
            await collections.set_space(scope, store_id, None, None)
            dropped = await drop_in(resources, scope, await collections.of_store(scope, store_id))
        await compact_soon(scope, resources.queue, store_id)
    resources.stores.forget(workspace, store_id)
    if dropped:
        await drop_soon(resources, workspace, dropped)


async def _checked(
    resources: Resources, workspace: UUID, store_id: UUID, configs: Configs, loader_id: UUID | None = None
) -> tuple[Configs, Mapping[str, object] | None]:
    """The configurations, checked for what can be known before anything is written, with saved secrets where they hold
    the marker; and the fingerprint of the embedding, if it is to change."""
    store = await get(resources, workspace, store_id)
    if loader_id is not None and all(loader.id != loader_id for loader in store.loaders):
        raise NotFound(f"docId: loader {loader_id} not found in document store {store_id}")
    configs = with_secrets(store, configs)
    check_components(configs.get("vector_store"), configs.get("record_manager"))
    cleaning_of(configs.get("record_manager"))
    if "embedding" not in configs:
        return configs, None
    embedder = await embedder_of(resources, workspace, configs["embedding"], store.fingerprint)
    return configs, await fingerprint_of(embedder)


async def _configure(
    resources: Resources, scope: Scope, store_id: UUID, configs: Configs, fingerprint: Mapping[str, object] | None
) -> None:
    store = await store_rows.lock(scope, store_id)
    if store is None:
        raise NotFound(f"Document store {store_id} not found")
    if fingerprint is not None and await chunk_rows.any_indexed(scope, store_id):
        check_space(store, fingerprint, configs["embedding"])
    if "vector_store" in configs:
        await check_place(scope, store, await backend_of(resources, scope, configs["vector_store"]))
    if configs:
        await store_rows.update(scope, store_id, configs)


def _uuid(value: object) -> UUID | None:
    return UUID(value) if isinstance(value, str) else None
