"""The rows of chunks on their way into both indexes and out of them."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from service.document_stores.indexing.types import Which
from service.document_stores.ledger.types import PendingChunk
from stores.records.database import Scope

_STORE: LiteralString = "FROM chunks c WHERE true"
_LOADER: LiteralString = "FROM chunks c WHERE c.loader_id = %(loader)s"
_ADDED: LiteralString = "FROM chunks c WHERE c.job_id = %(added)s"
_JOB: LiteralString = "FROM documents d JOIN chunks c ON c.document_id = d.id WHERE d.job_id = %(job)s"

_SAME_TEXTS: LiteralString = """
    SELECT given.text, found.number FROM unnest(%(texts)s::text[]) AS given (text), LATERAL (
        SELECT number FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s
            AND number IS NOT NULL AND NOT own_vector
            AND md5(CASE head WHEN '' THEN text ELSE head || E'\\n' || text END)::uuid = md5(given.text)::uuid
            AND CASE head WHEN '' THEN text ELSE head || E'\\n' || text END = given.text
        ORDER BY number LIMIT 1) AS found
"""
"""The hash finds the row, as the index `chunks_same_text` has it; the text itself decides."""

_NUMBERED: LiteralString = (
    "SELECT id, document_id, number, head, text, metadata FROM chunks WHERE workspace_id = %(workspace)s"
    " AND store_id = %(store)s AND number = ANY(%(numbers)s) ORDER BY number"
)


def _among(which: Which) -> tuple[LiteralString, dict[str, UUID]]:
    """Where the chunks are, and the parameters of that."""
    if which.job_id is not None:
        return _JOB, {"job": which.job_id}
    if which.added_by is not None:
        return _ADDED, {"added": which.added_by}
    if which.loader_id is not None:
        return _LOADER, {"loader": which.loader_id}
    return _STORE, {}


async def count(scope: Scope, store_id: UUID, which: Which, *, indexed: bool) -> int:
    """How many of the chunks are indexed, or are not."""
    among, params = _among(which)
    row = await scope.one(
        "SELECT count(*) AS n "
        + among
        + " AND c.workspace_id = %(workspace)s AND c.store_id = %(store)s AND c.live"
        + (" AND c.number IS NOT NULL" if indexed else " AND c.number IS NULL"),
        store=store_id,
        **params,
    )
    return int(row["n"]) if row else 0


async def next_unindexed(
    scope: Scope, store_id: UUID, which: Which, after: UUID | None, limit: int
) -> list[PendingChunk]:
    """The next of the chunks that are not indexed, in order of their ids, after the one of an earlier page."""
    among, params = _among(which)
    rows = await scope.all(
        "SELECT c.id, c.document_id, c.number, c.head, c.text, c.metadata "
        + among
        + " AND c.workspace_id = %(workspace)s AND c.store_id = %(store)s AND c.live AND c.number IS NULL"
        " AND (%(after)s::uuid IS NULL OR c.id > %(after)s) ORDER BY c.id LIMIT %(limit)s",
        store=store_id,
        after=after,
        limit=limit,
        **params,
    )
    return [PendingChunk(**row) for row in rows]


async def next_indexed(scope: Scope, store_id: UUID, after: int, limit: int) -> list[int]:
    """The next numbers of indexed chunks, live or not, ascending."""
    rows = await scope.all(
        "SELECT number FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND number > %(after)s ORDER BY number LIMIT %(limit)s",
        store=store_id,
        after=after,
        limit=limit,
    )
    return [row["number"] for row in rows]


async def numbered(scope: Scope, store_id: UUID, numbers: Sequence[int]) -> list[PendingChunk]:
    """The chunks of these numbers that are there, ascending."""
    rows = await scope.all(_NUMBERED, store=store_id, numbers=list(numbers))
    return [PendingChunk(**row) for row in rows]


async def known(scope: Scope, store_id: UUID, numbers: Sequence[int]) -> set[int]:
    """Those of the numbers that chunks have."""
    rows = await scope.all(
        "SELECT number FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND number = ANY(%(numbers)s)",
        store=store_id,
        numbers=list(numbers),
    )
    return {row["number"] for row in rows}


async def lock_numbered(scope: Scope, store_id: UUID, chunks: Sequence[PendingChunk]) -> dict[int, PendingChunk]:
    """Those of the indexed chunks that still have their numbers, by these, as they stay until the transaction ends.

    Their documents are locked first, as by everybody who changes chunks.
    """
    await _lock_documents(scope, chunks)
    numbers = [chunk.number for chunk in chunks]
    rows = await scope.all(_NUMBERED + " FOR UPDATE", store=store_id, numbers=numbers)
    return {row["number"]: PendingChunk(**row) for row in rows}


async def lock_unindexed(scope: Scope, store_id: UUID, chunks: Sequence[PendingChunk]) -> dict[UUID, PendingChunk]:
    """Those of the chunks that are still there and still not indexed, by their ids; locked as by `lock_numbered`."""
    await _lock_documents(scope, chunks)
    rows = await scope.all(
        "SELECT id, document_id, number, head, text, metadata FROM chunks WHERE workspace_id = %(workspace)s"
        " AND store_id = %(store)s AND id = ANY(%(ids)s) AND number IS NULL AND live ORDER BY id FOR UPDATE",
        store=store_id,
        ids=[chunk.id for chunk in chunks],
    )
    return {row["id"]: PendingChunk(**row) for row in rows}


async def same_texts(scope: Scope, store_id: UUID, texts: Sequence[str]) -> dict[str, int]:
    """The number of an indexed chunk that the embedder was given each of these texts for, by text; the first of them,
    where there are several."""
    rows = await scope.all(_SAME_TEXTS, store=store_id, texts=list(texts))
    return {row["text"]: row["number"] for row in rows}


async def family(scope: Scope, store_id: UUID) -> list[DictRow]:
    """The document stores that this one is a copy of, that are copies of it, or of the same one: `id`, `fingerprint`,
    `collection` and `backend` of those that have vectors."""
    return await scope.all(
        "SELECT s.id, s.fingerprint, s.collection, c.backend FROM document_stores own JOIN document_stores s"
        " ON s.workspace_id = own.workspace_id AND s.id <> own.id"
        " AND (s.id = own.copy_of OR s.copy_of = own.id OR s.copy_of = own.copy_of)"
        " JOIN collections c ON c.name = s.collection"
        " WHERE own.workspace_id = %(workspace)s AND own.id = %(store)s AND s.deleted_at IS NULL"
        " ORDER BY s.created_at, s.id",
        store=store_id,
    )


async def _lock_documents(scope: Scope, chunks: Sequence[PendingChunk]) -> None:
    await scope.run(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND id = ANY(%(documents)s) ORDER BY id FOR SHARE",
        documents=list({chunk.document_id for chunk in chunks}),
    )


async def assign(scope: Scope, store_id: UUID, job_id: UUID, rows: Sequence[tuple[UUID, int]]) -> None:
    """Chunks are indexed now, under these numbers, by this job."""
    await scope.run(
        "UPDATE chunks c SET number = given.number, job_id = %(job)s, own_vector = false"
        " FROM unnest(%(ids)s::uuid[], %(numbers)s::int[]) AS given (id, number)"
        " WHERE c.workspace_id = %(workspace)s AND c.store_id = %(store)s AND c.id = given.id",
        store=store_id,
        job=job_id,
        ids=[row for row, _ in rows],
        numbers=[number for _, number in rows],
    )


async def unindex(scope: Scope, store_id: UUID, loader_id: UUID | None) -> list[int]:
    """The chunks of a document store, or of one of its loaders, are no longer indexed; returns their former numbers."""
    rows = await scope.all(
        "WITH former AS (SELECT id, number FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND number IS NOT NULL AND (%(loader)s::uuid IS NULL OR loader_id = %(loader)s))"
        " UPDATE chunks c SET number = NULL FROM former WHERE c.store_id = %(store)s AND c.id = former.id"
        " RETURNING former.number",
        store=store_id,
        loader=loader_id,
    )
    return [row["number"] for row in rows]


async def has_loader(scope: Scope, store_id: UUID, loader_id: UUID) -> bool:
    """Whether the document store has this loader."""
    row = await scope.one(
        "SELECT 1 AS one FROM loaders WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = %(id)s",
        store=store_id,
        id=loader_id,
    )
    return row is not None
