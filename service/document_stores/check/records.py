"""What the check reads of the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service.document_stores.types import Backend
from stores.records.database import Connection, Scope


@dataclass(frozen=True, slots=True)
class StoreRow:
    """A document store; `busy` while a job of it is queued or running."""

    id: UUID
    name: str
    collection: str | None
    backend: Backend | None
    busy: bool


@dataclass(frozen=True, slots=True)
class UploadRow:
    """What is known of the bytes of an uploaded file: their number, and their SHA-256 where it was kept."""

    blob: str
    size: int
    sha256: bytes | None


async def workspaces(connection: Connection) -> list[UUID]:
    """Every workspace of the installation."""
    cursor = await connection.execute("SELECT id FROM workspaces ORDER BY id")
    return [row["id"] for row in await cursor.fetchall()]


async def blobs(connection: Connection, keys: Sequence[str] | None = None) -> set[str]:
    """The uploads that documents, conversations and open jobs refer to, in all workspaces, or those of `keys` among
    them. What deleted document stores hold that wait for their purge is among them."""
    cursor = await connection.execute(
        "SELECT blob FROM (SELECT blob FROM documents WHERE blob <> '' UNION ALL SELECT blob FROM attachments"
        " WHERE blob <> '' UNION ALL SELECT payload ->> 'blob' FROM jobs WHERE state IN ('queued', 'running', 'paused')"
        " AND payload ->> 'blob' IS NOT NULL) AS owners"
        " WHERE %(keys)s::text[] IS NULL OR blob = ANY(%(keys)s)",
        {"keys": None if keys is None else list(keys)},
    )
    return {row["blob"] for row in await cursor.fetchall()}


async def uploads(connection: Connection, after: str, limit: int) -> list[UploadRow]:
    """Up to `limit` uploads that documents and conversations refer to, in all workspaces, by key above `after`."""
    cursor = await connection.execute(
        "SELECT DISTINCT ON (blob) blob, size, sha256 FROM ("
        "SELECT blob, size, sha256 FROM documents WHERE blob > %(after)s"
        " UNION ALL SELECT blob, size, NULL FROM attachments WHERE blob > %(after)s) AS owners"
        " ORDER BY blob, sha256 LIMIT %(limit)s",
        {"after": after, "limit": limit},
    )
    return [UploadRow(**row) for row in await cursor.fetchall()]


async def stores(scope: Scope) -> list[StoreRow]:
    """The workspace's document stores, by name."""
    rows = await scope.all(
        "SELECT s.id, s.name, s.collection,"
        " (SELECT c.backend FROM collections c WHERE c.name = s.collection) AS backend,"
        " EXISTS (SELECT 1 FROM jobs j WHERE j.store_id = s.id"
        " AND j.state IN ('queued', 'running', 'paused')) AS busy FROM document_stores s"
        " WHERE s.workspace_id = %(workspace)s AND s.deleted_at IS NULL ORDER BY s.name, s.id"
    )
    return [
        StoreRow(row["id"], row["name"], row["collection"], Backend.from_json(row["backend"]), row["busy"])
        for row in rows
    ]


async def count(scope: Scope, store_id: UUID) -> int:
    """How many indexed chunks the ledger has."""
    row = await scope.one(
        "SELECT count(*) AS chunks FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND number IS NOT NULL",
        store=store_id,
    )
    assert row is not None
    return int(row["chunks"])


async def highest(scope: Scope, store_id: UUID) -> int:
    """The highest number of an indexed chunk, 0 when there is none."""
    row = await scope.one(
        "SELECT coalesce(max(number), 0) AS highest FROM chunks WHERE workspace_id = %(workspace)s"
        " AND store_id = %(store)s",
        store=store_id,
    )
    assert row is not None
    return int(row["highest"])


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


async def waiting(scope: Scope, store_id: UUID) -> int:
    """Documents that wait for a job which is not open."""
    row = await scope.one(
        "SELECT count(*) AS documents FROM documents d LEFT JOIN jobs j ON j.id = d.job_id"
        " AND j.state IN ('queued', 'running', 'paused')"
        " WHERE d.workspace_id = %(workspace)s AND d.store_id = %(store)s AND j.id IS NULL"
        " AND d.state IN ('pending', 'leaving')"
        " AND NOT (d.state = 'leaving' AND d.job_id IS NULL"  # taken off a loader that was saved: until it is processed
        " AND EXISTS (SELECT 1 FROM loaders l WHERE l.id = d.loader_id AND l.draft))",
        store=store_id,
    )
    assert row is not None
    return int(row["documents"])


