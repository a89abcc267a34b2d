"""What sync needs of document stores: loaders that fetch, how many documents they have, and the job that indexes."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from service.document_stores import jobs as store_jobs
from service.document_stores import records as stores
from service.document_stores.gathering import records
from service.document_stores.gathering.types import Empty, Errand, Setup, lock_of
from service.document_stores.loading.files import place_of
from service.document_stores.loading.mapping import recipe_of
from service.document_stores.principals import records as principals
from service.document_stores.types import Component
from service.errors import NotFound
from service.resources import Resources
from service.worker.work import Work
from stores.records.database import Scope


def check_recipe(resources: Resources, workspace: UUID, component: Component, splitter: Component | None) -> None:
    """Raises `Unprocessable` naming a field by which documents cannot be read or cut, `TooLarge`."""
    recipe_of(resources, workspace, component, splitter, field="config")


async def add_loader(
    scope: Scope,
    store_id: UUID,
    component: Component,
    label: str,
    splitter: Component | None,
    named: Sequence[str] | None = None,
) -> UUID:
    """A new loader of a document store; `named` may find what it brings, None: everybody. Raises `NotFound`."""
    await hold(scope, store_id)
    loader_id = uuid4()
    await stores.insert_loader(scope, loader_id, store_id, component, label, splitter, kept=True)
    await principals.default_of(scope, loader_id, named)
    return loader_id


async def change_loader(
    scope: Scope, loader_id: UUID, component: Component, label: str | None, splitter: Component | None
) -> None:
    """Give a loader another configuration, and let it stay when it holds nothing. Raises `NotFound`."""
    if not await stores.update_loader(scope, loader_id, component, label, splitter):
        raise NotFound(f"Loader {loader_id} not found")
    await records.keep_loader(scope, loader_id)


async def setups(scope: Scope, store_id: UUID, loader_ids: Sequence[UUID]) -> dict[UUID, Setup]:
    """How these loaders of a document store are configured, by id, without those that it has not. Raises
    `NotFound`."""
    if await stores.get(scope, store_id) is None:
        raise NotFound(f"Document store {store_id} not found")
    return await records.setups(scope, store_id, loader_ids)


async def hold(scope: Scope, store_id: UUID) -> None:
    """Keep a document store from being deleted until the transaction ends. Raises `NotFound` when it is gone."""
    if not await stores.hold(scope, store_id):
        raise NotFound(f"Document store {store_id} not found")


counts = records.counts
"""How many documents each of some loaders has."""


def payload_of(store_id: UUID, loader_id: UUID) -> dict[str, Any]:
    """The payload of a job that keeps a loader in step; `index` says what it is to fetch."""
    return {"storeId": str(store_id), "docId": str(loader_id), "docIds": [str(loader_id)], "blobs": [], "partly": True}


async def index(work: Work) -> Mapping[str, Any]:
    """Do the errands in the payload that are not done yet, index what they brought, remove what is gone; says what
    that did to documents and chunks."""
    return await store_jobs.ingest(work)


give_up = store_jobs.give_up
"""As that of an upsert."""


async def abandon(work: Work) -> None:
    """Clear up after a job that failed or was cancelled, as after such an upsert."""
    await store_jobs.abandon(work)


__all__ = [
    "Empty",
    "Errand",
    "abandon",
    "add_loader",
    "change_loader",
    "check_recipe",
    "counts",
    "give_up",
    "hold",
    "index",
    "lock_of",
    "payload_of",
    "place_of",
    "setups",
]
