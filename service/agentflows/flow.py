"""Agentflows, compiled: what predictions run of a graph that has a start node."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any
from uuid import UUID

from service.agentflows.engine import MAX_SECONDS, Pass, Standing
from service.agentflows.graph import START, AgentGraph, Level, parse
from service.agentflows.journal import Journal
from service.agentflows.nodes import NODES
from service.agentflows.nodes.base import FlowNode, Maker, is_yes
from service.agentflows.nodes.start import Start, asked_by
from service.agentflows.state import Output, messages_of
from service.agentflows.types import FlowTimeout, Message, NotWaiting
from service.chatflows.engine import instead_of
from service.chatflows.graph import Graph, Node
from service.chatflows.preparing import Preparation, credentials_in, together
from service.chatflows.run import Backing, Run
from service.chatflows.steps import STEPS
from service.chatflows.steps.base import BadOption, Step
from service.chatflows.types import (
    ActionWanted,
    Executed,
    FlowNotRunnable,
    FlowStatus,
    FlowType,
    Paused,
    Problem,
    ProblemKind,
    RunStatus,
    StepEvent,
    Token,
)
from service.errors import ServiceError
from service.plugins import resolve

OF_CHATFLOWS = (
    "the node '{name}' is one of chatflows. In an agentflow it is chosen within a node: models in llmAgentflow and"
    " agentAgentflow, tools in agentAgentflow and toolAgentflow, document stores in retrieverAgentflow"
)


class AgentFlow:
    """An agentflow ready to run, shared by all of its runs."""

    session = ""
    memory_label = None
    searched = None

    def __init__(self, graph: AgentGraph, nodes: Mapping[str, FlowNode], lender: "AgentFlow | None" = None) -> None:
        """`nodes` are those of all levels. Those that are the `lender`'s too are prepared and closed by it alone; it
        outlives this flow."""
        self.graph = graph
        self.nodes = nodes
        lent = {id(node) for node in lender.nodes.values()} if lender is not None else set()
        self.own = tuple(node for node in nodes.values() if id(node) not in lent)
        self._preparation = Preparation()
        (self.start,) = graph.main.starts

    @property
    def steps(self) -> tuple[Step, ...]:
        """What its nodes work with."""
        return tuple(step for node in self.nodes.values() for step in node.steps)

    @property
    def named(self) -> frozenset[UUID]:
        """What the nodes name: credentials, document stores, other flows, tools."""
        credentials = [step.node.credential for step in self.steps]
        credentials += [node.credential for node in self.nodes.values()]
        named = (step.named for step in self.steps)
        return credentials_in(credentials).union(*named, *(node.named for node in self.nodes.values()))

    @property
    def remembers(self) -> bool:
        """Whether a run wants to see what the session's last one left (`Run.last`)."""
        inputs = self.graph.main.nodes[self.start].inputs
        return is_yes(inputs.get("startPersistState")) or inputs.get("startInputType") == "formInput"

    def admit(self, run: Run) -> None:
        """Check that a run brings what the flow begins with. Raises `FormWanted`."""
        start = self.nodes[self.start]
        if run.human is None and isinstance(start, Start):
            start.check(run.form if run.form is not None else self._last_form(run))

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Open what the runs share, once; a failure is not kept. Raises a `ServiceError` that names the nodes."""
        await self._preparation.once(lambda: self._prepare(workspace, backing))

    async def _prepare(self, workspace: UUID, backing: Backing) -> None:
        opening = [node.prepare(workspace, backing) for node in self.own]
        await together([*opening, *(step.prepare(workspace, backing) for node in self.own for step in node.steps)])

    async def run(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The run's events: `FlowStatus`, then what its nodes do, and what the answer rests on (contract 1.3).

        A run that waits for a person ends with `ActionWanted`; a failed one says `FlowStatus(ERROR)` and raises.
        Closing it stops every call that it made. Raises `NotWaiting` for an answer to a run that does not wait.
        """
        journal, standing = self._begun(run)
        if run.human is not None:
            # who does not say which node it answers means the one that waits
            human = replace(run.human, node=self._waiting(run.human.node, standing))
            journal.run = run = replace(run, human=human)
            journal.executed = [item for item in journal.executed if not _stopped(item, human.node)]
        passing = Pass(self.graph.main, self.nodes, self.graph.inside, journal, standing=standing)
        yield FlowStatus(RunStatus.INPROGRESS)
        timer = asyncio.get_running_loop().call_later(MAX_SECONDS, passing.give_up)
        try:
            async with aclosing(passing.go()) as events:
                async for event in events:
                    while run.spent:
                        yield run.spent.pop(0)
                    yield event
        except ServiceError as error:
            while run.spent:
                yield run.spent.pop(0)
            yield FlowStatus(RunStatus.TIMEOUT if isinstance(error, FlowTimeout) else RunStatus.ERROR)
            raise
        finally:
            timer.cancel()
        for event in self._ending(journal, passing.standing):
            yield event

    def _ending(self, journal: Journal, standing: Standing) -> list[StepEvent]:
        events: list[StepEvent] = [*journal.run.spent]
        journal.run.spent.clear()
        if standing.waiting:
            action = [*standing.waiting.values()][-1]["action"]
            paused = Paused(tuple(journal.executed), dict(journal.state), self._progress(journal, standing))
            stopped: list[StepEvent] = [FlowStatus(RunStatus.STOPPED), ActionWanted(action, paused)]
            return [*events, *journal.outcome(), *stopped]
        if text := journal.unsaid():
            events.append(Token(text))
        return [*events, *journal.outcome(), FlowStatus(RunStatus.FINISHED)]

    async def close(self) -> None:
        """Give back what was opened. `prepare` would open it again."""
        self._preparation.forget()
        for node in self.own:
            for step in node.steps:
                await step.close()

    def _begun(self, run: Run) -> tuple[Journal, Standing | None]:
        """Where the run begins, or goes on."""
        past = messages_of(run.history)
        if run.human is None:
            self.admit(run)
            form = run.form if run.form is not None else self._last_form(run)
            inputs = self.graph.main.nodes[self.start].inputs
            question = run.question if run.webhook is None else (run.question or asked_by(run.webhook, inputs))
            return Journal(run, question, form, run.webhook, past), None
        progress = run.paused.progress if run.paused is not None else {}
        if run.paused is None or progress.get("graph") != self._fingerprint:
            why = "" if run.paused is None else "The agentflow was changed since it began to wait: start it again"
            raise NotWaiting(why)
        if progress.get("forgot"):
            past = ()
        executed = list(run.paused.executed)
        journal = Journal(
            run, str(progress.get("question") or run.question), progress.get("form"), progress.get("webhook"), past
        )
        journal.state = dict(run.paused.state)
        journal.executed = executed
        journal.outputs = self._outputs(executed, progress.get("texts", {}))
        journal.resume(progress)
        return journal, _standing(progress)

    def _last_form(self, run: Run) -> Mapping[str, Any] | None:
        """The form of the session's last run: who sends a question later means the same form."""
        if run.last is None:
            return None
        starts = (item.data.get("output") for item in run.last.executed if item.node == self.start)
        output = next(starts, None)
        form = output.get("form") if isinstance(output, Mapping) else None
        return form if isinstance(form, Mapping) else None

    def _waiting(self, named: str, standing: Standing | None) -> str:
        waiting = {} if standing is None else standing.waiting
        node = named or next(iter(waiting), "")
        if node not in waiting:
            raise NotWaiting(f"The node '{node}' does not wait for a person" if node else "")
        return node

    def _outputs(self, executed: list[Executed], texts: Mapping[str, str]) -> dict[str, Output]:
        found: dict[str, Output] = {}
        for item in executed:
            if item.status is RunStatus.FINISHED and item.node in self.nodes:
                output = item.data.get("output") or {}
                found[item.node] = Output(texts.get(item.node, ""), output, self.nodes[item.node].foreign)
        return found

    @property
    def _fingerprint(self) -> str:
        """Changes with what a run that waits must find again: the nodes and the edges of the flow."""
        levels = [[sorted(level.nodes), sorted(edge.key for edge in level.edges)] for level in self.graph.levels]
        return sha256(repr(levels).encode()).hexdigest()[:32]

    def _progress(self, journal: Journal, standing: Standing) -> dict[str, Any]:
        return {
            "graph": self._fingerprint,
            "question": journal.question,
            "form": journal.form,
            "webhook": journal.webhook,
            "forgot": not journal.past and bool(journal.run.history),
            "texts": {name: output.text for name, output in journal.outputs.items()},
            "edges": dict(standing.edges),
            "rounds": dict(standing.rounds),
            "due": list(standing.due),
            "said": [message.shown() for message in standing.said],
            "opened": standing.opened,
            "waiting": dict(standing.waiting),
            "lastLoop": standing.last_loop,
            **journal.progress(),
        }


