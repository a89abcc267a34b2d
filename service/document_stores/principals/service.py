"""Say who may find documents: in force with the commit of each change, and nothing is embedded again."""

from collections.abc import Sequence
from uuid import UUID

from service.document_stores import records as stores
from service.document_stores.ledger import records as ledger
from service.document_stores.principals import records
from service.document_stores.principals.types import Change
from service.document_stores.shelf import changing
from service.errors import NotFound
from service.resources import Resources


async def change(resources: Resources, workspace: UUID, store_id: UUID, changes: Sequence[Change]) -> None:
    """Make the changes, each of a document in one transaction of its own. Of a loader, all documents are withheld from
    whom they are no longer for at once, and found by whom they are for from now on one after the other.

    Raises `NotFound` for an unknown document store, and naming the change for a document or loader that it does not
    have; those before it are made then.
    """
    async with resources.database.read(workspace) as scope:
        if await stores.get(scope, store_id) is None:
            raise NotFound(f"Document store {store_id} not found")
    for each in changes:
        if each.loader_id is not None:
            await _change_loader(resources, workspace, store_id, each, each.loader_id)
        else:
            await _change_document(resources, workspace, store_id, each)
        resources.stores.forget(workspace, store_id)


async def mark_waiting(resources: Resources, workspace: UUID, store_id: UUID, loader_id: UUID | None = None) -> int:
    """Let the points of documents say who may find them where they do not yet, one document after the other; says how
    many these were."""
    done = 0
    while True:
        async with changing(resources, workspace, store_id) as shelf:
            waiting = await records.next_unmarked(shelf.scope, store_id, loader_id)
            if waiting is None:
                return done
            if await records.lock_unmarked(shelf.scope, waiting):
                await shelf.mark([waiting])
                done += 1


async def _change_document(resources: Resources, workspace: UUID, store_id: UUID, asked: Change) -> None:
    async with changing(resources, workspace, store_id) as shelf:
        document_id = asked.document_id
        if asked.source is not None:
            known = await ledger.by_source(shelf.scope, store_id, [asked.source])
            document_id = known[asked.source].id if asked.source in known else None
        ids = [] if document_id is None else [document_id]
        found = await records.change(shelf.scope, store_id, ids, asked.principals)
        if not found:
            named = asked.document_id or f"of the source {asked.source!r}"
            raise NotFound(f"{asked.place}: document {named} not found in document store {store_id}")
        await shelf.mark(await records.unmarked(shelf.scope, found))


async def _change_loader(resources: Resources, workspace: UUID, store_id: UUID, asked: Change, loader_id: UUID) -> None:
    async with changing(resources, workspace, store_id) as shelf:
        if not await records.change_loader(shelf.scope, store_id, loader_id, asked.principals):
            raise NotFound(f"{asked.place}: loader {loader_id} not found in document store {store_id}")
    await mark_waiting(resources, workspace, store_id, loader_id)
