"""Runs the levels of an agentflow.

A node runs as soon as every edge that leads to it has been decided: taken, or not taken because a branch went another
way. Where none was taken, the node is passed over, and what follows it too. Nodes that wait for nothing run side by
side. A loop leads back: what stands behind its target is undecided again and runs anew.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from service.agentflows.graph import HUMAN, LOOP, Edge, Level
from service.agentflows.iterating import Iterating
from service.agentflows.journal import Journal
from service.agentflows.nodes.base import FlowNode
from service.agentflows.state import NO_ITEM, Items, Moment, Output
from service.agentflows.types import BadValue, Done, FlowTimeout, Message, TooManySteps, Waits
from service.chatflows.types import (
    Artifacts,
    Executed,
    NodesExecuted,
    NodeStatus,
    RunStatus,
    Sources,
    StepEvent,
    Thinking,
    Token,
    ToolsUsed,
)
from service.errors import ServiceError

MAX_STEPS = 1_000
"""Nodes that a run may run, all iterations and loops together."""

MAX_SECONDS = 1_800.0
"""How long a run may take; the time in which it waits for a person does not count."""

ITEMS_AT_ONCE = 4
"""Items of an iteration that run side by side, where nothing in it changes the flow's state."""

LOOP_ENDED = "The loop ended after {rounds} rounds, the most that it may do."


@dataclass(slots=True)
class Standing:
    """Where a pass through a level stands. All of it can be written as JSON."""

    edges: dict[str, bool] = field(default_factory=dict)
    """Edge -> whether it was taken; an edge that is not here is undecided."""
    rounds: dict[str, int] = field(default_factory=dict)
    """Loop -> how often it has led back."""
    due: list[str] = field(default_factory=list)
    """Loops that lead back once what stands behind their targets rests."""
    said: tuple[Message, ...] = ()
    opened: bool = False
    """Whether the user's words stand in `said`."""
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Node -> the `action` that it waits for, and what it keeps."""
    last_loop: str = ""


@dataclass(slots=True)
class _Working:
    number: int
    task: asyncio.Task[None]
    answers: bool
    result: Done | Waits | None = None


@dataclass(frozen=True, slots=True)
class _Ended:
    """A node's task has ended."""


@dataclass(frozen=True, slots=True)
class Within:
    """The iteration around a level: its node, and the item that this pass is for."""

    home: str
    index: int
    item: Any


_Said = tuple[str, StepEvent | Done | Waits | _Ended | FlowTimeout]


