"""A tool that the workspace keeps, with a function in JavaScript."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import Field, field_validator

from service.chatflows.graph import Node
from service.chatflows.run import Backing, Run, StoredTool
from service.chatflows.steps.base import BadOption, Links, StepOptions
from service.chatflows.steps.scripts import as_text, need_script, values
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep, tool_name
from service.chatflows.types import FlowNotRunnable, Problem, ProblemKind
from service.errors import NotFound
from service.javascript.types import ScriptFailed
from service.tools.service import json_schema


class CustomToolOptions(StepOptions):
    """Fields of the node. What is set here counts in place of what is kept."""

    selected_tool: str = Field("", title="Select Tool", description="The id of a kept tool.")
    return_direct: bool = Field(False, title="Return Direct")
    custom_tool_name: str = Field("", title="Custom Tool Name")
    custom_tool_desc: str = Field("", title="Custom Tool Description")
    custom_tool_schema: str = Field("", title="Custom Tool Schema")
    custom_tool_func: str = Field("", title="Custom Tool Func")

    @field_validator("selected_tool")
    @classmethod
    def _is_id(cls, value: str) -> str:
        return str(UUID(value)) if value else value


class CustomTool(ToolStep):
    """Runs a kept function for a model, apart from the service."""

    label = "Custom Tool"
    version = 3
    base_classes = ("CustomTool", "Tool", "StructuredTool", "Runnable")
    Options = CustomToolOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `CustomToolOptions`. Raises `BadOption` without a tool."""
        super().__init__(node, options, links)
        self._options: CustomToolOptions = options
        if not options.selected_tool and not options.custom_tool_func:
            raise BadOption("selectedTool: choose a tool; those of the installation that it comes from are not here")
        try:
            json_schema(options.custom_tool_schema)
        except ValueError as error:
            raise BadOption(f"customToolSchema: {error}") from None

    @property
    def stored_tools(self) -> frozenset[UUID]:
        """The one that is chosen."""
        return frozenset({UUID(self._options.selected_tool)} if self._options.selected_tool else ())

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Look the tool up. Raises `FlowNotRunnable` where it is not there, or JavaScript is not switched on."""
        need_script(self, backing)
        await self._stored(workspace, backing)

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool, as it is kept now."""
        options, kept = self._options, await self._stored(run.workspace, run.backing)
        schema = json_schema(options.custom_tool_schema or kept.schema)
        code = options.custom_tool_func or kept.code
        name = tool_name(options.custom_tool_name or kept.name, "custom_tool")
        names = list(schema["properties"])

        async def call(run: Run, given: Mapping[str, Any]) -> Outcome:
            assert run.backing.script is not None
            try:
                made = await run.backing.script(code, values(run, {**dict.fromkeys(names), **given}))
            except ScriptFailed as error:
                raise ToolFailed(error.message) from error
            return Outcome(as_text(made))

        about = options.custom_tool_desc or kept.description
        return [Tool(name, about, schema, call, returns_direct=options.return_direct)]

    async def _stored(self, workspace: UUID, backing: Backing) -> StoredTool:
        chosen = self._options.selected_tool
        if not chosen:
            return StoredTool(UUID(int=0), "", "", "", "")
        assert backing.stored_tool is not None
        try:
            return await backing.stored_tool(workspace, UUID(chosen))
        except NotFound:
            text = f"{self.title}: selectedTool: the tool '{chosen}' is not kept here; make it, and choose it"
            raise FlowNotRunnable(text, [Problem(self.node.id, text, ProblemKind.SETTING)]) from None
