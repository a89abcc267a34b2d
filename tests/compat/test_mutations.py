"""Exports as they vary (tests/compat/mutations.py): the check and the compiler say what is wrong and where, and a flow
that ran still runs where nothing of meaning was changed."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from functools import cache
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.agentflows.flow import compile_agentflow, is_agentflow
from service.chatflows import engine
from service.chatflows import graph as graphs
from service.chatflows.flow import Flow
from service.chatflows.graph import Graph
from service.chatflows.types import BrokenGraph, FlowNotRunnable, Problem, StepEvent, Structured, Token
from service.credentials.components import COMPONENTS
from service.flow_checks.files import exported, kind_of
from service.flow_checks.service import check_apart
from service.flow_checks.types import Verdict
from service.public_flows.wire import public_graph
from service.settings import Settings
from tests.compat.connecting import connected, point_services_to
from tests.compat.mutations import HARMLESS, WILD, Change
from tests.compat.test_flows import FLOWS, ITS_STORE, STUB, text_of
from tests.service.agentflows.flows import PASSAGE, STORE, WORKSPACE, Lent, run
from tests.stubs.model_servers import ModelStub
from tests.stubs.openai_server import Script

CREDENTIALS = {name: UUID(int=100 + place) for place, name in enumerate(COMPONENTS)}
VALUES = {
    CREDENTIALS[name]: {item.name: "stub" for item in component.inputs if item.name != "allowedHosts"}
    for name, component in COMPONENTS.items()
}
APART = Settings()
SEEDS = st.integers(0, 2**32)
ROUNDS = 2
DRAWN = re.compile(r"[0-9a-f]{16}|20[0-9-]{8}T[0-9:.]+Z")
"""Marks of what others wrote, ids, and the time."""
RUNNING = sorted(name for name, expected in FLOWS.items() if not expected.refused and not expected.scripts)


@pytest.fixture(scope="module")
def models() -> Iterator[ModelStub]:
    """The servers of all models."""
    with ModelStub() as stub, pytest.MonkeyPatch.context() as patch:
        point_services_to(stub, patch)
        yield stub


@cache
def complete(name: str, root: str) -> str:
    """A flow with all that it needs to run here."""
    expected = FLOWS[name]
    edits = {node: {key: root if value == STUB else value for key, value in given.items()}
             for node, given in expected.edits.items()}  # fmt: skip
    chosen = {kind: str(CREDENTIALS[kind]) for kind in expected.needs}
    return connected(text_of(name), chosen, edits).replace(ITS_STORE, str(STORE))


def changed(text: str, random: Random, *changes: Change) -> str:
    """A flow with these changes."""
    flow = json.loads(text)
    for change in changes:
        change(flow, random)
    return json.dumps(flow)


def compiled(text: str) -> Flow:
    """The flow, ready to be prepared. Raises `BrokenGraph`, `FlowNotRunnable`."""
    graph = graphs.parse(text)
    return compile_agentflow(graph) if is_agentflow(graph, kind_of(text)) else engine.compile_flow(graph)


async def answered(text: str, models: ModelStub, name: str) -> str:
    """What a flow answers. Raises `ServiceError`."""
    expected = FLOWS[name]
    models.reset()
    models.script(Script(reply=expected.reply), times=None)
    lent = Lent((PASSAGE,), credentials=VALUES)
    asked = run("How many days of leave?", backing=lent.backing(), form=expected.form)
    flow, parts = compiled(text), []
    try:
        await flow.prepare(WORKSPACE, asked.backing)
        events: AsyncGenerator[StepEvent, None] = flow.run(asked)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Token):
                    parts.append(event.text)
                elif isinstance(event, Structured):
                    parts.append(json.dumps(event.value))
    finally:
        await flow.close()
    return "".join(parts)


def told(models: ModelStub) -> list[str]:
    """What models were asked, in no order, without the marks that are drawn by lot."""
    return sorted(DRAWN.sub("", json.dumps(item.body, sort_keys=True)) for item in models.requests)


@pytest.mark.filterwarnings("ignore:The model.*is deprecated:DeprecationWarning")  # exports name models of their time
@pytest.mark.parametrize("name", RUNNING)
async def test_a_flow_that_ran_does_the_same_after_changes_without_meaning(models: ModelStub, name: str) -> None:
    text = complete(name, models.root)
    before = await answered(text, models, name)
    asked = told(models)
    assert before
    for seed in range(ROUNDS):
        random = Random(f"{name} {seed}")
        changes = random.sample(HARMLESS, len(HARMLESS) - 2)
        assert await answered(changed(text, random, *changes), models, name) == before, changes
        assert told(models) == asked, changes


@given(name=st.sampled_from(sorted(FLOWS)), changes=st.lists(st.sampled_from(WILD), min_size=1, max_size=4), seed=SEEDS)
@settings(max_examples=300)
def test_whatever_was_changed_the_check_and_the_compiler_say_what_is_wrong_and_where(
    name: str, changes: list[Change], seed: int
) -> None:
    text = changed(text_of(name), Random(seed), *changes)
    graph = read(text)
    if graph is None:
        return
    exported(text)
    public_graph(text)
    report = asyncio.run(check_apart(APART, text))
    names(graph, [problem for node in report.nodes for problem in node.problems])
    found = refused(text)
    names(graph, found)
    assert not found or report.verdict is not Verdict.RUNS, found


def read(text: str) -> Graph | None:
    """The graph; None where there is none, and its place is named."""
    try:
        return graphs.parse(text)
    except BrokenGraph as error:
        broken = error.message
    assert re.match(r"flowData(\.(nodes|edges)\b|:)", broken), broken
    with pytest.raises(BrokenGraph):
        asyncio.run(check_apart(APART, text))
    return None


def refused(text: str) -> Sequence[Problem]:
    """What the compiler finds wrong."""
    try:
        flow = compiled(text)
    except FlowNotRunnable as error:
        return error.problems
    asyncio.run(flow.close())
    return ()


def names(graph: Graph, problems: Iterable[Problem]) -> None:
    """Problems of nodes name them."""
    for problem in problems:
        assert problem.text
        if problem.node in graph.nodes:
            assert problem.node in problem.text, problem
