"""The rows of the upsert history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from service.upsert_history.types import Entry
from stores.records.database import Scope


async def insert(
    scope: Scope,
    entry_id: UUID,
    target: UUID,
    result: Mapping[str, Any],
    flow_data: Sequence[Mapping[str, Any]],
    *,
    kept: int,
) -> None:
    """Add an entry; of its chatflow or document store the newest `kept` stay."""
    await scope.run(
        "INSERT INTO upsert_history (id, workspace_id, chatflow_id, result, flow_data, created_at)"
        " VALUES (%(id)s, %(workspace)s, %(target)s, %(result)s, %(flow_data)s, clock_timestamp())",
        id=entry_id,
        target=target,
        result=Jsonb(dict(result)),
        flow_data=Jsonb([dict(item) for item in flow_data]),
    )
    await scope.run(
        "DELETE FROM upsert_history WHERE workspace_id = %(workspace)s AND id IN (SELECT id FROM upsert_history"
        " WHERE workspace_id = %(workspace)s AND chatflow_id = %(target)s"
        " ORDER BY created_at DESC, id OFFSET %(kept)s)",
        target=target,
        kept=kept,
    )


async def exists(scope: Scope, target: UUID) -> bool:
    """Whether there is a chatflow or a document store of this id in the workspace."""
    row = await scope.one(
        "SELECT EXISTS (SELECT 1 FROM chatflows WHERE workspace_id = %(workspace)s AND id = %(id)s)"
        " OR EXISTS (SELECT 1 FROM document_stores WHERE workspace_id = %(workspace)s AND id = %(id)s"
        " AND deleted_at IS NULL) AS there",
        id=target,
    )
    return bool(row and row["there"])


async def page(
    scope: Scope,
    target: UUID,
    *,
    newest_first: bool,
    start: datetime | None,
    end: datetime | None,
    offset: int,
    limit: int,
) -> list[Entry]:
    """Entries of a chatflow or document store in order of time, those between `start` and `end`."""
    rows = await scope.all(
        "SELECT * FROM upsert_history WHERE workspace_id = %(workspace)s AND chatflow_id = %(target)s"
        " AND (%(start)s::timestamptz IS NULL OR created_at >= %(start)s)"
        " AND (%(end)s::timestamptz IS NULL OR created_at <= %(end)s)"
        " ORDER BY CASE WHEN %(newest_first)s THEN created_at END DESC, created_at, id"
        " OFFSET %(offset)s LIMIT %(limit)s",
        target=target,
        newest_first=newest_first,
        start=start,
        end=end,
        offset=offset,
        limit=limit,
    )
    return [Entry(row["id"], row["chatflow_id"], row["result"], row["flow_data"], row["created_at"]) for row in rows]


async def delete(scope: Scope, entries: Sequence[UUID], target: UUID | None) -> list[UUID]:
    """Remove entries, of one chatflow or document store or of any; says which were there."""
    rows = await scope.all(
        "DELETE FROM upsert_history WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)"
        " AND (%(target)s::uuid IS NULL OR chatflow_id = %(target)s) RETURNING id",
        ids=list(entries),
        target=target,
    )
    return [row["id"] for row in rows]


async def drop(scope: Scope, target: UUID) -> None:
    """Remove every entry of a chatflow."""
    await scope.run(
        "DELETE FROM upsert_history WHERE workspace_id = %(workspace)s AND chatflow_id = %(target)s", target=target
    )
