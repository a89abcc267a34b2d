"""The rows of loaders that fetch, and of their documents."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.document_stores.gathering.types import Held, Origin, Setup, Target
from service.document_stores.ledger.types import DocumentState
from service.document_stores.types import Component
from stores.records.database import Scope

_HELD = (
    "SELECT source, id, loader_id, job_id, state, sha256, blob, origin, recipe #>> '{metadata,source}' AS cited,"
    " CASE WHEN %(recipe)s::jsonb #> '{metadata,source}' IS NULL"
    " THEN recipe #- '{metadata,source}' = %(recipe)s::jsonb ELSE recipe = %(recipe)s::jsonb END AS same_recipe,"
    " blob = '' OR (state = 'failed' AND (size = 0 OR coalesce(error_code = 'upload_lost', false))) AS lost"
    " FROM documents"
    " WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
)


def _held(scope: Scope, row: DictRow) -> Held:
    return Held(
        id=row["id"],
        loader_id=row["loader_id"],
        job_id=row["job_id"],
        state=DocumentState(row["state"]),
        sha256=row["sha256"],
        blob=row["blob"],
        origin=Origin.from_json(scope.opened(row["origin"])) if row["origin"] is not None else None,
        same_recipe=row["same_recipe"],
        cited=row["cited"],
        lost=row["lost"],
    )


async def component(scope: Scope, store_id: UUID, loader_id: UUID) -> tuple[Component, Component | None] | None:
    """A loader's component and splitter, as its row has them; None when it is gone."""
    row = await scope.one(
        "SELECT loader_id, loader_config, splitter_id, splitter_config FROM loaders"
        " WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = %(id)s",
        store=store_id,
        id=loader_id,
    )
    if row is None:
        return None
    splitter = Component(row["splitter_id"], scope.opened(row["splitter_config"] or {})) if row["splitter_id"] else None
    return Component(row["loader_id"], scope.opened(row["loader_config"])), splitter


async def setups(scope: Scope, store_id: UUID, loader_ids: Sequence[UUID]) -> dict[UUID, Setup]:
    """How loaders of a document store are configured; those that it has not are left out. Looks at no document: a
    loader may hold a hundred thousand of them."""
    rows = await scope.all(
        "SELECT id, loader_id, loader_name, loader_config, splitter_id, splitter_config FROM loaders"
        " WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = ANY(%(ids)s)",
        store=store_id,
        ids=list(loader_ids),
    )
    found = {}
    for row in rows:
        config = scope.opened(row["splitter_config"] or {})
        splitter = Component(row["splitter_id"], config) if row["splitter_id"] else None
        found[row["id"]] = Setup(
            row["id"], row["loader_name"], row["loader_id"], scope.opened(row["loader_config"]), splitter
        )
    return found


async def has_loader(scope: Scope, loader_id: UUID) -> bool:
    """Whether a loader is there; it then stays until the transaction ends."""
    row = await scope.one(
        "SELECT 1 AS here FROM loaders WHERE workspace_id = %(workspace)s AND id = %(id)s FOR KEY SHARE", id=loader_id
    )
    return row is not None


async def held_by(scope: Scope, target: Target) -> dict[str, Held]:
    """The documents of the loader, by source."""
    rows = await scope.all(
        _HELD + " AND loader_id = %(loader)s",
        store=target.store_id,
        loader=target.loader_id,
        recipe=Jsonb(scope.sealed(target.recipe)),
    )
    return {row["source"]: _held(scope, row) for row in rows}


async def held_under(scope: Scope, target: Target, source: str) -> Held | None:
    """The document of a source, whichever loader has it."""
    row = await scope.one(
        _HELD + " AND source = %(source)s",
        store=target.store_id,
        source=source,
        recipe=Jsonb(scope.sealed(target.recipe)),
    )
    return _held(scope, row) if row else None


async def reclaim(
    scope: Scope, target: Target, document: Held, recipe: Mapping[str, object], origin: Origin | None
) -> bool:
    """Give a document to the job, to be indexed from the upload it has; False when it has another by now."""
    touched = await scope.run(
        "UPDATE documents SET state = 'pending', loader_id = %(loader)s, job_id = %(job)s, recipe = %(recipe)s,"
        " namespace = %(namespace)s, origin = coalesce(%(origin)s, origin), updated_at = now(),"
        " digest = CASE WHEN %(remake)s AND edited THEN NULL ELSE digest END"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND blob = %(blob)s",
        id=document.id,
        blob=document.blob,
        loader=target.loader_id,
        job=target.job_id,
        recipe=Jsonb(scope.sealed(recipe)),
        namespace=target.namespace,
        origin=Jsonb(scope.sealed(origin.as_json())) if origin else None,
        remake=target.remake,
    )
    return touched == 1


async def set_origin(scope: Scope, document_id: UUID, blob: str, origin: Origin) -> None:
    """Keep what its place says of a document, unless that has another upload by now."""
    await scope.run(
        "UPDATE documents SET origin = %(origin)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND blob = %(blob)s",
        id=document_id,
        blob=blob,
        origin=Jsonb(scope.sealed(origin.as_json())),
    )


async def leave(scope: Scope, target: Target, listed: Sequence[str]) -> tuple[int, list[str]]:
    """The documents of the loader, but for the listed ones, are to be removed when the job is done. Those that wait for
    another job stay: that one has asked the place since. Returns how many leave, and their blobs."""
    rows = await scope.all(
        "WITH gone AS MATERIALIZED (SELECT id FROM documents WHERE workspace_id = %(workspace)s"
        " AND loader_id = %(loader)s AND source <> ALL(%(listed)s)"
        " AND (state NOT IN ('pending', 'leaving') OR job_id IS NOT DISTINCT FROM %(job)s OR job_id IS NULL)"
        " ORDER BY id FOR UPDATE)"
        " UPDATE documents d SET state = 'leaving', job_id = %(job)s FROM gone WHERE d.id = gone.id RETURNING d.blob",
        loader=target.loader_id,
        job=target.job_id,
        listed=list(listed),
    )
    return len(rows), [row["blob"] for row in rows if row["blob"]]


async def count_others(scope: Scope, target: Target, listed: Sequence[str]) -> int:
    """How many documents the loader has besides the listed ones."""
    row = await scope.one(
        "SELECT count(*) AS n FROM documents WHERE workspace_id = %(workspace)s AND loader_id = %(loader)s"
        " AND source <> ALL(%(listed)s)",
        loader=target.loader_id,
        listed=list(listed),
    )
    return int(row["n"]) if row else 0


async def counts(scope: Scope, loader_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many documents each of these loaders has; those without any are left out."""
    rows = await scope.all(
        "SELECT loader_id, count(*) AS n FROM documents WHERE workspace_id = %(workspace)s"
        " AND loader_id = ANY(%(ids)s) GROUP BY loader_id",
        ids=list(loader_ids),
    )
    return {row["loader_id"]: int(row["n"]) for row in rows}


async def keep_loader(scope: Scope, loader_id: UUID) -> None:
    """The loader is in use, and stays when it holds no documents."""
    await scope.run(
        "UPDATE loaders SET kept = true, draft = false WHERE workspace_id = %(workspace)s AND id = %(id)s", id=loader_id
    )
