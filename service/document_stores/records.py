"""The rows of document stores and their loaders."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.document_stores.types import (
    Backend,
    Component,
    LoaderFile,
    LoaderRow,
    LoaderStatus,
    StoreRow,
    StoreStatus,
    Use,
)
from stores.records.database import Scope
from stores.vector.points import encode


def _component(scope: Scope, value: Mapping[str, Any] | None) -> Component | None:
    return Component(value["name"], scope.opened(value.get("config") or {})) if value else None


def _json(scope: Scope, value: Component | None) -> Jsonb | None:
    return Jsonb(scope.sealed(value.as_json())) if value else None


def _store(scope: Scope, row: DictRow, loaders: Sequence[LoaderRow] = ()) -> StoreRow:
    if row["busy"]:
        status = StoreStatus.UPSERTING
    elif any(loader.status is not LoaderStatus.SYNC for loader in loaders):
        status = StoreStatus.STALE
    elif not loaders:
        status = StoreStatus.EMPTY
    else:
        status = StoreStatus.SYNC if row["unindexed"] or row["collection"] is None else StoreStatus.UPSERTED
    return StoreRow(
        id=row["id"],
        workspace=row["workspace_id"],
        name=row["name"],
        description=row["description"],
        status=status,
        embedding=_component(scope, row["embedding_config"]),
        vector_store=_component(scope, row["vector_store_config"]),
        record_manager=_component(scope, row["record_manager_config"]),
        fingerprint=row["fingerprint"],
        collection=row["collection"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        backend=Backend.from_json(row["backend"]),
        loaders=loaders,
        restricted=row["restricted"],
        guarded=row.get("guarded", False),
        used_by=[Use(UUID(flow), name) for flow, name in row.get("used_by") or ()],
    )


def _loader(scope: Scope, row: DictRow, files: Sequence[LoaderFile]) -> LoaderRow:
    if row["failed"] and not row["pending"]:
        status = LoaderStatus.STALE
    else:
        status = LoaderStatus.SYNCING if row["pending"] or row["draft"] else LoaderStatus.SYNC
    splitter = Component(row["splitter_id"], scope.opened(row["splitter_config"] or {})) if row["splitter_id"] else None
    return LoaderRow(
        id=row["id"],
        store_id=row["store_id"],
        component=row["loader_id"],
        name=row["loader_name"],
        config=scope.opened(row["loader_config"]),
        splitter=splitter,
        credential=row["credential"],
        status=status,
        chunks=row["chunks"],
        characters=row["characters"],
        files=files,
        principals=row["principals"],
    )


FILE_STATUS = {
    "saved": LoaderStatus.SYNCING,
    "pending": LoaderStatus.SYNCING,
    "ready": LoaderStatus.SYNC,
    "leaving": LoaderStatus.SYNC,
    "failed": LoaderStatus.STALE,
}


async def insert(scope: Scope, store_id: UUID, name: str, description: str | None) -> None:
    """A new, empty document store."""
    await scope.run(
        "INSERT INTO document_stores (id, workspace_id, name, description)"
        " VALUES (%(id)s, %(workspace)s, %(name)s, %(description)s)",
        id=store_id,
        name=name,
        description=description,
    )


async def insert_owned(scope: Scope, store_id: UUID, name: str, flow_id: UUID, node_id: str) -> bool:
    """The document store of a chatflow's node, new unless it is there; the flow cannot be deleted until the transaction
    ends. False when there is no such flow."""
    row = await scope.one(
        "SELECT 1 AS here FROM chatflows WHERE workspace_id = %(workspace)s AND id = %(flow)s FOR KEY SHARE",
        flow=flow_id,
    )
    if row is None:
        return False
    # Whichever index the first of several at the same moment is met in: one named would leave the other's an error.
    await scope.run(
        "INSERT INTO document_stores (id, workspace_id, name, flow_id, node_id)"
        " VALUES (%(id)s, %(workspace)s, %(name)s, %(flow)s, %(node)s) ON CONFLICT DO NOTHING",
        id=store_id,
        name=name,
        flow=flow_id,
        node=node_id,
    )
    return True


async def owned(scope: Scope, flow_id: UUID) -> list[UUID]:
    """The document stores of a chatflow's nodes."""
    rows = await scope.all(
        "SELECT id FROM document_stores WHERE workspace_id = %(workspace)s AND flow_id = %(flow)s"
        " AND deleted_at IS NULL ORDER BY id",
        flow=flow_id,
    )
    return [row["id"] for row in rows]


