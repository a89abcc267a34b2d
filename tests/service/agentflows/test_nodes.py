"""Iterations, functions, other flows, tools, state and forms."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.agentflows.flow import compile_agentflow
from service.chatflows.graph import parse
from service.chatflows.run import Cited, Run
from service.chatflows.scripted import scripted
from service.chatflows.types import (
    ActionWanted,
    FlowNotRunnable,
    Paused,
    Sources,
    StepEvent,
    Structured,
    Token,
    ToolsUsed,
    Usage,
)
from tests.service.agentflows.flows import (
    PASSAGE,
    Lent,
    ask,
    chain,
    edge,
    graph,
    llm,
    node,
    run,
    sent,
    variable,
)
from tests.stubs.openai_server import OpenAIStub, Script

# Iterations


async def test_an_iteration_may_give_a_list_with_a_value_for_each_item() -> None:
    nodes = [
        node("start", "start"),
        node("it", "iteration", iterationInput="{{ question }}", iterationOutputStructure="jsonArray"),
        node("x", "directReply", parent="it", directReplyMessage="{{ $iteration }}"),
        node("r", "directReply", directReplyMessage="{{ it }} {{ it.output.iterationResults[0].n }}"),
    ]
    ran = await ask(graph(nodes, [edge("start", "it"), edge("it", "r")]), run('[{"n": 1}, "two\\nlines"]'))
    assert ran.data("it")["output"]["iterationResults"] == [{"n": 1}, "two\nlines"]
    assert ran.data("r")["output"]["content"] == '[{"n": 1}, "two\\nlines"] 1'


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ('["a", "b"]', "0 a\n1 b"),
        ('```json\n[{"task": "x"}]\n```', '0 {"task": "x"}'),
        ("", ""),
        ('Two tasks [1]:\n```json\n["x", "y"]\n```\nDone.', "0 x\n1 y"),
        ("['a', 'it\\'s',]", "0 a\n1 it's"),
        (r'\["a", "b"\]', "0 a\n1 b"),
        (r"[{\"n\": 1}]", '0 {"n": 1}'),
        (r'["say \"hi\"",]', '0 say "hi"'),
    ],
)
async def test_an_iteration_goes_through_its_list(given: str, text: str) -> None:
    nodes = [
        node("start", "start"),
        node("it", "iteration", iterationInput="{{ question }}"),
        node("x", "directReply", parent="it", directReplyMessage="{{ $iteration }}"),
    ]
    ran = await ask(graph(nodes, [edge("start", "it")]), run(given))
    assert ran.text == "\n".join(line.partition(" ")[2] for line in text.splitlines())
    assert [item["iterationIndex"] for item in map(dict, _children(ran))] == list(range(len(text.splitlines())))


def _children(ran: Any) -> list[Mapping[str, Any]]:
    from service.chatflows.types import NodesExecuted

    return [item.data for item in ran.of(NodesExecuted)[-1].nodes if item.data.get("parentNodeId") == "it"]


async def test_no_list_is_told() -> None:
    nodes = [
        node("start", "start"),
        node("it", "iteration", iterationInput="{{ question }}"),
        node("x", "directReply", parent="it"),
    ]
    for text in ("no list", "see [1]", "```\nno list [1]"):
        ran = await ask(graph(nodes, [edge("start", "it")]), run(text))
        assert ran.error is not None
        assert f"'{text}' is no list" in ran.error.message


async def test_items_change_the_state_one_after_the_other(stub: OpenAIStub) -> None:
    stub.script(Script(reply=lambda messages: messages[-1]["content"]), times=None)
    told = [{"role": "user", "content": "{{ $flow.state.all }}{{ $iteration.n }}"}]
    inner = llm(
        stub,
        "x",
        llmEnableMemory=False,
        llmMessages=told,
        llmUpdateState=[{"key": "all", "value": variable("output")}],
    )
    nodes = [
        node("start", "start", startState=[{"key": "all", "value": ""}]),
        node("it", "iteration", iterationInput='[{"n": 1}, {"n": 2}, {"n": 3}]'),
        {**inner, "parentNode": "it"},
        node("r", "directReply", directReplyMessage="{{ $flow.state.all }} / {{ it.output.iterationResults[1] }}"),
    ]
    ran = await ask(graph(nodes, [edge("start", "it"), edge("it", "r")]), run("Q?"))
    assert ran.text == "123 / 12"


# Functions and other flows


async def test_a_function_sees_the_values_of_the_flow() -> None:
    seen: dict[str, Any] = {}

    async def script(code: str, values: Mapping[str, Any]) -> Any:
        seen.update(values, code=code)
        return {"rows": [1, 2]}

    function = node(
        "f",
        "customFunction",
        customFunctionJavascriptFunction="return $q",
        customFunctionInputVariables=[{"variableName": "q", "variableValue": variable("question")}],
        customFunctionUpdateState=[{"key": "rows", "value": variable("output.rows")}],
    )
    given = run("Q?", backing=Lent().backing(script=script), variables={"A": "b"})
    ran = await ask(chain(function), given)
    assert json.loads(ran.text) == {"rows": [1, 2]}
    assert ran.data("f")["state"] == {"rows": [1, 2]}
    assert (seen["$q"], seen["$vars"], seen["$flow"]["input"]) == ("Q?", {"A": "b"}, "Q?")


async def test_a_function_is_refused_where_javascript_is_off() -> None:
    ran = await ask(chain(node("f", "customFunction", customFunctionJavascriptFunction="return 1")), run("Q?"))
    assert isinstance(ran.error, FlowNotRunnable)
    assert "RAGSTONE_JAVASCRIPT" in ran.error.message
    assert not ran.events


def other(*events: StepEvent) -> Any:
    async def predict(run: Run, flow: Any, question: str, **given: Any) -> AsyncGenerator[StepEvent, None]:
        asked.append((flow, question, given["session"], given["overrides"]))
        for event in events:
            yield event

    asked: list[Any] = []
    return predict, asked


async def test_another_flow_answers_with_its_sources() -> None:
    flow_id = uuid4()
    predict, asked = other(Token("It "), Token("is."), Sources((PASSAGE,)), Usage("m", 1, 2))
    calls = node(
        "e",
        "executeFlow",
        executeFlowSelectedFlow=str(flow_id),
        executeFlowInput="<p>About {{ question }}</p>",
        executeFlowOverrideConfig='{"topK": 3}',
        executeFlowReturnResponseAs="assistantMessage",
    )
    ran = await ask(chain(calls), run("cats", backing=Lent().backing(predict=predict)))
    assert ran.text == "It is."
    assert asked == [(flow_id, "About cats", "session-1", {"topK": 3})]
    assert ran.of(Sources)
    assert ran.of(Usage)
    predict, _ = other(ActionWanted({}))
    ran = await ask(chain(calls), run("cats", backing=Lent().backing(predict=predict)))
    assert ran.error is not None
    assert "waits for a person" in ran.error.message


def calling(flow: UUID, identifier: str = "e") -> dict[str, Any]:
    return node(identifier, "executeFlow", executeFlowSelectedFlow=str(flow))


def answering(answers: Mapping[UUID, Sequence[StepEvent]], *, agents: bool = False) -> Any:
    """Flows that give these answers. `agents`: their sources are told behind the text, as agents tell them."""

    async def predict(
        run: Run, flow: UUID, question: str, *, cited: Cited | None = None, **given: Any
    ) -> AsyncGenerator[StepEvent, None]:
        events = answers[flow]
        if agents and cited is not None:
            for event in events:
                for passage in event.passages if isinstance(event, Sources) else ():
                    cited.number(passage)
            events = sorted(events, key=lambda event: isinstance(event, Sources))
        for event in events:
            yield event

    return predict


@pytest.mark.parametrize("agents", [False, True])
async def test_flows_that_are_called_one_after_the_other_share_the_numbers_of_their_sources(agents: bool) -> None:
    first, second = uuid4(), uuid4()
    others = [replace(PASSAGE, id=f"o{number}", text=f"Dogs {number}.") for number in (1, 2)]
    said = [Token(text) for text in ("Cats sleep [", "2", ", 1], dogs less [3", "] (a[", "i], [9] [x])", " [1")]
    predict = answering(
        {
            first: [Sources((PASSAGE, others[0])), Token("Look [1].")],
            second: [Sources((others[1], PASSAGE, others[0])), *said],
        },
        agents=agents,
    )
    flow = chain(calling(first, "a"), calling(second, "b"))
    ran = await ask(flow, run("Who sleeps?", backing=Lent().backing(predict=predict)))
    (sources,) = ran.of(Sources)
    assert sources.passages == (PASSAGE, *others)
    assert ran.text == "Cats sleep [1, 3], dogs less [2] (a[i], [9] [x]) [1"
    assert ran.data("b")["output"]["content"] == ran.text
    assert ran.data("a")["output"]["content"] == "Look [1]."


async def test_what_a_called_flow_says_is_said_at_once_and_as_it_is_where_its_numbers_are_right() -> None:
    called = uuid4()
    pieces = ["Cats [1,1]", " sleep [", "x]."]
    predict = answering({called: [Sources((PASSAGE,)), *map(Token, pieces), Structured({"rows": [1]})]})
    ran = await ask(chain(calling(called)), run("?", backing=Lent().backing(predict=predict)))
    assert [event.text for event in ran.of(Token)] == ["Cats [1,1]", " sleep", " [x].", '{"rows": [1]}']


async def test_a_tool_is_used_without_a_model() -> None:
    used = node(
        "t",
        "tool",
        toolAgentflowSelectedTool="calculator",
        toolInputArgs=[{"inputArgName": "input", "inputArgValue": "<p>6*{{ question }}</p>"}],
    )
    ran = await ask(chain(used), run("7"))
    assert ran.text == "42"
    assert ran.of(ToolsUsed)[0].uses[0].output == "42"
    wrong = await ask(chain(used), run("nonsense("))
    assert wrong.error is not None
    assert wrong.statuses[-1] == "ERROR"


async def test_a_toolkit_is_refused_before_the_run() -> None:
    operations: dict[str, Any] = {
        f"/{name}": {"get": {"operationId": name, "responses": {}}} for name in ("cats", "dogs")
    }
    document = {"openapi": "3.0.0", "servers": [{"url": "https://example.com"}], "paths": operations}
    config: dict[str, Any] = {"yamlFile": json.dumps(document)}
    fields: dict[str, Any] = {"toolAgentflowSelectedTool": "openAPIToolkit", "toolAgentflowSelectedToolConfig": config}
    with pytest.raises(FlowNotRunnable, match=r"several tools \(cats, dogs\): choose one"):
        compile_agentflow(parse(chain(node("t", "tool", **fields))))
    config["selectedEndpoints"] = "cats"
    compile_agentflow(parse(chain(node("t", "tool", **fields))))


async def test_a_tool_of_an_older_version_of_the_node_is_used() -> None:
    row = {"inputArgName": "input", "inputArgValue": "2*3"}
    used = node("t", "tool", selectedTool="calculator", selectedToolConfig={}, toolInputArgs=[row])
    assert (await ask(chain(used), run("x"))).text == "6"


@pytest.mark.parametrize(
    "holding",
    [
        node("t", "tool", selectedTool="customTool", selectedToolConfig={"selectedTool": "x"}),
        node("t", "tool", selectedTool="openAPIToolkit", selectedToolConfig={"customCode": "return 1"}),
        node("t", "agent", agentTools=json.dumps([{"agentSelectedTool": "customTool"}])),
        node("t", "agent", agentTools=[{"agentSelectedTool": "customTool"}]),
    ],
    ids=["old field", "old config", "rows as text", "rows"],
)
def test_javascript_is_found_wherever_a_tool_is_named(holding: dict[str, Any]) -> None:
    assert [found.id for found in scripted(parse(chain(holding)))] == ["t"]


async def test_a_flow_of_another_server_is_refused() -> None:
    fields = {"executeFlowSelectedFlow": str(uuid4()), "executeFlowBaseURL": "https://example.com"}
    with pytest.raises(FlowNotRunnable, match="executeFlowBaseURL: flows are called here"):
        compile_agentflow(parse(chain(node("e", "executeFlow", **fields))))


# State and forms


async def test_the_first_state_may_be_a_json_text() -> None:
    state = '[{"key": "seen", "value": "{{ question }}"}]'
    reply = node("r", "directReply", directReplyMessage="{{ $flow.state.seen }}")
    assert (await ask(chain(reply, start={"startState": state}), run("cats"))).text == "cats"
    with pytest.raises(FlowNotRunnable, match="startState: must be a list"):
        compile_agentflow(parse(chain(reply, start={"startState": "seen"})))


async def test_state_lasts_from_turn_to_turn_where_the_start_says_so(stub: OpenAIStub) -> None:
    start = {"startState": [{"key": "seen", "value": "none"}], "startPersistState": True}
    keeps = llm(stub, llmUpdateState=[{"key": "seen", "value": variable("question")}])
    flow = compile_agentflow(parse(chain(keeps, start=start)))
    assert flow.remembers
    first = await ask(flow, run("cats"))
    assert first.data("start")["state"] == {"seen": "none"}
    last = Paused((), first.data("m")["state"])
    second = await ask(flow, run("dogs", last=last))
    assert second.data("start")["state"] == {"seen": "cats"}


async def test_a_form_takes_the_place_of_the_question(stub: OpenAIStub) -> None:
    flow = chain(
        llm(stub, llmMessages=[{"role": "system", "content": "{{ $form.query }}"}]),
        start={"startInputType": "formInput"},
    )
    first = await ask(flow, run("", form={"query": "cats", "n": 3}))
    assert sent(stub) == [("system", "cats"), ("user", "query: cats\nn: 3")]
    from service.chatflows.types import NodesExecuted

    last = Paused(first.of(NodesExecuted)[-1].nodes, {})
    await ask(flow, run("And dogs?", last=last))
    assert sent(stub) == [("system", "cats"), ("user", "And dogs?")]


async def test_a_webhook_asks_what_its_start_says(stub: OpenAIStub) -> None:
    start = {"startInputType": "webhookTrigger", "webhookDefaultInput": "<p>New: {{ $webhook.body.title }}</p>"}
    await ask(chain(llm(stub), start=start), run("", webhook={"body": {"title": "Bug"}}))
    assert sent(stub)[-1] == ("user", "New: Bug")
    start = {"startInputType": "webhookTrigger", "webhookInputMode": "payload"}
    await ask(chain(llm(stub), start=start), run("", webhook={"body": {"title": "Bug"}}))
    assert json.loads(sent(stub)[-1][1]) == {"body": {"title": "Bug"}}
