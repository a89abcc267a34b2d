"""The rows of loaders and documents as forms save them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from stores.records.database import Scope


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document that was fetched, and what its place said of the bytes that are kept."""

    id: UUID
    etag: str | None
    modified: str | None
    whole: bool
    """Whether its bytes are here, so that it need not be fetched when it is unchanged."""


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


async def fetched(scope: Scope, store_id: UUID, source: str) -> Fetched | None:
    """The document of a source, if there is one."""
    row = await scope.one(
        "SELECT id, origin, size, error_code FROM documents WHERE workspace_id = %(workspace)s"
        " AND store_id = %(store)s AND source = %(source)s",
        store=store_id,
        source=source,
    )
    if row is None:
        return None
    origin = row["origin"] or {}
    whole = row["size"] > 0 and row["error_code"] != "upload_lost" and bool(origin)
    return Fetched(row["id"], origin.get("etag"), origin.get("modified"), whole)


async def set_origin(scope: Scope, document_id: UUID, origin: Mapping[str, Any]) -> None:
    """Keep what its place said of a document."""
    await scope.run(
        "UPDATE documents SET origin = %(origin)s WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=document_id,
        origin=Jsonb(dict(origin)),
    )


async def reclaim(
    scope: Scope, document_id: UUID, loader_id: UUID, job_id: UUID, recipe: Mapping[str, Any], *, remake: bool
) -> None:
    """Give a document to a job with the bytes that it has; `remake` has edited chunks made again."""
    await scope.run(
        "UPDATE documents SET state = 'pending', loader_id = %(loader)s, job_id = %(job)s, recipe = %(recipe)s,"
        " updated_at = now(), digest = CASE WHEN %(remake)s AND edited THEN NULL ELSE digest END"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=document_id,
        loader=loader_id,
        job=job_id,
        recipe=Jsonb(dict(recipe)),
        remake=remake,
    )
