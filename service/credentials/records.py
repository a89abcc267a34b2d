"""The rows of credentials. Their values are sealed before they come here."""

from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import DictRow

from service.credentials.types import Credential, SealedCredential
from stores.records.database import Scope


def _credential(row: DictRow) -> Credential:
    return Credential(
        id=row["id"],
        workspace=row["workspace_id"],
        name=row["name"],
        component=row["credential_name"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def insert(
    scope: Scope, credential_id: UUID, name: str, component: str, key_version: int, sealed: bytes
) -> Credential:
    """A new credential."""
    row = await scope.one(
        "INSERT INTO credentials (id, workspace_id, name, credential_name, key_version, sealed)"
        " VALUES (%(id)s, %(workspace)s, %(name)s, %(component)s, %(version)s, %(sealed)s) RETURNING *",
        id=credential_id,
        name=name,
        component=component,
        version=key_version,
        sealed=sealed,
    )
    assert row is not None
    return _credential(row)


async def everything(scope: Scope, components: Sequence[str]) -> list[Credential]:
    """The workspace's credentials of these components (none named: of all), by name."""
    rows = await scope.all(
        "SELECT id, workspace_id, name, credential_name, created_at, updated_at FROM credentials"
        " WHERE workspace_id = %(workspace)s"
        " AND (cardinality(%(components)s::text[]) = 0 OR credential_name = ANY(%(components)s::text[]))"
        " ORDER BY name, id LIMIT 10000",
        components=list(components),
    )
    return [_credential(row) for row in rows]


async def get(scope: Scope, credential_id: UUID) -> SealedCredential | None:
    """A credential of the workspace."""
    row = await scope.one(
        "SELECT * FROM credentials WHERE workspace_id = %(workspace)s AND id = %(id)s", id=credential_id
    )
    return SealedCredential(_credential(row), row["key_version"], row["sealed"]) if row else None


async def lock(scope: Scope, credential_id: UUID) -> SealedCredential | None:
    """A credential of the workspace, held against other writers until the transaction ends."""
    row = await scope.one(
        "SELECT * FROM credentials WHERE workspace_id = %(workspace)s AND id = %(id)s FOR UPDATE", id=credential_id
    )
    return SealedCredential(_credential(row), row["key_version"], row["sealed"]) if row else None


async def update(
    scope: Scope, credential_id: UUID, name: str, component: str, key_version: int, sealed: bytes
) -> Credential:
    """Give a credential that `lock` holds a name, a component and values."""
    row = await scope.one(
        "UPDATE credentials SET name = %(name)s, credential_name = %(component)s, key_version = %(version)s,"
        " sealed = %(sealed)s, updated_at = now() WHERE workspace_id = %(workspace)s AND id = %(id)s RETURNING *",
        id=credential_id,
        name=name,
        component=component,
        version=key_version,
        sealed=sealed,
    )
    assert row is not None
    return _credential(row)


async def delete(scope: Scope, credential_id: UUID) -> int:
    """Remove a credential; says how many there were (0 or 1)."""
    return await scope.run(
        "DELETE FROM credentials WHERE workspace_id = %(workspace)s AND id = %(id)s", id=credential_id
    )
