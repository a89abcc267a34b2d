"""The engine runs what the graph says: every node when its time has come, none twice, nothing for ever."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.agentflows import engine
from service.agentflows.engine import Pass
from service.agentflows.flow import examine
from service.agentflows.graph import Level
from service.agentflows.graph import parse as parse_agent
from service.agentflows.journal import Journal
from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.state import Items, Moment
from service.agentflows.types import BadValue, Done, TooManySteps, Waits
from service.chatflows.graph import parse
from service.chatflows.types import NodeStatus, RunStatus, StepEvent, Token
from service.errors import Unprocessable
from tests.service.agentflows.flows import ask, chain, edge, graph, node, run

Act = Callable[[Moment], AsyncGenerator[StepEvent | Done | Waits, None]]


class Scripted(FlowNode):
    """Does what a test says."""

    label = "Scripted"

    def read(self, maker: Maker) -> None:
        """Nothing."""
        self.does: Act = _nothing

    def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        """As it was told."""
        return self.does(moment)


async def _nothing(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
    yield Done(text=moment.node)


def scripted(flow: str, acts: Mapping[str, Act]) -> tuple[Level, Pass]:
    """A pass through the main level of a graph whose nodes do as they are told."""
    parsed = parse_agent(parse(flow))
    nodes: dict[str, FlowNode] = {}
    for level in parsed.levels:
        for name, item in level.nodes.items():
            made = Scripted(item, Maker(item, level))
            made.does = acts.get(name, _nothing)
            nodes[name] = made
    given = run("?")
    journal = Journal(given, "?", None, None, ())
    return parsed.main, Pass(parsed.main, nodes, parsed.inside, journal)


async def events_of(passing: Pass) -> list[StepEvent]:
    async with aclosing(passing.go()) as events:
        return [event async for event in events]


def order(events: list[StepEvent], status: RunStatus) -> list[str]:
    return [item.node for item in events if isinstance(item, NodeStatus) and item.status is status]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[str, dict[str, int]]:
    """Graphs of plain nodes and conditions, and the branch that each condition takes."""
    count = draw(st.integers(1, 9))
    names = [f"n{place}" for place in range(count)]
    deciding = {name: draw(st.integers(0, 2)) for name in names if draw(st.booleans())}
    nodes = [node("start", "start")]
    nodes += [node(name, "condition" if name in deciding else "directReply") for name in names]
    edges = [edge("start", names[0])]
    for place, name in enumerate(names):
        before = names[:place] or ["start"]
        sources = draw(st.lists(st.sampled_from(before), min_size=1, max_size=3, unique=True))
        edges += [edge(source, name, draw(st.integers(0, 2)) if source in deciding else None) for source in sources]
    return graph(nodes, edges), deciding


def expected(level: Level, taken: Mapping[str, int]) -> set[str]:
    """What runs, worked out node by node."""
    ran = {"start"}
    for name in level.nodes:  # every node stands behind those that lead to it
        if any(
            item.source in ran and (item.branch is None or item.branch == taken[item.source])
            for item in level.into[name]
        ):
            ran.add(name)
    return ran


@settings(max_examples=150, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_nodes_run_once_when_all_that_leads_to_them_is_decided(made: tuple[str, dict[str, int]], dice: Any) -> None:
    flow, taken = made
    running: set[str] = set()
    ended: set[str] = set()
    started: list[str] = []

    async def act(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        started.append(moment.node)
        assert {item.source for item in level.into[moment.node]} & alive <= ended, "what leads here has ended"
        running.add(moment.node)
        for _ in range(dice.randint(0, 3)):
            await asyncio.sleep(0)
        running.discard(moment.node)
        ended.add(moment.node)
        branches = frozenset({taken[moment.node]}) if moment.node in taken else None
        yield Done(text=moment.node, branches=branches)

    names = parse(flow).nodes
    level, passing = scripted(flow, dict.fromkeys(names, act))
    alive = expected(level, taken)
    events = asyncio.run(asyncio.wait_for(events_of(passing), 20))
    assert sorted(started) == sorted(alive)
    assert sorted(order(events, RunStatus.FINISHED)) == sorted(alive)
    assert not running


@settings(max_examples=100, deadline=None)
@given(graphs(), st.data(), st.integers(1, 4))
def test_a_loop_in_any_graph_ends(made: tuple[str, dict[str, int]], data: st.DataObject, most: int) -> None:
    flow, taken = made
    parts = json.loads(flow)
    names = [item["id"] for item in parts["nodes"] if item["id"] != "start"]
    source, target = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
    parts["nodes"].append(node("l", "loop", loopBackToNode=f"{target}-{target}"))
    parts["edges"].append(edge(source, "l", data.draw(st.integers(0, 2)) if source in taken else None))
    ran: Counter[str] = Counter()

    async def act(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        ran[moment.node] += 1
        await asyncio.sleep(0)
        branches = frozenset({taken[moment.node]}) if moment.node in taken else None
        yield Done(branches=branches, loop=most if moment.node == "l" else 0)

    flow = json.dumps(parts)
    level, passing = scripted(flow, dict.fromkeys(parse(flow).nodes, act))
    asyncio.run(asyncio.wait_for(events_of(passing), 20))
    alive = expected(level, taken)
    assert alive <= ran.keys()
    assert max(ran.values()) <= most
    if "l" in alive and "l" in level.after(target):
        assert ran["l"] == most
        assert ran[target] >= min(most, 2) - (target not in alive)


async def test_independent_branches_run_side_by_side() -> None:
    barrier = asyncio.Barrier(2)

    async def meets(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        await barrier.wait()
        yield Done()

    nodes = [node("start", "start"), node("a", "llm"), node("b", "llm"), node("c", "directReply")]
    flow = graph(nodes, [edge("start", "a"), edge("start", "b"), edge("a", "c"), edge("b", "c")])
    _, passing = scripted(flow, {"a": meets, "b": meets})
    async with asyncio.timeout(10):
        events = await events_of(passing)
    assert order(events, RunStatus.FINISHED)[-1] == "c"


def looping(most: int) -> tuple[str, dict[str, Act], list[str]]:
    """start -> a -> loop back to a, and from a to an end that each round reaches."""
    seen: list[str] = []

    async def counts(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        seen.append(moment.node)
        yield Done(text=f"round {len(seen)}")

    async def loops(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        yield Done(loop=most)

    nodes = [node("start", "start"), node("a", "llm"), node("b", "llm"), node("l", "loop", loopBackToNode="a-a")]
    flow = graph(nodes, [edge("start", "a"), edge("a", "b"), edge("b", "l")])
    return flow, {"a": counts, "b": counts, "l": loops}, seen


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_a_loop_runs_what_it_leads_back_to_as_often_as_it_may(most: int) -> None:
    flow, acts, seen = looping(most)
    _, passing = scripted(flow, acts)
    events = await events_of(passing)
    assert seen == ["a", "b"] * most
    assert order(events, RunStatus.FINISHED).count("l") == most
    assert f"after {most} rounds" in "".join(event.text for event in events if isinstance(event, Token))


async def test_a_loop_waits_for_what_still_runs_behind_its_target() -> None:
    slow = asyncio.Event()
    log: list[str] = []

    async def tells(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        log.append(f"+{moment.node}")
        if moment.node == "slow" and not slow.is_set():
            await slow.wait()
        log.append(f"-{moment.node}")
        yield Done()

    async def loops(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        slow.set()
        yield Done(loop=2)

    nodes = [node("start", "start"), node("a", "llm"), node("slow", "llm"), node("l", "loop", loopBackToNode="a")]
    flow = graph(nodes, [edge("start", "a"), edge("a", "slow"), edge("a", "l")])
    _, passing = scripted(flow, {"a": tells, "slow": tells, "l": loops})
    async with asyncio.timeout(10):
        await events_of(passing)
    assert log == ["+a", "-a", "+slow", "-slow", "+a", "-a", "+slow", "-slow"]


async def test_a_run_of_too_many_nodes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_STEPS", 20)
    flow, acts, _ = looping(1000)
    _, passing = scripted(flow, acts)
    with pytest.raises(TooManySteps, match="20 nodes"):
        await events_of(passing)


async def test_a_failure_stops_what_runs_beside_it_and_is_told() -> None:
    stopped = asyncio.Event()

    async def hangs(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        try:
            await asyncio.Event().wait()
            yield Done()
        finally:
            stopped.set()

    async def fails(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        await asyncio.sleep(0)
        yield Token("half of")
        raise Unprocessable("it is broken")

    nodes = [node("start", "start"), node("a", "llm"), node("b", "llm")]
    _, passing = scripted(graph(nodes, [edge("start", "a"), edge("start", "b")]), {"a": hangs, "b": fails})
    events: list[StepEvent] = []

    async def follow() -> None:
        async with aclosing(passing.go()) as said:
            async for event in said:
                events.append(event)  # noqa: PERF401  # what was said before the failure counts

    with pytest.raises(Unprocessable, match="it is broken"):
        await follow()
    assert stopped.is_set()
    assert order(events, RunStatus.ERROR) == ["b"]
    assert next(item.error for item in events if isinstance(item, NodeStatus) and item.error) == "it is broken"


async def test_closing_a_run_stops_every_node() -> None:
    stopped: list[str] = []
    barrier = asyncio.Barrier(3)

    async def hangs(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        try:
            await barrier.wait()
            await asyncio.Event().wait()
            yield Done()
        finally:
            stopped.append(moment.node)

    nodes = [node("start", "start"), node("a", "llm"), node("b", "llm")]
    _, passing = scripted(graph(nodes, [edge("start", "a"), edge("start", "b")]), {"a": hangs, "b": hangs})
    task = asyncio.create_task(events_of(passing))
    await barrier.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(stopped) == ["a", "b"]


async def test_nodes_that_answer_side_by_side_are_heard_one_after_the_other() -> None:
    turn = asyncio.Event()

    async def says(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        for word in ("one ", "two"):
            yield Token(f"{moment.node} {word}")
            await asyncio.sleep(0)
        if moment.node == "a":
            await turn.wait()
        else:
            turn.set()
        yield Done(text=moment.node)

    nodes = [node("start", "start"), node("a", "llm"), node("b", "llm")]
    _, passing = scripted(graph(nodes, [edge("start", "a"), edge("start", "b")]), {"a": says, "b": says})
    async with asyncio.timeout(10):
        events = await events_of(passing)
    assert "".join(event.text for event in events if isinstance(event, Token)) == "a one a two\n\nb one b two"


async def test_words_of_nodes_that_others_follow_are_no_answer() -> None:
    async def says(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        yield Token(moment.node)
        yield Done(text=moment.node)

    nodes = [node("start", "start"), node("a", "llm"), node("b", "llm")]
    _, passing = scripted(graph(nodes, [edge("start", "a"), edge("a", "b")]), {"a": says, "b": says})
    assert [event.text for event in await events_of(passing) if isinstance(event, Token)] == ["b"]


def iterating(items: list[Any], acts: Mapping[str, Act], *, updates: bool = False) -> tuple[Level, Pass]:
    async def each(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        assert moment.each is not None
        texts: tuple[str, ...] = ()
        async with aclosing(moment.each(items)) as events:
            async for event in events:
                if isinstance(event, Items):
                    texts = event.texts
                else:
                    yield event
        yield Done(text=" | ".join(texts))

    rows = [{"key": "k", "value": ""}] if updates else []
    nodes = [node("start", "start"), node("it", "iteration"), node("x", "llm", parent="it", llmUpdateState=rows)]
    level, passing = scripted(graph(nodes, [edge("start", "it")]), {"it": each, **acts})
    return level, passing


async def test_an_iteration_runs_its_inside_for_each_item_side_by_side() -> None:
    barrier = asyncio.Barrier(3)

    async def says(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        await barrier.wait()
        yield Done(text=f"{moment.index}:{moment.item}")

    _, passing = iterating(["a", "b", "c"], {"x": says})
    async with asyncio.timeout(10):
        events = await events_of(passing)
    assert [event.text for event in events if isinstance(event, Token)] == ["0:a | 1:b | 2:c"]
    assert order(events, RunStatus.FINISHED).count("x") == 3


async def test_closing_a_run_stops_every_item() -> None:
    stopped: list[int] = []
    barrier = asyncio.Barrier(4)

    async def hangs(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        try:
            await barrier.wait()
            await asyncio.Event().wait()
            yield Done()
        finally:
            stopped.append(moment.index)

    _, passing = iterating(["a", "b", "c"], {"x": hangs})
    task = asyncio.create_task(events_of(passing))
    async with asyncio.timeout(10):
        await barrier.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(stopped) == [0, 1, 2]


async def test_nobody_is_asked_within_an_iteration() -> None:
    async def asks(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        yield Waits(text="May I?")

    _, passing = iterating(["a"], {"x": asks})
    with pytest.raises(BadValue, match="nobody can be asked"):
        await events_of(passing)


async def test_items_that_fail_are_told_unless_all_do() -> None:
    async def fails(moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        if moment.item == "bad":
            raise Unprocessable("no")
        yield Done(text="good")

    _, passing = iterating(["bad", "fine"], {"x": fails})
    events = await events_of(passing)
    assert [item.text for item in events if isinstance(item, Token)] == ["Error in iteration 1: no | good"]
    _, passing = iterating(["bad"], {"x": fails})
    with pytest.raises(Unprocessable, match="no"):
        await events_of(passing)


async def test_a_run_that_takes_too_long_ends_with_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.agentflows.flow.MAX_SECONDS", 0.05)
    nodes = [node("start", "start"), node("a", "directReply", directReplyMessage="x")]
    flow = graph(nodes, [edge("start", "a")])
    from service.agentflows.flow import AgentFlow

    found = examine(parse(flow))

    class Sleeper(Scripted):
        async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
            await asyncio.Event().wait()
            yield Done()

    item = found.graph.main.nodes["a"]
    found.nodes["a"] = Sleeper(item, Maker(item, found.graph.main))
    ran = await ask(AgentFlow(found.graph, found.nodes), run("?"))
    assert ran.error is not None
    assert ran.error.code == "flow_timeout"
    assert ran.statuses == ["INPROGRESS", "TIMEOUT"]


async def test_a_text_that_names_a_large_one_many_times_is_given_up() -> None:
    start = {"startInputType": "chatInput", "startState": [{"key": "x", "value": "abcdefgh"}]}
    nodes = [
        node("a", "directReply", directReplyMessage="{{ $flow.state.x }}" * 1000),
        node("b", "directReply", directReplyMessage="{{ a }}" * 2000),
    ]
    ran = await ask(chain(*nodes, start=start), run("Q?"))
    assert isinstance(ran.error, BadValue)
    assert "more than 10000000 characters" in ran.error.message


async def test_a_run_that_leaves_too_much_fails_at_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.agentflows.journal.MAX_CHARACTERS", 1_000)
    ran = await ask(chain(node("a", "directReply", directReplyMessage="x" * 2_000)), run("Q?"))
    assert isinstance(ran.error, BadValue)
    assert ran.nodes == ["start", "a"]
    assert ran.statuses[-1] == "ERROR"


def test_what_a_run_leaves_is_weighed() -> None:
    journal = Journal(run("Q?"), "Q?", None, None, ())
    text = "x" * 40_000_000
    journal.weigh(Done(text, {"content": text}))
    journal.weigh(Done("", {"a": [{"b": "y" * 40_000_000}]}))
    with pytest.raises(BadValue, match="nodes of this run have left"):
        journal.weigh(Done("", changes={"x": "z" * 40_000_000}))
