"""The rows of chunks."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
from psycopg import sql
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.document_stores.ledger.types import IDS, ChunkRow, DocumentRow, NewChunk
from service.document_stores.types import Viewer
from stores.lexical.base import Numbers
from stores.records.database import Scope
from stores.vector.filters import EVERYTHING, Filter
from stores.vector.jsonb import Compiled, compile_filter
from stores.vector.points import encode


def _chunk(row: DictRow) -> ChunkRow:
    return ChunkRow(
        id=row["id"],
        document_id=row["document_id"],
        loader_id=row["loader_id"],
        number=row["number"],
        position=row["position"],
        head=row["head"],
        text=row["text"],
        metadata=row["metadata"],
        edited=row["edited"],
        place=row.get("place", 0),
        principals=row.get("principals"),
    )


_PAGE: LiteralString = """
    WITH starts AS (
        SELECT id, (sum(chunks + removed) OVER (PARTITION BY loader_id ORDER BY created_at, id)
            - chunks - removed)::int AS start
        FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s)
    SELECT c.*, starts.start + c.position + 1 AS place FROM (
        SELECT c.id, c.document_id, c.loader_id, c.number, c.position, c.head, c.text, c.metadata, c.edited,
            d.principals, row_number() OVER (ORDER BY d.created_at, d.id, c.position) AS row
        FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.workspace_id = %(workspace)s
            AND c.store_id = %(store)s AND c.live AND (%(loader)s::uuid IS NULL OR c.loader_id = %(loader)s)
        ORDER BY d.created_at, d.id, c.position OFFSET %(offset)s LIMIT %(limit)s) AS c
    JOIN starts ON starts.id = c.document_id ORDER BY c.row
"""

_TOTAL: LiteralString = """
    SELECT count(*) AS n, coalesce(sum(length(text)), 0) AS characters FROM chunks
    WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND live
        AND (%(loader)s::uuid IS NULL OR loader_id = %(loader)s)
