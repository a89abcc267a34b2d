"""The rows of documents and chunks."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.document_stores.ledger.types import ChunkRow, DocumentRow, DocumentState, NewChunk
from stores.records.database import Scope
from stores.vector.filters import Filter
from stores.vector.jsonb import compile_filter


def _document(row: DictRow) -> DocumentRow:
    return DocumentRow(
        id=row["id"],
        store_id=row["store_id"],
        loader_id=row["loader_id"],
        job_id=row["job_id"],
        source=row["source"],
        name=row["name"],
        mime=row["mime"],
        size=row["size"],
        sha256=row["sha256"],
        blob=row["blob"],
        recipe=row["recipe"],
        state=DocumentState(row["state"]),
        digest=row["digest"],
        error_code=row["error_code"],
        error=row["error"],
        chunks=row["chunks"],
        characters=row["characters"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _chunk(row: DictRow) -> ChunkRow:
    return ChunkRow(
        id=row["id"],
        document_id=row["document_id"],
        loader_id=row["loader_id"],
        number=row["number"],
        position=row["position"],
        text=row["text"],
        metadata=row["metadata"],
    )


# Documents


async def claim(scope: Scope, row: Mapping[str, Any]) -> tuple[UUID, str | None]:
    """Put an upload into the ledger under its source: a new document, or the newest content of a known one.

    The document then belongs to the job in `row`. Returns its id, and the blob that this upload replaced.
    """
    before = await scope.one(
        "SELECT id, blob FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store_id)s"
        " AND source = %(source)s FOR UPDATE",
        store_id=row["store_id"],
        source=row["source"],
    )
    params = {**row, "recipe": Jsonb(row["recipe"])}
    after = await scope.one(
        "INSERT INTO documents (id, workspace_id, store_id, loader_id, job_id, source, name, mime, size, sha256, blob,"
        " recipe) VALUES (%(id)s, %(workspace)s, %(store_id)s, %(loader_id)s, %(job_id)s, %(source)s, %(name)s,"
        " %(mime)s, %(size)s, %(sha256)s, %(blob)s, %(recipe)s)"
        " ON CONFLICT (store_id, source) DO UPDATE SET loader_id = excluded.loader_id, job_id = excluded.job_id,"
        " name = excluded.name, mime = excluded.mime, size = excluded.size, sha256 = excluded.sha256,"
        " blob = excluded.blob, recipe = excluded.recipe, state = 'pending', updated_at = now()"
        " RETURNING id",
        **params,
    )
    assert after is not None
    return after["id"], before["blob"] if before else None


async def by_source(scope: Scope, store_id: UUID, sources: Sequence[str]) -> dict[str, DocumentRow]:
    """The documents of these sources, by source."""
    rows = await scope.all(
        "SELECT * FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND source = ANY(%(sources)s)",
        store=store_id,
        sources=list(sources),
    )
    return {row["source"]: _document(row) for row in rows}


async def of_job(scope: Scope, job_id: UUID) -> list[DocumentRow]:
    """The documents that still wait for this job, in order of upload."""
    rows = await scope.all(
        "SELECT * FROM documents WHERE workspace_id = %(workspace)s AND job_id = %(job)s AND state = 'pending'"
        " ORDER BY created_at, id",
        job=job_id,
    )
    return [_document(row) for row in rows]


async def of_store(
    scope: Scope, store_id: UUID, *, loader_id: UUID | None = None, offset: int = 0, limit: int = 10_000
) -> list[DocumentRow]:
    """The documents of a document store, or of one of its loaders, in order of upload."""
    rows = await scope.all(
        "SELECT * FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND (%(loader)s::uuid IS NULL OR loader_id = %(loader)s) ORDER BY created_at, id"
        " OFFSET %(offset)s LIMIT %(limit)s",
        store=store_id,
        loader=loader_id,
        offset=offset,
        limit=limit,
    )
    return [_document(row) for row in rows]


async def lock(scope: Scope, document_ids: Sequence[UUID], job_id: UUID) -> set[UUID]:
    """Lock those documents for the transaction that still belong to this job, and say which they are."""
    rows = await scope.all(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s) AND job_id = %(job)s"
        " ORDER BY id FOR UPDATE",
        ids=list(document_ids),
        job=job_id,
    )
    return {row["id"] for row in rows}


async def complete(scope: Scope, document: DocumentRow, digest: bytes, mime: str | None, job_id: UUID) -> None:
    """The document's planned chunks are all there, and no others: they become live. What was not live before counts
    as added by this job."""
    await scope.run(
        "UPDATE chunks SET live = true, loader_id = %(loader)s,"
        " job_id = CASE WHEN live THEN job_id ELSE %(job)s END"
        " WHERE workspace_id = %(workspace)s AND document_id = %(id)s AND (NOT live OR loader_id <> %(loader)s)",
        id=document.id,
        loader=document.loader_id,
        job=job_id,
    )
    await scope.run(
        "UPDATE documents SET state = 'ready', digest = %(digest)s, mime = coalesce(mime, %(mime)s),"
        " error_code = NULL, error = NULL, updated_at = now(),"
        " (chunks, characters) = (SELECT count(*), coalesce(sum(length(text)), 0) FROM chunks"
        " WHERE document_id = %(id)s) WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=document.id,
        digest=digest,
        mime=mime,
    )


async def settle(scope: Scope, store_id: UUID, document_ids: Sequence[UUID], job_id: UUID) -> dict[UUID, int]:
    """These documents of the job are as they should be: ready without work. Returns their numbers of chunks; those
    that are another job's by now are left out."""
    rows = await scope.all(
        "UPDATE documents SET state = 'ready', error_code = NULL, error = NULL, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = ANY(%(ids)s) AND job_id = %(job)s"
        " RETURNING id, chunks",
        store=store_id,
        ids=list(document_ids),
        job=job_id,
    )
    await scope.run(
        "UPDATE chunks c SET loader_id = d.loader_id FROM documents d WHERE c.workspace_id = %(workspace)s"
        " AND d.id = c.document_id AND d.id = ANY(%(ids)s) AND c.loader_id <> d.loader_id",
        ids=[row["id"] for row in rows],
    )
    return {row["id"]: row["chunks"] for row in rows}