def _standing(progress: Mapping[str, Any]) -> Standing:
    return Standing(
        edges=dict(progress["edges"]),
        rounds=dict(progress["rounds"]),
        due=list(progress["due"]),
        said=tuple(Message.read(item) for item in progress["said"]),
        opened=bool(progress["opened"]),
        waiting=dict(progress["waiting"]),
        last_loop=str(progress["lastLoop"]),
    )


def _stopped(item: Executed, node: str) -> bool:
    return item.node == node and item.status is RunStatus.STOPPED


def is_agentflow(graph: Graph, kind: FlowType) -> bool:
    """Whether a graph is an agentflow, by its type or by what stands in it."""
    return kind is FlowType.AGENTFLOW or any(node.name == START for node in graph.nodes.values())


@dataclass(slots=True)
class Examined:
    """A graph, as far as it could be compiled."""

    graph: AgentGraph
    nodes: dict[str, FlowNode] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What the nodes work with that could be made."""
        return tuple(step for node in self.nodes.values() for step in node.steps)


def compile_agentflow(graph: Graph, *, chat_model: str = "", lender: AgentFlow | None = None) -> AgentFlow:
    """The agentflow of a graph. `chat_model` (RAGSTONE_CHAT_MODEL) writes where a node names no model. Nodes of the
    `lender` that are the same here are taken from it.

    Raises `FlowNotRunnable`, which names every node that stands in the way and why.
    """
    found = examine(graph, chat_model=chat_model, lender=lender)
    if found.problems:
        texts = "; ".join(problem.text for problem in found.problems)
        raise FlowNotRunnable(f"This agentflow cannot run. {texts}", found.problems)
    return AgentFlow(found.graph, found.nodes, lender)


def examine(graph: Graph, *, chat_model: str = "", lender: AgentFlow | None = None) -> Examined:
    """Compiles what can be compiled, and says what stands in the way of the rest; see `compile_agentflow`."""
    parsed = parse(graph)
    examined = Examined(parsed, problems=list(parsed.found))
    for level in parsed.levels:
        for node in level.nodes.values():
            kept = lender.nodes.get(node.id) if lender is not None else None
            if kept is not None and kept.node == node:
                examined.nodes[node.id] = kept
            else:
                _build(node, level, chat_model, examined, frozenset(graph.nodes))
    return examined


def _build(node: Node, level: Level, chat_model: str, examined: Examined, names: frozenset[str]) -> None:
    if node.name not in NODES:
        text = OF_CHATFLOWS.format(name=node.name) if node.name in STEPS else instead_of(node, NODES)
        examined.problems.append(Problem(node.id, f"{node.title}: {text}", ProblemKind.UNSUPPORTED))
        return
    maker = Maker(node, level, chat_model, names)
    kind: type[FlowNode] = resolve(NODES, node.name, "node")
    try:
        built = kind.build(node, maker)
    except BadOption as error:
        maker.problem(str(error))
    else:
        examined.nodes[node.id] = built
    examined.problems += maker.found
