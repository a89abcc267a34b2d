"""What is wrong with an agentflow is named before it runs."""

from typing import Any

import pytest

from service.agentflows.flow import compile_agentflow, examine, is_agentflow
from service.chatflows.graph import parse
from service.chatflows.service import compile_any
from service.chatflows.types import FlowNotRunnable, FlowType, ProblemKind
from tests.service.agentflows.flows import ask, edge, graph, node, run

START = node("start", "start")
REPLY = node("r", "directReply", directReplyMessage="x")
LOOP = node("l", "loop", loopBackToNode="r-r")
CONDITION = node("c", "condition", conditions=[{"type": "string", "operation": "equal", "value1": "", "value2": ""}])
INSIDE = node("x", "directReply", parent="it", directReplyMessage="x")
ITERATION = node("it", "iteration", iterationInput="[]")

Parts = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def old(name: str) -> dict[str, Any]:
    """A node of another kind of flow."""
    return {"id": "o", "type": "customNode", "data": {"id": "o", "name": name, "category": "Others", "inputs": {}}}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (([REPLY], []), "no start node begins the flow"),
        (([START], []), "leads to nothing"),
        (([START, node("start_1", "start"), REPLY], [edge("start", "r"), edge("start_1", "r")]), "exactly one start"),
        (([START, REPLY], [edge("start", "r"), edge("r", "gone")]), "leads to 'gone', which is not there"),
        (([START, REPLY, node("z", "directReply")], [edge("start", "r"), edge("r", "z"), edge("z", "r")]), "cycle"),
        (([START, REPLY, node("l", "loop")], [edge("start", "r"), edge("r", "l")]), "leads back to no node"),
        (
            ([START, REPLY, node("l", "loop", loopBackToNode="gone_1-Gone")], [edge("start", "r"), edge("r", "l")]),
            "leads back to 'gone_1-Gone', which is not there",
        ),
        (([START, CONDITION], [edge("start", "c")]), "none of its branches leads anywhere"),
        (([START, CONDITION, REPLY], [edge("start", "c"), edge("c", "r", 7)]), "branch 7"),
        (([START, CONDITION, REPLY], [edge("start", "c"), edge("c", "r", "x")]), "leaves by 'x'"),
        (([START, ITERATION], [edge("start", "it")]), "nothing stands in the iteration"),
        (([START, ITERATION, INSIDE, REPLY], [edge("start", "it"), edge("x", "r")]), "across the border"),
        (
            ([START, ITERATION, INSIDE, node("h", "humanInput", parent="it")], [edge("start", "it"), edge("x", "h")]),
            "nobody can be asked within an iteration",
        ),
        (([START, node("x", "directReply", parent="r"), REPLY], [edge("start", "r")]), "'r', which is no iteration"),
        (([START, node("v", "videoGenerator")], [edge("start", "v")]), "'videoGeneratorAgentflow' is not supported"),
        (([START, node("s", "customAgent")], [edge("start", "s")]), "similar ones: "),
        (([START, old("chatOpenAI")], []), "is one of chatflows. In an agentflow it is chosen within a node"),
        (([START, old("supervisor")], []), "Build the team as an agentflow of version 2"),
        (([START, node("m", "llm")], [edge("start", "m")]), "choose a model that writes"),
        (([START, node("m", "llm", llmModel="chatNowhere")], [edge("start", "m")]), "'chatNowhere'"),
        (([START, node("m", "llm", llmModel="calculator")], [edge("start", "m")]), "'calculator' is no model"),
        (([START, node("t", "tool")], [edge("start", "t")]), "no tool is chosen"),
        (([START, node("h", "http", url="")], [edge("start", "h")]), "there is no address to call"),
        (([START, node("e", "executeFlow")], [edge("start", "e")]), "no flow is chosen"),
        (([START, node("k", "retriever")], [edge("start", "k")]), "no document store is chosen"),
        (([START, node("f", "customFunction")], [edge("start", "f")]), "there is no function"),
        (([node("start", "start", startInputType="carrier pigeon"), REPLY], [edge("start", "r")]), "carrier pigeon"),
        (
            (
                [START, node("c", "condition", conditions=[{"type": "text"}]), REPLY],
                [edge("start", "c"), edge("c", "r", 0)],
            ),
            "conditions: 'text' is none of",
        ),
        (
            (
                [
                    START,
                    node("c", "condition", conditions=[{"type": "string", "operation": "regex", "value2": "("}]),
                    REPLY,
                ],
                [edge("start", "c"), edge("c", "r", 0)],
            ),
            "is no pattern",
        ),
    ],
)
def test_what_stands_in_the_way_is_named(parts: Parts, said: str) -> None:
    with pytest.raises(FlowNotRunnable, match=said) as raised:
        compile_agentflow(parse(graph(*parts)))
    assert raised.value.problems


