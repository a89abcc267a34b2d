"""Asks a model."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.messages import AIMessage

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.nodes.conversation import Conversation, Prompt
from service.agentflows.nodes.structured import Structure, structured
from service.agentflows.state import Moment
from service.agentflows.templates import changes
from service.agentflows.types import Done
from service.agents.speech import speak
from service.chatflows.steps.base import ModelStep
from service.chatflows.types import StepEvent, Token, Usage


class Llm(FlowNode):
    """Asks a model, which answers in words or in a structure."""

    label = "LLM"

    def read(self, maker: Maker) -> None:
        """The model, what it is told, and what it is to answer."""
        self._model = maker.model("llmModel")
        self._talk = Conversation(self, "llm")
        self._structure = Structure.read(self.rows("llmStructuredOutput"), "llmStructuredOutput")
        self.updates = self.state("llmUpdateState")

    @property
    def model(self) -> ModelStep:
        """The model; flows without one are never run."""
        assert self._model is not None
        return self._model

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """The model's words as they come; of a structure its JSON, when it is whole."""
        more = self._structure.instruction if self._structure else ""
        prompt = await self._talk.prompt(moment, self.model, more)
        used: list[Usage] = []
        value: dict[str, Any] | None = None
        parts: list[str] = []
        pieces = self._asked(moment, prompt)
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, dict):
                    value = piece
                    continue
                if isinstance(piece, Token):
                    parts.append(piece.text)
                elif isinstance(piece, Usage):
                    used.append(piece)
                yield piece
        text = "".join(parts) if value is None else json.dumps(value, ensure_ascii=False, indent=2)
        yield self._done(moment, prompt, text, value, used)

    async def _asked(self, moment: Moment, prompt: Prompt) -> AsyncGenerator[StepEvent | dict[str, Any], None]:
        if self._structure is not None:
            shaped = structured(self.title, self.model, prompt.messages, self._structure, moment.run)
            async with aclosing(shaped):
                async for piece in shaped:
                    yield piece
            return
        # whoever reads only the whole of it need not have it in pieces
        whole = moment.run.whole or not moment.answers
        spoken = speak(self.model.chat, prompt.messages, whole=whole, name=model_name(self.model))
        async with aclosing(spoken):
            async for part in spoken:
                if not isinstance(part, AIMessage):
                    yield part

    def _done(
        self, moment: Moment, prompt: Prompt, text: str, value: Mapping[str, Any] | None, used: Sequence[Usage]
    ) -> Done:
        output: dict[str, Any] = {**(value or {}), "content": text, **usage_shown(used)}
        return Done(
            text=text,
            output=output,
            input={"llmModel": self.model.node.name, "messages": [message.shown() for message in prompt.told]},
            changes=changes(self.updates, moment, text if value is None else value),
            opening=prompt.opening,
            said=(*prompt.said, self._talk.answer(text)),
        )


def model_name(model: ModelStep) -> str:
    """The model's name, where its answers do not say it."""
    return str(getattr(model.chat, "model_name", ""))


def usage_shown(used: Sequence[Usage]) -> dict[str, Any]:
    """What a node's models took, as its output shows it; empty where nobody counted."""
    if not used:
        return {}
    given, made = sum(item.input_tokens for item in used), sum(item.output_tokens for item in used)
    return {"usageMetadata": {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}}
