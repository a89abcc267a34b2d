"""The rows of vector collections: every one that may exist, and which of them a document store is searched in."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from service.document_stores.types import Backend
from stores.records.database import Scope

MANY_NUMBERS = 1_500_000
"""Numbers of all vectors together, from which on a collection is completed: 3,900 vectors of 384. To compare that many
with a question took 1 ms, about as long as a search through pgvector's index; and to let the index grow with them took
eight times as long as to put them in."""


async def add(scope: Scope, store_id: UUID, *, backend: Backend | None = None, building: bool = False) -> str:
    """Name a collection for the vectors of a document store, of which the caller has the `lock`; it is in `backend`. No
    name is given twice. `building`: it is to take the searched one's place once it is filled."""
    row = await scope.one(
        "UPDATE document_stores SET spaces = spaces + 1 WHERE workspace_id = %(workspace)s AND id = %(id)s"
        " RETURNING spaces - 1 AS made",
        id=store_id,
    )
    assert row is not None
    name = f"ds_{store_id.hex}_{row['made']}" if row["made"] else f"ds_{store_id.hex}"
    await scope.run(
        "INSERT INTO collections (name, workspace_id, store_id, building, backend)"
        " VALUES (%(name)s, %(workspace)s, %(store)s, %(building)s, %(backend)s)",
        name=name,
        store=store_id,
        building=building,
        backend=Jsonb(backend.as_json()) if backend else None,
    )
    return name


async def of_store(scope: Scope, store_id: UUID, *, building: bool | None = None) -> list[str]:
    """Every vector collection that there may be for a document store, or those being filled, or the others."""
    rows = await scope.all(
        "SELECT name FROM collections WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND (%(building)s::boolean IS NULL OR building = %(building)s) ORDER BY created_at, name",
        store=store_id,
        building=building,
    )
    return [row["name"] for row in rows]


async def placed(scope: Scope, names: Sequence[str]) -> dict[str, Backend | None]:
    """The vector store of each of these collections that there may be; None stands for the service's own."""
    rows = await scope.all(
        "SELECT name, backend FROM collections WHERE workspace_id = %(workspace)s AND name = ANY(%(names)s)",
        names=list(names),
    )
    return {row["name"]: Backend.from_json(row["backend"]) for row in rows}


async def rebind(scope: Scope, store_id: UUID, backend: Backend) -> None:
    """Open the collections of a document store that are in this vector store by its credential from now on."""
    await scope.run(
        "UPDATE collections SET backend = %(backend)s WHERE workspace_id = %(workspace)s AND store_id = %(store)s"
        " AND backend ->> 'url' = %(url)s",
        store=store_id,
        url=backend.url,
        backend=Jsonb(backend.as_json()),
    )


async def incomplete(scope: Scope, store_id: UUID) -> str | None:
    """The collection that a document store is searched in, if it is to be completed: it holds `MANY_NUMBERS`."""
    row = await scope.one(
        "SELECT c.name FROM document_stores s JOIN collections c ON c.name = s.collection"
        " JOIN lexical_indexes i ON i.store_id = s.id"
        " WHERE s.workspace_id = %(workspace)s AND s.id = %(id)s AND NOT c.complete"
        " AND i.documents::bigint * (s.fingerprint ->> 'dimension')::int >= %(many)s",
        id=store_id,
        many=MANY_NUMBERS,
    )
    return row["name"] if row else None


async def note_complete(scope: Scope, name: str, *, complete: bool = True) -> None:
    """Whether what makes searches quick has been built for this collection."""
    await scope.run(
        "UPDATE collections SET complete = %(complete)s WHERE workspace_id = %(workspace)s AND name = %(name)s",
        name=name,
        complete=complete,
    )


async def give_up(scope: Scope, names: Sequence[str]) -> None:
    """Collections that are to be dropped: writers leave them out from the commit on. The caller has the store's
    `lock`."""
    await scope.run(
        "UPDATE collections SET building = false WHERE workspace_id = %(workspace)s AND name = ANY(%(names)s)",
        names=list(names),
    )


async def forget(scope: Scope, names: Sequence[str]) -> None:
    """Collections that were dropped."""
    await scope.run(
        "DELETE FROM collections WHERE workspace_id = %(workspace)s AND name = ANY(%(names)s)", names=list(names)
    )


async def set_space(
    scope: Scope, store_id: UUID, fingerprint: Mapping[str, Any] | None, collection: str | None
) -> None:
    """The vector space of a document store from now on: the collection that is searched and written."""
    await scope.run(
        "UPDATE document_stores SET fingerprint = %(fingerprint)s, collection = %(collection)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=store_id,
        fingerprint=Jsonb(dict(fingerprint)) if fingerprint is not None else None,
        collection=collection,
    )
    await scope.run(
        "UPDATE collections SET building = false WHERE workspace_id = %(workspace)s AND name = %(name)s",
        name=collection,
    )
