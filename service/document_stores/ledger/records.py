"""The rows of documents."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.document_stores.ledger.types import DocumentRow, DocumentState, told
from stores.records.database import Scope
from stores.vector.points import encode


def _document(scope: Scope, row: DictRow) -> DocumentRow:
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
        recipe=scope.opened(row["recipe"]),
        state=DocumentState(row["state"]),
        digest=row["digest"],
        error_code=row["error_code"],
        error=row["error"],
        chunks=row["chunks"],
        characters=row["characters"],
        superseded=row["superseded"],
        principals=row["principals"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def claim(scope: Scope, row: Mapping[str, Any], *, remake: bool = False) -> tuple[UUID, str | None]:
    """Put an upload into the ledger under its source: a new document, or the newest content of a known one.

    The document then belongs to the job in `row`. `remake` has edited chunks made again though the content is the same.
    A row without `namespace` is in the one without a name. A new document may be found by whom its loader says, a known
    one by whom it says. Returns its id, and the blob that this upload replaced.
    """
    before = await scope.one(
        "SELECT id, blob FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store_id)s"
        " AND source = %(source)s FOR UPDATE",
        store_id=row["store_id"],
        source=row["source"],
    )
    params = {"namespace": "", **row, "recipe": Jsonb(scope.sealed(row["recipe"]), encode), "remake": remake}
    after = await scope.one(
        "INSERT INTO documents (id, workspace_id, store_id, loader_id, job_id, source, name, mime, size, sha256, blob,"
        " recipe, namespace, principals) VALUES (%(id)s, %(workspace)s, %(store_id)s, %(loader_id)s, %(job_id)s,"
        " %(source)s, %(name)s, %(mime)s, %(size)s, %(sha256)s, %(blob)s, %(recipe)s, %(namespace)s,"
        " (SELECT principals FROM loaders WHERE id = %(loader_id)s))"
        " ON CONFLICT (store_id, source) DO UPDATE SET loader_id = excluded.loader_id, job_id = excluded.job_id,"
        " name = excluded.name, mime = excluded.mime, size = excluded.size, sha256 = excluded.sha256,"
        " blob = excluded.blob, recipe = excluded.recipe, namespace = excluded.namespace, state = 'pending',"
        " updated_at = now(),"
        " digest = CASE WHEN %(remake)s AND documents.edited THEN NULL ELSE documents.digest END RETURNING id",
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
    return {row["source"]: _document(scope, row) for row in rows}


async def of_job(scope: Scope, job_id: UUID) -> list[DocumentRow]:
    """The documents that still wait for this job, in order of upload."""
    rows = await scope.all(
        "SELECT * FROM documents WHERE workspace_id = %(workspace)s AND job_id = %(job)s AND state = 'pending'"
        " ORDER BY created_at, id",
        job=job_id,
    )
    return [_document(scope, row) for row in rows]


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
    return [_document(scope, row) for row in rows]


async def lock(scope: Scope, document_ids: Sequence[UUID], job_id: UUID) -> set[UUID]:
    """Lock those documents for the transaction that still belong to this job, and say which they are."""
    rows = await scope.all(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s) AND job_id = %(job)s"
        " ORDER BY id FOR UPDATE",
        ids=list(document_ids),
        job=job_id,
    )
    return {row["id"] for row in rows}


async def lock_waiting(scope: Scope, store_id: UUID, sources: Sequence[str] | None) -> None:
    """Lock those documents of these sources, or of all, that wait for a job or leave with one. Who ends a job locks
    them in the same order, and no document store before."""
    await scope.run(
        "SELECT d.id FROM jobs j JOIN documents d ON d.job_id = j.id WHERE d.workspace_id = %(workspace)s"
        " AND j.store_id = %(store)s AND j.state IN ('queued', 'running', 'paused')"
        " AND d.state IN ('pending', 'leaving') AND (%(sources)s::text[] IS NULL OR d.source = ANY(%(sources)s))"
        " ORDER BY d.id FOR UPDATE OF d",
        store=store_id,
        sources=None if sources is None else list(sources),
    )


async def complete(
    scope: Scope, document: DocumentRow, digest: bytes, mime: str | None, job_id: UUID, *, superseded: int = 0
) -> None:
    """The document's planned chunks are all there, and no others but `superseded` former ones: they become live. What
    was not live before counts as added by this job."""
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
        " error_code = NULL, error = NULL, edited = false, removed = 0, superseded = %(superseded)s,"
        " updated_at = now(),"
        " (chunks, characters) = (SELECT count(*), coalesce(sum(length(text)), 0) FROM chunks"
        " WHERE document_id = %(id)s) WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=document.id,
        digest=digest,
        mime=mime,
        superseded=superseded,
    )


async def settle(scope: Scope, store_id: UUID, document_ids: Sequence[UUID], job_id: UUID) -> dict[UUID, int]:
    """These documents of the job are as they should be: ready without work. Returns their numbers of chunks, without
    those of former content; documents that are another job's by now are left out."""
    mine = await lock(scope, document_ids, job_id)
    rows = await scope.all(
        "UPDATE documents SET state = 'ready', error_code = NULL, error = NULL, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = ANY(%(ids)s)"
        " RETURNING id, greatest(chunks - superseded, 0) AS chunks",
        store=store_id,
        ids=list(mine),
    )
    await _follow(scope, [row["id"] for row in rows])
    return {row["id"]: row["chunks"] for row in rows}


