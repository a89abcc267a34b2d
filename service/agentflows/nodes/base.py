"""The port of nodes: what a node of an agentflow becomes when the flow is compiled.

A node is made once per version of its flow and then shared by all runs: what belongs to a run stands in the `Moment`.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self
from uuid import UUID

from service.agentflows.graph import Level
from service.agentflows.nodes.filling import LateTool, has_places, trouble
from service.agentflows.state import Moment
from service.agentflows.templates import Update, plain_within
from service.agentflows.types import Done, Waits
from service.chatflows.engine import default_model, instead_of
from service.chatflows.graph import CREDENTIAL_FIELDS, Node
from service.chatflows.run import Backing
from service.chatflows.steps import STEPS
from service.chatflows.steps.base import BadOption, Links, ModelStep, RetrieverStep, Step
from service.chatflows.steps.tool import ToolStep
from service.chatflows.types import FlowNotRunnable, Problem, ProblemKind, StepEvent
from service.json_text import parsed
from service.plugins import resolve


def is_yes(value: Any) -> bool:
    """Whether a field of a node says yes: as a switch, or as its text."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


class FlowNode(ABC):
    """A node, compiled."""

    label: ClassVar[str]
    """What people call it, where the node has no label of its own."""
    foreign: ClassVar[str] = ""
    """What kind of data of others it leaves (`templates.Found`); empty: words of the conversation."""

    def __init__(self, node: Node, maker: "Maker") -> None:
        """Read the node's fields; opens and asks nothing. Raises `BadOption` naming the field; what else is wrong goes
        to the `maker`."""
        self.node = node
        self.title = f"{node.label or self.label} ({node.id})"
        self.credential = node.credential
        """The id of the credential that the node itself uses; empty: none."""
        self.steps: tuple[Step, ...] = ()
        """What it works with: prepared before the first run, closed with the flow."""
        self.late: tuple[LateTool, ...] = ()
        """Tools that each run makes."""
        self.updates: tuple[Update, ...] = ()
        """What it makes of the flow's state."""
        self.read(maker)
        self.steps = tuple(maker.made)
        self.late = tuple(maker.late)

    @classmethod
    def build(cls, node: Node, maker: "Maker") -> Self:
        """The node of a graph's node. Raises `BadOption`."""
        return cls(node, maker)

    @abstractmethod
    def read(self, maker: "Maker") -> None:
        """Take from the node's inputs what `act` needs. Raises `BadOption`."""

    @abstractmethod
    def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        """Do the node's work: events as they come, and last `Done` or `Waits`. Raises `ServiceError`.

        `Token`s reach the user only when the moment `answers`. Closing or cancelling it stops every call that it made.
        """

    @property
    def flows(self) -> frozenset[UUID]:
        """The other flows that the node names."""
        return frozenset()

    @property
    def named(self) -> frozenset[UUID]:
        """All that the node names itself, and in tools that each run makes: other flows, kept tools."""
        return self.flows.union(*(tool.named for tool in self.late))

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Check what can be checked before the first run. Raises a `ServiceError` that names the node."""
        for tool in self.late:
            await tool.look_up(workspace, backing)

    def text(self, name: str) -> str:
        """A text among the inputs; empty where it is none."""
        value = self.node.inputs.get(name)
        return value if isinstance(value, str) else ""

    def rows(self, name: str) -> list[Mapping[str, Any]]:
        """The rows of an input that is a list, or the JSON text of one. Raises `BadOption` for any other text."""
        value = self.node.inputs.get(name)
        if isinstance(value, str) and value.strip():
            try:
                value = parsed(value)
            except ValueError:
                value = None
            if not isinstance(value, list):
                raise BadOption(f"{name}: must be a list")
        return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []

    def state(self, name: str) -> tuple[Update, ...]:
        """What an input makes of the flow's state: rows of a key and a value, or an object. Raises `BadOption`."""
        value = self.node.inputs.get(name)
        return Update.read(value if isinstance(value, Mapping) else self.rows(name))

    def flag(self, name: str, *, otherwise: bool = False) -> bool:
        """A yes or no among the inputs."""
        value = self.node.inputs.get(name)
        told = isinstance(value, bool) or (isinstance(value, str) and value.strip())
        return is_yes(value) if told else otherwise

    def number(self, name: str, otherwise: int, *, least: int = 1, most: int) -> int:
        """A whole number among the inputs, within these bounds. Raises `BadOption`."""
        value = self.node.inputs.get(name)
        if value is None or value == "":
            return otherwise
        try:
            found = int(float(value))
        except (TypeError, ValueError, OverflowError):
            raise BadOption(f"{name}: must be a number") from None
        if not least <= found <= most:
            raise BadOption(f"{name}: must be between {least} and {most}")
        return found

    def choice(self, name: str, known: Sequence[str]) -> str:
        """One of `known`, the first where nothing is chosen. Raises `BadOption`."""
        value = self.text(name) or known[0]
        if value not in known:
            raise BadOption(f"{name}: '{value}' is none of {', '.join(known)}")
        return value


