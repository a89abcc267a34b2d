"""Agents whose model calls tools by itself. Models that cannot are led through the same tools in words."""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from service.agents.base import Ended, Job
from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.agents import MEMORY, MODEL, TOOLS, AgentOptions, AgentStep
from service.chatflows.steps.base import MODERATION, Anchor, Links, StepOptions
from service.chatflows.steps.prompt_template import ChatPromptTemplate
from service.chatflows.types import StepEvent, Turn

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


class CallingAgent(AgentStep):
    """Answers with the help of tools."""

    label = "OpenAI Function Agent"
    version: ClassVar[float] = 3

    def work(self, job: Job, run: Run) -> AsyncGenerator[StepEvent | Ended, None]:
        """Tool calls where the model can make them, else calls in words."""
        from service.agents.loops import work

        return work(job, run)


class ToolAgentOptions(AgentOptions):
    """Fields of the node."""

    enable_detailed_streaming: bool = Field(
        False, title="Enable Detailed Streaming", description="Say each call of a tool as it begins."
    )


class ToolAgent(CallingAgent):
    """Answers with the help of tools, which its model calls."""

    label = "Tool Agent"
    version = 2
    anchors = (
        TOOLS,
        MEMORY,
        MODEL,
        Anchor("chatPromptTemplate", ChatPromptTemplate, "Chat Prompt Template", optional=True),
        MODERATION,
    )
    Options: ClassVar[type[StepOptions]] = ToolAgentOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ToolAgentOptions`."""
        super().__init__(node, options, links)
        self.detailed = options.enable_detailed_streaming
        prompt = next(iter(links.get("chatPromptTemplate", ())), None)
        self._prompt = prompt if isinstance(prompt, ChatPromptTemplate) else None

    async def messages(self, run: Run, history: Sequence[Turn]) -> "Sequence[BaseMessage]":
        """A prompt speaks in place of the node's system message, and around the question."""
        if self._prompt is None:
            return await super().messages(run, history)
        return await self._prompt.around(run, history, sees=self.model.sees)


class ConversationalToolAgent(CallingAgent):
    """Answers with the help of tools, as older flows have it."""

    label = "Conversational Retrieval Tool Agent"
    version = 1


class ConversationalRetrievalAgent(CallingAgent):
    """Answers from documents with the help of tools, as older flows have it."""

    label = "Conversational Retrieval Agent"
    version = 4


class OpenAIToolAgent(CallingAgent):
    """Answers with the help of tools, as older flows have it."""

    label = "OpenAI Tool Agent"
    version = 1


class MistralToolAgent(CallingAgent):
    """Answers with the help of tools of Mistral's models, as older flows have it."""

    label = "MistralAI Tool Agent"
    version = 1


class LlamaOpenAIAgent(CallingAgent):
    """Answers with the help of tools; of the nodes named after LlamaIndex."""

    label = "OpenAI Tool Agent (LlamaIndex)"
    version = 2
    base_classes = ("AgentRunner", "OpenAIAgent_LlamaIndex_Agents")


class LlamaAnthropicAgent(CallingAgent):
    """Answers with the help of tools of Claude; of the nodes named after LlamaIndex."""

    label = "Anthropic Agent (LlamaIndex)"
    version = 1
    base_classes = ("AgentRunner", "AnthropicAgent_LlamaIndex_Agents")
