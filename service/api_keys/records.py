"""The rows of API keys."""

from collections.abc import Iterable
from uuid import UUID

from psycopg.rows import DictRow

from service.api_keys.types import ApiKey, BoundFlow
from stores.records.database import Connection, Scope

CHANNEL = "ragstone_keys"
"""Signals carry the id of a key that was ended."""


def _key(row: DictRow) -> ApiKey:
    return ApiKey(
        id=row["id"],
        workspace=row["workspace_id"],
        name=row["name"],
        hint=row["hint"],
        scopes=frozenset(row["scopes"]),
        created_at=row["created_at"],
        used_at=row["used_at"],
        revoked_at=row["revoked_at"],
        principals=None if row["principals"] is None else frozenset(row["principals"]),
    )


async def insert(
    scope: Scope,
    key_id: UUID,
    name: str,
    digest: bytes,
    hint: str,
    scopes: Iterable[str],
    principals: Iterable[str] | None = None,
) -> ApiKey:
    """A new key."""
    row = await scope.one(
        "INSERT INTO api_keys (id, workspace_id, name, hash, hint, scopes, principals)"
        " VALUES (%(id)s, %(workspace)s, %(name)s, %(hash)s, %(hint)s, %(scopes)s, %(principals)s) RETURNING *",
        id=key_id,
        name=name,
        hash=digest,
        hint=hint,
        scopes=sorted(scopes),
        principals=None if principals is None else sorted(principals),
    )
    assert row is not None
    return _key(row)


async def find(connection: Connection, digest: bytes) -> ApiKey | None:
    """The living key with this hash, in whatever workspace: how a request learns its workspace."""
    cursor = await connection.execute(
        "SELECT * FROM api_keys WHERE hash = %(hash)s AND revoked_at IS NULL", {"hash": digest}
    )
    row = await cursor.fetchone()
    return _key(row) if row else None


async def touch(connection: Connection, key_id: UUID) -> None:
    """Note that a key was used, at most once a minute."""
    await connection.execute(
        "UPDATE api_keys SET used_at = now() WHERE id = %(id)s"
        " AND (used_at IS NULL OR used_at < now() - interval '1 minute')",
        {"id": key_id},
    )


async def everything(scope: Scope) -> list[ApiKey]:
    """The living keys of the workspace, oldest first."""
    rows = await scope.all(
        "SELECT * FROM api_keys WHERE workspace_id = %(workspace)s AND revoked_at IS NULL ORDER BY created_at, id"
    )
    return [_key(row) for row in rows]


async def living(scope: Scope, key_id: UUID) -> ApiKey | None:
    """A living key of the workspace; locked until the transaction ends, so that it stays what it is."""
    row = await scope.one(
        "SELECT * FROM api_keys WHERE workspace_id = %(workspace)s AND id = %(id)s AND revoked_at IS NULL FOR UPDATE",
        id=key_id,
    )
    return _key(row) if row else None


async def bound(scope: Scope) -> list[BoundFlow]:
    """The flows of the workspace that are bound to a key, by name."""
    rows = await scope.all(
        "SELECT api_key_id, name, category, updated_at FROM chatflows"
        " WHERE workspace_id = %(workspace)s AND api_key_id IS NOT NULL ORDER BY name, id"
    )
    return [BoundFlow(row["api_key_id"], row["name"], row["category"], row["updated_at"]) for row in rows]


async def update(scope: Scope, key_id: UUID, name: str, scopes: Iterable[str]) -> bool:
    """Give a living key a name and scopes; False when there is none of this id."""
    touched = await scope.run(
        "UPDATE api_keys SET name = %(name)s, scopes = %(scopes)s"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND revoked_at IS NULL",
        id=key_id,
        name=name,
        scopes=sorted(scopes),
    )
    return touched == 1


async def revoke(scope: Scope, key_id: UUID) -> bool:
    """End a key, and tell every process; False when there is no living one of this id."""
    touched = await scope.run(
        "UPDATE api_keys SET revoked_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND revoked_at IS NULL"
        " RETURNING pg_notify(%(channel)s, id::text)",
        id=key_id,
        channel=CHANNEL,
    )
    return touched == 1
