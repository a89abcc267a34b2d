"""Uses one tool, without a model."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

from service.agentflows.nodes.agent import used_tool
from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.nodes.filling import LateTool
from service.agentflows.state import Moment
from service.agentflows.templates import Template, changes, shown, value_of
from service.agentflows.types import BadValue, Done
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep
from service.chatflows.types import Artifacts, Sources, StepEvent, ToolCalls, ToolsUsed, ToolUse
from service.json_schema import Check
from service.json_text import lenient

SELECTED = ("selectedTool", "toolAgentflowSelectedTool")
"""Fields that name the tool, each with its `...Config`; the first is of older versions of the node."""


class ToolNode(FlowNode):
    """Uses a tool with values of the flow."""

    label = "Tool"
    foreign = "answer of a tool"

    def read(self, maker: Maker) -> None:
        """The tool and its input."""
        self._step = None
        field = next(filter(self.text, SELECTED), "")
        if field:
            self._step = maker.tool(self.text(field), self.node.inputs.get(f"{field}Config"))
        else:
            maker.problem("no tool is chosen")
        self._given = {
            str(row["inputArgName"]): Template.parse(row.get("inputArgValue"))
            for row in self.rows("toolInputArgs")
            if row.get("inputArgName")
        }
        self.updates = self.state("toolUpdateState")
        offered = self._step.offered() if isinstance(self._step, ToolStep) else ()
        if offered and self._one(offered) is None:
            maker.problem(_several(offered))

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """What the tool answers. Raises `BadValue` when it cannot do what it is asked."""
        assert self._step is not None
        async with AsyncExitStack() as stack:
            step = await self._step.opened(moment, stack) if isinstance(self._step, LateTool) else self._step
            async with aclosing(self._used(moment, self._chosen(await step.tools(moment.run)))) as events:
                async for event in events:
                    yield event

    async def _used(self, moment: Moment, tool: Tool) -> AsyncGenerator[StepEvent | Done, None]:
        given = {name: _typed(template.value(moment), tool, name) for name, template in self._given.items()}
        if wrong := _misfit(tool, given):
            raise BadValue(f"{self.title}: the input does not fit the tool: {wrong}")
        yield ToolCalls(((tool.name, given),))
        try:
            outcome = await tool.call(moment.run, given)
        except ToolFailed as error:
            raise BadValue(f"{self.title}: {error.why}") from error
        use = ToolUse(tool.name, given, outcome.text, outcome.sources)
        for event in _events(use, outcome):
            yield event
        yield Done(
            text=outcome.text,
            output={"content": outcome.text, "usedTools": [used_tool(use)], "value": value_of(outcome.text)},
            input={"toolInputArgs": given},
            changes=changes(self.updates, moment, value_of(outcome.text)),
        )

    def _chosen(self, found: Sequence[Tool]) -> Tool:
        tool = self._one(found)
        if tool is None:
            raise BadValue(f"{self.title}: {_several(found)}")
        return tool

    def _one(self, found: Sequence[Tool]) -> Tool | None:
        """The one tool; of a toolkit the one that takes all that is given."""
        if len(found) > 1:
            found = [tool for tool in found if set(self._given) <= set(tool.schema.get("properties", {}))]
        return found[0] if len(found) == 1 else None


def _several(tools: Sequence[Tool]) -> str:
    names = ", ".join(tool.name for tool in tools)
    return f"this is several tools ({names}): choose one of them (selectedEndpoints), or give them to an agent"


def _events(use: ToolUse, outcome: Outcome) -> list[StepEvent]:
    events: list[StepEvent] = [ToolsUsed((use,))]
    if outcome.sources:
        events.append(Sources(outcome.sources))
    if outcome.artifacts:
        events.append(Artifacts(outcome.artifacts))
    return events


def _misfit(tool: Tool, given: Mapping[str, Any]) -> str:
    """What is wrong with the input of a tool; empty: nothing."""
    try:
        return Check(tool.schema).problems(given)
    except ValueError as error:
        return f"its schema is broken: {error}"


def _typed(value: Any, tool: Tool, name: str) -> Any:
    """A value as the tool's schema has it, where it is only written as text."""
    about = tool.schema.get("properties", {}).get(name)
    kind = about.get("type") if isinstance(about, Mapping) else None
    if kind == "string":
        return shown(value)
    if kind is None or not isinstance(value, str):
        return value
    try:
        return lenient(value.strip())
    except ValueError:
        return value
