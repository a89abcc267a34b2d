"""Keep variables, and give flows their values."""

import os
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from service.errors import Conflict, NotFound, Unprocessable
from service.settings import Settings
from service.variables import records
from service.variables.types import Variable, VariableType
from stores.records.database import Database

MAX_VARIABLES = 1000
MAX_NAME = 200


async def create(database: Database, workspace: UUID, name: str, value: str | None, kind: VariableType) -> Variable:
    """A new variable. Raises `Unprocessable`, naming the field."""
    async with database.write(workspace) as scope:
        if await records.count(scope) >= MAX_VARIABLES:
            raise Conflict(f"variables: a workspace may have {MAX_VARIABLES}")
        return await records.insert(scope, uuid4(), _checked(name), value, kind)


async def page(database: Database, workspace: UUID, offset: int, size: int) -> tuple[Sequence[Variable], int]:
    """Variables, last changed first, and how many there are in all."""
    async with database.read(workspace) as scope:
        return await records.page(scope, offset, size)


async def update(database: Database, workspace: UUID, variable_id: UUID, changes: Mapping[str, Any]) -> Variable:
    """Change what `changes` names (`name`, `value`, `type`). Raises `NotFound`, `Unprocessable`."""
    async with database.write(workspace) as scope:
        held = await records.lock(scope, variable_id)
        if held is None:
            raise _missing(variable_id)
        name = _checked(changes.get("name", held.name))
        value, kind = changes.get("value", held.value), changes.get("type", held.type)
        changed = await records.update(scope, variable_id, name, value, kind)
    assert changed is not None
    return changed


async def delete(database: Database, workspace: UUID, variable_id: UUID) -> int:
    """Remove a variable. Raises `NotFound`."""
    async with database.write(workspace) as scope:
        affected = await records.delete(scope, variable_id)
    if not affected:
        raise _missing(variable_id)
    return affected


async def values(
    database: Database,
    settings: Settings,
    workspace: UUID,
    names: Sequence[str] | None = None,
    *,
    changed: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """The values of the workspace's variables by name: of these names, or of all.

    A runtime variable has the value of the environment variable that is named after it behind the prefix of the
    settings, and none without it. `changed` are values that a call gives, for variables that its flow opens: they may
    stand for variables that the workspace does not keep.
    """
    async with database.read(workspace) as scope:
        kept = await records.named(scope, names)
    found = {item.name: value for item in kept if (value := _value(item, settings, environ)) is not None}
    return {**found, **(changed or {})}


def _value(variable: Variable, settings: Settings, environ: Mapping[str, str]) -> str | None:
    if variable.type is VariableType.STATIC:
        return variable.value or ""
    return environ.get(settings.variables_prefix + variable.name) if settings.variables_prefix else None


def _checked(name: str) -> str:
    if not name.strip() or len(name) > MAX_NAME:
        raise Unprocessable(f"name: must have 1 to {MAX_NAME} characters")
    return name


def _missing(variable_id: object) -> NotFound:
    return NotFound(f"Variable {variable_id} not found")
