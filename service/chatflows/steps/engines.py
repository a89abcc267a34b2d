"""Flowise's LlamaIndex engines, over our own retrievers, models and memories."""

import json
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from service.answers import markers
from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import (
    Anchor,
    BadOption,
    EndingStep,
    Links,
    MemoryStep,
    ModelStep,
    RetrieverStep,
    StepOptions,
)
from service.chatflows.steps.conversation_chain import SYSTEM, ConversationChain, ConversationChainOptions
from service.chatflows.steps.conversational_retrieval import ConversationalRetrieval, ConversationalRetrievalOptions
from service.chatflows.steps.embeddings import EmbeddingsStep
from service.chatflows.steps.llm_chain import writing
from service.chatflows.steps.synthesizers import KEEP, CompactRefine, Piece, Synthesizer, Task, pieces_of
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep, tool_name
from service.chatflows.types import Passage, Sources, StepEvent, Token, Usage
from service.concurrency import together
from service.json_text import parsed

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

CATEGORY = "Engine"
MODEL = Anchor("model", ModelStep, "Chat Model")
SYNTHESIZER = Anchor("responseSynthesizer", Synthesizer, "Response Synthesizer", optional=True)

MOST_PARTS = 8
"""Questions that one is taken apart into."""
LONGEST = 2_000
"""Characters of a question that a model wrote."""

DECOMPOSE = """Take the user's question apart into questions that the tools below can answer each by itself. A \
question goes to the one tool that fits it; ask no more than {most}, and only one where that is enough. Keep names, \
numbers and the language of the question.

Tools, as JSON: {tools}

Answer with a JSON array and nothing else, such as
[{{"tool": "name of the tool", "question": "the question"}}]"""


class ContextChatOptions(StepOptions):
    """Fields of the node."""

    return_source_documents: bool = Field(False, title="Return Source Documents")
    system_message_prompt: str = Field("", title="System Message")


