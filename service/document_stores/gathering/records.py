"""The rows of documents as a gathering job asks for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from service.document_stores.ledger.types import DocumentState
from stores.records.database import Scope


@dataclass(frozen=True, slots=True)
class Held:
    """A document that the ledger holds under a source."""

    id: UUID
    loader_id: UUID
    job_id: UUID | None
    state: DocumentState
    sha256: bytes
    blob: str
    same_recipe: bool
    """Whether it is to become chunks in the way that was asked about, whatever it is cited by."""
    cited: str | None
    """What its chunks name as their source."""
    lost: bool
    """Whether it failed and has no bytes, so that it must be fetched even when it is unchanged."""

    def busy_or_done(self, job_id: UUID) -> bool:
        """Whether it is indexed, or this very job will do it."""
        return self.state is DocumentState.READY or (self.state is DocumentState.PENDING and self.job_id == job_id)


async def held(scope: Scope, store_id: UUID, sources: Sequence[str], recipe: Mapping[str, Any]) -> dict[str, Held]:
    """The documents of these sources, by source."""
    rows = await scope.all(
        "SELECT source, id, loader_id, job_id, state, sha256, blob, recipe #>> '{metadata,source}' AS cited,"
        " CASE WHEN %(recipe)s::jsonb #> '{metadata,source}' IS NULL"
        " THEN recipe #- '{metadata,source}' = %(recipe)s::jsonb ELSE recipe = %(recipe)s::jsonb END AS same_recipe,"
        " state = 'failed' AND (size = 0 OR coalesce(error_code = 'upload_lost', false)) AS lost FROM documents"
        " WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND source = ANY(%(sources)s)",
        store=store_id,
        sources=list(sources),
        recipe=Jsonb(dict(recipe)),
    )
    return {
        row["source"]: Held(
            row["id"],
            row["loader_id"],
            row["job_id"],
            DocumentState(row["state"]),
            row["sha256"],
            row["blob"],
            row["same_recipe"],
            row["cited"],
            row["lost"],
        )
        for row in rows
    }


async def reclaim(scope: Scope, document: Held, loader_id: UUID, job_id: UUID, recipe: Mapping[str, Any]) -> bool:
    """Give a document to a job, to be indexed from the upload it has; False when it has another by now."""
    touched = await scope.run(
        "UPDATE documents SET state = 'pending', loader_id = %(loader)s, job_id = %(job)s,"
        " recipe = %(recipe)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND blob = %(blob)s",
        id=document.id,
        blob=document.blob,
        loader=loader_id,
        job=job_id,
        recipe=Jsonb(dict(recipe)),
    )
    return touched == 1


async def set_origin(scope: Scope, document_id: UUID, origin: Mapping[str, Any]) -> None:
    """Note where a document was fetched, and as what, for those who process its loader."""
    await scope.run(
        "UPDATE documents SET origin = %(origin)s WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=document_id,
        origin=Jsonb(dict(origin)),
    )


async def count(scope: Scope, loader_id: UUID) -> int:
    """How many documents a loader has."""
    row = await scope.one(
        "SELECT count(*) AS n FROM documents WHERE workspace_id = %(workspace)s AND loader_id = %(loader)s",
        loader=loader_id,
    )
    return int(row["n"]) if row else 0


async def keep_loader(scope: Scope, loader_id: UUID) -> None:
    """The loader is in use, and stays when it holds no documents."""
    await scope.run(
        "UPDATE loaders SET kept = true, draft = false WHERE workspace_id = %(workspace)s AND id = %(id)s", id=loader_id
    )
