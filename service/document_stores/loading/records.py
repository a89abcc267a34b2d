"""The rows of loaders and documents as forms save them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from stores.records.database import Scope


async def park(scope: Scope, loader_id: UUID) -> list[UUID]:
    """The loader is a draft, and its documents that wait for no job wait for somebody to process it; returns them."""
    await scope.run(
        "UPDATE loaders SET draft = true, kept = true, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=loader_id,
    )
    rows = await scope.all(
        "UPDATE documents SET state = 'saved', error_code = NULL, error = NULL"
        " WHERE workspace_id = %(workspace)s AND loader_id = %(id)s AND state = 'pending' AND job_id IS NULL"
        " RETURNING id",
        id=loader_id,
    )
    return [row["id"] for row in rows]


async def processed(scope: Scope, loader_ids: Sequence[UUID], asked_at: datetime) -> None:
    """These loaders are drafts no longer, but for those that were saved again after a job was asked for."""
    await scope.run(
        "UPDATE loaders SET draft = false WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s) AND draft"
        " AND updated_at <= %(asked)s",
        ids=list(loader_ids),
        asked=asked_at,
    )