"""


async def of_documents(scope: Scope, document_ids: Sequence[UUID]) -> list[UUID]:
    """The chunks of these documents, live or not."""
    rows = await scope.all(
        "SELECT id FROM chunks WHERE workspace_id = %(workspace)s AND document_id = ANY(%(ids)s)",
        ids=list(document_ids),
    )
    return [row["id"] for row in rows]


async def hidden(scope: Scope, document_ids: Sequence[UUID]) -> list[UUID]:
    """The chunks of these documents that are not live: left by uploads that did not end."""
    rows = await scope.all(
        "SELECT id FROM chunks WHERE workspace_id = %(workspace)s AND document_id = ANY(%(ids)s) AND NOT live",
        ids=list(document_ids),
    )
    return [row["id"] for row in rows]


async def hidden_of_job(scope: Scope, store_id: UUID, job_id: UUID) -> list[UUID]:
    """The chunks that a job which has ended left without making them live; their documents are locked, those that
    another job works on are left out."""
    rows = await scope.all(
        "SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.workspace_id = %(workspace)s"
        " AND c.store_id = %(store)s AND NOT c.live"
        " AND (d.job_id = %(job)s OR (c.job_id = %(job)s AND d.state <> 'pending')) ORDER BY d.id FOR UPDATE OF d",
        store=store_id,
        job=job_id,
    )
    return [row["id"] for row in rows]


async def index_of(scope: Scope, document_id: UUID) -> dict[UUID, DictRow]:
    """Every chunk of a document by id: job, number, position, metadata, whether it is live and was edited."""
    rows = await scope.all(
        "SELECT id, job_id, number, position, metadata, live, edited FROM chunks"
        " WHERE workspace_id = %(workspace)s AND document_id = %(document)s",
        document=document_id,
    )
    return {row["id"]: row for row in rows}


async def known(scope: Scope, store_id: UUID, ids: Sequence[UUID], *, edited: bool = True) -> set[UUID]:
    """Those of the ids that the ledger holds; with `edited=False`, holds as they were made from their source."""
    rows = await scope.all(
        "SELECT id FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = ANY(%(ids)s)"
        " AND (%(edited)s OR NOT edited)",
        store=store_id,
        ids=list(ids),
        edited=edited,
    )
    return {row["id"] for row in rows}


async def insert(
    scope: Scope,
    store_id: UUID,
    job_id: UUID,
    rows: Sequence[tuple[DocumentRow, NewChunk, int | None]],
) -> None:
    """Add chunks, those that are indexed with their number; they become live with `complete`."""
    async with (
        scope.connection.cursor() as cursor,
        cursor.copy(
            "COPY chunks (id, workspace_id, store_id, document_id, loader_id, number, position, head, text, metadata,"
            " job_id, own_vector) FROM STDIN (FORMAT BINARY)"
        ) as copy,
    ):
        copy.set_types(
            ["uuid", "uuid", "uuid", "uuid", "uuid", "int4", "int4", "text", "text", "jsonb", "uuid", "bool"]
        )
        for document, chunk, number in rows:
            await copy.write_row(
                (
                    chunk.id,
                    scope.workspace,
                    store_id,
                    document.id,
                    document.loader_id,
                    number,
                    chunk.position,
                    chunk.head,
                    chunk.text,
                    Jsonb(dict(chunk.metadata), encode),
                    job_id,
                    number is not None and chunk.vector is not None,
                )
            )


async def revise(scope: Scope, store_id: UUID, rows: Sequence[tuple[UUID, int, Mapping[str, Any]]]) -> None:
    """Give chunks whose text stayed their new position and metadata."""
    if rows:
        await scope.many(
            "UPDATE chunks SET position = %(position)s, metadata = %(metadata)s"
            " WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = %(id)s",
            [
                {"id": row, "position": position, "metadata": Jsonb(dict(meta), encode), "store": store_id}
                for row, position, meta in rows
            ],
        )


async def replace(
    scope: Scope,
    store_id: UUID,
    rows: Sequence[tuple[UUID, int | None, str, str, Mapping[str, Any], bool | None]],
    *,
    edited: bool,
) -> None:
    """Give chunks another number, head, text and metadata, and say whether their vector is one that a caller brought
    (None: it is the one that it was); `edited`: these are not what their source says."""
    await scope.many(
        "UPDATE chunks SET number = %(number)s, head = %(head)s, text = %(text)s, metadata = %(metadata)s,"
        " edited = %(edited)s, own_vector = coalesce(%(own)s, own_vector)"
        " WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = %(id)s",
        [
            {
                "id": row,
                "number": number,
                "head": head,
                "text": text,
                "metadata": Jsonb(dict(meta), encode),
                "edited": edited,
                "own": own,
                "store": store_id,
            }
            for row, number, head, text, meta, own in rows
        ],
    )


async def renumber(scope: Scope, store_id: UUID, numbers: Mapping[UUID, int]) -> None:
    """Give chunks, by their ids, other numbers: those of their new entries in the indexes."""
    if numbers:
        await scope.run(
            "UPDATE chunks c SET number = given.number FROM unnest(%(ids)s::uuid[], %(numbers)s::int[])"
            " AS given (id, number) WHERE c.workspace_id = %(workspace)s AND c.store_id = %(store)s"
            " AND c.id = given.id",
            store=store_id,
            ids=list(numbers),
            numbers=list(numbers.values()),
        )


async def delete(scope: Scope, store_id: UUID, ids: Sequence[UUID]) -> list[int]:
    """Remove chunks; returns the numbers of those that were indexed."""
    rows = await scope.all(
        "DELETE FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = ANY(%(ids)s)"
        " RETURNING number",
        store=store_id,
        ids=list(ids),
    )
    return [row["number"] for row in rows if row["number"] is not None]


def _seen(viewer: Viewer) -> tuple[LiteralString, LiteralString, dict[str, Any]]:
    """What narrows chunks `c` of a document store `s` to those that a viewer may find: a join, a condition, and the
    parameters of that."""
    if viewer.everything:
        return "", " AND NOT s.restricted", {}
    join: LiteralString = " JOIN documents d ON d.id = c.document_id"
    # Of `&&` the planner can tell how many pass, and begins with the documents of a viewer who has few; of CASE it
    # cannot, and reads all chunks (100 ms in place of 4 where 300 of 300,000 pass).
    condition: LiteralString = (
        " AND (d.principals && %(viewer)s::text[] OR (d.principals IS NULL AND NOT s.restricted))"
    )
    return join, condition, {"viewer": sorted(viewer.principals)}


def _passing(where: Filter | None) -> Compiled:
    """What narrows chunks `c` to those that pass a filter."""
    ids = {field: sql.Identifier("c", column) for field, column in IDS.items()}
    return compile_filter(where if where is not None else EVERYTHING, sql.SQL("c.metadata"), ids=ids)


async def best(scope: Scope, store_id: UUID, numbers: Sequence[int], limit: int, viewer: Viewer) -> list[ChunkRow]:
    """The first `limit` of the numbered chunks that the viewer may find, in the order of `numbers`."""
    join, seen, params = _seen(viewer)
    statement: LiteralString = (
        "SELECT c.id, c.document_id, c.loader_id, c.number, c.position, c.head, c.text, c.metadata, c.edited"
        " FROM unnest(%(numbers)s::int[]) WITH ORDINALITY AS wanted (number, place)"
        " JOIN chunks c ON c.workspace_id = %(workspace)s AND c.store_id = %(store)s AND c.number = wanted.number"
        " AND c.live JOIN document_stores s ON s.id = c.store_id AND s.deleted_at IS NULL"
    )
    condition: LiteralString = " WHERE true"
    order: LiteralString = " ORDER BY wanted.place LIMIT %(limit)s"
    rows = await scope.all(
        statement + join + condition + seen + order, store=store_id, numbers=list(numbers), limit=limit, **params
    )
    return [_chunk(row) for row in rows]


async def visible(
    scope: Scope, store_id: UUID, numbers: Sequence[int], viewer: Viewer, where: Filter | None = None
) -> set[int]:
    """Those of the numbers whose chunks the viewer may find, and whose metadata pass the filter."""
    join, seen, params = _seen(viewer)
    compiled = _passing(where)
    # Set apart from the filter, or the planner may look at all that pass before it looks at these.
    statement = sql.SQL(
        "SELECT c.number FROM (SELECT c.* FROM chunks c JOIN document_stores s ON s.id = c.store_id{}"
        " WHERE c.workspace_id = %(workspace)s AND c.store_id = %(store)s AND c.number = ANY(%(numbers)s){} OFFSET 0)"
        " AS c WHERE {}"
    ).format(sql.SQL(join), sql.SQL(seen), compiled.expression)
    rows = await scope.all(statement, store=store_id, numbers=list(numbers), **params, **compiled.params)
    return {row["number"] for row in rows}


async def near(
    scope: Scope, store_id: UUID, spans: Sequence[tuple[UUID, int, int]], where: Filter | None, viewer: Viewer
) -> list[ChunkRow]:
    """The live, indexed chunks whose positions lie in these spans of documents, those that pass the filter and that the
    viewer may find, by document and position, each once."""
    join, seen, params = _seen(viewer)
    compiled = _passing(where)
    statement = sql.SQL(
        "SELECT DISTINCT ON (c.document_id, c.position, c.id) c.document_id, c.position, c.id, c.loader_id, c.number,"
        " c.head, c.text, c.metadata, c.edited"
        " FROM unnest(%(documents)s::uuid[], %(firsts)s::int[], %(lasts)s::int[]) AS span (document_id, first, last)"
        " JOIN chunks c ON c.document_id = span.document_id AND c.position BETWEEN span.first AND span.last"
        " AND c.live AND c.number IS NOT NULL JOIN document_stores s ON s.id = c.store_id AND s.deleted_at IS NULL{}"
        " WHERE c.workspace_id = %(workspace)s AND c.store_id = %(store)s AND {}{}"
        " ORDER BY c.document_id, c.position, c.id"
    ).format(sql.SQL(join), compiled.expression, sql.SQL(seen))
    rows = await scope.all(
        statement,
        store=store_id,
        documents=[document for document, _, _ in spans],
        firsts=[first for _, first, _ in spans],
        lasts=[last for _, _, last in spans],
        **compiled.params,
        **params,
    )
    return [_chunk(row) for row in rows]


async def numbers_where(
    scope: Scope, store_id: UUID, where: Filter | None, viewer: Viewer | None = None, *, most: int | None = None
) -> Numbers:
    """The numbers of the live, indexed chunks whose metadata pass a filter, in ascending order; those that the viewer
    may find, if one is given; any `most` of them, if there are more."""
    compiled = _passing(where)
    join, seen, params = ("", "", {}) if viewer is None else _seen(viewer)
    stores = "" if viewer is None else " JOIN document_stores s ON s.id = c.store_id"
    statement = sql.SQL(
        "SELECT string_agg(int4send(number), '') AS numbers FROM ("
        "SELECT c.number FROM chunks c{}{} WHERE c.workspace_id = %(workspace)s AND c.store_id = %(store)s"
        " AND c.live AND c.number IS NOT NULL AND {}{} LIMIT %(most)s) AS passing"
    ).format(sql.SQL(stores), sql.SQL(join), compiled.expression, sql.SQL(seen))
    # A plan for all filters of this shape knows not how few pass, and reads all chunks (1,300 ms in place of 3 where 64
    # values of 200,000 are listed).
    row = await scope.one_planned(statement, store=store_id, most=most, **compiled.params, **params)
    packed = row["numbers"] if row else None
    return np.sort(np.frombuffer(packed or b"", ">i4").astype(np.int32))


async def count(scope: Scope, store_id: UUID) -> int:
    """Chunks of a document store, live or not."""
    row = await scope.one(
        "SELECT count(*) AS n FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s", store=store_id
    )
    return int(row["n"]) if row else 0


async def any_indexed(scope: Scope, store_id: UUID) -> bool:
    """Whether a chunk of the document store has a vector."""
    row = await scope.one(
        "SELECT 1 AS one FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND number IS NOT NULL LIMIT 1",
        store=store_id,
    )
    return row is not None


async def page(
    scope: Scope, store_id: UUID, loader_id: UUID | None, offset: int, limit: int
) -> tuple[list[ChunkRow], int, int]:
    """A page of the live chunks in order of document and position, each with its place in its loader from 1; how many
    there are, and their characters in all. A chunk that was deleted by hand leaves its place free."""
    offset = min(offset, 2**62)  # what a bigint holds; there are no chunks so far out
    rows = await scope.all(_PAGE, store=store_id, loader=loader_id, offset=offset, limit=limit)
    total = await scope.one(_TOTAL, store=store_id, loader=loader_id)
    assert total is not None
    return [_chunk(row) for row in rows], int(total["n"]), int(total["characters"])


async def added_by(scope: Scope, job_id: UUID, limit: int, *, everything: bool) -> list[ChunkRow]:
    """The first live chunks that a job added, in reading order; unless `everything`, of what everybody may find."""
    rows = await scope.all(
        "SELECT c.id, c.document_id, c.loader_id, c.number, c.position, c.head, c.text, c.metadata, c.edited"
        " FROM chunks c JOIN documents d ON d.id = c.document_id JOIN document_stores s ON s.id = c.store_id"
        " WHERE c.workspace_id = %(workspace)s AND c.job_id = %(job)s AND c.live"
        " AND (%(everything)s OR (d.principals IS NULL AND NOT s.restricted))"
        " ORDER BY d.created_at, d.id, c.position LIMIT %(limit)s",
        job=job_id,
        limit=limit,
        everything=everything,
    )
    return [_chunk(row) for row in rows]