async def chunks_done(scope: Scope, job_id: UUID) -> int:
    """How many chunks the documents hold that this job is done with."""
    row = await scope.one(
        "SELECT coalesce(sum(chunks), 0) AS n FROM documents WHERE workspace_id = %(workspace)s"
        " AND job_id = %(job)s AND state = 'ready'",
        job=job_id,
    )
    return int(row["n"]) if row else 0


async def fail(scope: Scope, document_id: UUID, job_id: UUID, code: str, message: str) -> bool:
    """The newest upload could not be indexed; chunks of an earlier one stay. False when it is another job's now."""
    touched = await scope.run(
        "UPDATE documents SET state = 'failed', error_code = %(code)s, error = %(message)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND job_id = %(job)s",
        id=document_id,
        job=job_id,
        code=code,
        message=message,
    )
    return touched == 1


async def give_up(scope: Scope, job_id: UUID, code: str, message: str) -> None:
    """What waits for a job that has ended fails with its reason; what was to leave with it stays."""
    await scope.run(
        "UPDATE documents SET state = CASE WHEN state = 'leaving' AND error IS NULL THEN 'ready' ELSE 'failed' END,"
        " error_code = CASE state WHEN 'leaving' THEN error_code ELSE %(code)s END,"
        " error = CASE state WHEN 'leaving' THEN error ELSE %(message)s END, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND job_id = %(job)s AND state IN ('pending', 'leaving')",
        job=job_id,
        code=code,
        message=message,
    )


async def mark_leaving(scope: Scope, loader_id: UUID, sources: Sequence[str], job_id: UUID) -> list[str]:
    """The documents of a loader, but for these sources, are to be removed when the job is done; returns their blobs."""
    rows = await scope.all(
        "UPDATE documents SET state = 'leaving', job_id = %(job)s WHERE workspace_id = %(workspace)s"
        " AND loader_id = %(loader)s AND source <> ALL(%(sources)s) RETURNING blob",
        loader=loader_id,
        sources=list(sources),
        job=job_id,
    )
    return [row["blob"] for row in rows]


