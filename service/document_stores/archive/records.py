"""What the archive reads and writes of the ledger."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.document_stores.archive.types import NewDocument, NewLoader, NewRow
from stores.records.database import Scope
from stores.vector.points import encode

AT_ONCE = 500
"""Rows taken from the server at a time."""


async def freeze(scope: Scope) -> None:
    """Let the transaction, which has not begun to read, see one moment throughout."""
    await scope.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


async def counts(scope: Scope, store_id: UUID) -> DictRow:
    """How many loaders, documents and live chunks there are."""
    row = await scope.one(
        "SELECT (SELECT count(*) FROM loaders WHERE workspace_id = %(workspace)s AND store_id = %(store)s) AS loaders,"
        " (SELECT count(*) FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s) AS documents,"
        " (SELECT count(*) FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND live) AS chunks",
        store=store_id,
    )
    assert row is not None
    return row


async def loaders(scope: Scope, store_id: UUID) -> AsyncIterator[DictRow]:
    """The loaders, the oldest first."""
    async with scope.connection.cursor("archived_loaders") as cursor:
        await cursor.execute(
            "SELECT id, loader_id, loader_name, loader_config, splitter_id, splitter_config, credential, kept,"
            " principals"
            " FROM loaders WHERE workspace_id = %(workspace)s AND store_id = %(store)s ORDER BY created_at, id",
            {"workspace": scope.workspace, "store": store_id},
        )
        while rows := await cursor.fetchmany(AT_ONCE):
            for row in rows:
                yield {**row, **{part: scope.opened(row[part]) for part in ("loader_config", "splitter_config")}}


async def documents(scope: Scope, store_id: UUID) -> AsyncIterator[DictRow]:
    """The documents, the oldest first, with the place of their loader in `loaders`."""
    async with scope.connection.cursor("archived_documents") as cursor:
        await cursor.execute(
            "SELECT d.source, d.name, d.mime, d.size, d.sha256, d.blob, d.recipe, d.state, d.digest, d.error_code,"
            " d.error, d.namespace, d.superseded, d.edited, d.principals, l.place - 1 AS loader FROM documents d JOIN"
            " (SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM loaders"
            " WHERE workspace_id = %(workspace)s AND store_id = %(store)s) AS l ON l.id = d.loader_id"
            " WHERE d.workspace_id = %(workspace)s AND d.store_id = %(store)s ORDER BY d.created_at, d.id",
            {"workspace": scope.workspace, "store": store_id},
        )
        while rows := await cursor.fetchmany(AT_ONCE):
            for row in rows:
                yield {**row, "recipe": scope.opened(row["recipe"])}


async def chunks(scope: Scope, store_id: UUID) -> AsyncIterator[DictRow]:
    """The live chunks by document and position, with the place of their document in `documents`."""
    async with scope.connection.cursor("archived_chunks") as cursor:
        await cursor.execute(
            "SELECT c.id, c.number, c.position, c.head, c.text, c.metadata, c.edited, d.place - 1 AS document"
            " FROM chunks c JOIN (SELECT id, row_number() OVER (ORDER BY created_at, id) AS place FROM documents"
            " WHERE workspace_id = %(workspace)s AND store_id = %(store)s) AS d ON d.id = c.document_id"
            " WHERE c.workspace_id = %(workspace)s AND c.store_id = %(store)s AND c.live"
            " ORDER BY d.place, c.position, c.id",
            {"workspace": scope.workspace, "store": store_id},
        )
        while rows := await cursor.fetchmany(AT_ONCE):
            for row in rows:
                yield row


# Import: into a document store that nobody sees yet


async def describe(scope: Scope, store_id: UUID, values: Mapping[str, Any]) -> bool:
    """Give the document store, still hidden, its name and configurations; False when it is gone."""
    touched = await scope.run(
        "UPDATE document_stores SET name = %(name)s, description = %(description)s,"
        " embedding_config = %(embedding)s, vector_store_config = %(vector_store)s,"
        " record_manager_config = %(record_manager)s, restricted = %(restricted)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND deleted_at IS NOT NULL",
        id=store_id,
        name=values["name"],
        description=values["description"],
        restricted=values["restricted"],
        **{
            part: Jsonb(scope.sealed(values[part]), encode) if values[part] is not None else None
            for part in ("embedding", "vector_store", "record_manager")
        },
    )
    return touched == 1


async def hold(scope: Scope, store_id: UUID) -> str | None:
    """Keep the hidden document store from being purged until the transaction ends; its vector collection, "" without
    one, None when it is gone or shown."""
    row = await scope.one(
        "SELECT coalesce(collection, '') AS collection FROM document_stores"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND deleted_at IS NOT NULL FOR NO KEY UPDATE",
        id=store_id,
    )
    return row["collection"] if row else None


async def insert_loaders(scope: Scope, store_id: UUID, rows: Sequence[NewLoader]) -> None:
    """Add loaders, those that are not there."""
    await scope.many(
        "INSERT INTO loaders (id, workspace_id, store_id, loader_id, loader_name, loader_config, splitter_id,"
        " splitter_name, splitter_config, kept, principals, created_at) VALUES (%(id)s, %(workspace)s, %(store)s,"
        " %(component)s, %(label)s, %(config)s, %(splitter)s, %(splitter)s, %(splitter_config)s, %(kept)s,"
        " %(principals)s, clock_timestamp())"
        " ON CONFLICT (id) DO NOTHING",
        [
            {
                "id": row.id,
                "store": store_id,
                "component": row.component.name,
                "label": row.label,
                "config": Jsonb(scope.sealed(row.component.config), encode),
                "splitter": row.splitter.name if row.splitter else None,
                "splitter_config": Jsonb(scope.sealed(row.splitter.config), encode) if row.splitter else None,
                "kept": row.kept,
                "principals": None if row.principals is None else list(row.principals),
            }
            for row in rows
        ],
    )


async def insert_documents(scope: Scope, store_id: UUID, job_id: UUID, rows: Sequence[NewDocument]) -> None:
    """Add documents, those that are not there, without their uploads."""
    await scope.many(
        "INSERT INTO documents (id, workspace_id, store_id, loader_id, job_id, source, name, mime, size, sha256, blob,"
        " recipe, state, digest, error_code, error, namespace, superseded, edited, principals) VALUES (%(id)s,"
        " %(workspace)s, %(store)s, %(loader)s, %(job)s, %(source)s, %(name)s, %(mime)s, %(size)s, %(sha256)s, '',"
        " %(recipe)s, %(state)s, %(digest)s, %(error_code)s, %(error)s, %(namespace)s, %(superseded)s, %(edited)s,"
        " %(principals)s)"
        " ON CONFLICT (id) DO NOTHING",
        [
            {
                "id": row.id,
                "store": store_id,
                "loader": row.loader_id,
                "job": job_id,
                "source": row.source,
                "name": row.name,
                "mime": row.mime,
                "size": row.size,
                "sha256": row.sha256,
                "recipe": Jsonb(scope.sealed(row.recipe), encode),
                "state": row.state,
                "digest": row.digest,
                "error_code": row.error_code,
                "error": row.error,
                "namespace": row.namespace,
                "superseded": row.superseded,
                "edited": row.edited,
                "principals": None if row.principals is None else list(row.principals),
            }
            for row in rows
        ],
    )


async def insert_chunks(scope: Scope, store_id: UUID, rows: Sequence[NewRow]) -> None:
    """Add live chunks, those that are indexed with their number."""
    async with (
        scope.connection.cursor() as cursor,
        cursor.copy(
            "COPY chunks (id, workspace_id, store_id, document_id, loader_id, number, position, head, text, metadata,"
            " job_id, live, edited, own_vector) FROM STDIN (FORMAT BINARY)"
        ) as copy,
    ):
        ids, flags = ["uuid"] * 5, ["bool"] * 3
        copy.set_types([*ids, "int4", "int4", "text", "text", "jsonb", "uuid", *flags])
        for row in rows:
            await copy.write_row(
                (
                    row.id,
                    scope.workspace,
                    store_id,
                    row.document_id,
                    row.loader_id,
                    row.number,
                    row.position,
                    row.head,
                    row.text,
                    Jsonb(dict(row.metadata), encode),
                    row.job_id,
                    True,
                    row.edited,
                    row.own_vector,
                )
            )


async def needs_upload(scope: Scope, store_id: UUID, sha256: bytes) -> bool:
    """Whether a document lacks the upload with this hash."""
    row = await scope.one(
        "SELECT 1 AS one FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND sha256 = %(sha256)s AND blob = '' LIMIT 1",
        store=store_id,
        sha256=sha256,
    )
    return row is not None


async def give_upload(scope: Scope, store_id: UUID, sha256: bytes, blob: str) -> None:
    """Give the documents with this hash their upload."""
    await scope.run(
        "UPDATE documents SET blob = %(blob)s WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND sha256 = %(sha256)s AND blob = ''",
        store=store_id,
        sha256=sha256,
        blob=blob,
    )


async def settle(scope: Scope, store_id: UUID) -> None:
    """Once all chunks are there: count them for their documents."""
    await scope.run(
        "UPDATE documents d SET chunks = sums.chunks, characters = sums.characters FROM"
        " (SELECT document_id, count(*) AS chunks, sum(length(text)) AS characters FROM chunks"
        " WHERE workspace_id = %(workspace)s AND store_id = %(store)s GROUP BY document_id) AS sums"
        " WHERE d.workspace_id = %(workspace)s AND d.id = sums.document_id",
        store=store_id,
    )


async def show(scope: Scope, store_id: UUID) -> None:
    """Let everybody see the document store."""
    await scope.run(
        "UPDATE document_stores SET deleted_at = NULL, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=store_id,
    )
