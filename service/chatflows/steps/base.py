"""The port of steps: what a node of a chatflow becomes when the flow is compiled.

A step is made once per version of its flow and then shared by all predictions, so it keeps nothing of a single run:
that stands in the `Run`. Steps reach the rest of the service only through `Backing`, which tests replace.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self
from uuid import UUID

from pydantic import ValidationError

from service.chatflows.graph import Node
from service.chatflows.run import Backing, Run
from service.chatflows.steps.options import BadOption as BadOption
from service.chatflows.steps.options import StepOptions as StepOptions
from service.chatflows.steps.options import complaint, shown
from service.chatflows.types import Passage, Sources, StepEvent, Structured, Thinking, Token, Turn, Usage
from service.concurrency import together
from service.retrieval.base import Ask, HitStage, Message, QuestionStage, Stage

if TYPE_CHECKING:
    # importing LangChain costs half a second of CPU: only what runs a model pays for it
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage


@dataclass(frozen=True, slots=True)
class Anchor:
    """An input that other steps are linked to."""

    name: str
    accepts: type["Step"]
    label: str = ""
    optional: bool = False
    many: bool = False
    named: bool = False
    """The input is a text of the node's own, which names the steps behind it: `{{id.data.instance}}`."""


Links = Mapping[str, tuple["Step", ...]]
"""The steps behind each anchor."""


class Step(ABC):
    """A node, compiled."""

    label: ClassVar[str]
    """What people call it, where the node has no label of its own."""
    category: ClassVar[str]
    version: ClassVar[float] = 1
    base_classes: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ()
    """Names of selectable outputs; empty: one only."""
    credential: ClassVar[tuple[str, ...]] = ()
    """Credential components that it can take."""
    anchors: ClassVar[tuple[Anchor, ...]] = ()
    upserts: ClassVar[frozenset[str]] = frozenset()
    """Inputs that only upserts need: what is linked to them is no part of an answer."""
    fills: ClassVar[bool] = False
    """Whether it fills `{{question}}` and its like in its texts by itself (`chatflows.texts`)."""
    formats: ClassVar[frozenset[str]] = frozenset()
    """Inputs with places of their own, such as `{context}`, which stand as text in doubled braces."""
    Options: ClassVar[type[StepOptions]] = StepOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """Keep what was compiled; opens and asks nothing."""
        self.node = node
        self.title = f"{node.label or self.label} ({node.id})"
        self.links = links

    @classmethod
    def read(cls, node: Node) -> StepOptions:
        """The options in a node's inputs. Raises `BadOption` naming the field."""
        linked = {anchor.name for anchor in cls.anchors if not anchor.named}
        try:
            return cls.Options.model_validate({k: v for k, v in node.inputs.items() if k not in linked})
        except ValidationError as error:
            raise BadOption("; ".join(dict.fromkeys(map(complaint, error.errors())))) from None

    @classmethod
    def build(cls, node: Node, links: Links) -> Self:
        """The step of a node. Raises `BadOption` naming the field."""
        return cls(node, cls.read(node), links)

    @property
    def document_stores(self) -> frozenset[UUID]:
        """The document stores that its node names."""
        return frozenset()

    @property
    def flows(self) -> frozenset[UUID]:
        """The other flows that its node names."""
        return frozenset()

    @property
    def stored_tools(self) -> frozenset[UUID]:
        """The tools kept by the workspace that its node names."""
        return frozenset()

    @property
    def named(self) -> frozenset[UUID]:
        """All that its node names, but credentials."""
        return self.document_stores | self.flows | self.stored_tools

    async def prepare(self, workspace: UUID, backing: Backing) -> None:  # noqa: B027  # most steps need nothing
        """Make what the runs share and check what can be checked before the first of them (credentials, libraries).

        Called once, before the first run. Raises a `ServiceError` that names the node.
        """

    async def close(self) -> None:  # noqa: B027
        """Give back what `prepare` opened."""

    @classmethod
    def form(cls, name: str) -> dict[str, Any]:
        """The node definition in Flowise's shape (contract 3.8), for editors and for checks of imports."""
        inputs: list[dict[str, Any]] = [
            {
                "label": anchor.label or anchor.name,
                "name": anchor.name,
                "type": anchor.accepts.base_classes[0] if anchor.accepts.base_classes else anchor.accepts.__name__,
                **({"list": True} if anchor.many else {}),
                **({"optional": True} if anchor.optional else {}),
            }
            for anchor in cls.anchors
            if not anchor.named
        ]
        inputs += [shown(name, item) for name, item in cls.Options.model_fields.items()]
        return {
            "label": cls.label,
            "name": name,
            "version": cls.version,
            "type": cls.base_classes[0] if cls.base_classes else name,
            "category": cls.category,
            "description": (cls.__doc__ or "").strip().split("\n")[0],
            "baseClasses": list(cls.base_classes),
            "inputs": inputs,
            **({"credential": {"names": list(cls.credential)}} if cls.credential else {}),
            **({"outputs": [{"name": output, "label": output} for output in cls.outputs]} if cls.outputs else {}),
        }


