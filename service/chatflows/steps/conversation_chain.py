"""Talks with a model, with what was said before in mind."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import MODERATION, Anchor, EndingStep, Links, MemoryStep, ModelStep, StepOptions
from service.chatflows.steps.llm_chain import writing
from service.chatflows.steps.prompt_template import ChatPromptTemplate
from service.chatflows.types import StepEvent

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

SYSTEM = "You talk with a user in a friendly way, in the user's language. Say so when you do not know something."


class ConversationChainOptions(StepOptions):
    """Fields of the node."""

    system_message_prompt: str = Field(SYSTEM, title="System Message")


class ConversationChain(EndingStep):
    """Talks with a model that remembers the session."""

    label = "Conversation Chain"
    category = "Chains"
    version: ClassVar[float] = 3
    base_classes: ClassVar[tuple[str, ...]] = ("ConversationChain", "LLMChain", "BaseChain")
    anchors: ClassVar[tuple[Anchor, ...]] = (
        Anchor("model", ModelStep, "Chat Model"),
        Anchor("memory", MemoryStep, "Memory"),
        Anchor("chatPromptTemplate", ChatPromptTemplate, "Chat Prompt Template", optional=True),
        MODERATION,
    )
    Options: ClassVar[type[StepOptions]] = ConversationChainOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ConversationChainOptions`."""
        super().__init__(node, options, links)
        self._options: ConversationChainOptions = options
        (model,), (memory,) = links["model"], links["memory"]
        assert isinstance(model, ModelStep)
        assert isinstance(memory, MemoryStep)
        self._model, self.memory = writing(model), memory
        prompt = next(iter(links.get("chatPromptTemplate", ())), None)
        self._prompt = prompt if isinstance(prompt, ChatPromptTemplate) else None

    async def answer(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The model's words, then what they took."""
        pieces = self._model.write(await self._messages(run), whole=run.whole)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def _messages(self, run: Run) -> "list[BaseMessage]":
        """System message, the session, the question; a prompt says the first and the last of them in its own words."""
        from langchain_core.messages import SystemMessage

        from service.chatflows.steps.prompts import human, messages

        assert self.memory is not None
        history = await self.memory.recall(run)
        sees = self._model.sees
        if self._prompt is not None:
            return await self._prompt.around(run, history, sees=sees)
        system = SystemMessage(self._options.system_message_prompt)
        return [system, *messages(history, sees=sees), human(run, sees=sees)]
