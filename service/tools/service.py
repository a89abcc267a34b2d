"""Keep tools, and read the schema that says what a tool is given."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any
from uuid import UUID, uuid4

from service.chatflows.run import StoredTool
from service.errors import Conflict, NotFound, Unprocessable
from service.json_text import parsed
from service.tools import records
from service.tools.types import KeptTool, ToolDraft
from stores.records.database import Database

MAX_TOOLS = 10_000
MAX_NAME = 200


async def create(database: Database, workspace: UUID, draft: ToolDraft) -> KeptTool:
    """A new tool. Raises `Unprocessable`, naming the field."""
    check(draft)
    async with database.write(workspace) as scope:
        if await records.count(scope) >= MAX_TOOLS:
            raise Conflict(f"tools: a workspace may have {MAX_TOOLS}")
        return await records.insert(scope, uuid4(), draft)


async def get(database: Database, workspace: UUID, tool_id: UUID) -> KeptTool:
    """A tool of the workspace. Raises `NotFound`."""
    async with database.read(workspace) as scope:
        found = await records.get(scope, tool_id)
    if found is None:
        raise missing(tool_id)
    return found


async def page(database: Database, workspace: UUID, offset: int, size: int) -> tuple[Sequence[KeptTool], int]:
    """Tools, last changed first, and how many there are in all."""
    async with database.read(workspace) as scope:
        return await records.page(scope, offset, size)


async def update(database: Database, workspace: UUID, tool_id: UUID, changes: Mapping[str, Any]) -> KeptTool:
    """Change what `changes` names. Raises `NotFound`, `Unprocessable`."""
    async with database.write(workspace) as scope:
        held = await records.get(scope, tool_id, lock=True)
        if held is None:
            raise missing(tool_id)
        before = ToolDraft(**{item.name: getattr(held, item.name) for item in fields(ToolDraft)})
        draft = replace(before, **changes)
        check(draft)
        changed = await records.update(scope, tool_id, draft)
    assert changed is not None
    return changed


async def delete(database: Database, workspace: UUID, tool_id: UUID) -> int:
    """Remove a tool. Flows that name it fail from then on, with an error that says so. Raises `NotFound`."""
    async with database.write(workspace) as scope:
        affected = await records.delete(scope, tool_id)
    if not affected:
        raise missing(tool_id)
    return affected


async def stored(database: Database, workspace: UUID, tool_id: UUID) -> StoredTool:
    """A tool as steps use it. Raises `NotFound`."""
    found = await get(database, workspace, tool_id)
    return StoredTool(found.id, found.name, found.description, found.schema or "", found.func or "")


def missing(tool_id: object) -> NotFound:
    """There is no such tool: the message names it."""
    return NotFound(f"Tool {tool_id} not found")


def check(draft: ToolDraft) -> None:
    """Refuse what cannot be kept. Raises `Unprocessable`, naming the field."""
    if not draft.name.strip() or len(draft.name) > MAX_NAME:
        raise Unprocessable(f"name: must have 1 to {MAX_NAME} characters")
    try:
        json_schema(draft.schema or "")
    except ValueError as error:
        raise Unprocessable(f"schema: {error}") from None


_KINDS = {"string": "string", "number": "number", "boolean": "boolean", "date": "string", "object": "object"}
_KINDS |= {"array": "array", "integer": "integer", "int": "integer", "float": "number", "bool": "boolean"}


def json_schema(text: str) -> dict[str, Any]:
    """The JSON Schema of a tool's input, from Flowise's list of properties (`property`, `type`, `description`,
    `required` of each) or from a JSON Schema of an object. Nothing is an object without properties.

    Raises `ValueError`.
    """
    value = parsed(text) if text.strip() else []
    if isinstance(value, dict):
        if value.get("type", "object") != "object" or not isinstance(value.get("properties", {}), dict):
            raise ValueError("must be a list of properties, or a JSON Schema of an object")
        return {"properties": {}, **value, "type": "object"}
    if not isinstance(value, list):
        raise ValueError("must be a list of properties")
    properties: dict[str, Any] = {}
    required = []
    for position, item in enumerate(value):
        name = item.get("property") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name:
            raise ValueError(f"[{position}].property: must be a text")
        kind = str(item.get("type") or "string").lower()
        about = item.get("description")
        properties[name] = {
            "type": _KINDS.get(kind, "string"),
            **({"items": {}} if kind == "array" else {}),
            **({"description": about} if isinstance(about, str) and about else {}),
        }
        if item.get("required") in (True, "true"):
            required.append(name)
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}
