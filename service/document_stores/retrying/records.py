"""The rows of documents that are tried again."""

from uuid import UUID

from stores.records.database import Scope


async def failed_of(scope: Scope, job_id: UUID) -> dict[UUID, UUID]:
    """The documents whose newest upload this job could not index, locked; with their loaders."""
    rows = await scope.all(
        "SELECT id, loader_id FROM documents WHERE workspace_id = %(workspace)s AND job_id = %(job)s"
        " AND state = 'failed' ORDER BY id FOR UPDATE",
        job=job_id,
    )
    return {row["id"]: row["loader_id"] for row in rows}


async def claim(scope: Scope, document_ids: list[UUID], job_id: UUID) -> None:
    """Give failed documents to another job; their reasons go."""
    await scope.run(
        "UPDATE documents SET state = 'pending', job_id = %(job)s, error_code = NULL, error = NULL, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)",
        ids=document_ids,
        job=job_id,
    )