async def claim_all(scope: Scope, loader_id: UUID, recipe: Mapping[str, Any], job_id: UUID) -> int:
    """Give the documents of a loader to a job, to be indexed from their uploads by another recipe; says how many."""
    return await scope.run(
        "UPDATE documents SET state = 'pending', job_id = %(job)s, recipe = %(recipe)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND loader_id = %(loader)s",
        loader=loader_id,
        recipe=Jsonb(dict(recipe)),
        job=job_id,
    )


async def leaving(scope: Scope, job_id: UUID) -> list[UUID]:
    """The documents that leave with a job, locked."""
    rows = await scope.all(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND job_id = %(job)s AND state = 'leaving'"
        " ORDER BY id FOR UPDATE",
        job=job_id,
    )
    return [row["id"] for row in rows]


async def chunks_of(scope: Scope, document_ids: Sequence[UUID]) -> list[UUID]:
    """The chunks of these documents, live or not."""
    rows = await scope.all(
        "SELECT id FROM chunks WHERE workspace_id = %(workspace)s AND document_id = ANY(%(ids)s)",
        ids=list(document_ids),
    )
    return [row["id"] for row in rows]


async def hidden_chunks(scope: Scope, document_ids: Sequence[UUID]) -> list[UUID]:
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
        " AND (d.job_id = %(job)s OR (c.job_id = %(job)s AND d.state <> 'pending')) FOR UPDATE OF d",
        store=store_id,
        job=job_id,
    )
    return [row["id"] for row in rows]


async def delete_documents(scope: Scope, document_ids: Sequence[UUID]) -> None:
    """Remove documents whose chunks are gone."""
    await scope.run(
        "DELETE FROM documents WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)", ids=list(document_ids)
    )


async def blobs_in_use(scope: Scope, store_id: UUID, keys: Sequence[str]) -> set[str]:
    """Those of the blobs that a document has."""
    rows = await scope.all(
        "SELECT blob FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND blob = ANY(%(keys)s)",
        store=store_id,
        keys=list(keys),
    )
    return {row["blob"] for row in rows}


async def blobs_of_store(scope: Scope, store_id: UUID) -> list[str]:
    """The blob keys of every document of a document store."""
    rows = await scope.all(
        "SELECT blob FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s", store=store_id
    )
    return [row["blob"] for row in rows]


# Chunks


async def chunk_index(scope: Scope, document_id: UUID) -> dict[UUID, DictRow]:
    """Every chunk of a document by id: job, number, position, metadata, whether it is live."""
    rows = await scope.all(
        "SELECT id, job_id, number, position, metadata, live FROM chunks"
        " WHERE workspace_id = %(workspace)s AND document_id = %(document)s",
        document=document_id,
    )
    return {row["id"]: row for row in rows}