class Pass:
    """One pass through a level: the whole run, or one item of an iteration."""

    def __init__(
        self,
        level: Level,
        nodes: Mapping[str, FlowNode],
        inside: Mapping[str, Level],
        journal: Journal,
        *,
        standing: Standing | None = None,
        within: Within | None = None,
    ) -> None:
        """`nodes` are those of all levels; `standing` is where a run goes on from."""
        self.standing = standing or Standing()
        self.last = ""
        """What was said last."""
        self._level, self._nodes, self._inside, self._journal, self._within = level, nodes, inside, journal, within
        self._working: dict[str, _Working] = {}
        self._heard: asyncio.Queue[_Said] = asyncio.Queue()
        self._resumed = standing is not None

    async def go(self) -> AsyncGenerator[StepEvent, None]:
        """Run the level until nothing is left to run, or all that is left waits for a person. Raises the first
        `ServiceError` of a node, after saying which; everything else is stopped then. Closing it stops everything."""
        try:
            for event in self._begin():
                yield event
            while self._working:
                node, said = await self._heard.get()
                for event in self._note(node, said):
                    yield event
        finally:
            await self._stop()

    def give_up(self) -> None:
        """It has taken too long: `go` raises `FlowTimeout`."""
        self._heard.put_nowait(("", FlowTimeout()))

    def _begin(self) -> Iterator[StepEvent]:
        human = self._journal.run.human
        if self._resumed and human is not None:
            yield from self._start(human.node, self.standing.waiting.pop(human.node))
            return
        for node in self._level.starts:
            yield from self._start(node)

    async def _stop(self) -> None:
        tasks = [working.task for working in self._working.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, node: str, resumed: Mapping[str, Any] | None = None) -> Iterator[StepEvent]:
        number = self._journal.step()
        if number > MAX_STEPS:
            raise TooManySteps(f"The agentflow has run {MAX_STEPS} nodes, the most that one call may")
        moment = self._moment(node, resumed)
        task = asyncio.create_task(self._act(node, moment))
        task.add_done_callback(lambda _: self._heard.put_nowait((node, _Ended())))
        self._working[node] = _Working(number, task, moment.answers)
        yield NodeStatus(node, self._label(node), RunStatus.INPROGRESS)

    async def _act(self, node: str, moment: Moment) -> None:
        async with aclosing(self._nodes[node].act(moment)) as events:
            async for event in events:
                self._heard.put_nowait((node, event))

    def _moment(self, node: str, resumed: Mapping[str, Any] | None) -> Moment:
        journal, standing = self._journal, self.standing
        name = self._level.nodes[node].name
        asks = name == HUMAN and resumed is None
        final = self._within is None and (asks or (not self._level.out[node] and name != LOOP))
        return Moment(
            run=journal.run,
            node=node,
            answers=final,
            question=journal.question,
            form=journal.form,
            webhook=journal.webhook,
            state=dict(journal.state),
            past=journal.past,
            said=standing.said,
            outputs=dict(journal.outputs),
            names=frozenset(self._nodes),
            rounds=standing.rounds.get(standing.last_loop, 0),
            item=NO_ITEM if self._within is None else self._within.item,
            index=0 if self._within is None else self._within.index,
            human=journal.run.human if resumed is not None else None,
            kept={} if resumed is None else resumed.get("keep", {}),
            each=self._each(node) if node in self._inside else None,
        )

    def _each(self, home: str) -> Any:
        def each(items: Sequence[Any]) -> AsyncGenerator[StepEvent | Items, None]:
            return self._iterate(home, items)

        return each

    def _note(self, node: str, said: StepEvent | Done | Waits | _Ended | FlowTimeout) -> Iterator[StepEvent]:
        if isinstance(said, FlowTimeout):
            raise said
        working = self._working[node]
        match said:
            case _Ended():
                yield from self._ended(node, working)
            case Done() | Waits():
                working.result = said
            case Token():
                if working.answers:
                    yield from self._journal.voice.say(working.number, said.text)
            case Thinking():
                if working.answers:
                    yield said
            case Sources():
                self._journal.found(said.passages)
            case ToolsUsed():
                self._journal.uses += said.uses
            case Artifacts():
                self._journal.artifacts += said.items
            case _:
                yield said

    def _ended(self, node: str, working: _Working) -> Iterator[StepEvent]:
        del self._working[node]
        if working.task.cancelled():
            return
        error = working.task.exception()
        if error is not None:
            if isinstance(error, ServiceError):
                yield from self._failed(node, error)
            raise error
        result = working.result or Done()
        try:
            self._journal.weigh(result if isinstance(result, Done) else Done())
        except BadValue as heavy:
            yield from self._failed(node, heavy)
            raise
        if working.answers and not self._journal.voice.has_said(working.number):
            yield from self._journal.voice.say(working.number, result.text)
        if isinstance(result, Waits):
            yield from self._waits(node, working, result)
        else:
            yield from self._done(node, working, result)
        if not self._working:
            yield from self._lead_back()

    def _done(self, node: str, working: _Working, done: Done) -> Iterator[StepEvent]:
        journal, standing = self._journal, self.standing
        target = self._may_loop(node, done.loop) if done.loop else ""
        if done.loop and not target:
            done = self._loop_ended(node, done)
            yield from journal.voice.say(working.number, done.text if self._within is None else "")
        yield from journal.voice.end(working.number)
        if done.forgets:
            journal.past = ()
        journal.state.update(done.changes)
        history = (*self._opened(done), *done.said)
        standing.said = (*standing.said, *history)
        journal.outputs[node] = Output(done.text, done.output, self._nodes[node].foreign)
        self.last = done.text or self.last  # decisions say nothing
        yield NodeStatus(node, self._label(node), RunStatus.FINISHED)
        yield self._executed(node, RunStatus.FINISHED, done.input, done.output, history)
        if target:
            standing.due.append(node)
        else:
            yield from self._decide(node, done.branches)
        yield from self._lead_back()

    def _loop_ended(self, node: str, done: Done) -> Done:
        text = done.text or LOOP_ENDED.format(rounds=self.standing.rounds.get(node, 0) + 1)
        return Done(text, {**done.output, "content": text}, done.input)

    def _waits(self, node: str, working: _Working, waits: Waits) -> Iterator[StepEvent]:
        if self._within is not None:
            error = BadValue(f"{self._nodes[node].title}: nobody can be asked within an iteration")
            yield from self._failed(node, error)
            raise error
        yield from self._journal.voice.say(working.number, "" if working.answers else waits.text)
        yield from self._journal.voice.end(working.number)
        action = {
            "id": str(uuid4()),
            "mapping": {"approve": "Proceed", "reject": "Reject"},
            "elements": [
                {"type": "agentflowv2-approve-button", "label": "Proceed"},
                {"type": "agentflowv2-reject-button", "label": "Reject"},
            ],
            "data": {"nodeId": node, "nodeLabel": self._label(node), "input": dict(waits.input)},
        }
        history = (*self._opened(waits), *waits.said)
        self.standing.said = (*self.standing.said, *history)
        self.standing.waiting[node] = {"action": action, "keep": dict(waits.keep)}
        output = {**waits.output, "humanInputAction": action}
        yield NodeStatus(node, self._label(node), RunStatus.STOPPED)
        yield self._executed(node, RunStatus.STOPPED, waits.input, output, history)

    def _opened(self, result: Done | Waits) -> tuple[Message, ...]:
        """The user's words as a node begins the conversation with them; nothing where another one did that."""
        opening = () if self.standing.opened else result.opening
        self.standing.opened = self.standing.opened or bool(opening)
        return opening

    def _failed(self, node: str, error: ServiceError) -> Iterator[StepEvent]:
        yield NodeStatus(node, self._label(node), RunStatus.ERROR, error.message)
        yield self._executed(node, RunStatus.ERROR, {}, {}, (), error=error.message)

    def _executed(
        self,
        node: str,
        status: RunStatus,
        given: Mapping[str, Any],
        output: Mapping[str, Any],
        history: Sequence[Message],
        *,
        error: str | None = None,
    ) -> NodesExecuted:
        data: dict[str, Any] = {"id": node, "name": self._level.nodes[node].name}
        if error is None:
            data |= {"input": dict(given), "output": dict(output), "state": dict(self._journal.state)}
        else:
            data["error"] = error
        if history:
            data["chatHistory"] = [message.shown() for message in history]
        if self._within is not None:
            data |= {"iterationIndex": self._within.index, "parentNodeId": self._within.home}
        before = tuple(dict.fromkeys(edge.source for edge in self._level.into[node]))
        return self._journal.add(Executed(node, self._label(node), data, before, status))

    def _label(self, node: str) -> str:
        return self._level.nodes[node].label or self._nodes[node].label

    def _decide(self, node: str, branches: frozenset[int] | None) -> Iterator[StepEvent]:
        """A node has ended: its edges are decided, and so are those behind nodes that are passed over."""
        decided: list[tuple[Edge, bool]] = [
            (edge, edge.branch is None or branches is None or edge.branch in branches) for edge in self._level.out[node]
        ]
        touched: dict[str, None] = {}
        for edge, taken in decided:
            self.standing.edges[edge.key] = taken
            touched[edge.target] = None
        pending = list(touched)
        while pending:
            target = pending.pop(0)
            known = [self.standing.edges.get(edge.key) for edge in self._level.into[target]]
            if None in known:
                continue
            if any(known):
                yield from self._start(target)
                continue
            for edge in self._level.out[target]:
                self.standing.edges[edge.key] = False
                if edge.target not in pending:
                    pending.append(edge.target)

    def _may_loop(self, node: str, most: int) -> str:
        """The node that a loop leads back to; empty when it has done so as often as it may."""
        standing, target = self.standing, self._level.loops.get(node, "")
        rounds = standing.rounds.get(node, 0) + 1
        if not target or rounds >= most:
            return ""
        standing.rounds[node] = rounds
        standing.last_loop = node
        return target

    def _lead_back(self) -> Iterator[StepEvent]:
        """Start what loops lead back to, as far as nothing works behind it."""
        for loop in list(self.standing.due):
            target = self._level.loops[loop]
            behind = self._level.after(target)
            if not behind.isdisjoint(self._working) or not behind.isdisjoint(self.standing.waiting):
                continue
            self.standing.due.remove(loop)
            for edge in self._level.edges:
                if edge.source in behind:
                    self.standing.edges.pop(edge.key, None)
            yield from self._start(target)

    async def _iterate(self, home: str, items: Sequence[Any]) -> AsyncGenerator[StepEvent | Items, None]:
        """Run the inside of an iteration for each item. An item that fails is told as such among the results, unless
        all of them do: then the first failure is raised."""
        level = self._inside[home]
        at_once = 1 if any(self._nodes[node].updates for node in level.nodes) else ITEMS_AT_ONCE

        def passing(index: int, item: Any) -> Pass:
            within = Within(home, index, item)
            return Pass(level, self._nodes, self._inside, self._journal, within=within)

        iteration = Iterating(passing, items)
        async with aclosing(iteration.go(at_once)) as events:
            async for event in events:
                yield event
        yield iteration.outcome()
