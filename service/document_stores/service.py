"""What document stores do: made, changed, filled, searched, deleted."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from service.document_stores import records
from service.document_stores.history import flow_data
from service.document_stores.intake import Intake, check_components, defaults_of, keep_all, submit
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.ledger.types import ChunkRow, DocumentRow
from service.document_stores.loading.mapping import is_remote
from service.document_stores.loading.template import files_of
from service.document_stores.search import search
from service.document_stores.secrets import with_secrets
from service.document_stores.space import check_space, embedder_of, fingerprint_of
from service.document_stores.types import LOADERS_ARE_ADDED, Component, LoaderRow, Owner, StoreRow, Upload, Upsert
from service.document_stores.vectors import backend_of, check_place
from service.errors import BadRequest, Conflict, NotFound, Unprocessable
from service.jobs import service as jobs
from service.jobs.types import Job
from service.limits.service import check_room
from service.resources import Resources
from stores.blobs.pending import pending
from stores.records.database import Scope

MAX_ADDED_DOCS = 1000
"""Most chunks that the answer to an upsert spells out; the counts are always complete."""

CHUNKS_A_PAGE = 50
"""Fixed by the contract."""


async def create(
    resources: Resources,
    workspace: UUID,
    name: str,
    description: str | None = None,
    configs: Mapping[str, Component] | None = None,
    *,
    restricted: bool = False,
    loaders: Sequence[UUID] = (),
) -> StoreRow:
    """A new, empty document store; `restricted`: what carries no principals is found by nobody; `loaders`: those that
    the caller takes it to have.

    Raises `Unprocessable` for an empty name, and for any loader.
    """
    if not name.strip():
        raise Unprocessable("name: must not be empty")
    _check_loaders((), loaders)
    configs = with_secrets(None, configs or {})
    check_components(configs.get("vector_store"), configs.get("record_manager"))
    if embedding := configs.get("embedding"):
        await embedder_of(resources, workspace, embedding)
    store_id = uuid4()
    async with resources.database.write(workspace) as scope:
        await backend_of(resources, scope, configs.get("vector_store"))
        await records.insert(scope, store_id, name.strip(), description)
        if configs or restricted:
            await records.update(scope, store_id, {**configs, "restricted": restricted})
    return await get(resources, workspace, store_id)


async def get(resources: Resources, workspace: UUID, store_id: UUID) -> StoreRow:
    """A document store with its loaders, else `NotFound`."""
    async with resources.database.read(workspace) as scope:
        rows, _ = await records.page(scope, store_id, 0, 1)
    if not rows:
        raise NotFound(f"Document store {store_id} not found")
    return rows[0]


async def get_with(resources: Resources, workspace: UUID, store_id: UUID, loader_ids: Sequence[UUID]) -> StoreRow:
    """A document store with some of its loaders, whatever the number of the others; its `status` says nothing.

    Raises `NotFound` for an unknown document store; loaders that it does not have are left out.
    """
    async with resources.database.read(workspace) as scope:
        store = await records.get(scope, store_id)
        if store is None:
            raise NotFound(f"Document store {store_id} not found")
        found = await records.loaders_of(scope, [store_id], loader_ids) if loader_ids else {}
    return replace(store, loaders=found.get(store_id, ()))


async def page(resources: Resources, workspace: UUID, offset: int, limit: int) -> tuple[list[StoreRow], int]:
    """Document stores with their loaders, the one changed last first, and how many there are in all."""
    async with resources.database.read(workspace) as scope:
        return await records.page(scope, None, offset, limit)


async def update(
    resources: Resources,
    workspace: UUID,
    store_id: UUID,
    changes: Mapping[str, Any],
    *,
    loaders: Sequence[UUID] = (),
) -> StoreRow:
    """Change the name, description or configurations that `changes` names; `loaders`: those that the caller takes it to
    have.

    Raises `Unprocessable` for a loader that it has not, `EmbeddingChanged` for an embedding that the document store's
    vectors were not made by, `BackendChanged` for a vector store that they are not in.
    """
    store = await get(resources, workspace, store_id)
    _check_loaders(store.loaders, loaders)
    changes = with_secrets(store, changes)
    fingerprint = await _check_configs(resources, workspace, store, changes)
    async with resources.database.write(workspace) as scope:
        now = await records.lock(scope, store_id)
        if now is None:
            raise NotFound(f"Document store {store_id} not found")
        if fingerprint is not None and await chunk_rows.any_indexed(scope, store_id):
            check_space(now, fingerprint, changes["embedding"])
        if "vector_store" in changes:
            await check_place(scope, now, await backend_of(resources, scope, changes["vector_store"]))
        await records.update(scope, store_id, changes)
    resources.stores.forget(workspace, store_id)
    return await get(resources, workspace, store_id)


def _check_loaders(has: Sequence[LoaderRow], named: Sequence[UUID]) -> None:
    known = {loader.id for loader in has}
    for number, loader in enumerate(named):
        if loader not in known:
            raise Unprocessable(f"loaders[{number}].id: there is no loader {loader} here. {LOADERS_ARE_ADDED}")


async def _check_configs(
    resources: Resources, workspace: UUID, store: StoreRow, configs: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Check the configurations given; returns the fingerprint of the embedding, if one is among them."""
    check_components(configs.get("vector_store"), configs.get("record_manager"))
    embedding = configs.get("embedding")
    if embedding is None:
        return None
    return await fingerprint_of(await embedder_of(resources, workspace, embedding, store.fingerprint))