_FIND: LiteralString = (
    "SELECT *, false AS busy, EXISTS (SELECT 1 FROM documents d WHERE d.store_id = %(id)s AND d.principals IS NOT NULL)"
    " AS guarded, (SELECT c.backend FROM collections c WHERE c.name = document_stores.collection) AS backend"
    " FROM document_stores WHERE workspace_id = %(workspace)s AND id = %(id)s AND deleted_at IS NULL"
)


async def get(scope: Scope, store_id: UUID) -> StoreRow | None:
    """A document store without its loaders: what ingestion and search need, in one query."""
    row = await scope.one(_FIND, id=store_id)
    return _store(scope, row) if row else None


async def lock(scope: Scope, store_id: UUID) -> StoreRow | None:
    """As `get`, and nobody else changes its configuration, deletes it or writes chunks until the transaction ends."""
    row = await scope.one(_FIND + " FOR NO KEY UPDATE", id=store_id)
    return _store(scope, row) if row else None


async def hold(scope: Scope, store_id: UUID) -> StoreRow | None:
    """As `get`, and the document store is neither deleted nor configured until the transaction ends.

    Many may hold it at once. A transaction that wants to change its row takes `lock` in place of this, never after it.
    """
    row = await scope.one(_FIND + " FOR SHARE", id=store_id)
    return _store(scope, row) if row else None


async def page(scope: Scope, store_id: UUID | None, offset: int, limit: int) -> tuple[list[StoreRow], int]:
    """Document stores with their loaders and uses, newest change first (or the one), and how many there are in all.

    Those of chatflow nodes are no part of the list."""
    rows = await scope.all(
        "SELECT s.*, EXISTS (SELECT 1 FROM jobs j WHERE j.store_id = s.id AND (j.kind IN ('index', 'sync', 'copy')"
        " OR j.kind = 'ingest' AND j.payload ->> 'chunkOnly' IS DISTINCT FROM 'true')"
        " AND j.state IN ('queued', 'running', 'paused')) AS busy,"
        " EXISTS (SELECT 1 FROM chunks c WHERE c.store_id = s.id AND c.number IS NULL) AS unindexed,"
        " (SELECT c.backend FROM collections c WHERE c.name = s.collection) AS backend,"
        " (SELECT json_agg(json_build_array(f.id, f.name) ORDER BY f.name, f.id) FROM chatflows f"
        " WHERE f.workspace_id = s.workspace_id AND f.document_stores @> ARRAY[s.id]) AS used_by,"
        " count(*) OVER () AS total FROM document_stores s"
        " WHERE s.workspace_id = %(workspace)s AND s.deleted_at IS NULL"
        " AND CASE WHEN %(id)s::uuid IS NULL THEN s.flow_id IS NULL ELSE s.id = %(id)s END"
        " ORDER BY s.updated_at DESC, s.id OFFSET %(offset)s LIMIT %(limit)s",
        id=store_id,
        offset=offset,
        limit=limit,
    )
    loaders = await loaders_of(scope, [row["id"] for row in rows])
    total = rows[0]["total"] if rows else 0
    if not rows and offset:  # a page beyond the end
        total = await _count(scope)
    return [_store(scope, row, loaders[row["id"]]) for row in rows], total


async def _count(scope: Scope) -> int:
    row = await scope.one(
        "SELECT count(*) AS total FROM document_stores WHERE workspace_id = %(workspace)s AND deleted_at IS NULL"
        " AND flow_id IS NULL"
    )
    return int(row["total"]) if row else 0