async def unfinished_chunks(scope: Scope, store_id: UUID) -> list[UUID]:
    """The chunks that never became live."""
    rows = await scope.all(
        "SELECT id FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND NOT live",
        store=store_id,
    )
    return [row["id"] for row in rows]


async def give_up_waiting(scope: Scope, store_id: UUID, message: str) -> int:
    """Documents that wait for a job which is not open fail with this reason; those that were to leave stay."""
    return await scope.run(
        "UPDATE documents d SET state = CASE WHEN d.state = 'leaving' AND d.error IS NULL THEN 'ready'"
        " ELSE 'failed' END, error_code = CASE d.state WHEN 'leaving' THEN d.error_code ELSE 'worker_lost' END,"
        " error = CASE d.state WHEN 'leaving' THEN d.error ELSE %(message)s END, updated_at = now()"
        " WHERE d.workspace_id = %(workspace)s AND d.store_id = %(store)s AND d.state IN ('pending', 'leaving')"
        " AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = d.job_id AND j.state IN ('queued', 'running', 'paused'))"
        " AND NOT (d.state = 'leaving' AND d.job_id IS NULL"  # taken off a loader that was saved: until it is processed
        " AND EXISTS (SELECT 1 FROM loaders l WHERE l.id = d.loader_id AND l.draft))",
        store=store_id,
        message=message,
    )


async def recount(scope: Scope, store_id: UUID) -> tuple[int, int]:
    """Give documents the numbers of chunks and characters that they hold; says how many had others, and how many of
    them have lost chunks. Those are not taken for unchanged any more: the same file makes their chunks again."""
    row = await scope.one(
        "WITH held AS (SELECT d.id, d.chunks AS said, count(c.id) AS chunks,"
        " coalesce(sum(length(c.text)), 0) AS characters FROM documents d"
        " LEFT JOIN chunks c ON c.document_id = d.id AND c.live WHERE d.workspace_id = %(workspace)s"
        " AND d.store_id = %(store)s GROUP BY d.id), changed AS ("
        "UPDATE documents d SET chunks = held.chunks, characters = held.characters, updated_at = now(),"
        " digest = CASE WHEN held.chunks < held.said THEN NULL ELSE d.digest END FROM held"
        " WHERE d.id = held.id AND (d.chunks, d.characters) IS DISTINCT FROM (held.chunks, held.characters)"
        " RETURNING held.chunks < held.said AS lost)"
        " SELECT count(*) AS changed, count(*) FILTER (WHERE lost) AS lost FROM changed",
        store=store_id,
    )
    assert row is not None
    return row["changed"], row["lost"]


async def leftover_collections(scope: Scope, store_id: UUID) -> list[str]:
    """Collections that are not searched and that no re-index fills."""
    rows = await scope.all(
        "SELECT c.name FROM collections c JOIN document_stores s ON s.id = c.store_id"
        " WHERE c.workspace_id = %(workspace)s AND c.store_id = %(store)s AND c.name IS DISTINCT FROM s.collection"
        " AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.store_id = c.store_id AND j.kind = 'reindex'"
        " AND j.state IN ('queued', 'running', 'paused')) ORDER BY c.name",
        store=store_id,
    )
    return [row["name"] for row in rows]


async def forgotten_collections(scope: Scope) -> list[str]:
    """Collections of the workspace that are not searched, and that no job fills or drops."""
    rows = await scope.all(
        "SELECT c.name FROM collections c JOIN document_stores s ON s.id = c.store_id"
        " WHERE c.workspace_id = %(workspace)s AND s.deleted_at IS NULL AND c.name IS DISTINCT FROM s.collection"
        " AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.workspace_id = c.workspace_id"
        " AND j.state IN ('queued', 'running', 'paused')"
        " AND (j.kind = 'drop_vectors' OR (j.kind = 'reindex' AND j.store_id = c.store_id))) ORDER BY c.name"
    )
    return [row["name"] for row in rows]


async def unpurged(scope: Scope) -> list[UUID]:
    """Deleted document stores of the workspace whose purge has ended without success. One that an import fills, or that
    waits to be purged, has an open job."""
    rows = await scope.all(
        "SELECT s.id FROM document_stores s WHERE s.workspace_id = %(workspace)s"
        " AND s.deleted_at < now() - interval '1 minute' AND NOT EXISTS (SELECT 1 FROM jobs j"
        " WHERE j.workspace_id = s.workspace_id AND j.state IN ('queued', 'running', 'paused')"
        " AND (j.store_id = s.id OR j.payload ->> 'storeId' = s.id::text)) ORDER BY s.id LIMIT 100"
    )
    return [row["id"] for row in rows]
