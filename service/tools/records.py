"""The rows of tools. Schema and function are sealed: either may hold a secret."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from service.tools.types import KeptTool, ToolDraft
from stores.records.database import Scope

SEALED = ("schema", "func")


def _tool(scope: Scope, row: DictRow) -> KeptTool:
    values = dict(row)
    for column in SEALED:
        if values[column]:
            values[column] = scope.connection.sealer.open_text(values[column], row["workspace_id"])
    values["workspace"] = values.pop("workspace_id")
    values.pop("total", None)
    return KeptTool(**values)


def _columns(scope: Scope, draft: ToolDraft) -> dict[str, Any]:
    columns = asdict(draft)
    for column in SEALED:
        if columns[column]:
            columns[column] = scope.connection.sealer.seal_text(columns[column], scope.workspace)
    return columns


async def insert(scope: Scope, tool_id: UUID, draft: ToolDraft) -> KeptTool:
    """A new tool."""
    row = await scope.one(
        "INSERT INTO tools (id, workspace_id, name, description, color, icon_src, schema, func)"
        " VALUES (%(id)s, %(workspace)s, %(name)s, %(description)s, %(color)s, %(icon_src)s, %(schema)s, %(func)s)"
        " RETURNING *",
        id=tool_id,
        **_columns(scope, draft),
    )
    assert row is not None
    return _tool(scope, row)


async def update(scope: Scope, tool_id: UUID, draft: ToolDraft) -> KeptTool | None:
    """The tool with these columns; None when there is none."""
    row = await scope.one(
        "UPDATE tools SET name = %(name)s, description = %(description)s, color = %(color)s,"
        " icon_src = %(icon_src)s, schema = %(schema)s, func = %(func)s, updated_at = now()"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s RETURNING *",
        id=tool_id,
        **_columns(scope, draft),
    )
    return _tool(scope, row) if row else None


async def get(scope: Scope, tool_id: UUID, *, lock: bool = False) -> KeptTool | None:
    """A tool of the workspace; `lock` keeps it from changing until the transaction ends."""
    if lock:
        row = await scope.one(
            "SELECT * FROM tools WHERE workspace_id = %(workspace)s AND id = %(id)s FOR UPDATE", id=tool_id
        )
    else:
        row = await scope.one("SELECT * FROM tools WHERE workspace_id = %(workspace)s AND id = %(id)s", id=tool_id)
    return _tool(scope, row) if row else None


async def page(scope: Scope, offset: int, size: int) -> tuple[Sequence[KeptTool], int]:
    """Tools, last changed first, and how many there are in all."""
    rows = await scope.all(
        "SELECT * FROM tools WHERE workspace_id = %(workspace)s"
        " ORDER BY updated_at DESC, id LIMIT %(size)s OFFSET %(offset)s",
        size=size,
        offset=offset,
    )
    return [_tool(scope, row) for row in rows], await count(scope)


async def count(scope: Scope) -> int:
    """How many tools the workspace has."""
    row = await scope.one("SELECT count(*) AS total FROM tools WHERE workspace_id = %(workspace)s")
    return int(row["total"]) if row else 0


async def delete(scope: Scope, tool_id: UUID) -> int:
    """Remove a tool; says how many there were (0 or 1)."""
    return await scope.run("DELETE FROM tools WHERE workspace_id = %(workspace)s AND id = %(id)s", id=tool_id)
