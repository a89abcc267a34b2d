"""The rows of datasets, and what rows are made of. Writers hold the dataset's lock: `lock` comes first."""

import json
from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID, uuid4

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.datasets.types import (
    Dataset,
    Excerpt,
    Gold,
    GoldKind,
    RatedAnswer,
    RatedAnswers,
    Row,
    RowDraft,
)
from service.feedback.types import Rating
from stores.records.database import Scope


def _dataset(row: DictRow) -> Dataset:
    return Dataset(
        id=row["id"],
        workspace=row["workspace_id"],
        name=row["name"],
        description=row["description"],
        rows=row["row_count"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _row(row: DictRow) -> Row:
    return Row(
        id=row["id"],
        dataset=row["dataset_id"],
        sequence_no=row["sequence_no"],
        ordinal=row["ordinal"],
        input=row["input"],
        output=row["output"],
        sources=tuple(Gold(GoldKind(kind), value) for item in row["sources"] for kind, value in item.items()),
        metadata=row["metadata"],
        draft=row["draft"],
        origin=row["origin"],
        updated_at=row["updated_at"],
    )


def _sources(sources: Sequence[Gold]) -> list[dict[str, str]]:
    return [{item.kind.value: item.value} for item in sources]


async def insert(scope: Scope, dataset_id: UUID, name: str, description: str) -> Dataset:
    """A new dataset without rows."""
    row = await scope.one(
        "INSERT INTO datasets (id, workspace_id, name, description)"
        " VALUES (%(id)s, %(workspace)s, %(name)s, %(description)s) RETURNING *",
        id=dataset_id,
        name=name,
        description=description,
    )
    assert row is not None
    return _dataset(row)


async def get(scope: Scope, dataset_id: UUID) -> Dataset | None:
    """A dataset of the workspace."""
    row = await scope.one("SELECT * FROM datasets WHERE workspace_id = %(workspace)s AND id = %(id)s", id=dataset_id)
    return _dataset(row) if row else None


async def lock(scope: Scope, dataset_id: UUID) -> Dataset | None:
    """A dataset of the workspace, held against other writers of it and its rows until the transaction ends."""
    row = await scope.one(
        "SELECT * FROM datasets WHERE workspace_id = %(workspace)s AND id = %(id)s FOR UPDATE", id=dataset_id
    )
    return _dataset(row) if row else None


async def page(scope: Scope, offset: int, size: int) -> tuple[Sequence[Dataset], int]:
    """Datasets, last changed first, and how many there are in all."""
    rows = await scope.all(
        "SELECT * FROM datasets WHERE workspace_id = %(workspace)s"
        " ORDER BY updated_at DESC, id LIMIT %(size)s OFFSET %(offset)s",
        size=size,
        offset=offset,
    )
    return [_dataset(row) for row in rows], await count(scope)


async def count(scope: Scope) -> int:
    """How many datasets the workspace has."""
    row = await scope.one("SELECT count(*) AS total FROM datasets WHERE workspace_id = %(workspace)s")
    return int(row["total"]) if row else 0


async def update(scope: Scope, dataset_id: UUID, name: str, description: str) -> None:
    """Give a dataset its columns; `touch` says that it changed."""
    await scope.run(
        "UPDATE datasets SET name = %(name)s, description = %(description)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=dataset_id,
        name=name,
        description=description,
    )


async def touch(scope: Scope, dataset_id: UUID, more: int = 0) -> Dataset:
    """Say that a dataset changed and has `more` rows. Its date is later than before by a millisecond at least, which is
    what clients see of it."""
    row = await scope.one(
        "UPDATE datasets SET row_count = row_count + %(more)s,"
        " updated_at = greatest(clock_timestamp(), updated_at + interval '1 millisecond')"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s RETURNING *",
        id=dataset_id,
        more=more,
    )
    assert row is not None
    return _dataset(row)


async def delete(scope: Scope, dataset_id: UUID) -> int:
    """Remove a dataset with its rows; says how many datasets there were (0 or 1)."""
    return await scope.run("DELETE FROM datasets WHERE workspace_id = %(workspace)s AND id = %(id)s", id=dataset_id)


async def next_number(scope: Scope, dataset_id: UUID) -> int:
    """The number of the next row: 0 in an empty dataset."""
    row = await scope.one(
        "SELECT coalesce(max(sequence_no) + 1, 0) AS next FROM dataset_rows"
        " WHERE workspace_id = %(workspace)s AND dataset_id = %(dataset)s",
        dataset=dataset_id,
    )
    return int(row["next"]) if row else 0


async def add(scope: Scope, dataset_id: UUID, first: int, rows: Sequence[RowDraft]) -> list[UUID]:
    """Add rows, numbered from `first`, in one statement: their ids."""
    ids = [uuid4() for _ in rows]
    await scope.run(
        "INSERT INTO dataset_rows (id, workspace_id, dataset_id, sequence_no, input, output, sources, metadata,"
        " draft, origin) SELECT id, %(workspace)s, %(dataset)s, %(first)s + place - 1, input, output,"
        " sources::jsonb, metadata::jsonb, draft, origin FROM unnest(%(ids)s::uuid[], %(inputs)s::text[],"
        " %(outputs)s::text[], %(sources)s::text[], %(metadata)s::text[], %(drafts)s::boolean[],"
        " %(origins)s::text[]) WITH ORDINALITY"
        " AS given (id, input, output, sources, metadata, draft, origin, place) ORDER BY place",
        dataset=dataset_id,
        first=first,
        ids=ids,
        inputs=[row.input for row in rows],
        outputs=[row.output for row in rows],
        sources=[json.dumps(_sources(row.sources)) for row in rows],
        metadata=[json.dumps(dict(row.metadata), allow_nan=False) for row in rows],
        drafts=[row.draft for row in rows],
        origins=[row.origin for row in rows],
    )
    return ids


async def get_row(scope: Scope, row_id: UUID) -> Row | None:
    """A row of the workspace."""
    row = await scope.one("SELECT * FROM dataset_rows WHERE workspace_id = %(workspace)s AND id = %(id)s", id=row_id)
    return _row(row) if row else None


async def update_row(scope: Scope, row_id: UUID, row: RowDraft) -> Row | None:
    """The row with these columns; its origin stays. None when there is none."""
    found = await scope.one(
        "UPDATE dataset_rows SET input = %(input)s, output = %(output)s, sources = %(sources)s,"
        " metadata = %(metadata)s, draft = %(draft)s, updated_at = clock_timestamp()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s RETURNING *",
        id=row_id,
        input=row.input,
        output=row.output,
        sources=Jsonb(_sources(row.sources)),
        metadata=Jsonb(dict(row.metadata)),
        draft=row.draft,
    )
    return _row(found) if found else None


async def row_page(
    scope: Scope, dataset_id: UUID, offset: int, size: int, draft: bool | None = None
) -> tuple[list[Row], int]:
    """Rows in the order of their numbers, all or those that are drafts or not, and how many there are of them."""
    rows = await scope.all(
        "SELECT * FROM dataset_rows WHERE workspace_id = %(workspace)s AND dataset_id = %(dataset)s"
        " AND (%(draft)s::boolean IS NULL OR draft = %(draft)s)"
        " ORDER BY sequence_no, ordinal LIMIT %(size)s OFFSET %(offset)s",
        dataset=dataset_id,
        draft=draft,
        size=size,
        offset=offset,
    )
    total = await scope.one(
        "SELECT count(*) AS total FROM dataset_rows WHERE workspace_id = %(workspace)s"
        " AND dataset_id = %(dataset)s AND (%(draft)s::boolean IS NULL OR draft = %(draft)s)",
        dataset=dataset_id,
        draft=draft,
    )
    return [_row(row) for row in rows], int(total["total"]) if total else 0


async def rows_after(
    scope: Scope, dataset_id: UUID, after: tuple[int, int], size: int, draft: bool | None = None
) -> list[Row]:
    """The next rows after a number and ordinal, in order: every page costs the same, the last one too."""
    rows = await scope.all(
        "SELECT * FROM dataset_rows WHERE workspace_id = %(workspace)s AND dataset_id = %(dataset)s"
        " AND (sequence_no, ordinal) > (%(number)s::bigint, %(ordinal)s::bigint)"
        " AND (%(draft)s::boolean IS NULL OR draft = %(draft)s)"
        " ORDER BY sequence_no, ordinal LIMIT %(size)s",
        dataset=dataset_id,
        number=after[0],
        ordinal=after[1],
        draft=draft,
        size=size,
    )
    return [_row(row) for row in rows]


async def datasets_of(scope: Scope, row_ids: Sequence[UUID]) -> list[UUID]:
    """The datasets that these rows belong to, in the order in which they are to be locked."""
    rows = await scope.all(
        "SELECT DISTINCT dataset_id FROM dataset_rows WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)"
        " ORDER BY dataset_id",
        ids=list(row_ids),
    )
    return [row["dataset_id"] for row in rows]


async def delete_rows(scope: Scope, dataset_id: UUID, row_ids: Sequence[UUID]) -> int:
    """Remove those of the rows that the dataset has; says how many."""
    return await scope.run(
        "DELETE FROM dataset_rows WHERE workspace_id = %(workspace)s AND dataset_id = %(dataset)s"
        " AND id = ANY(%(ids)s)",
        dataset=dataset_id,
        ids=list(row_ids),
    )


async def renumber(scope: Scope, dataset_id: UUID, numbers: Sequence[tuple[UUID, int]]) -> set[UUID]:
    """Give rows of a dataset their numbers; says which of them there are."""
    rows = await scope.all(
        "UPDATE dataset_rows SET sequence_no = given.number, updated_at = clock_timestamp()"
        " FROM unnest(%(ids)s::uuid[], %(numbers)s::bigint[]) AS given (id, number)"
        " WHERE workspace_id = %(workspace)s AND dataset_id = %(dataset)s AND dataset_rows.id = given.id"
        " RETURNING dataset_rows.id",
        dataset=dataset_id,
        ids=[item for item, _ in numbers],
        numbers=[number for _, number in numbers],
    )
    return {row["id"] for row in rows}


async def accept(scope: Scope, dataset_id: UUID, row_ids: Sequence[UUID] | None) -> tuple[int, int]:
    """Make drafts rows, all or those of these ids, unless they have neither an output nor sources: how many, and how
    many were left drafts for that."""
    done = await scope.run(
        "UPDATE dataset_rows SET draft = false, updated_at = clock_timestamp()"
        " WHERE workspace_id = %(workspace)s AND dataset_id = %(dataset)s AND draft"
        " AND (%(all)s OR id = ANY(%(ids)s::uuid[])) AND (output <> '' OR sources <> '[]')",
        dataset=dataset_id,
        all=row_ids is None,
        ids=list(row_ids or ()),
    )
    left = await scope.one(
        "SELECT count(*) AS total FROM dataset_rows WHERE workspace_id = %(workspace)s"
        " AND dataset_id = %(dataset)s AND draft AND (%(all)s OR id = ANY(%(ids)s::uuid[]))",
        dataset=dataset_id,
        all=row_ids is None,
        ids=list(row_ids or ()),
    )
    return done, int(left["total"]) if left else 0


async def known(scope: Scope, dataset_id: UUID, origins: Sequence[str]) -> set[str]:
    """Those of the origins that the dataset has rows of."""
    rows = await scope.all(
        "SELECT origin FROM dataset_rows WHERE workspace_id = %(workspace)s AND dataset_id = %(dataset)s"
        " AND origin = ANY(%(origins)s)",
        dataset=dataset_id,
        origins=list(origins),
    )
    return {row["origin"] for row in rows}


_RATED: LiteralString = """
    SELECT m.id, m.sequence, m.content AS answer, m.source_documents, f.rating, f.content AS said, q.content AS question
    FROM feedback f JOIN chat_messages m ON m.id = f.message_id
    JOIN LATERAL (
        SELECT u.content FROM chat_messages u
        WHERE u.chatflow_id = m.chatflow_id AND u.session_id = m.session_id AND u.caller = m.caller
            AND u.sequence < m.sequence AND u.role = 'userMessage' ORDER BY u.sequence DESC LIMIT 1) AS q ON true
    WHERE f.workspace_id = %(workspace)s AND f.chatflow_id = %(chatflow)s AND f.rating = ANY(%(ratings)s)
        AND m.role = 'apiMessage' AND m.state = 'complete' AND m.sequence > %(after)s AND q.content <> ''
        AND (%(start)s::timestamptz IS NULL OR m.created_at >= %(start)s)
        AND (%(end)s::timestamptz IS NULL OR m.created_at <= %(end)s)
        AND (%(everything)s OR (position('/' IN m.caller) = 0 AND m.caller NOT IN (
            SELECT 'key:' || k.id FROM api_keys k
            WHERE k.workspace_id = %(workspace)s AND k.principals IS NOT NULL)))
    ORDER BY m.sequence LIMIT %(limit)s
"""
"""Answers that were rated, each with the question before it in its session; as messages are listed, what was said to
somebody with principals is only for those who may read everything."""


async def rated(scope: Scope, wanted: RatedAnswers, after: int, limit: int) -> list[RatedAnswer]:
    """Rated answers of a chatflow after a place in its order, oldest first."""
    rows = await scope.all(
        _RATED,
        chatflow=wanted.chatflow,
        ratings=[rating.value for rating in wanted.ratings],
        start=wanted.start,
        end=wanted.end,
        everything=wanted.everything,
        after=after,
        limit=limit,
    )
    return [
        RatedAnswer(
            id=row["id"],
            sequence=row["sequence"],
            question=row["question"],
            answer=row["answer"],
            sources=row["source_documents"],
            rating=Rating(row["rating"]),
            said=row["said"],
        )
        for row in rows
    ]


_EXCERPTS: LiteralString = """
    SELECT id, document_id, head, text, metadata FROM (
        SELECT c.id, c.document_id, c.head, c.text, c.metadata, md5(c.id::text || %(seed)s) AS lot,
            row_number() OVER (PARTITION BY c.document_id ORDER BY md5(c.id::text || %(seed)s)) AS turn
        FROM chunks c JOIN documents d ON d.id = c.document_id JOIN document_stores s ON s.id = c.store_id
        WHERE c.workspace_id = %(workspace)s AND c.store_id = %(store)s AND c.live AND length(c.text) >= %(least)s
            AND d.principals IS NULL AND NOT s.restricted AND s.deleted_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM dataset_rows r WHERE r.dataset_id = %(dataset)s
                AND r.origin = 'chunk:' || c.id)) AS drawn
    ORDER BY turn, lot LIMIT %(limit)s
"""
"""Chunks by lot, each document's first before any document's second; not those that the dataset has rows of, nor those
that not everybody may find."""


async def excerpts(
    scope: Scope, store_id: UUID, dataset_id: UUID, *, seed: int, least: int, limit: int
) -> list[Excerpt]:
    """Chunks of a document store to make questions of, of at least so many characters."""
    rows = await scope.all(_EXCERPTS, store=store_id, dataset=dataset_id, seed=str(seed), least=least, limit=limit)
    return [Excerpt(row["id"], row["document_id"], row["head"], row["text"], row["metadata"]) for row in rows]