class ModelStep(Step):
    """A chat model."""

    category = "Chat Models"
    base_classes: ClassVar[tuple[str, ...]] = ("BaseChatModel", "BaseLanguageModel")
    options: StepOptions

    @property
    def quotes(self) -> bool:
        """Whether the model cannot write: chains then answer with `quote`, and never ask it to rephrase."""
        return False

    @property
    def sees(self) -> bool:
        """Whether the node lets pictures through to its model (`allowImageUploads`)."""
        return str(self.node.inputs.get("allowImageUploads")).lower() == "true"

    @property
    def binding(self) -> Mapping[str, Any]:
        """What the node says about the calling of tools: what its model's `bind_tools` takes besides the tools."""
        return {"strict": True} if getattr(self.options, "strict_tool_calling", None) else {}

    @property
    @abstractmethod
    def chat(self) -> "BaseChatModel":
        """The model, once `prepare` has run. Not for models that quote."""

    async def write(
        self, messages: "Sequence[BaseMessage]", *, whole: bool = False
    ) -> AsyncGenerator[Token | Thinking | Usage, None]:
        """The model's answer, piece by piece or `whole`, what it thinks aloud before, then what both took.

        Raises `ProviderError`.
        """
        from service.chatflows.steps.speech import spoken_by

        pieces = spoken_by(self.chat, messages, whole=whole)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    def ask(self, run: Run) -> Ask:
        """Has the model write for a stage of retrieval; what it took is added to `run.spent`."""

        async def ask(messages: Sequence[Message]) -> str:
            from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

            kinds: dict[str, type[BaseMessage]] = {
                "system": SystemMessage,
                "user": HumanMessage,
                "assistant": AIMessage,
            }
            parts: list[str] = []
            pieces = self.write([kinds[item.role](content=item.text) for item in messages], whole=True)
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, Usage):
                        run.spent.append(piece)
                    elif isinstance(piece, Token):
                        parts.append(piece.text)
            return "".join(parts)

        return ask


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a retriever: passages for a question, and what retrievers above it add to its search."""

    question: str
    k: int | None = None
    """How many passages; None: as many as the retriever gives by itself."""
    where: Mapping[str, Any] | None = None
    """A filter that the passages' metadata must pass besides the retriever's own (stores/vector/filters.py)."""
    before: tuple[QuestionStage, ...] = ()
    """Stages that change the question, in their order."""
    after: tuple[HitStage, ...] = ()
    """Stages that work on what was found, in their order."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Both, as a search takes them."""
        return (*self.before, *self.after)


