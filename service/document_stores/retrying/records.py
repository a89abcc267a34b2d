"""The rows of documents that are tried again."""

from collections.abc import Sequence
from uuid import UUID

from stores.records.database import Scope


async def failed_of(scope: Scope, job_id: UUID) -> dict[UUID, UUID]:
    """The documents whose newest upload this job could not index, locked; with their loaders. Those that it was to
    remove are none of them, whatever had become of their uploads."""
    rows = await scope.all(
        "SELECT id, loader_id FROM documents WHERE workspace_id = %(workspace)s AND job_id = %(job)s"
        " AND state = 'failed' AND outlived IS DISTINCT FROM %(job)s ORDER BY id FOR UPDATE",
        job=job_id,
    )
    return {row["id"]: row["loader_id"] for row in rows}


async def outlived(scope: Scope, job_id: UUID, *, but: Sequence[UUID]) -> list[UUID]:
    """The documents that a job was to remove, which nothing has claimed since, locked; without those of the loaders in
    `but`."""
    rows = await scope.all(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND job_id = %(job)s AND outlived = %(job)s"
        " AND state IN ('ready', 'failed') AND loader_id <> ALL(%(but)s::uuid[]) ORDER BY id FOR UPDATE",
        job=job_id,
        but=list(but),
    )
    return [row["id"] for row in rows]


async def leave(scope: Scope, document_ids: Sequence[UUID], job_id: UUID) -> list[str]:
    """Documents are to be removed when this job is done; returns their blobs."""
    rows = await scope.all(
        "UPDATE documents SET state = 'leaving', job_id = %(job)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s) RETURNING blob",
        ids=list(document_ids),
        job=job_id,
    )
    return [row["blob"] for row in rows if row["blob"]]


async def claim(scope: Scope, document_ids: list[UUID], job_id: UUID) -> None:
    """Give failed documents to another job; their reasons go."""
    await scope.run(
        "UPDATE documents SET state = 'pending', job_id = %(job)s, error_code = NULL, error = NULL, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)",
        ids=document_ids,
        job=job_id,
    )