@dataclass(slots=True)
class Maker:
    """Makes what a node works with: models, tools and retrievers, from the names and configurations in its fields."""

    node: Node
    level: Level
    chat_model: str = ""
    names: frozenset[str] = frozenset()
    """The ids of all nodes of the flow."""
    made: list[Step] = field(default_factory=list)
    late: list[LateTool] = field(default_factory=list)
    found: list[Problem] = field(default_factory=list)

    def problem(self, text: str, kind: ProblemKind = ProblemKind.SETTING) -> None:
        """Something stands in the way of the node."""
        self.found.append(Problem(self.node.id, f"{self.node.title}: {text}", kind))

    def model(self, name: str) -> ModelStep | None:
        """The chat model that the field names, set by its `...Config`; without a name the service's own. None after
        naming the problem."""
        chosen = self.node.inputs.get(name)
        if chosen:
            step = self.step(str(chosen), self.node.inputs.get(f"{name}Config"), ModelStep, "model")
        else:
            try:
                step = default_model(self.chat_model)
            except FlowNotRunnable as error:
                self.problem(error.message)
                return None
            self.made.append(step)
        if not isinstance(step, ModelStep):
            return None
        if step.quotes:
            self.problem(f"{name}: choose a model that writes, or set RAGSTONE_CHAT_MODEL")
            return None
        return step

    def tool(self, name: str, config: Any) -> "ToolStep | LateTool | None":
        """A tool with its configuration; a late one where runs fill that. None after naming the problem."""
        fields = plain_within(dict(config)) if isinstance(config, Mapping) else {}
        kind = resolve(STEPS, name, "node") if name in STEPS else None
        if kind is None or not issubclass(kind, ToolStep) or kind.fills or not has_places(fields, self.names):
            step = self.step(name, config, ToolStep, "tool")
            return step if isinstance(step, ToolStep) else None
        wrong = list(trouble(fields, self.names))
        for text in wrong:
            self.problem(f"{name}: {text}")
        if wrong:
            return None
        self.late.append(LateTool(self._node(name, fields), kind))
        return self.late[-1]

    def retriever(self, name: str, config: Any, links: Links | None = None) -> RetrieverStep | None:
        """A retriever with its configuration. None after naming the problem."""
        step = self.step(name, config, RetrieverStep, "vector store", links)
        return step if isinstance(step, RetrieverStep) else None

    def document_store(self, chosen: Any, **fields: Any) -> RetrieverStep | None:
        """What searches the document store that a field names as `id:name`. None after naming the problem."""
        identifier = str(chosen or "").partition(":")[0].strip()
        if not identifier:
            self.problem("no document store is chosen")
            return None
        return self.retriever("documentStoreVS", {"selectedStore": identifier, **fields})

    def step(self, name: str, config: Any, kind: type[Step], word: str, links: Links | None = None) -> Step | None:
        """The step of a name. What is in its configuration as rich text becomes plain. None after naming the problem.

        Its id is the node's, with a number from the second on: titles and vector stores are told apart by it.
        """
        node = self._node(name, plain_within(dict(config)) if isinstance(config, Mapping) else {})
        if name not in STEPS:
            self.problem(instead_of(node), ProblemKind.UNSUPPORTED)
            return None
        maker: type[Step] = resolve(STEPS, name, "node")
        if not issubclass(maker, kind):
            self.problem(f"'{name}' is no {word}")
            return None
        given = links or {}
        missing = [anchor.name for anchor in maker.anchors if not anchor.optional and not given.get(anchor.name)]
        if missing:
            self.problem(f"'{name}' cannot stand alone: it needs {', '.join(missing)}")
            return None
        every: dict[str, tuple[Step, ...]] = {anchor.name: () for anchor in maker.anchors}
        try:
            step = maker.build(node, {**every, **given})
        except BadOption as error:
            self.problem(f"{name}: {error}")
            return None
        self.made.append(step)
        return step

    def _node(self, name: str, fields: Mapping[str, Any]) -> Node:
        credential = next((str(fields[key]) for key in CREDENTIAL_FIELDS if fields.get(key)), "")
        inputs = {key: value for key, value in fields.items() if key not in CREDENTIAL_FIELDS}
        return Node(self._id(), name, self.node.label, "", inputs, "", credential)

    def _id(self) -> str:
        return self.node.id if not self.made else f"{self.node.id}_{len(self.made) + 1}"
