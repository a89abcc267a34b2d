"""One call of a model with a prompt, whose answer may be read by an output parser."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import MODERATION, Anchor, BadOption, EndingStep, Links, ModelStep, StepOptions
from service.chatflows.steps.parsers import ParserStep, Unreadable
from service.chatflows.steps.prompt_template import PromptStep
from service.chatflows.types import StepEvent, Structured, Token
from service.errors import ServiceError

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

INSTRUCTIONS = "format_instructions"
"""The value by which a prompt can say itself where the form of the answer is told."""

AGAIN = "Your answer cannot be read: {why}. Write it again, in the form that was asked for, and nothing else."


class UnreadableAnswer(ServiceError):
    """The model's answer has not the form that the flow's output parser reads."""

    status, code = 502, "unreadable_answer"


class LlmChainOptions(StepOptions):
    """Fields of the node."""

    chain_name: str = Field("", title="Chain Name", description="Has no effect.")


class LlmChain(EndingStep):
    """Asks a model what a prompt says."""

    label = "LLM Chain"
    category = "Chains"
    version = 3
    base_classes = ("LLMChain", "BaseChain")
    outputs = ("llmChain", "outputPrediction")
    anchors = (
        Anchor("model", ModelStep, "Language Model"),
        Anchor("prompt", PromptStep, "Prompt"),
        Anchor("outputParser", ParserStep, "Output Parser", optional=True),
        MODERATION,
    )
    Options = LlmChainOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `LlmChainOptions`."""
        super().__init__(node, options, links)
        (model,), (prompt,) = links["model"], links["prompt"]
        assert isinstance(model, ModelStep)
        assert isinstance(prompt, PromptStep)
        self._model, self._prompt = writing(model), prompt
        parser = next(iter(links.get("outputParser", ())), None)
        self._parser = parser if isinstance(parser, ParserStep) else None

    async def answer(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The model's words and what they took, or the value that the parser reads out of them."""
        said = await self._messages(run)
        if self._parser is not None:
            events = self._read(self._parser, said)
        else:
            events = self._model.write(said, whole=run.whole)
        async with aclosing(events):
            async for event in events:
                yield event

    async def _messages(self, run: Run) -> "list[BaseMessage]":
        """The prompt; with the form of the answer behind the last message, unless the prompt has a place for it."""
        from service.chatflows.steps.prompts import with_uploads

        told = self._parser.instructions if self._parser else ""
        said = await self._prompt.messages(run, run.history, {INSTRUCTIONS: told} if told else None)
        if told and not self._prompt.asks_for(INSTRUCTIONS) and said:
            *before, last = said
            said = [*before, last.model_copy(update={"content": f"{last.text}\n\n{told}"})]
        return with_uploads(run, said, sees=self._model.sees)

    async def _read(self, parser: ParserStep, said: "Sequence[BaseMessage]") -> AsyncGenerator[StepEvent, None]:
        """The value in the answer; a model gets a second try when the parser may mend."""
        from langchain_core.messages import AIMessage, HumanMessage

        for last in (False, True) if parser.autofix else (True,):
            parts: list[str] = []
            pieces = self._model.write(said, whole=True)
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, Token):
                        parts.append(piece.text)
                    else:
                        yield piece
            text = "".join(parts)
            try:
                yield Structured(parser.value(text))
                return
            except Unreadable as error:
                if last:
                    raise UnreadableAnswer(f"{parser.title}: the model's answer cannot be read: {error}") from None
                said = [*said, AIMessage(text), HumanMessage(AGAIN.format(why=error))]


def writing(model: ModelStep) -> ModelStep:
    """A model that writes. Raises `BadOption` for one that only quotes documents."""
    if model.quotes:
        raise BadOption(
            f"model: {model.title} only quotes documents; link a model that writes, or set RAGSTONE_CHAT_MODEL"
        )
    return model
