"""Runs wait for people, and go on exactly from there."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from service.chatflows.types import Decision, HumanInput, NodeStatus, Passage, Paused, RunStatus, Sources
from service.executions.recording import executed, shown
from tests.service.agentflows.flows import PASSAGE, STORE, Lent, Ran, ask, both, edge, graph, model, node, run, sent
from tests.stubs.openai_server import Called, OpenAIStub, Script

REPLIES = [
    node("yes", "directReply", directReplyMessage="Sent: {{ m }} for {{ $flow.input }}. {{ h.output.content }}"),
    node("no", "directReply", directReplyMessage="Dropped. {{ h }}"),
]


def mailing(stub: OpenAIStub, **inputs: Any) -> str:
    """A model writes, a person decides."""
    writes = node("m", "llm", label="Writer", **model("llm", stub.url))
    asks = node("h", "humanInput", label="Check", **inputs)
    edges = [edge("start", "m"), edge("m", "h"), edge("h", "yes", 0), edge("h", "no", 1)]
    return graph([node("start", "start"), writes, asks, *REPLIES], edges)


def kept(ran: Ran) -> Paused:
    """What a run left, after it was written down and read again."""
    paused = ran.wanted.paused
    assert paused is not None
    written = json.dumps({"nodes": shown(paused.executed), "state": paused.state, "progress": paused.progress})
    read = json.loads(written)
    return Paused(executed(read["nodes"]), read["state"], read["progress"])


def answering(ran: Ran, decision: Decision, feedback: str = "", named: str = "h") -> Any:
    return run("", human=HumanInput(decision, named, feedback), paused=kept(ran))


async def test_a_run_stops_with_the_contracts_action(stub: OpenAIStub) -> None:
    stub.script(Script(reply="Dear all"), times=2)
    ran = await both(mailing(stub, humanInputDescription="<p>Send it?</p>"), run("A mail"))
    assert ran.text == "Dear all\n\nSend it?"
    assert ran.statuses == ["INPROGRESS", "STOPPED"]
    action = ran.wanted.action
    assert action["mapping"] == {"approve": "Proceed", "reject": "Reject"}
    assert [item["type"] for item in action["elements"]] == ["agentflowv2-approve-button", "agentflowv2-reject-button"]
    assert action["data"]["nodeId"] == "h"
    assert action["data"]["nodeLabel"] == "Check"
    assert action["data"]["input"]["humanInputEnableFeedback"] is True
    assert [type(event).__name__ for event in ran.events[-2:]] == ["FlowStatus", "ActionWanted"]
    assert ran.data("h")["output"]["humanInputAction"] == action


@pytest.mark.parametrize(
    ("decision", "feedback", "text"),
    [
        (Decision.PROCEED, "", "Sent: Dear all for A mail."),
        (Decision.PROCEED, "Great", "Sent: Dear all for A mail. Great"),
        (Decision.REJECT, "Too short", "Dropped. Too short"),
    ],
)
async def test_a_run_goes_on_as_the_person_says(stub: OpenAIStub, decision: Decision, feedback: str, text: str) -> None:
    stub.script(Script(reply="Dear all"))
    flow = mailing(stub)
    first = await ask(flow, run("A mail"))
    asked = len(stub.requests)
    second = await ask(flow, answering(first, decision, feedback))
    assert second.error is None
    assert second.text.strip() == text
    assert second.statuses == ["INPROGRESS", "FINISHED"]
    assert second.nodes == ["start", "m", "h", "yes" if decision is Decision.PROCEED else "no"]
    assert [item.status for item in second.of(NodeStatus) if item.node == "h"] == [
        RunStatus.INPROGRESS,
        RunStatus.FINISHED,
    ]
    assert len(stub.requests) == asked, "nothing that ran runs again"


async def test_an_answer_without_a_node_means_the_one_that_waits(stub: OpenAIStub) -> None:
    flow = mailing(stub)
    first = await ask(flow, run("A mail"))
    second = await ask(flow, answering(first, Decision.REJECT, named=""))
    assert second.text.startswith("Dropped")


async def test_feedback_counts_only_where_it_is_asked_for(stub: OpenAIStub) -> None:
    flow = mailing(stub, humanInputEnableFeedback=False)
    first = await ask(flow, run("A mail"))
    second = await ask(flow, answering(first, Decision.REJECT, "Too short"))
    assert second.text.strip() == "Dropped."


async def test_answers_that_nobody_waits_for_are_refused(stub: OpenAIStub) -> None:
    flow = mailing(stub)
    first = await ask(flow, run("A mail"))
    other = await ask(flow, answering(first, Decision.PROCEED, named="m"))
    assert other.error is not None
    assert other.error.code == "not_waiting"
    unknown = await ask(flow, replace(answering(first, Decision.PROCEED), paused=None))
    assert unknown.error is not None
    assert unknown.error.code == "not_waiting"
    changed = flow.replace('"yes"', '"maybe"')
    gone = await ask(changed, answering(first, Decision.PROCEED))
    assert gone.error is not None
    assert "changed" in gone.error.message


async def test_a_model_may_tell_the_person_what_it_is_about(stub: OpenAIStub) -> None:
    stub.script(Script(reply="Dear all"))
    stub.script(Script(reply="A mail was written. Go on?"))
    flow = mailing(
        stub, humanInputDescriptionType="dynamic", humanInputModelPrompt="Tell it", **model("humanInput", stub.url)
    )
    ran = await ask(flow, run("A mail"))
    assert ran.text == "A mail was written. Go on?"
    told = [item["content"] for item in stub.requests[-1].body["messages"]]
    assert told == ["A mail", "Dear all", "Tell it"]


@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
async def test_a_person_who_is_asked_first_leaves_the_question_in_the_conversation(stub: OpenAIStub, kind: str) -> None:
    inputs = {"humanInputDescriptionType": kind, "humanInputDescription": "Really?", **model("humanInput", stub.url)}
    writer = node("m", "llm", label="Writer", **model("llm", stub.url))
    edges = [edge("start", "h"), edge("h", "m", 0)]
    flow = graph([node("start", "start"), node("h", "humanInput", **inputs), writer], edges)
    stub.script(Script(reply="Really?"), times=int(kind == "dynamic"))
    first = await ask(flow, run("Write a mail"))
    assert first.text == "Really?"
    if kind == "dynamic":
        assert sent(stub)[0] == ("user", "Write a mail")
    second = await ask(flow, answering(first, Decision.PROCEED, "Be kind"))
    assert second.error is None
    assert sent(stub) == [("user", "Write a mail"), ("assistant", "Really?"), ("user", "Be kind")]


async def test_what_an_answer_cites_is_known_after_a_person_was_asked(stub: OpenAIStub) -> None:
    """What is found later has the next numbers."""
    other = replace(PASSAGE, id="other", text="Dogs sleep less.", document="d2")

    class Two(Lent):
        async def search(self, workspace: UUID, store: UUID, question: str, **others: Any) -> Sequence[Passage]:
            return (PASSAGE,) if question == "cats" else (other,)

    knows = {"agentKnowledgeDocumentStores": [{"documentStore": f"{STORE}:Pets", "returnSourceDocuments": True}]}
    inputs: dict[str, Any] = {**model("agent", stub.url), **knows}
    nodes = [
        node("start", "start"),
        node("a", "agent", **inputs),
        node("h", "humanInput"),
        node("b", "agent", **inputs),
    ]
    reply = node("r", "directReply", directReplyMessage="{{ a }} {{ b }}")
    flow = graph([*nodes, reply], [edge("start", "a"), edge("a", "h"), edge("h", "b", 0), edge("b", "r")])
    for found, said in (("cats", "Cats: a lot [1]."), ("dogs", "Dogs: less [2].")):
        stub.script(Script(calls=[Called("pets", {"input": found})]))
        stub.script(Script(reply=said))
    lent = Two().backing()
    first = await ask(flow, run("Who sleeps?", backing=lent))
    second = await ask(flow, replace(answering(first, Decision.PROCEED), backing=lent))
    assert second.text == "Cats: a lot [1]. Dogs: less [2]."
    assert 'number="2"' in sent(stub)[-1][1]
    assert [event.passages for event in second.of(Sources)] == [(PASSAGE, other)]


async def test_other_branches_end_before_a_run_stops_and_are_not_run_again(stub: OpenAIStub) -> None:
    nodes = [
        node("start", "start", startState=[{"key": "s", "value": "kept"}]),
        node("h", "humanInput", humanInputDescription="One?"),
        node("k", "humanInput", humanInputDescription="Two?"),
        node("side", "directReply", directReplyMessage="side"),
        node("end", "directReply", directReplyMessage="{{ $flow.state.s }} {{ h }} {{ k }}"),
    ]
    edges = [edge("start", "h"), edge("start", "k"), edge("start", "side"), edge("h", "end", 0), edge("k", "end", 0)]
    flow = graph(nodes, edges)
    first = await ask(flow, run("Q?"))
    assert "side" in first.nodes
    assert first.statuses == ["INPROGRESS", "STOPPED"]
    waits = first.wanted.action["data"]["nodeId"]
    second = await ask(flow, answering(first, Decision.PROCEED, "a", named=waits))
    other = "h" if waits == "k" else "k"
    assert second.statuses == ["INPROGRESS", "STOPPED"]
    assert second.wanted.action["data"]["nodeId"] == other
    assert second.nodes.count("side") == 1
    third = await ask(flow, answering(second, Decision.PROCEED, "b", named=other))
    assert third.text == ("kept a b" if waits == "h" else "kept b a")
    assert third.statuses == ["INPROGRESS", "FINISHED"]


async def test_a_run_asks_again_in_a_loop(stub: OpenAIStub) -> None:
    writes = node("m", "llm", label="Writer", **model("llm", stub.url), llmUserMessage="")
    nodes = [
        node("start", "start"),
        writes,
        node("h", "humanInput", humanInputDescription="Good?"),
        node("yes", "directReply", directReplyMessage="{{ m }} after {{ loop_count }}"),
        node("l", "loop", loopBackToNode="m-Writer", maxLoopCount=3),
    ]
    flow = graph(nodes, [edge("start", "m"), edge("m", "h"), edge("h", "yes", 0), edge("h", "l", 1)])
    stub.script(Script(reply="Draft"))
    first = await ask(flow, run("A poem"))
    stub.script(Script(reply="Better"))
    second = await ask(flow, answering(first, Decision.REJECT, "Longer"))
    assert second.statuses == ["INPROGRESS", "STOPPED"]
    assert "Longer" in [item["content"] for item in stub.requests[-1].body["messages"]]
    third = await ask(flow, answering(second, Decision.PROCEED))
    assert third.text == "Better after 1"
    assert third.nodes.count("m") == 2


async def test_a_stopped_run_leaves_nothing_open(stub: OpenAIStub) -> None:
    async with asyncio.timeout(10):
        ran = await ask(mailing(stub), run("A mail"))
    assert ran.statuses[-1] == "STOPPED"
    assert len(asyncio.all_tasks()) == 1
