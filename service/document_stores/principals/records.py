"""The rows of documents and loaders, as far as they say who may find them.

What is said there is in force with the commit. `unmarked` tells that a document's points do not say it yet.
"""

from collections.abc import Collection, Sequence
from typing import LiteralString
from uuid import UUID

from service.document_stores.ledger.types import PendingChunk
from stores.records.database import Scope

_CHANGE: LiteralString = (
    "UPDATE documents SET principals = %(principals)s, unmarked = true, updated_at = now()"
    " WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
    " AND principals IS DISTINCT FROM %(principals)s::text[]"
)


async def held(scope: Scope, document_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """The principals of those of the documents that are restricted."""
    rows = await scope.all(
        "SELECT id, principals FROM documents WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)"
        " AND principals IS NOT NULL",
        ids=list(document_ids),
    )
    return {row["id"]: row["principals"] for row in rows}


async def change(
    scope: Scope, store_id: UUID, document_ids: Sequence[UUID], principals: Sequence[str] | None
) -> list[UUID]:
    """Say who may find these documents; returns those that are there, locked."""
    rows = await scope.all(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = ANY(%(ids)s)"
        " ORDER BY id FOR UPDATE",
        store=store_id,
        ids=list(document_ids),
    )
    await scope.run(
        _CHANGE + " AND id = ANY(%(ids)s)", store=store_id, ids=list(document_ids), principals=_list(principals)
    )
    return [row["id"] for row in rows]


async def change_loader(scope: Scope, store_id: UUID, loader_id: UUID, principals: Sequence[str] | None) -> bool:
    """Say who may find the documents of a loader, those that are to come too; False when there is no such loader."""
    touched = await scope.run(
        "UPDATE loaders SET principals = %(principals)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = %(id)s",
        store=store_id,
        id=loader_id,
        principals=_list(principals),
    )
    if not touched:
        return False
    # locked in the order of all others
    await scope.run(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND loader_id = %(id)s ORDER BY id FOR UPDATE",
        id=loader_id,
    )
    await scope.run(
        _CHANGE + " AND loader_id = %(id)s",
        store=store_id,
        id=loader_id,
        principals=_list(principals),
    )
    return True


async def default_of(scope: Scope, loader_id: UUID, principals: Sequence[str] | None) -> None:
    """What documents get that come in through the loader from now on."""
    await scope.run(
        "UPDATE loaders SET principals = %(principals)s WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=loader_id,
        principals=_list(principals),
    )


async def unmarked(scope: Scope, document_ids: Collection[UUID]) -> list[UUID]:
    """Those of the documents whose points do not say who may find them yet."""
    rows = await scope.all(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s) AND unmarked ORDER BY id",
        ids=list(document_ids),
    )
    return [row["id"] for row in rows]


async def next_unmarked(scope: Scope, store_id: UUID, loader_id: UUID | None = None) -> UUID | None:
    """A document of a document store, or of one of its loaders, whose points do not say who may find them yet."""
    row = await scope.one(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND unmarked"
        " AND (%(loader)s::uuid IS NULL OR loader_id = %(loader)s) ORDER BY id LIMIT 1",
        store=store_id,
        loader=loader_id,
    )
    return row["id"] if row else None


async def count_unmarked(scope: Scope, store_id: UUID) -> int:
    """How many documents have points that do not say who may find them yet."""
    row = await scope.one(
        "SELECT count(*) AS n FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND unmarked",
        store=store_id,
    )
    return int(row["n"]) if row else 0


async def lock_unmarked(scope: Scope, document_id: UUID) -> bool:
    """Lock a document; False when it is gone, or its points say who may find them by now."""
    row = await scope.one(
        "SELECT 1 AS one FROM documents WHERE workspace_id = %(workspace)s AND id = %(id)s AND unmarked FOR UPDATE",
        id=document_id,
    )
    return row is not None


async def numbered(
    scope: Scope, store_id: UUID, document_id: UUID, after: UUID | None, limit: int
) -> list[PendingChunk]:
    """The next indexed chunks of a document, live or not, in order of their ids."""
    rows = await scope.all(
        "SELECT id, document_id, number, head, text, metadata FROM chunks WHERE workspace_id = %(workspace)s"
        " AND store_id = %(store)s AND document_id = %(document)s AND number IS NOT NULL"
        " AND (%(after)s::uuid IS NULL OR id > %(after)s) ORDER BY id LIMIT %(limit)s",
        store=store_id,
        document=document_id,
        after=after,
        limit=limit,
    )
    return [PendingChunk(**row) for row in rows]


async def settle(scope: Scope, document_ids: Collection[UUID]) -> None:
    """The points of these documents say who may find them."""
    await scope.run(
        "UPDATE documents SET unmarked = false WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s) AND unmarked",
        ids=list(document_ids),
    )


def _list(principals: Sequence[str] | None) -> list[str] | None:
    return None if principals is None else list(principals)
