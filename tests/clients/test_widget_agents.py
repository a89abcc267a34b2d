"""The published chat widget with agents and agentflows: what it shows of words, forms and people's decisions."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.test_widget import GREETING, QUESTION, Visitor
from tests.compat.unseen import edge, step
from tests.service.agentflows import flows
from tests.service.chatflows.flows import edge as link
from tests.service.chatflows.flows import graph, node, openai
from tests.service.predictions.conftest import House
from tests.stubs.openai_server import Called, Script

pytestmark = pytest.mark.clients

ANSWER = "It is 42."


@pytest.fixture
def visitor(house: House, chromium: str, tmp_path: Path) -> Visitor:
    """A visitor."""
    return Visitor(house, chromium, tmp_path / "page.png")


def letters(house: House) -> str:
    """A form, a model that writes a letter, a person who decides."""
    fields = [
        {"type": "string", "label": "Subject", "name": "subject", "addOptions": ""},
        {"type": "options", "label": "Kind", "name": "kind", "addOptions": [{"option": "new"}, {"option": "old"}]},
    ]
    start = step(
        "start", 0, "Start", startInputType="formInput", formTitle="A letter", formDescription="", formInputTypes=fields
    )
    writes = step("llm", 0, "Writer", llmMessages="", llmEnableMemory=True)
    writes["data"]["inputs"] |= flows.model("llm", house.stub.url)
    asks = step(
        "humanInput",
        0,
        "Boss",
        humanInputDescriptionType="fixed",
        humanInputDescription="<p>Shall it go?</p>",
        humanInputEnableFeedback=True,
    )
    sends = step("directReply", 0, "Sent", directReplyMessage="<p>It has gone.</p>")
    back = step("loop", 0, "Again", loopBackToNode=f"{writes['id']}-Writer", maxLoopCount=5)
    nodes = [start, writes, asks, sends, back]
    edges = [edge(start, writes), edge(writes, asks), edge(asks, sends, 0), edge(asks, back, 1)]
    return house.flow(json.dumps({"nodes": nodes, "edges": edges}), type="AGENTFLOW", isPublic=True)


def test_an_agents_words_are_shown_when_it_has_used_its_tools(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(calls=(Called("calculator", {"input": "6*7"}),)))
    house.stub.script(Script(reply=ANSWER), times=None)
    nodes = [openai(house.stub.url), node("t", "calculator", "Tools"), node("a", "toolAgent", "Agents")]
    flow = house.flow(graph(nodes, [link("chatOpenAI_0", "a", "model"), link("t", "a", "tools")]))
    seen = visitor.visit(flow, QUESTION)
    assert seen["problems"] == []
    shown = seen["openings"][-1]
    assert shown["messages"] == [GREETING, ["visitor", QUESTION], ["bot", ANSWER]]
    assert house.messages(flow)[-1]["used_tools"][0]["toolOutput"] == "42"


def test_an_agentflows_words_are_shown_once(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply=ANSWER, token_delay=0.02), times=None)
    start = flows.chain(flows.node("llm_0", "llm", label="Writer", **flows.model("llm", house.stub.url)))
    flow = house.flow(start, type="AGENTFLOW")
    seen = visitor.visit(flow, QUESTION, "And now?", reload=True)
    assert seen["problems"] == []
    _, first, second, reloaded = seen["openings"]
    assert first["messages"] == [GREETING, ["visitor", QUESTION], ["bot", ANSWER]]
    assert second["messages"] == [*first["messages"], ["visitor", "And now?"], ["bot", ANSWER]]
    assert reloaded["messages"] == second["messages"]


def test_a_form_starts_a_run_and_a_persons_buttons_lead_it_on(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply="Dear all."))
    house.stub.script(Script(reply="Hello all."), times=None)
    flow = letters(house)
    steps: list[dict[str, Any]] = [
        {"form": {"subject": "Leave", "kind": "old"}},
        {"decide": "Reject", "words": "Shorter, please."},
        {"decide": "Proceed", "words": ""},
    ]
    seen = visitor.visit(flow, *steps)
    assert seen["problems"] == []
    _, asked, again, sent = seen["openings"]
    first = house.stub.requests[0].body["messages"]
    assert "Leave" in json.dumps(first)
    assert any("Dear all." in text and "Shall it go?" in text for _, text in asked["messages"])
    assert "Shorter, please." in json.dumps(house.stub.requests[-1].body["messages"])
    assert any("Hello all." in text for _, text in again["messages"])
    assert sent["messages"][-1] == ["bot", "It has gone."]


def test_a_failing_node_is_named_and_the_widget_can_go_on(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(status=500), times=None)
    start = flows.chain(flows.node("llm_0", "llm", label="Writer", **flows.model("llm", house.stub.url)))
    seen = visitor.visit(house.flow(start, type="AGENTFLOW"), QUESTION, "Again?")
    assert seen["problems"] == []
    assert not seen["openings"][-1]["locked"]
    assert any("model" in text or "provider" in text for _, text in seen["openings"][-1]["messages"][1:])
