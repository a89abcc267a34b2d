"""Agentflows for tests, in the shape that Flowise exports, and what runs them without the rest of the service."""

import itertools
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import UUID

from service.agentflows.flow import AgentFlow, compile_agentflow
from service.chatflows.graph import parse
from service.chatflows.run import Backing, Quoted, Run
from service.chatflows.types import (
    ActionWanted,
    FlowStatus,
    NodesExecuted,
    Passage,
    Role,
    StepEvent,
    Token,
    Turn,
)
from service.errors import NotFound, ServiceError
from tests.stubs.openai_server import OpenAIStub, near

WORKSPACE, CHATFLOW, STORE = UUID(int=1), UUID(int=2), UUID(int=3)

Kind = TypeVar("Kind")


def node(identifier: str, name: str, *, parent: str = "", label: str = "", **inputs: Any) -> dict[str, Any]:
    """A node; `name` without its ending `Agentflow`. As the editor makes them, models remember."""
    if name in ("llm", "agent"):
        inputs = {f"{name}EnableMemory": True, **inputs}
    inner = {"id": identifier, "name": f"{name}Agentflow", "label": label or identifier, "category": "Agent Flows"}
    raw = {"id": identifier, "type": "agentFlow", "position": {"x": 0, "y": 0}, "data": {**inner, "inputs": inputs}}
    return {**raw, "parentNode": parent, "extent": "parent"} if parent else raw


def edge(source: str, target: str, output: int | str | None = None) -> dict[str, Any]:
    """A link, from one output of the node if it has several."""
    handle = f"{source}-output-{source.split('_')[0] if output is None else output}"
    return {"source": source, "sourceHandle": handle, "target": target, "targetHandle": target, "type": "agentFlow"}


def graph(nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]) -> str:
    """flowData."""
    return json.dumps({"nodes": list(nodes), "edges": list(edges)})


def chain(*nodes: dict[str, Any], start: Mapping[str, Any] | None = None) -> str:
    """A start node, and these one behind the other."""
    every = [node("start", "start", **(start or {"startInputType": "chatInput"})), *nodes]
    return graph(every, [edge(one["id"], other["id"]) for one, other in itertools.pairwise(every)])


def model(prefix: str, url: str, **config: Any) -> dict[str, Any]:
    """The fields that name a model at an OpenAI-compatible server."""
    settings = {"modelName": "stub-model", "basepath": url, "streaming": True, **config}
    return {f"{prefix}Model": "chatOpenAI", f"{prefix}ModelConfig": settings}


def variable(name: str) -> str:
    """A variable as the editor writes it."""
    return f'<p><span class="variable" data-type="mention" data-id="{name}">{{{{ {name} }}}}</span> </p>'


@dataclass
class Lent:
    """What the service lends to runs."""

    passages: Sequence[Passage] = ()
    searched: list[tuple[UUID, str]] = field(default_factory=list)
    credentials: Mapping[UUID, Mapping[str, str]] = field(default_factory=dict)
    hosts: list[str | None] = field(default_factory=list)

    async def search(self, workspace: UUID, store: UUID, question: str, **others: Any) -> Sequence[Passage]:
        """The same passages for everything."""
        self.searched.append((store, question))
        return self.passages

    async def quote(self, question: str, passages: Sequence[Passage]) -> Quoted:
        """Nothing."""
        return Quoted((), (), False)

    async def reveal(self, workspace: UUID, credential: UUID, host: str | None) -> Mapping[str, str]:
        """The credential's values."""
        self.hosts.append(host)
        if credential not in self.credentials:
            raise NotFound("no such credential")
        return self.credentials[credential]

    def backing(self, **others: Any) -> Backing:
        """What a run is lent."""
        return Backing(self.search, self.quote, self.reveal, near(), **others)


def run(question: str = "", *, backing: Backing | None = None, **others: Any) -> Run:
    """A run of the flow."""
    given = {"chat": "chat-1", "session": "session-1", "history": (), **others}
    return Run(WORKSPACE, CHATFLOW, question=question, backing=backing or Lent().backing(), **given)


@dataclass
class Ran:
    """What a run said."""

    events: list[StepEvent] = field(default_factory=list)
    error: ServiceError | None = None

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(event.text for event in self.events if isinstance(event, Token))

    def of(self, kind: type[Kind]) -> list[Kind]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def nodes(self) -> list[str]:
        """The nodes that ran, in the order in which they ended."""
        said = self.of(NodesExecuted)
        return [item.node for item in said[-1].nodes] if said else []

    def data(self, node: str) -> Mapping[str, Any]:
        """What the last run of a node did."""
        return next(item.data for item in reversed(self.of(NodesExecuted)[-1].nodes) if item.node == node)

    @property
    def statuses(self) -> list[str]:
        """How the flow was."""
        return [event.status.value for event in self.of(FlowStatus)]

    @property
    def wanted(self) -> ActionWanted:
        """What the run waits for."""
        (action,) = self.of(ActionWanted)
        return action


async def ask(flow: AgentFlow | str, given: Run) -> Ran:
    """Run a flow to its end; a failure is kept."""
    compiled = compile_agentflow(parse(flow)) if isinstance(flow, str) else flow
    ran = Ran()
    try:
        await compiled.prepare(given.workspace, given.backing)
        events: AsyncGenerator[StepEvent, None] = compiled.run(given)
        async with aclosing(events):
            async for event in events:
                ran.events.append(event)
    except ServiceError as error:
        ran.error = error
    finally:
        await compiled.close()
    return ran


async def both(flow: str, given: Run) -> Ran:
    """Run a flow streamed and whole; both say the same."""
    streamed = await ask(flow, given)
    whole = await ask(flow, replace(given, whole=True))
    assert whole.text == streamed.text
    return streamed


HISTORY = (Turn(Role.USER, "Hello"), Turn(Role.MODEL, "Hi there"))
PASSAGE = Passage("c1", "Cats sleep a lot.", {"title": "Cats", "source": "cats.md"}, 0.9)


def sent(stub: OpenAIStub, at: int = -1) -> list[tuple[str, Any]]:
    """What a model was told."""
    return [(item["role"], item["content"]) for item in stub.requests[at].body["messages"]]


def llm(stub: OpenAIStub, identifier: str = "m", **inputs: Any) -> dict[str, Any]:
    """A model node."""
    config = {name: inputs.pop(name) for name in ("allowImageUploads",) if name in inputs}
    return node(identifier, "llm", label=inputs.pop("label", "My Model"), **model("llm", stub.url, **config), **inputs)