async def _follow(scope: Scope, document_ids: Sequence[UUID]) -> None:
    """The chunks of these documents belong to the loaders that their documents belong to by now."""
    await scope.run(
        "UPDATE chunks c SET loader_id = d.loader_id FROM documents d WHERE c.workspace_id = %(workspace)s"
        " AND d.id = c.document_id AND d.id = ANY(%(ids)s) AND c.loader_id <> d.loader_id",
        ids=list(document_ids),
    )


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
        message=told(message),
    )
    if touched:
        await _follow(scope, [document_id])
    return touched == 1


async def give_up(scope: Scope, job_id: UUID, code: str, message: str) -> None:
    """What waits for a job that has ended fails with its reason; what was to leave with it stays, and is remembered to
    have outlived it."""
    rows = await scope.all(
        # locked in the order of all others, as a call that cancels does this while the job's worker commits
        "WITH waiting AS MATERIALIZED (SELECT id FROM documents WHERE workspace_id = %(workspace)s"
        " AND job_id = %(job)s AND state IN ('pending', 'leaving') ORDER BY id FOR UPDATE)"
        " UPDATE documents d SET"
        " state = CASE WHEN d.state = 'leaving' AND d.error IS NULL THEN 'ready' ELSE 'failed' END,"
        " error_code = CASE d.state WHEN 'leaving' THEN d.error_code ELSE %(code)s END,"
        " error = CASE d.state WHEN 'leaving' THEN d.error ELSE %(message)s END,"
        " outlived = CASE d.state WHEN 'leaving' THEN d.job_id END, updated_at = now()"
        " FROM waiting WHERE d.id = waiting.id RETURNING d.id",
        job=job_id,
        code=code,
        message=told(message),
    )
    await _follow(scope, [row["id"] for row in rows])


async def mark_leaving(scope: Scope, loader_id: UUID, sources: Sequence[str], job_id: UUID | None) -> list[str]:
    """The documents of a loader, but for these sources, are to be removed when the job is done (no job: the next one of
    the loader); returns their blobs."""
    rows = await scope.all(
        "UPDATE documents SET state = 'leaving', job_id = %(job)s WHERE workspace_id = %(workspace)s"
        " AND loader_id = %(loader)s AND source <> ALL(%(sources)s) RETURNING blob",
        loader=loader_id,
        sources=list(sources),
        job=job_id,
    )
    return [row["blob"] for row in rows if row["blob"]]