async def delete(resources: Resources, workspace: UUID, store_id: UUID) -> None:
    """Delete a document store: no caller finds anything of it from now on; a job removes what it held."""
    async with resources.database.write(workspace) as scope:
        await _delete_in(scope, resources, store_id)
    resources.stores.forget(workspace, store_id)


async def delete_owned(scope: Scope, resources: Resources, flow_id: UUID) -> None:
    """Delete the document stores of a chatflow's nodes, in the transaction that deletes the chatflow."""
    for store_id in await records.owned(scope, flow_id):
        await _delete_in(scope, resources, store_id)
        resources.stores.forget(scope.workspace, store_id)


async def _delete_in(scope: Scope, resources: Resources, store_id: UUID) -> None:
    if not await records.mark_deleted(scope, store_id):
        raise NotFound(f"Document store {store_id} not found")
    for job in await jobs.open_jobs(scope, store_id):
        await jobs.cancel_in(scope, resources.queue, job.id)
    await jobs.submit(scope, resources.queue, "purge_store", payload={"storeId": str(store_id)})


async def documents(
    resources: Resources, workspace: UUID, store_id: UUID, offset: int, limit: int
) -> list[DocumentRow]:
    """The documents of a document store with their state and, for failed ones, the reason."""
    await get_with(resources, workspace, store_id, ())
    async with resources.database.read(workspace) as scope:
        return await ledger.of_store(scope, store_id, offset=offset, limit=limit)


async def chunk_page(
    resources: Resources, workspace: UUID, store_id: UUID, loader_id: UUID | None, page_number: int
) -> tuple[StoreRow, Sequence[ChunkRow], int, int]:
    """A page of chunks of a document store or of one loader: the store, the rows, their number, their characters."""
    store = await get_with(resources, workspace, store_id, [loader_id] if loader_id is not None else [])
    if loader_id is not None and not store.loaders:
        raise NotFound(f"Loader {loader_id} not found in document store {store_id}")
    async with resources.database.read(workspace) as scope:
        rows, total, characters = await chunk_rows.page(
            scope, store_id, loader_id, (page_number - 1) * CHUNKS_A_PAGE, CHUNKS_A_PAGE
        )
    return store, rows, total, characters


async def upsert(
    resources: Resources, workspace: UUID, store_id: UUID, asked: Upsert, uploads: Sequence[Upload]
) -> Job:
    """Take uploads into a document store and queue the job that indexes them.

    When this returns, the uploads are durable and the job will run. Everything about the request is checked before
    anything is written: unknown components, bad options, a missing store, too large files.
    """
    async with files_of(resources, workspace, store_id, asked, uploads) as files:
        return await upsert_parts(resources, workspace, store_id, [(asked, files)])


