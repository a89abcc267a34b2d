"""Chains that have the model choose: among retrievers, or among prompts, each by its name and description."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import (
    MODERATION,
    Anchor,
    BadOption,
    EndingStep,
    Links,
    ModelStep,
    RetrieverStep,
    StepOptions,
)
from service.chatflows.steps.llm_chain import writing
from service.chatflows.steps.prompts import RESPOND, Template, human, numbered
from service.chatflows.steps.retriever_formats import PromptRetriever, VectorStoreRetriever
from service.chatflows.types import Passage, Sources, StepEvent, Token, Usage
from service.concurrency import together
from service.json_text import parsed
from service.untrusted import Fence

CHOOSE = """Choose which of these is best suited to answer the user's message, by their descriptions. They are, as \
JSON: {known}

Answer with a JSON object and nothing else, such as {{"name": "the name"}}; with {{"name": ""}} where none is suited."""

_MODEL = Anchor("model", ModelStep, "Language Model")


async def chosen(model: ModelStep, run: Run, known: Mapping[str, str]) -> tuple[str, list[Usage]]:
    """The name that the model chooses of `known`, names with their descriptions, and what that took; an empty name for
    none of them, and for an answer that names none."""
    from langchain_core.messages import HumanMessage, SystemMessage

    rows = [{"name": name, "description": text} for name, text in known.items()]
    told = SystemMessage(CHOOSE.format(known=json.dumps(rows, ensure_ascii=False)))
    words: list[str] = []
    taken: list[Usage] = []
    async with aclosing(model.write([told, HumanMessage(run.question)], whole=True)) as events:
        async for event in events:
            if isinstance(event, Token):
                words.append(event.text)
            elif isinstance(event, Usage):
                taken.append(event)
    return read_name("".join(words), known), taken


def read_name(text: str, known: Mapping[str, str]) -> str:
    """The name in a model's words: that of a JSON object, else the words themselves; empty for anything else."""
    start, end = text.find("{"), text.rfind("}")
    try:
        found: Any = parsed(text[start : end + 1]) if 0 <= start < end else text.strip()
    except ValueError:
        return ""
    name = found.get("name") if isinstance(found, Mapping) else found
    return name if isinstance(name, str) and name in known else ""


class MultiRetrievalOptions(StepOptions):
    """Fields of the node."""

    return_source_documents: bool = Field(False, title="Return Source Documents")


class MultiRetrievalQA(EndingStep):
    """Answers from the retriever that fits the question; without one that does, the model answers alone."""

    label = "Multi Retrieval QA Chain"
    category = "Chains"
    version = 2
    base_classes = ("MultiRetrievalQAChain", "BaseChain")
    anchors = (
        _MODEL,
        Anchor("vectorStoreRetriever", VectorStoreRetriever, "Vector Store Retriever", many=True),
        MODERATION,
    )
    Options = MultiRetrievalOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `MultiRetrievalOptions`. Raises `BadOption` for retrievers without names of their own."""
        super().__init__(node, options, links)
        self._options: MultiRetrievalOptions = options
        (model,) = links["model"]
        assert isinstance(model, ModelStep)
        self._model = model
        steps = [step for step in links["vectorStoreRetriever"] if isinstance(step, VectorStoreRetriever)]
        self._retrievers: dict[str, RetrieverStep] = {step.options.name: step for step in steps}
        self._known = {step.options.name: step.options.description for step in steps}
        if "" in self._known or len(self._known) < len(steps):
            raise BadOption("vectorStoreRetriever: each needs a name of its own, by which the model chooses it")
        self._template = Template.parse(RESPOND)

    async def answer(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """What choosing took, the sources, the answer's pieces, what they took."""
        answered = self._quoted(run) if self._model.quotes else self._written(run)
        async with aclosing(self._citing(run, answered, shows=self._options.return_source_documents)) as events:
            async for event in events:
                yield event

    async def _quoted(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """A model that cannot write cannot choose either: sentences of what all of them find."""
        found = await together(*(each.retrieve(run, run.question) for each in self._retrievers.values()))
        passages = sorted((item for items in found for item in items), key=lambda item: -item.score)
        quoted = await run.backing.quote(run.question, passages)
        yield Sources(tuple(quoted.passages))
        for piece in quoted.pieces:
            yield Token(piece)

    async def _written(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        from langchain_core.messages import SystemMessage

        name, taken = await chosen(self._model, run, self._known)
        for usage in taken:
            yield usage
        passages: Sequence[Passage] = await self._retrievers[name].retrieve(run, run.question) if name else ()
        said = [human(run, sees=self._model.sees)]
        context = numbered(passages, Fence()) if name else ""
        told = [SystemMessage(self._template.fill({"context": context}))] if name else []
        yield Sources(tuple(passages))
        async with aclosing(self._model.write([*told, *said], whole=run.whole)) as events:
            async for event in events:
                yield event


class MultiPrompt(EndingStep):
    """Answers by the prompt that fits the question; without one that does, the model answers as it is."""

    label = "Multi Prompt Chain"
    category = "Chains"
    version = 2
    base_classes = ("MultiPromptChain", "BaseChain")
    anchors = (_MODEL, Anchor("promptRetriever", PromptRetriever, "Prompt Retriever", many=True), MODERATION)

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """Has no options. Raises `BadOption` for prompts without names of their own, and a model that quotes."""
        super().__init__(node, options, links)
        (model,) = links["model"]
        assert isinstance(model, ModelStep)
        self._model = writing(model)
        steps = [step for step in links["promptRetriever"] if isinstance(step, PromptRetriever)]
        self._prompts = {step.options.name: step.options.system_message for step in steps}
        self._known = {step.options.name: step.options.description for step in steps}
        if "" in self._known or len(self._known) < len(steps):
            raise BadOption("promptRetriever: each needs a name of its own, by which the model chooses it")

    async def answer(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """What choosing took, the answer's pieces, and what they took."""
        from langchain_core.messages import SystemMessage

        name, taken = await chosen(self._model, run, self._known)
        for usage in taken:
            yield usage
        told = [SystemMessage(self._prompts[name])] if name else []
        said = [*told, human(run, sees=self._model.sees)]
        async with aclosing(self._model.write(said, whole=run.whole)) as events:
            async for event in events:
                yield event