class RetrieverStep(Step):
    """Finds passages for a question."""

    category = "Retrievers"
    base_classes: ClassVar[tuple[str, ...]] = ("BaseRetriever",)
    searched: UUID | None = None
    """The document store that it looks a question up in first, word for word; None where something else comes first."""

    @property
    @abstractmethod
    def k(self) -> int:
        """How many passages it gives at most, where nobody says."""

    @abstractmethod
    async def find(self, run: Run, wanted: Wanted) -> Sequence[Passage]:
        """The passages that fit, best first. Raises `NotFound`, `ProviderError`."""

    async def retrieve(self, run: Run, question: str) -> Sequence[Passage]:
        """The passages that fit the question, best first. Raises `NotFound`, `ProviderError`."""
        return await self.find(run, Wanted(question))


class MemoryStep(Step):
    """Remembers a session."""

    category = "Memory"
    base_classes: ClassVar[tuple[str, ...]] = ("BaseMemory", "BaseChatMemory")

    @property
    @abstractmethod
    def session(self) -> str:
        """The fixed session id of the node; empty: the caller's."""

    @abstractmethod
    async def recall(self, run: Run) -> Sequence[Turn]:
        """The turns that the model sees, oldest first."""


class TextStep(Step):
    """A step that gives a text to the nodes that name it in one of theirs."""

    foreign: ClassVar[bool] = False
    """Whether the text is what others wrote: a prompt marks it as data then."""

    @abstractmethod
    async def text(self, run: Run) -> str:
        """The text. Raises `ServiceError`. What it took of models is added to `run.spent`."""


async def spoken(step: TextStep, run: Run) -> str:
    """The text of a step, made once in a run however many nodes name it. Cancelling it stops the work."""
    if step.node.id not in run.texts:
        run.texts[step.node.id] = asyncio.ensure_future(step.text(run))
    return await run.texts[step.node.id]


class ModerationStep(Step):
    """Looks at questions before anybody answers them."""

    category = "Moderation"
    base_classes: ClassVar[tuple[str, ...]] = ("Moderation",)

    @abstractmethod
    async def refusal(self, run: Run) -> str | None:
        """What is said in place of an answer; None lets the question through. Raises `ProviderError`."""


MODERATION = Anchor("inputModeration", ModerationStep, "Input Moderation", optional=True, many=True)
"""Every chain and agent has it."""


class EndingStep(TextStep):
    """A node that can end a flow and answer."""

    memory: MemoryStep | None = None
    searched: UUID | None = None
    """As `Flow.searched`."""

    @abstractmethod
    def answer(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The answer, piece by piece. Raises `ServiceError` (a provider failed, a document store is gone).

        Closing or cancelling it stops every call that it made.
        """

    async def reply(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The answer, or the words of the first moderation that refuses the question: no model is asked then."""
        guards = [step for step in self.links.get(MODERATION.name, ()) if isinstance(step, ModerationStep)]
        for refusal in await together(*(guard.refusal(run) for guard in guards)):
            if refusal is not None:
                yield Token(refusal)
                return
        async with aclosing(self.answer(run)) as events:
            async for event in events:
                yield event

    async def _citing(
        self, run: Run, events: AsyncGenerator[StepEvent, None], *, shows: bool
    ) -> AsyncGenerator[StepEvent, None]:
        """The events of an answer, without its sources where the node does not show them (`Cited.hidden`)."""
        async with aclosing(events):
            async for event in events:
                if shows or not isinstance(event, Sources):
                    yield event
                else:
                    run.cited.hidden = len(event.passages)

    async def text(self, run: Run) -> str:
        """The answer's text, the JSON of a structured one, for nodes that name this one."""
        parts: list[str] = []
        async with aclosing(self.reply(replace(run, whole=True))) as events:
            async for event in events:
                if isinstance(event, Token):
                    parts.append(event.text)
                elif isinstance(event, Structured):
                    parts.append(json.dumps(event.value, ensure_ascii=False))
                elif isinstance(event, Usage):
                    run.spent.append(event)
        return "".join(parts)
