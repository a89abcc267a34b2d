"""One call of a model with a prompt."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import Anchor, BadOption, EndingStep, Links, ModelStep, StepOptions
from service.chatflows.steps.prompt_template import PromptStep
from service.chatflows.types import StepEvent


class LlmChainOptions(StepOptions):
    """Fields of the node."""

    chain_name: str = Field("", title="Chain Name", description="Has no effect.")


class LlmChain(EndingStep):
    """Asks a model what a prompt says."""

    label = "LLM Chain"
    category = "Chains"
    version = 3
    base_classes = ("LLMChain", "BaseChain")
    anchors = (Anchor("model", ModelStep, "Language Model"), Anchor("prompt", PromptStep, "Prompt"))
    Options = LlmChainOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `LlmChainOptions`."""
        super().__init__(node, options, links)
        (model,), (prompt,) = links["model"], links["prompt"]
        assert isinstance(model, ModelStep)
        assert isinstance(prompt, PromptStep)
        self._model, self._prompt = writing(model), prompt

    async def answer(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The model's words, then what they took."""
        from service.chatflows.steps.prompts import with_uploads

        said = with_uploads(run, self._prompt.messages(run, run.history), sees=self._model.sees)
        pieces = self._model.write(said, whole=run.whole)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece


def writing(model: ModelStep) -> ModelStep:
    """A model that writes. Raises `BadOption` for one that only quotes documents."""
    if model.quotes:
        raise BadOption(
            f"model: {model.title} only quotes documents; link a model that writes, or set RAGSTONE_CHAT_MODEL"
        )
    return model
