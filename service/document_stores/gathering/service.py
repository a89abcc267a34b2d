"""Claim, reclaim and release documents for a gathering job, make and change its loader, index what it claimed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from loaders.splitters import splitter as make_splitter
from loaders.splitters.base import SplitterError
from service.document_stores import jobs as store_jobs
from service.document_stores import records as stores
from service.document_stores.gathering import records
from service.document_stores.gathering.records import Held
from service.document_stores.intake import clean
from service.document_stores.ledger import records as ledger
from service.document_stores.loading.mapping import reading
from service.document_stores.recipe import Recipe
from service.document_stores.types import Component, LoaderRow
from service.errors import NotFound, TooLarge, Unprocessable
from service.nodes.service import json_object
from service.resources import Resources
from service.worker.work import Work
from stores.blobs.base import Blob
from stores.records.database import Scope

LOOKED_UP_AT_ONCE = 5_000
"""Sources asked about in one statement."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Content that was fetched: its stable source id, what people call it, its bytes."""

    source: str
    name: str
    mime: str | None
    blob: Blob
    url: str | None = None
    """Where people can open it."""
    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a gathering job puts documents, and how they become chunks."""

    store_id: UUID
    loader_id: UUID
    job_id: UUID
    recipe: Mapping[str, Any]

    def recipe_of(self, url: str | None) -> Mapping[str, Any]:
        """The recipe of a document; what has an address is cited by it, unless the loader's metadata say otherwise."""
        return {**self.recipe, "metadata": {"source": url, **self.recipe["metadata"]}} if url else self.recipe

    def settled(self, held: Held, url: str | None) -> bool:
        """Whether a document is indexed as it should be, or this very job will do it."""
        cited = "source" in self.recipe["metadata"] or held.cited == url
        return held.busy_or_done(self.job_id) and held.same_recipe and cited


def recipe_of(resources: Resources, workspace: UUID, component: Component, splitter: Component | None) -> Recipe:
    """How what a remote loader brings becomes chunks. Raises `Unprocessable` naming a bad field, `TooLarge`."""
    read = reading(resources, workspace, component)
    name = splitter.name if splitter and splitter.name else "default"
    cutting = dict(splitter.config) if splitter else {}
    try:
        make_splitter(name, cutting)
    except SplitterError as error:
        raise Unprocessable(f"splitter.{error.field}: {error.message}") from None
    metadata = clean(json_object(component.config.get("metadata"), "config.metadata"), "config.metadata")
    size = len(json.dumps(metadata, ensure_ascii=False).encode())
    limit = resources.settings.max_metadata
    if size > limit:
        raise TooLarge(f"max_metadata: the metadata have {size} bytes, the limit is {limit}")
    options = clean(read.options, "config")
    return Recipe(read.loader, options, name, clean(cutting, "splitter.config"), metadata, omit=read.omit)


# The loader


async def add_loader(
    scope: Scope, store_id: UUID, component: Component, label: str, splitter: Component | None
) -> UUID:
    """A new loader of a document store. Raises `NotFound`."""
    await hold(scope, store_id)
    loader_id = uuid4()
    await stores.insert_loader(scope, loader_id, store_id, component, label, splitter, kept=True)
    return loader_id


async def change_loader(
    scope: Scope, loader_id: UUID, component: Component, label: str | None, splitter: Component | None
) -> None:
    """Give a loader another configuration, and let it stay when it holds nothing. Raises `NotFound`."""
    if not await stores.update_loader(scope, loader_id, component, label, splitter):
        raise NotFound(f"Loader {loader_id} not found")
    await records.keep_loader(scope, loader_id)


async def loaders_of(scope: Scope, store_id: UUID) -> dict[UUID, LoaderRow]:
    """The loaders of a document store, by id. Raises `NotFound`."""
    rows, _ = await stores.page(scope, store_id, 0, 1)
    if not rows:
        raise NotFound(f"Document store {store_id} not found")
    return {loader.id: loader for loader in rows[0].loaders}


# Documents


async def hold(scope: Scope, store_id: UUID) -> None:
    """Keep a document store from being deleted until the transaction ends. Raises `NotFound` when it is gone."""
    if not await stores.hold(scope, store_id):
        raise NotFound(f"Document store {store_id} not found")


async def held(scope: Scope, target: Target, sources: Sequence[str]) -> dict[str, Held]:
    """The documents that the ledger holds of these sources, by source."""
    found: dict[str, Held] = {}
    for start in range(0, len(sources), LOOKED_UP_AT_ONCE):
        part = sources[start : start + LOOKED_UP_AT_ONCE]
        found |= await records.held(scope, target.store_id, part, target.recipe)
    return found


async def count(scope: Scope, loader_id: UUID) -> int:
    """How many documents a loader has."""
    return await records.count(scope, loader_id)


async def claim(scope: Scope, target: Target, content: Gathered) -> tuple[UUID, str | None]:
    """Make fetched content a document's newest; returns the document's id, and the blob that nobody needs when the job
    has ended."""
    row = {
        "id": uuid4(),
        "store_id": target.store_id,
        "loader_id": target.loader_id,
        "job_id": target.job_id,
        "source": content.source,
        "name": content.name,
        "mime": content.mime,
        "size": content.blob.size,
        "sha256": content.blob.sha256,
        "blob": content.blob.key,
        "recipe": target.recipe_of(content.url),
    }
    document_id, old = await ledger.claim(scope, row)
    origin = {"url": content.url, "etag": content.etag, "modified": content.modified}
    await records.set_origin(scope, document_id, origin)
    return document_id, old


async def reclaim(scope: Scope, target: Target, document: Held, url: str | None) -> bool:
    """Have a document indexed again from the bytes that it has; False when it has others by now."""
    return await records.reclaim(scope, document, target.loader_id, target.job_id, target.recipe_of(url))


async def leave(scope: Scope, target: Target, listed: Sequence[str]) -> list[str]:
    """Every document of the loader but the listed ones leaves the document store when the job is done; returns the
    blobs that nobody needs then."""
    return await ledger.mark_leaving(scope, target.loader_id, listed, target.job_id)


async def blobs_in_use(scope: Scope, store_id: UUID, keys: Sequence[str]) -> set[str]:
    """Those of the blobs that a document has."""
    return await ledger.blobs_in_use(scope, store_id, keys)


# The job


async def index(work: Work) -> Mapping[str, Any]:
    """Index what the job has claimed, remove what it marked, and say what that did to chunks. The payload holds
    `storeId`, `blobs` and `partly`."""
    return await store_jobs.ingest(work)


give_up = store_jobs.give_up
"""As that of an upsert."""


async def abandon(work: Work) -> None:
    """Clear up after a job that failed or was cancelled, as after such an upsert."""
    await store_jobs.abandon(work)
