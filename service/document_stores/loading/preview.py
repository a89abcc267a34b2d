"""Trying a loader out: its first chunks, with nothing kept. Files lie in a temporary folder while they are read."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

from loaders.base import LoaderError, Source
from service.connectors import open_connector
from service.document_stores import service as document_stores
from service.document_stores.intake import Intake
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.types import NewChunk
from service.document_stores.loading.files import kept_names
from service.document_stores.loading.service import as_upsert
from service.document_stores.loading.types import WEB_PAGES_SHOWN, LoaderForm, Preview
from service.document_stores.recipe import Recipe, plan
from service.document_stores.showing import is_marked
from service.document_stores.types import Upload
from service.errors import MissingPart, TooLarge, Unprocessable
from service.resources import Resources
from service.viewers import NotBelieved


class NotLoadable(Unprocessable):
    """A file cannot be loaded."""

    code = "nothing_loaded"


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    source: str
    mime: str | None


async def preview(
    resources: Resources, workspace: UUID, form: LoaderForm, most: int | None, *, everything: bool
) -> Preview:
    """The first `most` chunks (None: all of them) that a loader would bring, and their number in all.

    A loader that asks a place is shown the first few documents of it. `everything`: the caller may read every document.
    Raises errors that name the field, `NotFound`, `NotLoadable` with the reason why a file cannot be read,
    `NotBelieved` for a saved loader with documents that not everybody may find.
    """
    if form.component is None:
        raise MissingPart("loaderId: is missing")
    store = await document_stores.get(resources, workspace, form.store_id) if form.store_id else None
    asked = as_upsert(form if store else replace(form, id=None))
    intake = await Intake.check(resources, workspace, form.store_id or uuid4(), store, asked)
    if not everything and store and intake.base and (store.restricted or is_marked(intake.base)):
        raise NotBelieved("id: only a key that may read every document sees what this loader has brought")
    recipe = intake.recipe()
    chunks: list[NewChunk] = []
    async with aclosing(_files(intake)) as files:
        async for file in files:
            chunks += await _chunks(resources, intake.store_id, recipe, file)
    if not chunks:
        raise Unprocessable("loaderConfig: there is nothing to load; give a file, a text or an address")
    return Preview(chunks if most is None else chunks[:most], len(chunks))


async def _chunks(resources: Resources, store_id: UUID, recipe: Recipe, file: _File) -> list[NewChunk]:
    source = Source(file.path, file.name, file.mime or "")
    try:
        loaded = await resources.sandbox.load(source, recipe.loader, recipe.loader_options)
    except LoaderError as error:
        raise NotLoadable(f"{file.name}: {error.message}") from None
    return await asyncio.to_thread(plan, store_id, file.source, recipe, loaded.documents, recipe.make_splitter())


async def _files(intake: Intake) -> AsyncGenerator[_File, None]:
    """Everything that the loader would read, one after another."""
    with TemporaryDirectory(prefix="ragstone-preview-") as folder:
        uploads = await asyncio.to_thread(intake.sources, [])
        for number, upload in enumerate(uploads):
            path = Path(folder) / str(number)
            await asyncio.to_thread(_write, upload, path, intake.resources.settings.max_upload)
            yield _File(path, upload.name, upload.source or "", upload.mime)
        if intake.remote:
            async with aclosing(_fetched(intake, Path(folder))) as fetched:
                async for file in fetched:
                    yield file
        elif intake.base is not None:
            async with aclosing(_kept(intake, not uploads)) as kept:
                async for file in kept:
                    yield file


async def _fetched(intake: Intake, folder: Path) -> AsyncGenerator[_File, None]:
    config = intake.component.config
    async with open_connector(intake.resources, intake.workspace, intake.component.name, config) as place:
        number = 0
        async for item in place.items():
            path = folder / f"fetched-{number}"
            with path.open("wb") as sink:
                got = await place.fetch(item, sink)
            yield _File(path, getattr(got, "name", item.name), item.source, getattr(got, "mime", item.mime))
            number += 1
            if number == WEB_PAGES_SHOWN:
                return


async def _kept(intake: Intake, everything: bool) -> AsyncGenerator[_File, None]:
    """The files that the saved loader has: those that the form names, all of them where it brings none."""
    assert intake.base is not None
    names = kept_names(intake.component.config)
    async with intake.resources.database.read(intake.workspace) as scope:
        documents = await ledger.of_store(scope, intake.store_id, loader_id=intake.base.id)
    async with AsyncExitStack() as stack:
        for document in documents:
            if document.name in names if names is not None else everything:
                path = await stack.enter_async_context(intake.resources.blobs.path(document.blob))
                yield _File(path, document.name, document.source, document.mime)


def _write(upload: Upload, path: Path, limit: int) -> None:
    with path.open("wb") as file:
        copyfileobj(upload.stream, file)
        if file.tell() > limit:
            raise TooLarge(f"max_upload: '{upload.name}' is larger than {limit} bytes")
