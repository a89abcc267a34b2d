"""What the check reads of the ledger."""

from dataclasses import dataclass
from uuid import UUID

from stores.records.database import Connection, Scope


@dataclass(frozen=True, slots=True)
class StoreRow:
    """A document store; `busy` while a job of it is queued or running."""

    id: UUID
    name: str
    collection: str | None
    busy: bool


async def workspaces(connection: Connection) -> list[UUID]:
    """Every workspace of the installation."""
    cursor = await connection.execute("SELECT id FROM workspaces ORDER BY id")
    return [row["id"] for row in await cursor.fetchall()]


async def blobs(connection: Connection) -> set[str]:
    """The uploads that documents and conversations refer to, in all workspaces, deleted document stores that wait for
    their purge too."""
    cursor = await connection.execute("SELECT blob FROM documents WHERE blob <> '' UNION SELECT blob FROM attachments")
    return {row["blob"] for row in await cursor.fetchall()}


async def stores(scope: Scope) -> list[StoreRow]:
    """The workspace's document stores, by name."""
    rows = await scope.all(
        "SELECT s.id, s.name, s.collection, EXISTS (SELECT 1 FROM jobs j WHERE j.store_id = s.id"
        " AND j.state IN ('queued', 'running', 'paused')) AS busy FROM document_stores s"
        " WHERE s.workspace_id = %(workspace)s AND s.deleted_at IS NULL ORDER BY s.name, s.id"
    )
    return [StoreRow(row["id"], row["name"], row["collection"], row["busy"]) for row in rows]


async def count(scope: Scope, store_id: UUID) -> int:
    """How many indexed chunks the ledger has."""
    row = await scope.one(
        "SELECT count(*) AS chunks FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND number IS NOT NULL",
        store=store_id,
    )
    assert row is not None
    return int(row["chunks"])


async def miscounted(scope: Scope, store_id: UUID) -> int:
    """Documents whose number of live chunks is not what they say."""
    row = await scope.one(
        "SELECT count(*) AS documents FROM documents d WHERE d.workspace_id = %(workspace)s"
        " AND d.store_id = %(store)s AND d.chunks <> (SELECT count(*) FROM chunks c"
        " WHERE c.document_id = d.id AND c.live)",
        store=store_id,
    )
    assert row is not None
    return int(row["documents"])


async def unfinished(scope: Scope, store_id: UUID) -> int:
    """Chunks that never became live."""
    row = await scope.one(
        "SELECT count(*) AS chunks FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND NOT live",
        store=store_id,
    )
    assert row is not None
    return int(row["chunks"])


async def chunk_numbers(scope: Scope, store_id: UUID, after: int, limit: int) -> list[int]:
    """The next numbers in the keyword index that the ledger knows, ascending."""
    rows = await scope.all(
        "SELECT number FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND number > %(after)s ORDER BY number LIMIT %(limit)s",
        store=store_id,
        after=after,
        limit=limit,
    )
    return [row["number"] for row in rows]
