"""The rows that leave with loaders and documents."""

from collections.abc import Sequence
from uuid import UUID

from stores.records.database import Scope


async def documents_of(scope: Scope, loader_id: UUID) -> list[UUID]:
    """The documents of a loader."""
    rows = await scope.all(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND loader_id = %(loader)s", loader=loader_id
    )
    return [row["id"] for row in rows]


async def has_document(scope: Scope, store_id: UUID, document_id: UUID) -> bool:
    """Whether the document store has this document."""
    row = await scope.one(
        "SELECT 1 AS one FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = %(id)s",
        store=store_id,
        id=document_id,
    )
    return row is not None


async def delete_chunks(scope: Scope, store_id: UUID, document_ids: Sequence[UUID]) -> list[int]:
    """Remove the chunks of documents; returns the numbers of those that were indexed."""
    rows = await scope.all(
        "DELETE FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND document_id = ANY(%(ids)s) RETURNING number",
        store=store_id,
        ids=list(document_ids),
    )
    return [row["number"] for row in rows if row["number"] is not None]


async def delete_documents(scope: Scope, document_ids: Sequence[UUID]) -> list[str]:
    """Remove documents whose chunks are gone; returns their blobs."""
    rows = await scope.all(
        "DELETE FROM documents WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s) RETURNING blob",
        ids=list(document_ids),
    )
    return sorted({row["blob"] for row in rows if row["blob"]})


async def delete_loader(scope: Scope, loader_id: UUID) -> None:
    """Remove a loader without documents. Chunks that a document still has of its time here are those of the loader
    that has the document now."""
    await scope.run(
        "UPDATE chunks c SET loader_id = d.loader_id FROM documents d WHERE c.workspace_id = %(workspace)s"
        " AND c.loader_id = %(loader)s AND d.id = c.document_id",
        loader=loader_id,
    )
    await scope.run("DELETE FROM loaders WHERE workspace_id = %(workspace)s AND id = %(loader)s", loader=loader_id)


async def has_documents(scope: Scope, job_id: UUID) -> bool:
    """Whether a job has documents to work on."""
    row = await scope.one(
        "SELECT 1 AS one FROM documents WHERE workspace_id = %(workspace)s AND job_id = %(job)s LIMIT 1", job=job_id
    )
    return row is not None
