"""The JSON shapes of tools (contract 6.3)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field

from service.http.wire import Body, Date, Wire
from service.tools.types import KeptTool, ToolDraft

SCHEMA = '[{"property":"city","type":"string","description":"Name of a city","required":true}]'


class ToolFields(Body):
    """What may be set of a tool."""

    description: str = Field("", max_length=20_000, description="Tells models when to use it", examples=["Weather now"])
    color: str = Field(
        "", max_length=200, description="Of its card in editors", examples=["linear-gradient(#fff,#000)"]
    )
    icon_src: str | None = Field(None, max_length=200_000, description="Address of a picture")
    tool_schema: str | None = Field(
        None, alias="schema", max_length=200_000, description="Its inputs, as a JSON list in a text", examples=[SCHEMA]
    )
    func: str | None = Field(
        None,
        max_length=200_000,
        description="The body of an async JavaScript function; inputs are `$name`",
        examples=["return `Sunny in ${$city}`"],
    )


class NewTool(ToolFields):
    """A tool to keep."""

    name: str = Field(max_length=1000, description="What models call it", examples=["get_weather"])

    def draft(self) -> ToolDraft:
        """The same in our nouns."""
        return ToolDraft(self.name, self.description, self.color, self.icon_src, self.tool_schema, self.func)


class ToolChange(ToolFields):
    """What to change of a tool; what is left out stays."""

    name: str | None = Field(None, max_length=1000, description="What models call it", examples=["get_weather"])

    def changes(self) -> Mapping[str, Any]:
        """The columns to change."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if "tool_schema" in given:
            given["schema"] = given.pop("tool_schema")
        if given.get("name") is None:
            given.pop("name", None)
        return given


class ToolEntity(Wire):
    """A kept tool."""

    id: UUID
    name: str = Field(examples=["get_weather"])
    description: str = Field(examples=["Weather now"])
    color: str = Field(examples=["linear-gradient(#fff,#000)"])
    icon_src: str | None
    tool_schema: str | None = Field(alias="schema", examples=[SCHEMA])
    func: str | None = Field(examples=["return `Sunny in ${$city}`"])
    created_date: Date
    updated_date: Date
    workspace_id: UUID


class ToolPage(Wire):
    """A page of tools."""

    data: list[ToolEntity]
    total: int


def entity(tool: KeptTool) -> ToolEntity:
    """A tool as clients read it."""
    return ToolEntity(
        id=tool.id,
        name=tool.name,
        description=tool.description,
        color=tool.color,
        icon_src=tool.icon_src,
        tool_schema=tool.schema,
        func=tool.func,
        created_date=tool.created_at,
        updated_date=tool.updated_at,
        workspace_id=tool.workspace,
    )
