"""Agents in agentflows: knowledge, tools, people who must agree."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from service.agentflows.flow import compile_agentflow
from service.chatflows.graph import parse
from service.chatflows.run import Run
from service.chatflows.types import (
    FlowNotRunnable,
    Passage,
    Paused,
    Sources,
    ToolCalls,
    ToolsUsed,
)
from tests.service.agentflows.flows import (
    PASSAGE,
    STORE,
    Lent,
    ask,
    chain,
    model,
    node,
    run,
    sent,
)
from tests.stubs.openai_server import Called, OpenAIStub, Script

# Agents


def agent(stub: OpenAIStub, **inputs: Any) -> dict[str, Any]:
    return node("a", "agent", label="My Agent", **model("agent", stub.url), **inputs)


KNOWS = {
    "agentKnowledgeDocumentStores": [
        {
            "documentStore": f"{STORE}:AI Paper",
            "docStoreDescription": "<p>All on cats</p>",
            "returnSourceDocuments": True,
        }
    ]
}


async def test_an_agent_looks_things_up_and_cites_them(stub: OpenAIStub) -> None:
    stub.script(Script(calls=[Called("ai_paper", {"input": "cats"})]))
    stub.script(Script(reply="A lot [1]."))
    lent = Lent(passages=(PASSAGE,))
    ran = await ask(chain(agent(stub, **KNOWS)), run("How much do cats sleep?", backing=lent.backing()))
    assert ran.text == "A lot [1]."
    assert lent.searched == [(STORE, "cats")]
    (offered,) = stub.requests[0].body["tools"]
    assert offered["function"]["name"] == "ai_paper"
    assert offered["function"]["description"] == "All on cats"
    assert [event.passages for event in ran.of(Sources)] == [(PASSAGE,)]
    (uses,) = ran.of(ToolsUsed)
    assert uses.uses[0].tool == "ai_paper"
    assert ran.of(ToolCalls)
    assert [type(event).__name__ for event in ran.events[-3:]] == ["Sources", "ToolsUsed", "FlowStatus"]
    assert ran.data("a")["output"]["usedTools"][0]["toolInput"] == {"input": "cats"}


async def test_agents_of_one_flow_share_the_numbers_of_their_sources(stub: OpenAIStub) -> None:
    """What the second agent cites is not what the first one found."""
    other = replace(PASSAGE, id="other", text="Dogs sleep less.")

    class Two(Lent):
        async def search(self, workspace: UUID, store: UUID, question: str, **others: Any) -> Sequence[Passage]:
            return (PASSAGE,) if question == "cats" else (other,)

    first = agent(stub, **KNOWS)
    inputs: dict[str, Any] = {**model("agent", stub.url), **KNOWS}
    second = node("b", "agent", label="Other", **inputs)
    for found, reply in (("cats", "Cats: a lot [1]."), ("dogs", "Dogs: less [2].")):
        stub.script(Script(calls=[Called("ai_paper", {"input": found})]))
        stub.script(Script(reply=reply))
    ran = await ask(chain(first, second), run("Who sleeps more?", backing=Two().backing()))
    told = stub.requests[-1].body["messages"][-1]["content"]
    assert 'number="2"' in told
    assert [event.passages for event in ran.of(Sources)] == [(PASSAGE, other)]
    shown = ran.data("b")["output"]["sourceDocuments"]
    assert [item["pageContent"] for item in shown] == [PASSAGE.text, other.text]


async def test_an_agent_uses_a_tool_only_when_a_person_agrees(stub: OpenAIStub) -> None:
    tools = [{"agentSelectedTool": "calculator", "agentSelectedToolRequiresHumanInput": True}]
    flow = chain(agent(stub, agentTools=tools))
    stub.script(Script(calls=[Called("calculator", {"input": "6*7"})]))
    first = await ask(flow, run("Six times seven?"))
    assert first.statuses == ["INPROGRESS", "STOPPED"]
    assert "calculator" in first.text
    paused = first.wanted.paused
    assert paused is not None
    assert first.wanted.action["data"]["nodeId"] == "a"
    stub.script(Script(reply="It is 42."))
    second = await ask(flow, answered(paused, "proceed", node="a"))
    assert second.text == "It is 42."
    assert second.statuses == ["INPROGRESS", "FINISHED"]
    assert second.nodes == ["start", "a"]
    assert "42" in json.dumps(stub.requests[-1].body["messages"])


ROWS = {"agentStructuredOutput": [{"key": "total", "type": "number", "description": "the sum"}]}
CALCULATOR = {"agentTools": [{"agentSelectedTool": "calculator"}]}


@pytest.mark.parametrize("resumed", [False, True])
async def test_an_agent_with_tools_puts_its_answer_into_the_structure(stub: OpenAIStub, resumed: bool) -> None:
    """It looks things up first; then it is told of the structure, by the user's part, as most providers want it."""
    tools = {"agentTools": [{**CALCULATOR["agentTools"][0], "agentSelectedToolRequiresHumanInput": resumed}]}
    flow = chain(agent(stub, **tools, **ROWS), node("r", "directReply", directReplyMessage="{{ a.output.total }}"))
    stub.script(Script(calls=[Called("calculator", {"input": "6*7"})]))
    stub.script(Script(reply="It is 42."))
    stub.script(Script(reply='{"total": 42}'))
    ran = await ask(flow, run("Six times seven?"))
    if resumed:
        assert ran.wanted.paused is not None
        ran = await ask(flow, answered(ran.wanted.paused, "proceed", node="a"))
    assert ran.text == "42"
    (*_, asked, said, told) = sent(stub)
    assert (asked[0], said) == ("user", ("assistant", "It is 42."))
    assert told[0] == "user"
    assert '"total"' in told[1]


