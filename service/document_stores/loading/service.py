"""What forms do with loaders: save them, have them processed, make them anew, see what calls may override."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from service.document_stores import service as document_stores
from service.document_stores.intake import Intake, keep_all, lock_all
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.loading import records
from service.document_stores.loading.files import carries_files
from service.document_stores.loading.mapping import is_remote
from service.document_stores.loading.types import LoaderForm, Override
from service.document_stores.shelf import changing
from service.document_stores.types import Component, LoaderRow, StoreRow, Upsert
from service.errors import MissingPart, NotFound, Unprocessable
from service.jobs.types import Job
from service.nodes import service as nodes
from service.nodes.types import FieldType, Node
from service.resources import Resources
from stores.blobs.pending import pending


async def save(resources: Resources, workspace: UUID, form: LoaderForm) -> LoaderRow:
    """Keep a loader and its files; nothing of it is searched, and what the loader brought before stays, until it is
    processed. Everything is checked before anything is written.

    Raises `NotFound` for an unknown document store or loader, errors that name the field.
    """
    store = await document_stores.get(resources, workspace, _required(form.store_id, "storeId"))
    if form.component is None and form.id is None:
        raise MissingPart("loaderId: is missing")
    intake = await Intake.check(resources, workspace, store.id, store, as_upsert(form))
    sources = await asyncio.to_thread(intake.sources, [])
    async with pending(resources.blobs) as held:
        [(intake, uploads)] = await keep_all(held, [(intake, sources)])
        async with resources.database.write(workspace) as scope:
            await lock_all(scope, [(intake, uploads)])
            loader_id, unneeded = await intake.enter(scope, None, uploads)
            parked = await records.park(scope, loader_id)
            held.referred()
    await _tidy(resources, workspace, store.id, parked, unneeded)
    return loader_of(await document_stores.get(resources, workspace, store.id), loader_id)


async def process(resources: Resources, workspace: UUID, form: LoaderForm) -> Job:
    """Have the chunks of a saved loader made, by what the form says, else as it is saved; queues the job.

    The chunks reach the vectors when the document store has any. Edited chunks are made again. Raises as `save`, and
    `Unprocessable` for a loader without any files.
    """
    store_id = _required(form.store_id, "storeId")
    loader_id = _required(form.id, "loaderId")
    loader = loader_of(await document_stores.get(resources, workspace, store_id), loader_id)
    asked = as_upsert(form)
    if not loader.files and not _brings(asked.loader or Component(loader.component, loader.config)):
        raise Unprocessable(f"loaderConfig: loader '{loader.name}' has no files; save it with some first")
    return await document_stores.upsert(resources, workspace, store_id, asked, [])


async def refresh(resources: Resources, workspace: UUID, store_id: UUID, items: Sequence[Upsert] | None) -> list[Job]:
    """Make loaders of a document store anew, all of them where `items` names none; queues a job for each.

    Files are read again from what is kept of them, places are asked again for what changed. Everything is checked
    before anything is written. Raises `NotFound`, errors that name the field.
    """
    store = await document_stores.get(resources, workspace, store_id)
    if not items:
        items = [Upsert(doc_id=loader.id) for loader in store.loaders if loader.files or is_remote(loader.component)]
    asked = [replace(item, replace_existing=True, remake=True) if item.doc_id else item for item in items]
    for item in asked:
        await document_stores.checked(resources, workspace, store_id, store, [(item, [])])
    return [await document_stores.upsert(resources, workspace, store_id, item, []) for item in asked]


async def overrides(resources: Resources, workspace: UUID, store_id: UUID, loader_id: UUID) -> list[Override]:
    """The fields that calls may give other values: of the loader, its splitter, and what the document store uses."""
    store = await document_stores.get(resources, workspace, store_id)
    loader = loader_of(store, loader_id)
    embedding, vector_store = document_stores.defaults_of(store)
    names = [loader.component, loader.splitter.name if loader.splitter else "", embedding.name, vector_store.name]
    names += [store.record_manager.name if store.record_manager else ""]
    found = [node for name in names if (node := nodes.find(name)) is not None]
    return [override for node in found for override in _overrides(node)]


def loader_of(store: StoreRow, loader_id: UUID) -> LoaderRow:
    """A loader of a document store, else `NotFound`."""
    found = next((loader for loader in store.loaders if loader.id == loader_id), None)
    if found is None:
        raise NotFound(f"Loader {loader_id} not found in document store {store.id}")
    return found


def as_upsert(form: LoaderForm) -> Upsert:
    """The form as an upsert that makes chunks only."""
    return Upsert(
        doc_id=form.id,
        replace_existing=form.id is not None,
        chunk_only=True,
        remake=True,
        loader_label=form.label,
        loader=form.component,
        splitter=form.splitter,
        principals=form.principals,
    )


def _brings(component: Component) -> bool:
    """Whether a configuration brings something to load itself: a text, files, or a place to ask."""
    text = component.config.get("text") if component.name == "plainText" else None
    return bool(text) or carries_files(component.config) or is_remote(component.name)


def _required(value: UUID | None, field: str) -> UUID:
    if value is None:
        raise MissingPart(f"{field}: is missing")
    return value


async def _tidy(
    resources: Resources, workspace: UUID, store_id: UUID, parked: Sequence[UUID], blobs: Sequence[str]
) -> None:
    """Remove what a job that worked on these documents has not shown, and uploads that were replaced."""
    with suppress(NotFound):
        async with changing(resources, workspace, store_id) as shelf:
            await shelf.remove(await chunk_rows.hidden(shelf.scope, parked))
            used = await ledger.blobs_in_use(shelf.scope, store_id, blobs)
        for key in blobs:
            if key not in used:
                await resources.blobs.delete(key)


def _overrides(node: Node) -> list[Override]:
    found = []
    for field in node.fields:
        name, kind = field.name, field.type.value
        if field.type is FieldType.FILE:
            name, kind = "files", field.suffixes
        elif field.choices:
            kind = ", ".join(field.choices)
        found.append(Override(node.label, f"{node.name}_0", field.label, name, kind))
    if node.credentials:
        found.append(Override(node.label, f"{node.name}_0", "Connect Credential", "credential", "string"))
    return found