async def loaders_of(
    scope: Scope, store_ids: Sequence[UUID], only: Sequence[UUID] | None = None
) -> Mapping[UUID, Sequence[LoaderRow]]:
    """The loaders of document stores, or `only` these of them, with their files, oldest first."""
    named = list(only) if only is not None else None
    rows = await scope.all(
        "SELECT l.*, coalesce(sum(d.chunks), 0)::int AS chunks, coalesce(sum(d.characters), 0)::bigint AS characters,"
        " coalesce(bool_or(d.state IN ('pending', 'saved') OR (d.state = 'leaving' AND d.job_id IS NULL)), false)"
        " AS pending,"
        " coalesce(bool_or(d.state = 'failed'), false) AS failed"
        " FROM loaders l LEFT JOIN documents d ON d.loader_id = l.id"
        " WHERE l.workspace_id = %(workspace)s AND l.store_id = ANY(%(stores)s)"
        " AND (%(only)s::uuid[] IS NULL OR l.id = ANY(%(only)s))"
        " GROUP BY l.id ORDER BY l.created_at, l.id",
        stores=list(store_ids),
        only=named,
    )
    files = await scope.all(
        "SELECT id, loader_id, name, mime, size, state, error, created_at, principals FROM documents"
        " WHERE workspace_id = %(workspace)s AND store_id = ANY(%(stores)s)"
        " AND (%(only)s::uuid[] IS NULL OR loader_id = ANY(%(only)s))"
        " AND NOT (state = 'leaving' AND job_id IS NULL) ORDER BY created_at, id",
        stores=list(store_ids),
        only=named,
    )
    of_loader: defaultdict[UUID, list[LoaderFile]] = defaultdict(list)
    for file in files:
        of_loader[file["loader_id"]].append(
            LoaderFile(
                id=file["id"],
                name=file["name"],
                mime=file["mime"],
                size=file["size"],
                status=FILE_STATUS[file["state"]],
                error=file["error"],
                created_at=file["created_at"],
                principals=file["principals"],
            )
        )
    found: defaultdict[UUID, list[LoaderRow]] = defaultdict(list)
    for row in rows:
        found[row["store_id"]].append(_loader(scope, row, of_loader[row["id"]]))
    return found


async def by_name(scope: Scope, name: str) -> UUID | None:
    """The id of the document store of this name that was changed last."""
    row = await scope.one(
        "SELECT id FROM document_stores WHERE workspace_id = %(workspace)s AND name = %(name)s"
        " AND deleted_at IS NULL ORDER BY updated_at DESC LIMIT 1",
        name=name,
    )
    return row["id"] if row else None


async def update(scope: Scope, store_id: UUID, changes: Mapping[str, Any]) -> bool:
    """Change the name, the description or the configurations that `changes` names; None clears all but the name. False
    when there is no such document store."""
    configs: dict[str, Any] = {
        key: _json(scope, changes.get(key)) for key in ("embedding", "vector_store", "record_manager")
    }
    touched = await scope.run(
        "UPDATE document_stores SET name = coalesce(%(name)s, name),"
        " description = CASE WHEN 'description' = ANY(%(keys)s::text[]) THEN %(description)s ELSE description END,"
        " embedding_config = CASE WHEN 'embedding' = ANY(%(keys)s::text[]) THEN %(embedding)s"
        " ELSE embedding_config END,"
        " vector_store_config = CASE WHEN 'vector_store' = ANY(%(keys)s::text[]) THEN %(vector_store)s"
        " ELSE vector_store_config END,"
        " record_manager_config = CASE WHEN 'record_manager' = ANY(%(keys)s::text[]) THEN %(record_manager)s"
        " ELSE record_manager_config END, restricted = coalesce(%(restricted)s, restricted), updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND deleted_at IS NULL",
        id=store_id,
        keys=list(changes),
        name=changes.get("name"),
        description=changes.get("description"),
        restricted=changes.get("restricted"),
        **configs,
    )
    return touched == 1