@pytest.mark.parametrize("others", [{}, CALCULATOR])
async def test_an_agent_whose_answer_has_the_structure_is_not_asked_again(
    stub: OpenAIStub, others: dict[str, Any]
) -> None:
    stub.script(Script(reply='```json\n{"total": "7"}\n```'))
    ran = await ask(chain(agent(stub, **others, **ROWS)), run("Three and four?"))
    assert json.loads(ran.text) == {"total": 7}
    assert len(stub.requests) == 1


async def test_an_agent_that_misses_the_structure_may_correct_itself(stub: OpenAIStub) -> None:
    for reply in ("Seven.", "Seven!", '{"total": 7}'):
        stub.script(Script(reply=reply))
    ran = await ask(chain(agent(stub, **ROWS)), run("Three and four?"))
    assert json.loads(ran.text) == {"total": 7}
    assert [part for part, _ in sent(stub)] == ["system", "user", "assistant", "user", "assistant", "user"]


async def test_tools_that_run_at_a_provider_are_refused(stub: OpenAIStub) -> None:
    with pytest.raises(FlowNotRunnable, match=r"agentToolsBuiltInOpenAI: .*web_search_preview.* Clear it"):
        compile_agentflow(parse(chain(agent(stub, agentToolsBuiltInOpenAI='["web_search_preview"]'))))


async def test_tools_of_a_provider_whose_model_is_not_chosen_any_more_have_no_effect(stub: OpenAIStub) -> None:
    left = {"agentToolsBuiltInGemini": '["googleSearch"]', "agentToolsBuiltInAnthropic": ["web_fetch"]}
    stub.script(Script(reply="Hello"))
    ran = await ask(chain(agent(stub, **left)), run("Hi"))
    assert ran.text == "Hello"
    assert "tools" not in stub.requests[0].body


async def test_vectors_elsewhere_are_refused_with_what_to_do(stub: OpenAIStub) -> None:
    rows = [{"vectorStore": "postgres", "embeddingModel": "openAIEmbeddings", "knowledgeName": "k"}]
    with pytest.raises(FlowNotRunnable, match="document store"):
        compile_agentflow(parse(chain(agent(stub, agentKnowledgeVSEmbeddings=rows))))


def answered(paused: Paused, decision: str, *, node: str = "", feedback: str = "") -> Run:
    """The run that goes on; everything was written down as JSON in between."""
    from service.chatflows.types import Decision, HumanInput
    from service.executions.recording import executed, shown

    kept = json.loads(json.dumps({"n": shown(paused.executed), "s": paused.state, "p": paused.progress}))
    again = Paused(executed(kept["n"]), kept["s"], kept["p"])
    return run("", human=HumanInput(Decision(decision), node, feedback), paused=again)
