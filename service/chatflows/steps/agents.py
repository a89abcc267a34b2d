"""What the agent nodes share: a model, tools, a memory, and a loop that puts them to work (service/agents)."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from service.agents.base import MAX_ROUNDS, Ended, Job, limits
from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import (
    MODERATION,
    Anchor,
    EndingStep,
    Links,
    MemoryStep,
    ModelStep,
    StepOptions,
)
from service.chatflows.steps.llm_chain import writing
from service.chatflows.steps.tool import Tool, ToolStep
from service.chatflows.types import StepEvent, ToolCalls, Turn
from service.concurrency import together

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

TOOLS = Anchor("tools", ToolStep, "Tools", optional=True, many=True)
MEMORY = Anchor("memory", MemoryStep, "Memory", optional=True)
MODEL = Anchor("model", ModelStep, "Chat Model")

SYSTEM = "You are a helpful assistant. Use the tools where they help, and say so when you do not know something."


class AgentOptions(StepOptions):
    """Fields of every agent node."""

    system_message: str = Field(SYSTEM, title="System Message")
    max_iterations: int | None = Field(
        None, ge=1, title="Max Iterations", description=f"Calls of the model for one answer, {MAX_ROUNDS} at most."
    )


class AgentStep(EndingStep):
    """An agent."""

    category = "Agents"
    base_classes: ClassVar[tuple[str, ...]] = ("AgentExecutor", "BaseChain", "Runnable")
    anchors: ClassVar[tuple[Anchor, ...]] = (TOOLS, MEMORY, MODEL, MODERATION)
    Options: ClassVar[type[StepOptions]] = AgentOptions
    detailed: bool = False
    """Whether each call of a tool is told as it begins."""

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are this class's `Options`. Raises `BadOption` for a model that only quotes."""
        super().__init__(node, options, links)
        self.options = options
        (model,) = links["model"]
        assert isinstance(model, ModelStep)
        self.model = writing(model)
        memory = next(iter(links.get("memory", ())), None)
        self.memory = memory if isinstance(memory, MemoryStep) else None
        self._tools = [step for step in links.get("tools", ()) if isinstance(step, ToolStep)]

    @abstractmethod
    def work(self, job: Job, run: Run) -> AsyncGenerator[StepEvent | Ended, None]:
        """The loop that does the job."""

    async def answer(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """What the loop says."""
        history = await self.memory.recall(run) if self.memory else run.history
        messages, tools = await self.messages(run, history), await self.tools(run)
        bounds = limits(getattr(self.options, "max_iterations", None))
        job = Job(self.model.chat, messages, tools, bounds, binding=self.model.binding)
        async with aclosing(self.work(job, run)) as events:
            async for event in events:
                if not isinstance(event, Ended) and (self.detailed or not isinstance(event, ToolCalls)):
                    yield event

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The tools of all nodes that are linked, in the graph's order."""
        return [tool for tools in await together(*(step.tools(run) for step in self._tools)) for tool in tools]

    async def messages(self, run: Run, history: Sequence[Turn]) -> "Sequence[BaseMessage]":
        """System message, the conversation, the question."""
        from langchain_core.messages import SystemMessage

        from service.chatflows.steps.prompts import human, messages

        sees = self.model.sees
        said = [*messages(history, sees=sees), human(run, sees=sees)]
        system: str = getattr(self.options, "system_message", "")
        return [SystemMessage(system), *said] if system.strip() else said
