"""The rows of copies."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from service.document_stores.copying.types import Copy, Original
from stores.records.database import Connection, Scope
from stores.vector.points import encode

TAKEN = ["ready", "pending"]
"""States of documents that are taken over: failed ones would fail again."""


async def mark(scope: Scope, copy_id: UUID, of: UUID, seconds: float | None) -> None:
    """A document store is a copy of another one, for so long; None: for good."""
    await scope.run(
        "UPDATE document_stores SET copy_of = %(of)s, expires_at = now() + make_interval(secs => %(seconds)s)"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=copy_id,
        of=of,
        seconds=seconds,
    )


async def of_store(scope: Scope, store_id: UUID) -> list[Copy]:
    """The copies of a document store, the oldest first."""
    rows = await scope.all(
        "SELECT id, name, created_at, expires_at FROM document_stores WHERE workspace_id = %(workspace)s"
        " AND copy_of = %(id)s AND deleted_at IS NULL ORDER BY created_at, id",
        id=store_id,
    )
    return [Copy(**row) for row in rows]


async def expired(connection: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """Document stores whose time has come: workspace and id."""
    cursor = await connection.execute(
        "SELECT workspace_id, id FROM document_stores WHERE expires_at <= now() AND deleted_at IS NULL"
        " ORDER BY expires_at LIMIT %(limit)s",
        {"limit": limit},
    )
    return [(row["workspace_id"], row["id"]) for row in await cursor.fetchall()]


async def counts(scope: Scope, store_id: UUID) -> tuple[int, int]:
    """How many documents of a document store are taken over by its copies, and how many are left out."""
    row = await scope.one(
        "SELECT count(*) FILTER (WHERE state = ANY(%(taken)s)) AS taken, count(*) AS n FROM documents"
        " WHERE workspace_id = %(workspace)s AND store_id = %(store)s",
        store=store_id,
        taken=TAKEN,
    )
    return (int(row["taken"]), int(row["n"]) - int(row["taken"])) if row else (0, 0)


async def lacking(scope: Scope, store_id: UUID, copy_id: UUID, limit: int) -> list[Original]:
    """The next documents of a document store that its copy has not taken over yet, in order of upload."""
    rows = await scope.all(
        "SELECT d.loader_id, d.source, d.name, d.mime, d.size, d.sha256, d.blob, d.recipe, d.namespace, d.principals,"
        " d.created_at FROM documents d WHERE d.workspace_id = %(workspace)s AND d.store_id = %(store)s"
        " AND d.state = ANY(%(taken)s) AND NOT EXISTS (SELECT 1 FROM documents c"
        " WHERE c.store_id = %(copy)s AND c.source = d.source) ORDER BY d.created_at, d.id LIMIT %(limit)s",
        store=store_id,
        copy=copy_id,
        taken=TAKEN,
        limit=limit,
    )
    return [Original(**{**row, "recipe": scope.opened(row["recipe"])}) for row in rows]


async def liken_loader(scope: Scope, loader_id: UUID, original: UUID) -> None:
    """Give a loader of a copy its place among the others, and who may find what comes in through it, as the original
    has them."""
    await scope.run(
        "UPDATE loaders l SET principals = o.principals, created_at = o.created_at FROM loaders o"
        " WHERE l.workspace_id = %(workspace)s AND l.id = %(id)s"
        " AND o.workspace_id = %(workspace)s AND o.id = %(original)s",
        id=loader_id,
        original=original,
    )


async def take_over(scope: Scope, copy_id: UUID, job_id: UUID, rows: Sequence[tuple[UUID, Original]]) -> None:
    """Documents of a copy, by their new ids: they wait for the job."""
    await scope.many(
        "INSERT INTO documents (id, workspace_id, store_id, loader_id, job_id, source, name, mime, size, sha256, blob,"
        " recipe, namespace, principals, created_at) VALUES (%(id)s, %(workspace)s, %(store)s, %(loader_id)s, %(job)s,"
        " %(source)s, %(name)s, %(mime)s, %(size)s, %(sha256)s, %(blob)s, %(recipe)s, %(namespace)s, %(principals)s,"
        " %(created_at)s) ON CONFLICT (store_id, source) DO NOTHING",
        [{**_params(scope, row), "id": key, "store": copy_id, "job": job_id} for key, row in rows],
    )


def _params(scope: Scope, row: Original) -> Mapping[str, Any]:
    held = {field.name: getattr(row, field.name) for field in fields(Original)}
    principals = None if row.principals is None else list(row.principals)
    return {**held, "recipe": Jsonb(scope.sealed(row.recipe), encode), "principals": principals}