def test_every_problem_is_named_at_once_with_its_kind() -> None:
    flow = graph(
        [START, node("a", "llm", llmModel="chatNowhere"), node("h", "http")], [edge("start", "a"), edge("a", "h")]
    )
    found = examine(parse(flow))
    assert {problem.node for problem in found.problems} == {"a", "h"}
    assert ProblemKind.UNSUPPORTED in {problem.kind for problem in found.problems}


@pytest.mark.parametrize(
    "lying",
    [
        ([node("y", "directReply")], []),
        ([node("y", "llm", llmModel="chatNowhere")], [edge("y", "r")]),
        ([old("gmail")], []),
        ([CONDITION, node("y", "loop")], [edge("c", "y", "9")]),
        ([node("y", "loop", loopBackToNode="r-r")], []),
        ([ITERATION, INSIDE, node("q", "http", parent="it")], [edge("x", "q")]),
        ([node("y", "humanInput"), node("z", "directReply")], [edge("y", "z", 0), edge("z", "gone")]),
    ],
)
async def test_what_nothing_leads_to_is_left_out(lying: Parts) -> None:
    nodes, edges = lying
    ran = await ask(graph([START, REPLY, *nodes], [edge("start", "r"), *edges]), run("Hi"))
    assert (ran.error, ran.text, ran.nodes) == (None, "x", ["start", "r"])


def test_what_only_a_loop_leads_to_is_reached() -> None:
    loop = node("l", "loop", loopBackToNode="y-y")
    flow = graph([START, REPLY, loop, node("y", "directReply")], [edge("start", "r"), edge("r", "l")])
    assert "y" in compile_agentflow(parse(flow)).nodes


def test_notes_and_ids_with_dashes_are_no_trouble() -> None:
    note = {"id": "note", "type": "stickyNote", "data": {"name": "stickyNoteAgentflow", "inputs": {"note": "x"}}}
    reply = node("r-1-x", "directReply", directReplyMessage="x")
    loop = node("l", "loop", loopBackToNode="r-1-x-My-Label")
    flow = compile_agentflow(parse(graph([START, note, reply, loop], [edge("start", "r-1-x"), edge("r-1-x", "l")])))
    assert flow.graph.main.loops == {"l": "r-1-x"}


def test_a_graph_with_a_start_node_is_an_agentflow_whatever_its_type() -> None:
    flow = parse(graph([START, REPLY], [edge("start", "r")]))
    assert is_agentflow(flow, FlowType.CHATFLOW)
    assert compile_any(flow, FlowType.CHATFLOW).memory_label is None
    assert is_agentflow(parse(graph([REPLY], [])), FlowType.AGENTFLOW)


def test_nodes_that_an_override_leaves_alone_are_lent() -> None:
    before = compile_agentflow(parse(graph([START, REPLY], [edge("start", "r")])))
    changed = node("r", "directReply", directReplyMessage="y")
    after = compile_agentflow(parse(graph([START, changed], [edge("start", "r")])), lender=before)
    assert after.nodes["start"] is before.nodes["start"]
    assert [item.node.id for item in after.own] == ["r"]