class ContextChatEngine(ConversationalRetrieval):
    """Talks about documents: what is found for a message stands before the model with the conversation."""

    label = "Context Chat Engine"
    category = CATEGORY
    version = 1
    base_classes = ("ContextChatEngine",)
    anchors = (
        MODEL,
        Anchor("vectorStoreRetriever", RetrieverStep, "Vector Store Retriever"),
        Anchor("memory", MemoryStep, "Memory"),
    )
    Options = ContextChatOptions
    formats = frozenset()
    rephrases = False

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ContextChatOptions`."""
        given: ContextChatOptions = options
        fields = {
            "returnSourceDocuments": given.return_source_documents,
            "systemMessagePrompt": given.system_message_prompt,
        }
        super().__init__(node, ConversationalRetrievalOptions.model_validate(fields), links)


class SimpleChatOptions(ConversationChainOptions):
    """Fields of the node."""

    system_message_prompt: str = Field(SYSTEM, title="System Message")


class SimpleChatEngine(ConversationChain):
    """Talks with a model that remembers the session."""

    label = "Simple Chat Engine"
    category = CATEGORY
    version = 1
    base_classes = ("SimpleChatEngine",)
    anchors = (MODEL, Anchor("memory", MemoryStep, "Memory"))
    Options = SimpleChatOptions


class EngineOptions(StepOptions):
    """Fields of the nodes."""

    return_source_documents: bool = Field(False, title="Return Source Documents")


class Engine(EndingStep):
    """Answers single questions from what it finds."""

    category = CATEGORY
    Options: ClassVar[type[StepOptions]] = EngineOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `EngineOptions`."""
        super().__init__(node, options, links)
        self._options: EngineOptions = options
        given = next(iter(links.get("responseSynthesizer", ())), None)
        self.synthesizer = given if isinstance(given, Synthesizer) else CompactRefine.build(node_of(node), {})

    @abstractmethod
    def respond(self, run: Run, question: str, *, last: bool) -> AsyncGenerator[StepEvent, None]:
        """The answer to a question and its sources, always; `last`: it is the flow's answer and may be streamed."""

    async def answer(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The answer's pieces, what the model calls took, and before them the sources."""
        events = self._citing(
            run, self.respond(run, run.question, last=True), shows=self._options.return_source_documents
        )
        async with aclosing(events):
            async for event in events:
                yield event


class QueryEngine(Engine):
    """Answers a question from a vector store. Its model is the one of the vector store, else the service's own."""

    label = "Query Engine"
    version = 2
    base_classes = ("QueryEngine", "BaseQueryEngine")
    anchors = (
        Anchor("vectorStoreRetriever", RetrieverStep, "Vector Store Retriever"),
        SYNTHESIZER,
        Anchor("model", ModelStep, "Chat Model, where the vector store has none"),
    )

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `EngineOptions`."""
        super().__init__(node, options, links)
        (retriever,), (own,) = links["vectorStoreRetriever"], links["model"]
        assert isinstance(retriever, RetrieverStep)
        assert isinstance(own, ModelStep)
        linked = next((step for step in retriever.links.get("model", ()) if isinstance(step, ModelStep)), None)
        self._retriever = retriever
        self._model = linked if linked is not None and not linked.quotes else own

    async def respond(self, run: Run, question: str, *, last: bool) -> AsyncGenerator[StepEvent, None]:
        """What the synthesizer makes of the passages that are found; without a model that writes, quotes of them."""
        passages = tuple(await self._retriever.retrieve(run, question))
        if self._model.quotes:
            quoted = await run.backing.quote(question, passages)
            yield Sources(tuple(quoted.passages))
            for piece in quoted.pieces:
                yield Token(piece)
            return
        yield Sources(passages)
        task = Task(heard_by(run, last=last), self._model, question)
        async with aclosing(self.synthesizer.write(task, pieces_of(passages))) as events:
            async for event in events:
                yield event


class QueryEngineToolOptions(StepOptions):
    """Fields of the node."""

    tool_name: str = Field("query_engine", title="Tool Name", description="Letters, digits and _.")
    tool_desc: str = Field("", title="Tool Description", description="What its documents are about.")


class QueryEngineTool(ToolStep):
    """Gives an engine a name and a description, by which a model chooses it."""

    label = "QueryEngine Tool"
    version = 2
    base_classes = ("QueryEngineTool",)
    anchors = (Anchor("baseQueryEngine", Engine, "Base QueryEngine"),)
    Options = QueryEngineToolOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `QueryEngineToolOptions`."""
        super().__init__(node, options, links)
        (engine,) = links["baseQueryEngine"]
        assert isinstance(engine, Engine)
        self.engine = engine
        self.name = tool_name(options.tool_name, "query_engine")
        self.description: str = options.tool_desc

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool, for agents."""
        return (Tool(self.name, self.description, INPUT, self._call),)

    async def _call(self, run: Run, given: Mapping[str, Any]) -> Outcome:
        question = str(given["input"]).strip()[:LONGEST]
        if not question:
            raise ToolFailed("The input is empty.")
        text, sources, taken = await heard(self.engine, run, question)
        run.spent.extend(taken)
        return Outcome(text, sources)


INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The question."}},
    "required": ["input"],
}


class SubQuestionQueryEngine(Engine):
    """Takes a question apart, has each part answered by the engine that fits, and answers from these answers."""

    label = "Sub Question Query Engine"
    version = 2
    base_classes = ("SubQuestionQueryEngine", "BaseQueryEngine")
    upserts = frozenset({"embeddings"})
    anchors = (
        Anchor("queryEngineTools", QueryEngineTool, "QueryEngine Tools", many=True),
        MODEL,
        Anchor("embeddings", EmbeddingsStep, "Embeddings, which it has no use for", optional=True),
        SYNTHESIZER,
    )

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `EngineOptions`. Raises `BadOption` for a model that quotes, and for tools of one name."""
        super().__init__(node, options, links)
        (model,) = links["model"]
        assert isinstance(model, ModelStep)
        self._model = writing(model)
        tools = [step for step in links["queryEngineTools"] if isinstance(step, QueryEngineTool)]
        self._tools = {step.name: step for step in tools}
        if len(self._tools) < len(tools):
            raise BadOption("queryEngineTools: two of them have one name; give each a toolName of its own")

    async def respond(self, run: Run, question: str, *, last: bool) -> AsyncGenerator[StepEvent, None]:
        """The answer, from the answers of all parts."""
        parts, taken = await self._parts(question)
        for usage in taken:
            yield usage
        answers = await together(*(heard(self._tools[name].engine, run, part) for name, part in parts))
        sources: list[Passage] = []
        pieces: list[Piece] = []
        for (name, part), (text, found, spent) in zip(parts, answers, strict=True):
            for usage in spent:
                yield usage
            told = f"Question: {part}\nAnswer: {renumbered(text, found, sources)}"
            pieces.append(Piece(told, "answer", title=name))
        yield Sources(tuple(sources))
        task = Task(heard_by(run, last=last), self._model, question, KEEP)
        async with aclosing(self.synthesizer.write(task, pieces)) as events:
            async for event in events:
                yield event

    async def _parts(self, question: str) -> tuple[list[tuple[str, str]], list[Usage]]:
        """Tool and question of each part, and what asking for them took. A model that writes something else than was
        asked for leaves the question as it is, for every tool."""
        from langchain_core.messages import HumanMessage, SystemMessage

        known = [{"name": step.name, "description": step.description} for step in self._tools.values()]
        told = DECOMPOSE.format(most=MOST_PARTS, tools=json.dumps(known, ensure_ascii=False))
        said: list[BaseMessage] = [SystemMessage(told), HumanMessage(question)]
        words: list[str] = []
        taken: list[Usage] = []
        async with aclosing(self._model.write(said, whole=True)) as events:
            async for event in events:
                if isinstance(event, Token):
                    words.append(event.text)
                elif isinstance(event, Usage):
                    taken.append(event)
        parts = read_parts("".join(words), self._tools)
        return parts or [(name, question) for name in list(self._tools)[:MOST_PARTS]], taken


def node_of(node: Node) -> Node:
    """A node without inputs that stands for what `node` takes by default."""
    return Node(node.id, node.name, node.label, node.category, {}, "", "")


def heard_by(run: Run, *, last: bool) -> Run:
    """The run, whose models need not stream where nobody but an engine hears them."""
    return run if last or run.whole else replace(run, whole=True)


async def heard(engine: Engine, run: Run, question: str) -> tuple[str, tuple[Passage, ...], list[Usage]]:
    """What an engine answers, its sources, and what it took."""
    words: list[str] = []
    sources: tuple[Passage, ...] = ()
    taken: list[Usage] = []
    async with aclosing(engine.respond(run, question, last=False)) as events:
        async for event in events:
            if isinstance(event, Token):
                words.append(event.text)
            elif isinstance(event, Sources):
                sources = event.passages
            elif isinstance(event, Usage):
                taken.append(event)
    return "".join(words), sources, taken


def renumbered(text: str, found: Sequence[Passage], sources: list[Passage]) -> str:
    """An answer with the numbers that its passages have among `sources`, which new ones are added to. Numbers that
    stand for nothing go."""
    numbers: list[int] = []
    known = {passage.id: number for number, passage in enumerate(sources, 1)}
    for passage in found:
        if passage.id not in known:
            sources.append(passage)
            known[passage.id] = len(sources)
        numbers.append(known[passage.id])
    return markers.renumbered(text, numbers, strays=False)


def read_parts(text: str, tools: Mapping[str, QueryEngineTool]) -> list[tuple[str, str]]:
    """The parts in a model's words: those that name a tool and ask something, without repeats; none of them broken."""
    start, end = text.find("["), text.rfind("]")
    try:
        rows = parsed(text[start : end + 1]) if 0 <= start < end else []
    except ValueError:
        return []
    found: dict[tuple[str, str], None] = {}
    for row in rows if isinstance(rows, list) else []:
        tool, asked = (row.get("tool"), row.get("question")) if isinstance(row, Mapping) else (None, None)
        if isinstance(tool, str) and tool in tools and isinstance(asked, str) and asked.strip():
            found[tool, asked.strip()[:LONGEST]] = None
    return list(found)[:MOST_PARTS]
