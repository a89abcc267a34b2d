"""Whole agentflows as they are drawn: who plans, who works, who decides, and what the user reads."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from service.chatflows.types import NodeStatus, RunStatus
from tests.service.agentflows.flows import ask, both, edge, graph, model, node, run, variable
from tests.stubs.openai_server import OpenAIStub, Script

Messages = Sequence[Mapping[str, Any]]


def told(messages: Messages) -> str:
    return "\n".join(str(item["content"]) for item in messages)


def supervising(stub: OpenAIStub) -> str:
    """A supervisor that hands over to workers until it says that it is enough."""
    shape = [
        {"key": "next", "type": "enum", "enumValues": "FINISH, SOFTWARE, REVIEWER", "description": "who"},
        {"key": "instructions", "type": "string"},
    ]
    updates = [
        {"key": "next", "value": variable("output.next")},
        {"key": "instruction", "value": variable("output.instructions")},
    ]
    same = {"type": "string", "value1": variable("$flow.state.next"), "operation": "equal"}
    tests = [{**same, "value2": "<p>SOFTWARE</p>"}, {**same, "value2": "<p>REVIEWER</p>"}]
    works = {"agentUserMessage": variable("$flow.state.instruction")}
    nodes = [
        node("start", "start", startState=[{"key": "next", "value": ""}, {"key": "instruction", "value": ""}]),
        node(
            "llm_0",
            "llm",
            label="Supervisor",
            **model("llm", stub.url),
            llmStructuredOutput=shape,
            llmUpdateState=updates,
        ),
        node("c", "condition", conditions=tests),
        node("agent_1", "agent", label="Software Engineer", **model("agent", stub.url), **works),
        node("agent_2", "agent", label="Code Reviewer", **model("agent", stub.url), **works),
        node("agent_3", "agent", label="Final", **model("agent", stub.url), agentUserMessage="<p>Sum it up</p>"),
        node("l0", "loop", loopBackToNode="llm_0-Supervisor", maxLoopCount=5),
        node("l1", "loop", loopBackToNode="llm_0-Supervisor", maxLoopCount=5),
    ]
    edges = [
        edge("start", "llm_0"),
        edge("llm_0", "c"),
        edge("c", "agent_1", 0),
        edge("c", "agent_2", 1),
        edge("c", "agent_3", 2),
        edge("agent_1", "l0"),
        edge("agent_2", "l1"),
    ]
    return graph(nodes, edges)


async def test_a_supervisor_hands_over_until_it_is_enough(stub: OpenAIStub) -> None:
    for next_one, said in (("SOFTWARE", "code()"), ("REVIEWER", "looks good")):
        stub.script(Script(reply=json.dumps({"next": next_one, "instructions": f"do {next_one}"})))
        stub.script(Script(reply=said))
    stub.script(Script(reply=json.dumps({"next": "FINISH", "instructions": ""})))
    stub.script(Script(reply="All done."))
    ran = await ask(supervising(stub), run("Build it"))
    assert ran.text == "All done."
    assert [name for name in ran.nodes if name.startswith("agent")] == ["agent_1", "agent_2", "agent_3"]
    last = told(stub.requests[-1].body["messages"])
    assert "code()" in last
    assert "looks good" in last
    assert "do REVIEWER" in told(stub.requests[3].body["messages"])


async def test_research_spawns_subagents_and_reports(stub: OpenAIStub) -> None:
    def reply(messages: Messages) -> str:
        words = told(messages)
        if "JSON Schema" in words:
            return '{"subagents": [{"task": "dig"}, {"task": "fly"}]}'
        if "Research task" in words:
            return "dug" if "dig" in words.rpartition("Research task")[2] else "flown"
        return "Report: " + words.rpartition("Findings:")[2].strip() if "Findings:" in words else '{"output": "Enough"}'

    stub.script(Script(reply=reply), times=None)
    rows = [{"key": "subagents", "type": "jsonArray", "jsonSchema": '{"task": {"type": "string"}}'}]
    nodes = [
        node("start", "start", startInputType="formInput", startState=[{"key": "subagents", "value": ""}]),
        node(
            "llm_0",
            "llm",
            label="Planner",
            **model("llm", stub.url),
            llmStructuredOutput=rows,
            llmUpdateState=[{"key": "subagents", "value": variable("output.subagents")}],
        ),
        node("it", "iteration", iterationInput=variable("$flow.state.subagents")),
        node(
            "sub",
            "agent",
            parent="it",
            **model("agent", stub.url),
            agentUserMessage="<p>Research task:</p><p>{{ $iteration.task }}</p>",
        ),
        node(
            "writer",
            "agent",
            **model("agent", stub.url),
            agentEnableMemory=False,
            agentMessages=[{"role": "user", "content": "<p>Findings:</p><p>{{ it }}</p>"}],
            agentUpdateState=[{"key": "findings", "value": variable("output")}],
        ),
        node(
            "more",
            "conditionAgent",
            **model("conditionAgent", stub.url),
            conditionAgentScenarios=[{"scenario": "More"}, {"scenario": "Enough"}],
            conditionAgentInput=variable("$flow.state.findings"),
        ),
        node("l", "loop", loopBackToNode="llm_0-Planner", maxLoopCount="5"),
        node("r", "directReply", directReplyMessage=variable("$flow.state.findings")),
    ]
    edges = [
        edge("start", "llm_0"),
        edge("llm_0", "it"),
        edge("it", "writer"),
        edge("writer", "more"),
        edge("more", "l", 0),
        edge("more", "r", 1),
    ]
    ran = await both(graph(nodes, edges), run("", form={"query": "birds"}))
    assert ran.error is None
    assert ran.text.startswith("Report:")
    assert "dug\nflown" in ran.text
    assert ran.nodes.count("sub") == 2


async def test_two_ways_meet_in_one_reply(stub: OpenAIStub) -> None:
    def tool(identifier: str, sums: str) -> dict[str, Any]:
        given = [{"inputArgName": "input", "inputArgValue": sums}]
        return node(identifier, "tool", toolAgentflowSelectedTool="calculator", toolInputArgs=given)

    nodes = [
        node("start", "start"),
        node("m", "llm", **model("llm", stub.url)),
        tool("a", "1+1"),
        tool("b", "2+2"),
        node("r", "directReply", directReplyMessage="{{ m }} {{ a }} {{ b }}"),
    ]
    edges = [edge("start", "m"), edge("m", "a"), edge("m", "b"), edge("a", "r"), edge("b", "r")]
    stub.script(Script(reply="Sums:"), times=2)
    ran = await both(graph(nodes, edges), run("Q?"))
    assert ran.text == "Sums: 2 4"
    assert ran.nodes[-1] == "r"
    begun = [item.node for item in ran.of(NodeStatus) if item.status is RunStatus.INPROGRESS]
    assert begun[:4] == ["start", "m", "a", "b"]


async def test_a_corrective_retrieval_grades_rewrites_and_gives_up_with_words(stub: OpenAIStub) -> None:
    """Retriever, grader, a loop back with a better question: the shape of agentic retrieval."""
    stub.script(Script(reply='{"output": "Not relevant"}'), times=None)
    nodes = [
        node("start", "start", startState=[{"key": "query", "value": "{{ question }}"}]),
        node(
            "find",
            "retriever",
            label="Find",
            retrieverKnowledgeDocumentStores=[{"documentStore": "11111111-1111-4111-8111-111111111111:docs"}],
            retrieverQuery=variable("$flow.state.query"),
        ),
        node(
            "grade",
            "conditionAgent",
            **model("conditionAgent", stub.url),
            conditionAgentScenarios=[{"scenario": "Relevant"}, {"scenario": "Not relevant"}],
            conditionAgentInput=variable("find"),
        ),
        node("answer", "llm", **model("llm", stub.url)),
        node("l", "loop", loopBackToNode="find-Find", maxLoopCount=2, fallbackMessage="Nothing fits."),
    ]
    edges = [edge("start", "find"), edge("find", "grade"), edge("grade", "answer", 0), edge("grade", "l", 1)]
    ran = await ask(graph(nodes, edges), run("What?"))
    assert ran.text == "Nothing fits."
    assert ran.nodes.count("find") == 2