async def mark_others_leaving(
    scope: Scope, store_id: UUID, namespace: str, job_id: UUID, *, but: Sequence[str] = ()
) -> list[str]:
    """The documents of a namespace that are not the job's are to be removed when it is done, those of the loaders in
    `but` excepted; returns their blobs."""
    rows = await scope.all(
        "UPDATE documents SET state = 'leaving', job_id = %(job)s WHERE workspace_id = %(workspace)s"
        " AND store_id = %(store)s AND namespace = %(namespace)s AND job_id IS DISTINCT FROM %(job)s"
        " AND loader_id <> ALL(%(but)s::uuid[]) RETURNING blob",
        store=store_id,
        namespace=namespace,
        job=job_id,
        but=list(but),
    )
    return [row["blob"] for row in rows if row["blob"]]


async def claim_all(
    scope: Scope, loader_id: UUID, recipe: Mapping[str, Any], job_id: UUID | None, *, namespace: str | None = None
) -> int:
    """Give the documents of a loader to a job, to be made again from their uploads by a recipe, those with edited
    chunks even if it is the same one; says how many. They stay in their namespace unless another is given. Those that
    were taken off the loader leave with the job."""
    return await scope.run(
        "UPDATE documents SET state = CASE WHEN state = 'leaving' AND job_id IS NULL THEN state ELSE 'pending' END,"
        " job_id = %(job)s, recipe = %(recipe)s, updated_at = now(),"
        " namespace = coalesce(%(namespace)s, namespace),"
        " digest = CASE WHEN edited THEN NULL ELSE digest END"
        " WHERE workspace_id = %(workspace)s AND loader_id = %(loader)s",
        loader=loader_id,
        recipe=Jsonb(scope.sealed(recipe), encode),
        job=job_id,
        namespace=namespace,
    )


async def claim_named(
    scope: Scope,
    loader_id: UUID,
    names: Sequence[str],
    recipe: Mapping[str, Any],
    job_id: UUID | None,
    *,
    but: Sequence[str],
) -> list[str]:
    """As `claim_all`, of the documents with these names only, without the sources in `but`; returns their sources."""
    rows = await scope.all(
        "UPDATE documents SET state = 'pending', job_id = %(job)s, recipe = %(recipe)s, updated_at = now(),"
        " digest = CASE WHEN edited THEN NULL ELSE digest END"
        " WHERE workspace_id = %(workspace)s AND loader_id = %(loader)s AND name = ANY(%(names)s)"
        " AND source <> ALL(%(but)s) RETURNING source",
        loader=loader_id,
        names=list(names),
        but=list(but),
        recipe=Jsonb(scope.sealed(recipe)),
        job=job_id,
    )
    return [row["source"] for row in rows]


async def leaving_blobs(scope: Scope, loader_id: UUID) -> list[str]:
    """The uploads of the documents that are to leave a loader."""
    rows = await scope.all(
        "SELECT blob FROM documents WHERE workspace_id = %(workspace)s AND loader_id = %(loader)s"
        " AND state = 'leaving'",
        loader=loader_id,
    )
    return [row["blob"] for row in rows if row["blob"]]


async def leaving(scope: Scope, job_id: UUID) -> list[UUID]:
    """The documents that leave with a job, locked."""
    rows = await scope.all(
        "SELECT id FROM documents WHERE workspace_id = %(workspace)s AND job_id = %(job)s AND state = 'leaving'"
        " ORDER BY id FOR UPDATE",
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
        "SELECT blob FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND blob <> ''",
        store=store_id,
    )
    return [row["blob"] for row in rows]


async def count_live(scope: Scope, store_id: UUID) -> int:
    """Chunks of a document store that may be shown."""
    row = await scope.one(
        "SELECT coalesce(sum(chunks), 0) AS n FROM documents WHERE workspace_id = %(workspace)s"
        " AND store_id = %(store)s",
        store=store_id,
    )
    return int(row["n"]) if row else 0
