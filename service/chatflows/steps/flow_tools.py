"""Gives an agent other flows, chains and agents as tools. They run in this process, as parts of the same run."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID, uuid4

from pydantic import Field, field_validator

from service.answers.markers import renumbered
from service.chatflows.graph import Node
from service.chatflows.run import Backing, Cited, Run
from service.chatflows.steps.base import Anchor, BadOption, EndingStep, Links, StepOptions
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep, tool_name
from service.chatflows.types import (
    Artifacts,
    FlowNotRunnable,
    Passage,
    Problem,
    ProblemKind,
    Sources,
    StepEvent,
    Structured,
    Token,
    Usage,
)
from service.errors import NotFound
from service.json_text import parsed

MOST = 50_000
"""Characters of a question."""

INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The question or the task, complete in itself."}},
    "required": ["input"],
}

NO_INPUT: Mapping[str, Any] = {"type": "object", "properties": {}}


async def outcome_of(run: Run, events: AsyncGenerator[StepEvent, None], cited: Cited) -> Outcome:
    """What a flow, a chain or an agent answered, with `cited` as its own. What models took is added to `run.spent`."""
    parts: list[str] = []
    sources: tuple[Passage, ...] = ()
    artifacts: list[Mapping[str, Any]] = []
    async with aclosing(events):
        async for event in events:
            match event:
                case Token():
                    parts.append(event.text)
                case Structured():
                    parts.append(json.dumps(event.value, ensure_ascii=False))
                case Usage():
                    run.spent.append(event)
                case Sources():
                    sources = event.passages
                case Artifacts():
                    artifacts += event.items
    text = "".join(parts)
    if not sources:
        text = renumbered(text, [0] * cited.hidden, strays=True)
    return Outcome(text, sources, tuple(artifacts))


ELSEWHERE = (
    "flows are called here, in the same process; leave it empty, and call a flow of another server by a tool that sends"
    " requests"
)


async def look_up(workspace: UUID, backing: Backing, flow: UUID, node: str, place: str) -> None:
    """Raises `FlowNotRunnable` where there is no such flow; `place` says which field of the node names it. Without
    somebody who knows it raises nothing."""
    if backing.flow is None:
        return
    try:
        await backing.flow(workspace, flow)
    except NotFound:
        text = f"{place}: there is no flow {flow} here; choose one that is"
        raise FlowNotRunnable(text, [Problem(node, text, ProblemKind.SETTING)]) from None


class ChatflowToolOptions(StepOptions):
    """Fields of the node."""

    selected_chatflow: UUID = Field(title="Select Chatflow", description="Id of the flow.")
    name: str = Field("other_flow", title="Tool Name")
    description: str = Field("Answers a question by another flow.", title="Tool Description")
    return_direct: bool = Field(False, title="Return Direct")
    override_config: dict[str, Any] = Field(
        default_factory=dict, title="Override Config", description="As callers of that flow may set it, as JSON."
    )
    base_url: str = Field("", alias="baseURL", title="Base URL", description="Must be empty: flows are called here.")
    start_new_session: bool = Field(False, title="Start new session per message")
    use_question_from_chat: bool = Field(False, title="Use Question from Chat")
    custom_input: str = Field("", title="Custom Input", description="What the flow is asked, whatever the agent says.")

    @field_validator("override_config", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return (parsed(value) if value.strip() else {}) if isinstance(value, str) else value


class ChatflowTool(ToolStep):
    """Asks another flow of the workspace."""

    label = "Chatflow Tool"
    version = 5.1
    base_classes = ("ChatflowTool", "Tool")
    credential = ("chatflowApi",)
    Options: ClassVar[type[StepOptions]] = ChatflowToolOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ChatflowToolOptions`. Raises `BadOption` for a flow of another server."""
        super().__init__(node, options, links)
        self._options: ChatflowToolOptions = options
        if options.base_url.strip():
            raise BadOption(f"baseURL: {ELSEWHERE}")
        fixed = options.use_question_from_chat or options.custom_input
        self._tool = Tool(
            tool_name(options.name, "other_flow"),
            options.description,
            NO_INPUT if fixed else INPUT,
            self._call,
            returns_direct=options.return_direct,
        )

    @property
    def flows(self) -> frozenset[UUID]:
        """The one that is chosen."""
        return frozenset({self._options.selected_chatflow})

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Look the flow up. Raises `FlowNotRunnable` where it is not there."""
        options = self._options
        field = type(options).model_fields["selected_chatflow"].alias or "selectedChatflow"
        await look_up(workspace, backing, options.selected_chatflow, self.node.id, f"{self.title}: {field}")

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool."""
        return (self._tool,)

    async def _call(self, run: Run, given: Mapping[str, Any]) -> Outcome:
        options = self._options
        asked = options.custom_input or (run.question if options.use_question_from_chat else str(given.get("input")))
        if not asked.strip():
            raise ToolFailed("The input is empty.")
        if run.backing.predict is None:
            raise ToolFailed("Other flows cannot be called here.")
        session = str(uuid4()) if options.start_new_session else str(options.override_config.get("sessionId") or "")
        cited, overrides = Cited(), options.override_config
        events = run.backing.predict(
            run, options.selected_chatflow, asked[:MOST], session=session, overrides=overrides, cited=cited
        )
        try:
            return await outcome_of(run, events, cited)
        except (NotFound, FlowNotRunnable) as error:
            raise ToolFailed.by(error) from error


class EndingToolOptions(StepOptions):
    """Fields of the nodes."""

    name: str = Field("other_chain", title="Name")
    description: str = Field("Answers a question.", title="Description")
    return_direct: bool = Field(False, title="Return Direct")


class EndingTool(ToolStep):
    """Asks a step that can end a flow."""

    Options: ClassVar[type[StepOptions]] = EndingToolOptions
    below: ClassVar[Anchor]

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `EndingToolOptions`."""
        super().__init__(node, options, links)
        (ending,) = links[self.below.name]
        assert isinstance(ending, EndingStep)
        self._ending = ending
        name = tool_name(options.name, "other")
        self._tool = Tool(name, options.description, INPUT, self._call, returns_direct=options.return_direct)

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool."""
        return (self._tool,)

    async def _call(self, run: Run, given: Mapping[str, Any]) -> Outcome:
        """It hears the agent's words alone: neither the conversation nor what came with the question."""
        asked = str(given["input"])[:MOST]
        if not asked.strip():
            raise ToolFailed("The input is empty.")
        alone = replace(run, question=asked, history=(), pictures=(), documents=(), whole=True, texts={}, cited=Cited())
        return await outcome_of(run, self._ending.reply(alone), alone.cited)


class ChainTool(EndingTool):
    """Asks a chain."""

    label = "Chain Tool"
    base_classes = ("ChainTool", "DynamicTool", "Tool", "StructuredTool", "Runnable")
    below = Anchor("baseChain", EndingStep, "Base Chain")
    anchors = (below,)


class AgentAsToolOptions(ChatflowToolOptions):
    """Fields of the node: as those of the chatflow tool, with the flow under another name."""

    selected_chatflow: UUID = Field(alias="selectedAgentflow", title="Select Agent", description="Id of the flow.")


class AgentAsTool(ChatflowTool):
    """Asks an agentflow of the workspace."""

    label = "Agent as Tool"
    version = 1
    base_classes = ("AgentAsTool", "Tool")
    credential = ("agentflowApi",)
    Options: ClassVar[type[StepOptions]] = AgentAsToolOptions
