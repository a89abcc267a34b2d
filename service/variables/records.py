"""The rows of variables. Values are sealed."""

from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import DictRow

from service.variables.types import Variable, VariableType
from stores.records.database import Scope


def _variable(scope: Scope, row: DictRow) -> Variable:
    value = row["value"]
    return Variable(
        id=row["id"],
        workspace=row["workspace_id"],
        name=row["name"],
        value=scope.connection.sealer.open_text(value, row["workspace_id"]) if value else value,
        type=VariableType(row["type"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _sealed(scope: Scope, value: str | None) -> str | None:
    return scope.connection.sealer.seal_text(value, scope.workspace) if value else value


async def insert(scope: Scope, variable_id: UUID, name: str, value: str | None, kind: VariableType) -> Variable:
    """A new variable."""
    row = await scope.one(
        "INSERT INTO variables (id, workspace_id, name, value, type)"
        " VALUES (%(id)s, %(workspace)s, %(name)s, %(value)s, %(type)s) RETURNING *",
        id=variable_id,
        name=name,
        value=_sealed(scope, value),
        type=kind.value,
    )
    assert row is not None
    return _variable(scope, row)


async def update(scope: Scope, variable_id: UUID, name: str, value: str | None, kind: VariableType) -> Variable | None:
    """The variable with these columns; None when there is none."""
    row = await scope.one(
        "UPDATE variables SET name = %(name)s, value = %(value)s, type = %(type)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s RETURNING *",
        id=variable_id,
        name=name,
        value=_sealed(scope, value),
        type=kind.value,
    )
    return _variable(scope, row) if row else None


async def lock(scope: Scope, variable_id: UUID) -> Variable | None:
    """A variable of the workspace, held against other writers until the transaction ends."""
    row = await scope.one(
        "SELECT * FROM variables WHERE workspace_id = %(workspace)s AND id = %(id)s FOR UPDATE", id=variable_id
    )
    return _variable(scope, row) if row else None


async def page(scope: Scope, offset: int, size: int) -> tuple[Sequence[Variable], int]:
    """Variables, last changed first, and how many there are in all."""
    rows = await scope.all(
        "SELECT * FROM variables WHERE workspace_id = %(workspace)s"
        " ORDER BY updated_at DESC, id LIMIT %(size)s OFFSET %(offset)s",
        size=size,
        offset=offset,
    )
    return [_variable(scope, row) for row in rows], await count(scope)


async def count(scope: Scope) -> int:
    """How many variables the workspace has."""
    row = await scope.one("SELECT count(*) AS total FROM variables WHERE workspace_id = %(workspace)s")
    return int(row["total"]) if row else 0


async def named(scope: Scope, names: Sequence[str] | None) -> list[Variable]:
    """Those of these names, or all of them, the newest of a name last."""
    rows = await scope.all(
        "SELECT * FROM variables WHERE workspace_id = %(workspace)s"
        " AND (%(all)s OR name = ANY(%(names)s::text[])) ORDER BY created_at, id",
        names=list(names or ()),
        all=names is None,
    )
    return [_variable(scope, row) for row in rows]


async def delete(scope: Scope, variable_id: UUID) -> int:
    """Remove a variable; says how many there were (0 or 1)."""
    return await scope.run("DELETE FROM variables WHERE workspace_id = %(workspace)s AND id = %(id)s", id=variable_id)
