"""Conversational RAG: rephrase a follow-up question, find passages, answer from them with numbered sources."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import (
    MODERATION,
    Anchor,
    EndingStep,
    Links,
    MemoryStep,
    ModelStep,
    RetrieverStep,
    StepOptions,
)
from service.chatflows.steps.prompts import (
    REPHRASE,
    RESPOND,
    Template,
    attached,
    human,
    messages,
    numbered,
    transcript,
)
from service.chatflows.types import Passage, Role, Sources, StepEvent, Token, Turn, Usage
from service.untrusted import Fence

MAX_REPHRASED = 2_000
"""A model that rephrases into more characters than this did something else; the question is used as it is."""


class ConversationalRetrievalOptions(StepOptions):
    """Fields of the node; the last two are older versions'."""

    return_source_documents: bool = Field(False, title="Return Source Documents")
    rephrase_prompt: str = Field(REPHRASE, title="Rephrase Prompt")
    response_prompt: str = Field(RESPOND, title="Response Prompt")
    system_message_prompt: str = Field("", title="System Message", description="Put before the response prompt.")
    chain_option: str = Field("", title="Chain Option", description="Of older versions; has no effect.")


class ConversationalRetrieval(EndingStep):
    """Answers questions about documents, with the conversation in mind."""

    label = "Conversational Retrieval QA Chain"
    category = "Chains"
    version: ClassVar[float] = 3
    base_classes: ClassVar[tuple[str, ...]] = ("ConversationalRetrievalQAChain", "BaseChain")
    anchors: ClassVar[tuple[Anchor, ...]] = (
        Anchor("model", ModelStep, "Chat Model"),
        Anchor("vectorStoreRetriever", RetrieverStep, "Vector Store Retriever"),
        Anchor("memory", MemoryStep, "Memory", optional=True),
        MODERATION,
    )
    Options: ClassVar[type[StepOptions]] = ConversationalRetrievalOptions
    formats = frozenset({"rephrasePrompt", "responsePrompt", "systemMessagePrompt"})
    remembers: ClassVar[bool] = True
    """Whether earlier turns count."""
    rephrases: ClassVar[bool] = True
    """Whether a follow-up question is asked of the retriever in words that can be understood alone."""

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ConversationalRetrievalOptions`; the templates are parsed here, once."""
        super().__init__(node, options, links)
        self._options: ConversationalRetrievalOptions = options
        (model,), (retriever,) = links["model"], links["vectorStoreRetriever"]
        assert isinstance(model, ModelStep)
        assert isinstance(retriever, RetrieverStep)
        self._model, self._retriever = model, retriever
        self.searched = retriever.searched
        memory = next(iter(links.get("memory", ())), None)
        self.memory = memory if isinstance(memory, MemoryStep) else None
        self._rephrase = Template.parse(options.rephrase_prompt)
        response = Template.parse("\n".join(filter(None, (options.system_message_prompt, options.response_prompt))))
        if not response.holds("context"):
            response = Template((*response.parts[:-1], response.parts[-1] + "\n\n", "context", ""))
        self._response = response

    async def answer(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The sources, the answer's pieces, what the model calls took."""
        history = await self.memory.recall(run) if self.memory else run.history if self.remembers else ()
        answered = self._quoted(run, history) if self._model.quotes else self._written(run, history)
        async with aclosing(self._citing(run, answered, shows=self._options.return_source_documents)) as events:
            async for event in events:
                yield event

    async def _quoted(self, run: Run, history: Sequence[Turn]) -> AsyncGenerator[StepEvent, None]:
        """Sentences of the passages. One earlier user turn makes a follow-up question easier to find; more harm."""
        before = [turn.text for turn in history if turn.role is Role.USER][-1:]
        asked = "\n".join([*before, run.question])
        found = await self._retriever.retrieve(run, asked) if asked.strip() else ()
        passages = [*attached(run, history), *found]
        quoted = await run.backing.quote(run.question, passages)
        if before and not quoted.found:
            with_turn = await run.backing.quote(asked, passages)
            quoted = with_turn if with_turn.found else quoted
        yield Sources(quoted.passages)
        for piece in quoted.pieces:
            yield Token(piece)

    async def _written(self, run: Run, history: Sequence[Turn]) -> AsyncGenerator[StepEvent, None]:
        asked = run.question
        if history and self.rephrases:
            asked, usage = await self._standalone(run, history)
            if usage:
                yield usage
        passages: Sequence[Passage] = await self._retriever.retrieve(run, asked) if asked.strip() else ()
        fence = Fence()
        values = {"context": numbered(passages, fence), "question": run.question, "chat_history": ""}
        if self._response.holds("chat_history"):
            values["chat_history"] = transcript(history, fence)
        said = human(run, sees=self._model.sees)
        prompt = [SystemMessage(self._response.fill(values)), *messages(history, sees=self._model.sees), said]
        yield Sources(tuple(passages))
        pieces = self._model.write(prompt, whole=run.whole)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def _standalone(self, run: Run, history: Sequence[Turn]) -> tuple[str, Usage | None]:
        """The question, understandable without the conversation, and what the model call took."""
        told = transcript(history, Fence())
        prompt = self._rephrase.fill({"chat_history": told, "question": run.question, "context": ""})
        parts: list[str] = []
        usage: Usage | None = None
        pieces = self._model.write([HumanMessage(prompt)], whole=True)
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, Usage):
                    usage = piece
                elif isinstance(piece, Token):
                    parts.append(piece.text)
        rephrased = "".join(parts).strip()
        return (rephrased if 0 < len(rephrased) <= MAX_REPHRASED else run.question), usage