async def upsert_parts(
    resources: Resources,
    workspace: UUID,
    store_id: UUID,
    parts: Sequence[tuple[Upsert, Sequence[Upload]]],
    *,
    owner: Owner | None = None,
    history: Mapping[str, Any] | None = None,
) -> Job:
    """As `upsert`, of several loaders at once: one job indexes what all of them bring.

    `owner`: the chatflow node that the document store stands for; it is made when it is not there yet. `history` is
    what the upsert history says of the call besides its counts.
    """
    store = None
    if owner is not None:
        async with resources.database.read(workspace) as scope:
            store = await records.get(scope, store_id)
    elif any(not asked.new_store or asked.doc_id is not None for asked, _ in parts):
        store = await _basis(resources, workspace, store_id, [asked for asked, _ in parts])
    brought = await checked(resources, workspace, store_id, store, parts)
    await check_room(resources, workspace)
    async with pending(resources.blobs) as held:
        entered = await keep_all(held, brought)
        async with resources.database.write(workspace) as scope:
            for intake, _ in brought:
                if intake.asked.new_store:
                    await records.insert(scope, intake.store_id, intake.new_name(), intake.asked.new_store_description)
            if owner is not None:
                await _take_possession(scope, store_id, owner)
            told = history or {"flowData": flow_data([intake for intake, _ in brought])}
            job = await submit(scope, entered, told)
            held.referred()
    return job


async def checked(
    resources: Resources,
    workspace: UUID,
    store_id: UUID,
    store: StoreRow | None,
    parts: Sequence[tuple[Upsert, Sequence[Upload]]],
) -> list[tuple[Intake, list[Upload]]]:
    """The loaders of a call with what each of them brings, before anything is written.

    Raises errors that name the field, `BadRequest` where none of them brings anything.
    """
    intakes = [(await Intake.check(resources, workspace, store_id, store, asked), uploads) for asked, uploads in parts]
    taken: set[str] = set()
    brought = [(intake, await asyncio.to_thread(intake.sources, uploads, taken)) for intake, uploads in intakes]
    if not any(
        sources or intake.remote or (intake.repeats and intake.base is not None and intake.base.files)
        for intake, sources in brought
    ):
        raise BadRequest("Nothing to upsert: send files, or a loader whose config holds the content")
    return brought


async def _basis(resources: Resources, workspace: UUID, store_id: UUID, asked: Sequence[Upsert]) -> StoreRow:
    """The document store of a call, with the loaders that the call may be based on."""
    if any(each.loader is not None and is_remote(each.loader.name) for each in asked):
        return await get(resources, workspace, store_id)  # one of them may fetch from there already
    return await get_with(resources, workspace, store_id, [each.doc_id for each in asked if each.doc_id is not None])


async def _take_possession(scope: Scope, store_id: UUID, owner: Owner) -> None:
    """Make the document store of a chatflow node, unless it is there. Raises `NotFound`, `Conflict`."""
    if not await records.insert_owned(scope, store_id, owner.name, owner.flow_id, owner.node_id):
        raise NotFound(f"Chatflow {owner.flow_id} not found")
    if await records.lock(scope, store_id) is None:
        raise Conflict("The document store of this node is being deleted; try again in a few seconds")


async def added_by(resources: Resources, workspace: UUID, job: Job, *, everything: bool) -> list[ChunkRow]:
    """The chunks that an upsert's job added, the first `MAX_ADDED_DOCS` of them; unless `everything`, only of documents
    that everybody may find."""
    async with resources.database.read(workspace) as scope:
        return await chunk_rows.added_by(scope, job.id, MAX_ADDED_DOCS, everything=everything)


__all__ = [
    "added_by",
    "checked",
    "chunk_page",
    "create",
    "defaults_of",
    "delete",
    "delete_owned",
    "documents",
    "get",
    "get_with",
    "page",
    "search",
    "update",
    "upsert",
    "upsert_parts",
]