async def known(scope: Scope, store_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids that the ledger holds."""
    rows = await scope.all(
        "SELECT id FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = ANY(%(ids)s)",
        store=store_id,
        ids=list(ids),
    )
    return {row["id"] for row in rows}


async def insert_chunks(
    scope: Scope,
    store_id: UUID,
    job_id: UUID,
    rows: Sequence[tuple[DocumentRow, NewChunk, int]],
) -> None:
    """Add chunks with their numbers in the keyword index; they become live with `complete`."""
    async with (
        scope.connection.cursor() as cursor,
        cursor.copy(
            "COPY chunks (id, workspace_id, store_id, document_id, loader_id, number, position, text, metadata, job_id)"
            " FROM STDIN (FORMAT BINARY)"
        ) as copy,
    ):
        copy.set_types(["uuid", "uuid", "uuid", "uuid", "uuid", "int4", "int4", "text", "jsonb", "uuid"])
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
                    chunk.text,
                    Jsonb(dict(chunk.metadata)),
                    job_id,
                )
            )


async def revise_chunks(scope: Scope, store_id: UUID, rows: Sequence[tuple[UUID, int, Mapping[str, Any]]]) -> None:
    """Give chunks whose text stayed their new position and metadata."""
    if rows:
        await scope.many(
            "UPDATE chunks SET position = %(position)s, metadata = %(metadata)s"
            " WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = %(id)s",
            [
                {"id": row, "position": position, "metadata": Jsonb(dict(meta)), "store": store_id}
                for row, position, meta in rows
            ],
        )


async def delete_chunks(scope: Scope, store_id: UUID, ids: Sequence[UUID]) -> list[int]:
    """Remove chunks; returns their numbers, for the keyword index."""
    rows = await scope.all(
        "DELETE FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = ANY(%(ids)s)"
        " RETURNING number",
        store=store_id,
        ids=list(ids),
    )
    return [row["number"] for row in rows]


async def best_chunks(scope: Scope, store_id: UUID, numbers: Sequence[int], limit: int) -> list[ChunkRow]:
    """The first `limit` of the numbered chunks that may be shown, in the order of `numbers`."""
    rows = await scope.all(
        "SELECT c.id, c.document_id, c.loader_id, c.number, c.position, c.text, c.metadata"
        " FROM unnest(%(numbers)s::int[]) WITH ORDINALITY AS wanted (number, place)"
        " JOIN chunks c ON c.store_id = %(store)s AND c.number = wanted.number AND c.live"
        " JOIN document_stores s ON s.id = c.store_id AND s.deleted_at IS NULL"
        " WHERE c.workspace_id = %(workspace)s ORDER BY wanted.place LIMIT %(limit)s",
        store=store_id,
        numbers=list(numbers),
        limit=limit,
    )
    return [_chunk(row) for row in rows]


async def numbers_where(scope: Scope, store_id: UUID, where: Filter) -> list[int]:
    """The numbers of the live chunks whose metadata pass a filter, in ascending order."""
    compiled = compile_filter(where, sql.Identifier("metadata"))
    statement = sql.SQL(
        "SELECT number FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND live AND {}"
        " ORDER BY number"
    ).format(compiled.expression)
    rows = await scope.all(statement, store=store_id, **compiled.params)
    return [row["number"] for row in rows]


async def count_chunks(scope: Scope, store_id: UUID) -> int:
    """Chunks of a document store, live or not."""
    row = await scope.one(
        "SELECT count(*) AS n FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s", store=store_id
    )
    return int(row["n"]) if row else 0


async def count_live(scope: Scope, store_id: UUID) -> int:
    """Chunks of a document store that may be shown."""
    row = await scope.one(
        "SELECT coalesce(sum(chunks), 0) AS n FROM documents WHERE workspace_id = %(workspace)s"
        " AND store_id = %(store)s",
        store=store_id,
    )
    return int(row["n"]) if row else 0


async def chunk_page(
    scope: Scope, store_id: UUID, loader_id: UUID | None, offset: int, limit: int
) -> tuple[list[ChunkRow], int, int]:
    """A page of the live chunks in order of document and position, their number, and their characters in all."""
    filters = (
        "FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.workspace_id = %(workspace)s"
        " AND c.store_id = %(store)s AND c.live AND (%(loader)s::uuid IS NULL OR c.loader_id = %(loader)s)"
    )
    rows = await scope.all(
        "SELECT c.id, c.document_id, c.loader_id, c.number, c.position, c.text, c.metadata "
        + filters
        + " ORDER BY d.created_at, d.id, c.position OFFSET %(offset)s LIMIT %(limit)s",
        store=store_id,
        loader=loader_id,
        offset=offset,
        limit=limit,
    )
    total = await scope.one(
        "SELECT count(*) AS n, coalesce(sum(length(c.text)), 0) AS characters " + filters,
        store=store_id,
        loader=loader_id,
    )
    assert total is not None
    return [_chunk(row) for row in rows], int(total["n"]), int(total["characters"])


async def added_by(scope: Scope, job_id: UUID, limit: int) -> list[ChunkRow]:
    """The first live chunks that a job added, in reading order."""
    rows = await scope.all(
        "SELECT c.id, c.document_id, c.loader_id, c.number, c.position, c.text, c.metadata FROM chunks c"
        " JOIN documents d ON d.id = c.document_id WHERE c.workspace_id = %(workspace)s AND c.job_id = %(job)s"
        " AND c.live ORDER BY d.created_at, d.id, c.position LIMIT %(limit)s",
        job=job_id,
        limit=limit,
    )
    return [_chunk(row) for row in rows]