async def mark_deleted(scope: Scope, store_id: UUID) -> bool:
    """Hide a document store from every caller; False when there is none."""
    touched = await scope.run(
        "UPDATE document_stores SET deleted_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND deleted_at IS NULL",
        id=store_id,
    )
    return touched == 1


async def empty(scope: Scope, store_id: UUID) -> None:
    """Remove what a deleted document store holds: loaders, documents, chunks, upsert history."""
    await scope.run(
        "DELETE FROM upsert_history WHERE workspace_id = %(workspace)s AND chatflow_id = %(id)s", id=store_id
    )
    for statement in (
        "DELETE FROM documents WHERE workspace_id = %(workspace)s AND store_id = %(id)s",
        "DELETE FROM loaders WHERE workspace_id = %(workspace)s AND store_id = %(id)s",
    ):
        await scope.run(statement, id=store_id)


async def purge(scope: Scope, store_id: UUID) -> None:
    """Remove the row of a deleted document store, and all rows that belong to it."""
    await scope.run(
        "DELETE FROM document_stores WHERE workspace_id = %(workspace)s AND id = %(id)s AND deleted_at IS NOT NULL",
        id=store_id,
    )


async def deleted(scope: Scope, store_id: UUID) -> StoreRow | None:
    """A document store that waits for its purge."""
    row = await scope.one(
        "SELECT *, false AS busy, NULL AS backend FROM document_stores"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND deleted_at IS NOT NULL",
        id=store_id,
    )
    return _store(scope, row) if row else None


async def insert_loader(
    scope: Scope,
    loader_id: UUID,
    store_id: UUID,
    component: Component,
    name: str,
    splitter: Component | None,
    *,
    kept: bool = False,
) -> None:
    """A new loader of a document store; `kept`: it stays when it holds no documents, and is a draft until it is
    processed."""
    await scope.run(
        "INSERT INTO loaders (id, workspace_id, store_id, loader_id, loader_name, loader_config, splitter_id,"
        " splitter_name, splitter_config, credential, kept, draft)"
        " VALUES (%(id)s, %(workspace)s, %(store)s, %(component)s, %(name)s, %(config)s, %(splitter)s, %(splitter)s,"
        " %(splitter_config)s, %(credential)s, %(kept)s, %(kept)s)",
        id=loader_id,
        store=store_id,
        component=component.name,
        name=name,
        config=Jsonb(scope.sealed(component.config), encode),
        credential=component.config.get("credential"),
        kept=kept,
        splitter=splitter.name if splitter else None,
        splitter_config=Jsonb(scope.sealed(splitter.config)) if splitter else None,
    )


async def update_loader(
    scope: Scope, loader_id: UUID, component: Component, name: str | None, splitter: Component | None
) -> bool:
    """Give a loader the recipe of its newest upload; False when there is no such loader."""
    touched = await scope.run(
        "UPDATE loaders SET loader_id = %(component)s, loader_name = coalesce(%(name)s, loader_name),"
        " loader_config = %(config)s, splitter_id = %(splitter)s, splitter_name = %(splitter)s,"
        " splitter_config = %(splitter_config)s, credential = %(credential)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=loader_id,
        component=component.name,
        name=name,
        config=Jsonb(scope.sealed(component.config), encode),
        credential=component.config.get("credential"),
        splitter=splitter.name if splitter else None,
        splitter_config=Jsonb(scope.sealed(splitter.config)) if splitter else None,
    )
    return touched == 1


async def drop_empty_loaders(scope: Scope, store_id: UUID) -> None:
    """Remove loaders whose documents all moved to a newer one, but for those that stay without any; the caller has the
    store's `lock`."""
    await scope.run(
        "DELETE FROM loaders l WHERE l.workspace_id = %(workspace)s AND l.store_id = %(store)s AND NOT l.kept"
        " AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.loader_id = l.id)",
        store=store_id,
    )
