"""Agentflows as clients use them: events in their order, people's answers, memory, abort, forms, overrides."""

import json
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from service.agentflows.nodes.direct_reply import DirectReply
from service.predictions.nested import AT_ONCE, MAX_DEPTH
from tests.service.agentflows.flows import chain, edge, graph, model, node, variable
from tests.service.chatflows.flows import openai, rag
from tests.service.predictions.conftest import House
from tests.service.predictions.test_stops import LONG, begun, in_background
from tests.stubs.openai_server import Called, Script


def made(house: House, flow: str, **columns: Any) -> str:
    return house.flow(flow, type="AGENTFLOW", **columns)


def talking(house: House, **inputs: Any) -> str:
    return chain(node("m", "llm", label="Talker", **model("llm", house.stub.url), **inputs))


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    rows = [json.loads(line[5:]) for line in response.text.splitlines() if line.startswith("data:")]
    return [(row["event"], row["data"]) for row in rows]


def shape(response: httpx.Response) -> list[str]:
    """Names of the events in their order; neighbours of a name once."""
    names: list[str] = []
    for name, data in events(response):
        told = f"{name}:{data}" if name == "agentFlowEvent" else name
        told = f"{name}:{data['nodeId']}:{data['status']}" if name == "nextAgentFlow" else told
        if not names or names[-1] != told:
            names.append(told)
    return names


def test_a_stream_has_the_events_of_the_contract_in_their_order(house: House) -> None:
    house.stub.script(Script(reply="Hello there"))
    response = house.ask(made(house, talking(house)), streaming=True)
    assert shape(response) == [
        "agentFlowEvent:INPROGRESS",
        "nextAgentFlow:start:INPROGRESS",
        "nextAgentFlow:start:FINISHED",
        "agentFlowExecutedData",
        "nextAgentFlow:m:INPROGRESS",
        "token",
        "nextAgentFlow:m:FINISHED",
        "agentFlowExecutedData",
        "agentFlowEvent:FINISHED",
        *shape(response)[9:-2],
        "metadata",
        "end",
    ]
    assert "".join(data for name, data in events(response) if name == "token") == "Hello there"


def test_a_whole_answer_is_that_of_the_contract(house: House) -> None:
    house.stub.script(Script(reply="Hello there"))
    flow = made(house, talking(house))
    body = house.client.post(f"/prediction/{flow}", json={"question": "Hi", "chatId": "c1"}).json()
    assert body["text"] == "Hello there"
    assert (body["question"], body["chatId"], body["sessionId"]) == ("Hi", "c1", "c1")
    assert [(item["nodeId"], item["status"]) for item in body["agentFlowExecutedData"]] == [
        ("start", "FINISHED"),
        ("m", "FINISHED"),
    ]
    assert body["executionId"]
    assert "memoryType" not in body


def test_the_next_turn_sees_the_last(house: House) -> None:
    flow = made(house, talking(house))
    for question in ("One?", "Two?"):
        assert house.ask(flow, question, chatId="c1").status_code == 200
    told = [item["content"] for item in house.stub.requests[-1].body["messages"]]
    assert told[0] == "One?"
    assert told[-1] == "Two?"
    assert len(told) == 3


def asking(house: House) -> str:
    nodes = [
        node("start", "start"),
        node("m", "llm", label="Writer", **model("llm", house.stub.url)),
        node("h", "humanInput", humanInputDescription="Send it?"),
        node("yes", "directReply", directReplyMessage="Sent: {{ m }} {{ h }}"),
        node("no", "directReply", directReplyMessage="Dropped"),
    ]
    return graph(nodes, [edge("start", "m"), edge("m", "h"), edge("h", "yes", 0), edge("h", "no", 1)])


@pytest.mark.parametrize("streaming", [False, True])
def test_a_person_answers_over_http(house: House, streaming: bool) -> None:
    house.stub.script(Script(reply="Dear all"))
    flow = made(house, asking(house))
    first = house.ask(flow, "A mail", chatId="c1").json()
    assert first["action"]["data"]["nodeId"] == "h"
    assert first["agentFlowExecutedData"][-1]["status"] == "STOPPED"
    human = {"type": "proceed", "startNodeId": "h", "feedback": "Fine"}
    second = house.ask(flow, "", chatId="c1", humanInput=human, streaming=streaming)
    if streaming:
        assert "".join(data for name, data in events(second) if name == "token") == "Sent: Dear all Fine"
    else:
        assert second.json()["text"] == "Sent: Dear all Fine"
        assert second.json()["executionId"] == first["executionId"]
    again = house.ask(flow, "", chatId="c1", humanInput=human)
    assert again.status_code >= 400, "an answer counts once"


def test_a_tool_is_used_after_a_person_agreed(house: House) -> None:
    tools = [{"agentSelectedTool": "calculator", "agentSelectedToolRequiresHumanInput": True}]
    flow = made(house, chain(node("a", "agent", **model("agent", house.stub.url), agentTools=tools)))
    house.stub.script(Script(calls=[Called("calculator", {"input": "6*7"})]))
    first = house.ask(flow, "6*7?", chatId="c1").json()
    assert first["action"]["data"]["nodeId"] == "a"
    house.stub.script(Script(reply="42."))
    second = house.ask(flow, "", chatId="c1", humanInput={"type": "proceed", "startNodeId": "a"}).json()
    assert second["text"] == "42."


@pytest.mark.parametrize("streaming", [False, True])
def test_who_is_asked_to_agree_is_not_shown_the_prompt(house: House, streaming: bool) -> None:
    tools = [{"agentSelectedTool": "calculator", "agentSelectedToolRequiresHumanInput": True}]
    told = [{"role": "system", "content": "The house rule nobody sees"}]
    inputs = {**model("agent", house.stub.url), "agentTools": tools, "agentMessages": told}
    flow = made(house, chain(node("a", "agent", **inputs)))
    house.stub.script(Script(calls=[Called("calculator", {"input": "6*7"})]), times=None)
    answer = house.ask(flow, "6*7?", streaming=streaming).text
    assert '"action"' in answer
    assert "house rule" not in answer
    body = {"question": "6*7?", "streaming": streaming}
    assert "house rule" in house.client.post(f"/prediction/{flow}", json=body).text


def test_an_abort_stops_every_model_and_says_so(house: House) -> None:
    house.stub.script(Script(reply=LONG, token_delay=0.03))
    flow = made(house, talking(house))
    thread, results = in_background(lambda: house.ask(flow, chatId="c1", streaming=True))
    begun(house)
    httpx.put(f"{house.live.url}/api/v1/chatmessage/abort/{flow}/c1")
    thread.join(10)
    names = shape(results[0])
    assert "agentFlowEvent:TERMINATED" in names
    assert names[-2:] == ["abort", "end"]


def test_a_failure_is_told_at_its_node_and_as_an_error(house: House) -> None:
    house.stub.script(Script(status=400), times=None)
    flow = made(house, talking(house))
    names = shape(house.ask(flow, streaming=True))
    at = names.index("nextAgentFlow:m:ERROR")
    assert names[at : at + 4] == ["nextAgentFlow:m:ERROR", "agentFlowExecutedData", "agentFlowEvent:ERROR", "error"]
    assert house.ask(flow).status_code >= 400


def test_a_form_and_the_state_last_for_a_session(house: House) -> None:
    start = {
        "startInputType": "formInput",
        "startState": [{"key": "seen", "value": "nothing"}],
        "startPersistState": True,
    }
    keeps = node(
        "m", "llm", **model("llm", house.stub.url), llmUpdateState=[{"key": "seen", "value": variable("$form.query")}]
    )
    reply = node("r", "directReply", directReplyMessage="{{ start.output.form.query }}")
    flow = made(house, chain(keeps, reply, start=start))
    first = house.client.post(f"/prediction/{flow}", json={"form": {"query": "cats"}, "chatId": "c1"}).json()
    assert first["text"] == "cats"
    second = house.client.post(f"/prediction/{flow}", json={"form": {"query": "dogs"}, "chatId": "c1"}).json()
    assert second["agentFlowExecutedData"][0]["data"]["state"] == {"seen": "cats"}


FIELDS = [{"type": "string", "label": "Your name", "name": "name"}, {"type": "number", "label": "days", "name": "days"}]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_form_that_nobody_filled_is_asked_for_by_its_fields(house: House, streaming: bool) -> None:
    start = {"startInputType": "formInput", "formInputTypes": FIELDS}
    reply = node("r", "directReply", directReplyMessage="{{ $form.name }}: {{ question }}")
    flow = made(house, chain(reply, start=start))
    for form in ({}, {"form": {"other": "x"}}):
        refused = house.ask(flow, "Hi", chatId="c1", streaming=streaming, **form)
        assert refused.status_code == 422
        assert refused.json()["code"] == "form_wanted"
        assert "name (Your name), days" in refused.json()["message"]
    assert house.client.get("/executions").json()["total"] == 0, "nothing has begun"
    filled = house.ask(flow, "", chatId="c1", form={"name": "Anna"})
    assert filled.json()["text"].startswith("Anna: ")
    later = house.ask(flow, "And now?", chatId="c1")
    assert later.json()["text"] == "Anna: And now?", "the form of a conversation stays"


def test_a_form_without_fields_is_no_obstacle(house: House) -> None:
    reply = node("r", "directReply", directReplyMessage="{{ question }}")
    flow = made(house, chain(reply, start={"startInputType": "formInput", "formInputTypes": ""}))
    assert house.ask(flow, "Hi").json()["text"] == "Hi"


def test_what_the_owner_opened_can_be_changed_for_a_call(house: House) -> None:
    opened = {"overrideConfig": {"status": True, "nodes": {"r": [{"name": "directReplyMessage", "enabled": True}]}}}
    flow = made(house, chain(node("r", "directReply", directReplyMessage="a")), apiConfig=json.dumps(opened))
    body = house.ask(flow, overrideConfig={"directReplyMessage": "b"}).json()
    assert body["text"] == "b"
    assert house.ask(flow).json()["text"] == "a"


@pytest.mark.parametrize(
    "spelled",
    [
        "{{ $vars.secret }}",
        "{{ $va\\rs.secret }}",
        "{{\\$vars.secret}}",
        "<p>{{ &#36;vars.secret }}</p>",
        "<p>{{ $va<b></b>rs.secret }}</p>",
        "{{ other }}",
        "{{ other.output.content }}",
        "{{ other.output }}",
        "<p>{{ oth&#101;r }}</p>",
        "{{ $flow.state.token }}",
        '["{{ \\u0024vars.secret }}"]',
    ],
)
def test_a_call_cannot_read_what_is_the_flows_own_by_what_it_overrides(house: House, spelled: str) -> None:
    body = {"name": "secret", "value": "sk-canary", "type": "static"}
    assert house.client.post("/variables", json=body).status_code == 200
    opened = {"overrideConfig": {"status": True, "nodes": {"r": [{"name": "directReplyMessage", "enabled": True}]}}}
    start = {"startInputType": "chatInput", "startState": [{"key": "token", "value": "{{ $vars.secret }}"}]}
    other = node("other", "llm", **model("llm", house.stub.url))
    flow = made(
        house, chain(other, node("r", "directReply", directReplyMessage="a"), start=start), apiConfig=json.dumps(opened)
    )
    house.stub.script(Script(reply="sk-canary"))
    answer = house.ask(flow, overrideConfig={"directReplyMessage": spelled})
    assert "sk-canary" not in answer.json().get("text", "")
    assert answer.status_code == 422, answer.text
    assert "overrideConfig.directReplyMessage" in answer.json()["message"]


def test_a_call_gives_no_code(house: House) -> None:
    opened = {"overrideConfig": {"status": True, "nodes": {"t": [{"name": "toolInputArgs", "enabled": True}]}}}
    flow = made(
        house, chain(node("t", "tool", toolAgentflowSelectedTool="currentDateTime")), apiConfig=json.dumps(opened)
    )
    assert house.ask(flow, overrideConfig={"customCode": "return $vars"}).status_code == 200
    rows = [{"customCode": "return $vars"}]
    for given in (rows, json.dumps(rows), [{"config": json.dumps(rows[0])}]):
        answer = house.ask(flow, overrideConfig={"toolInputArgs": given})
        assert answer.status_code == 422
        assert "code cannot be given" in answer.json()["message"]


def test_a_variable_that_a_call_changes_is_that_of_the_flow_which_was_called_only(house: House) -> None:
    body = {"name": "place", "value": "kept", "type": "static"}
    assert house.client.post("/variables", json=body).status_code == 200
    opened = json.dumps({"overrideConfig": {"status": True, "variables": [{"name": "place", "enabled": True}]}})
    reply = node("r", "directReply", directReplyMessage="{{ $vars.place }}")
    for columns, said in (({}, "kept"), ({"apiConfig": opened}, "changed")):
        inner = made(house, chain(reply), **columns)
        calls = node("e", "executeFlow", executeFlowSelectedFlow=inner)
        outer = made(
            house,
            chain(calls, node("r", "directReply", directReplyMessage="{{ e }} {{ $vars.place }}")),
            apiConfig=opened,
        )
        answer = house.ask(outer, overrideConfig={"vars": {"place": "changed"}})
        assert answer.json()["text"] == f"{said} changed"


def test_flows_that_call_themselves_many_times_over_are_stopped_soon(house: House) -> None:
    flow = made(house, chain(node("r", "directReply", directReplyMessage="Here")))
    calls = [node(f"e{number}", "executeFlow", executeFlowSelectedFlow=flow) for number in range(6)]
    start = node("start", "start", startInputType="chatInput")
    looped = graph([start, *calls], [edge("start", item["id"]) for item in calls])
    assert house.client.put(f"/chatflows/{flow}", json={"flowData": looped}).status_code == 200
    refused = house.ask(flow)
    assert refused.status_code == 422
    assert f"more than {MAX_DEPTH} deep" in refused.json()["error"]
    begun = house.client.get("/executions", params={"agentflowId": flow, "page": 1, "limit": 1}).json()["total"]
    assert begun < 5 * AT_ONCE * MAX_DEPTH, "all of them would be 9,331"


@pytest.mark.parametrize("streaming", [False, True])
def test_a_document_store_that_is_not_here_is_named_before_any_node_runs(house: House, streaming: bool) -> None:
    gone = str(uuid4())
    writer = node("m", "llm", **model("llm", house.stub.url))
    last = node("r", "retriever", retrieverKnowledgeDocumentStores=[{"documentStore": f"{gone}:Theirs"}])
    flow = made(house, chain(writer, last))
    answer = house.own(flow, streaming=streaming)
    assert answer.status_code == 422, answer.text
    assert f"(r): there is no document store {gone} here" in answer.json()["message"]
    assert not house.stub.requests


@pytest.mark.parametrize("streaming", [False, True])
def test_a_flow_that_is_not_here_is_named_before_any_node_runs(house: House, streaming: bool) -> None:
    writer = node("m", "llm", **model("llm", house.stub.url))
    inner = made(house, chain(node("r", "directReply", directReplyMessage="Inner")))
    outer = made(house, chain(writer, node("e", "executeFlow", executeFlowSelectedFlow=inner)))
    assert house.ask(outer).status_code == 200
    assert house.client.get(f"/chatflows/{outer}/check").json()["verdict"] == "runs"
    assert house.client.delete(f"/chatflows/{inner}").status_code == 200
    house.stub.reset()
    answer = house.own(outer, streaming=streaming)
    assert answer.status_code == 422, answer.text
    assert f"(e): executeFlowSelectedFlow: there is no flow {inner} here" in answer.json()["message"]
    assert not house.stub.requests
    report = house.client.get(f"/chatflows/{outer}/check").json()
    (found,) = (item for item in report["nodes"] if item["id"] == "e")
    assert (report["verdict"], found["verdict"]) == ("needs_setting", "needs_setting")


def citing(house: House, kind: str, store: str) -> str:
    """A flow that answers from a document store."""
    if kind == "chain":
        return house.flow(rag(store, model=openai(house.stub.url), chain={"returnSourceDocuments": True}))
    row = {"documentStore": f"{store}:Rules", "docStoreDescription": "Rules", "returnSourceDocuments": True}
    inputs: dict[str, Any] = {**model("agent", house.stub.url), "agentKnowledgeDocumentStores": [row]}
    return made(house, chain(node("a", "agent", **inputs)))


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", ["chain", "agent"])
def test_what_a_called_flow_cites_is_what_it_found(
    house: House, monkeypatch: pytest.MonkeyPatch, kind: str, streaming: bool
) -> None:
    """Whatever was found before it in the flow that calls it."""
    other = uuid4()
    house.shelf.filled.add(other)
    leave, hours = house.shelf.chunks
    found = house.shelf.search

    async def search(resources: Any, workspace: Any, store: Any, query: str, **options: Any) -> list[Any]:
        await found(resources, workspace, store, query)
        return [hours] if store == other else [leave]

    monkeypatch.setattr("service.document_stores.search.search", search)
    first, second = (citing(house, kind, str(store)) for store in (house.shelf.store, other))
    calls = (node(name, "executeFlow", executeFlowSelectedFlow=flow) for name, flow in (("f", first), ("s", second)))
    outer = made(house, chain(*calls))
    for reply in ("Thirty days [1].", "At eight [1]."):
        if kind == "agent":
            house.stub.script(Script(calls=[Called("rules", {"input": "x"})]))
        house.stub.script(Script(reply=reply))
    answer = house.ask(outer, "When, and how long?", streaming=streaming)
    if streaming:
        said = events(answer)
        text = "".join(data for name, data in said if name == "token")
        sources = dict(said)["sourceDocuments"]
    else:
        text, sources = answer.json()["text"], answer.json()["sourceDocuments"]
    assert text == "At eight [2]."
    assert [item["pageContent"] for item in sources] == [leave.text, hours.text]
    (_, kept) = house.client.get(f"/chatmessage/{second}").json()
    assert kept["content"] == "At eight [1]."
    assert [item["pageContent"] for item in kept["sourceDocuments"]] == [hours.text]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("way", ["executeFlow", "ChatflowTool"])
def test_a_called_flow_that_hides_its_sources_cites_none(house: House, way: str, streaming: bool) -> None:
    """Its numbers would point to nothing, or to what another flow found. Others in its text are none."""
    hidden = {"returnSourceDocuments": False}
    hides = house.flow(rag(house.shelf.store, model=openai(house.stub.url), chain=hidden))
    said = "Thirty days [1], see [7]; `days[0]` [1, 2]."
    if way == "executeFlow":
        house.stub.script(Script(reply=said))
        outer = made(house, chain(node("e", "executeFlow", executeFlowSelectedFlow=hides)))
    else:
        config = {"selectedChatflow": hides, "name": "asks", "returnDirect": True}
        tools = [{"agentSelectedTool": "ChatflowTool", "agentSelectedToolConfig": config}]
        house.stub.script(Script(calls=[Called("asks", {"input": "Leave?"})]))
        house.stub.script(Script(reply=said))
        outer = made(house, chain(node("a", "agent", **model("agent", house.stub.url), agentTools=tools)))
    answer = house.ask(outer, streaming=streaming)
    assert answer.status_code == 200, answer.text
    text = "".join(data for name, data in events(answer) if name == "token") if streaming else answer.json()["text"]
    assert text == "Thirty days, see [7]; `days[0]`."
    assert '"sourceDocuments"' not in answer.text


@pytest.mark.parametrize("fails", [False, True])
def test_a_flow_that_another_one_calls_is_written_down_as_its_child(house: House, fails: bool) -> None:
    house.stub.script(Script(status=401) if fails else Script(reply="Inner words"), times=None)
    inner = made(house, talking(house))
    outer = made(house, chain(node("e", "executeFlow", executeFlowSelectedFlow=inner)))
    answer = house.ask(outer, "Hi", chatId="c1")
    assert answer.status_code == (502 if fails else 200), answer.text
    (parent,) = house.client.get("/executions", params={"agentflowId": outer}).json()["data"]
    (child,) = house.client.get("/executions", params={"agentflowId": inner}).json()["data"]
    assert (child["parentExecutionId"], parent["parentExecutionId"]) == (parent["id"], None)
    assert child["state"] == parent["state"] == ("ERROR" if fails else "FINISHED")
    names = [item["nodeId"] for item in json.loads(child["executionData"])]
    assert names == ["start", "m"]
    if fails:
        assert child["error"]
    else:
        assert child["usage"]["total_tokens"] == parent["usage"]["total_tokens"] > 0
        messages = house.client.get(f"/chatmessage/{inner}").json()
        assert [message["executionId"] for message in messages] == [child["id"]] * 2


@pytest.mark.parametrize("streaming", [False, True])
def test_a_flow_that_was_called_and_breaks_down_has_failed(
    house: House, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    """Nobody has stopped it."""

    async def broken(self: DirectReply, moment: Any) -> AsyncGenerator[Any, None]:
        raise RuntimeError("a bug")
        yield

    monkeypatch.setattr(DirectReply, "act", broken)
    house.stub.script(Script(reply="Inner words"))
    writer = node("m", "llm", **model("llm", house.stub.url))
    inner = made(house, chain(writer, node("r", "directReply", directReplyMessage="x")))
    outer = made(house, chain(node("e", "executeFlow", executeFlowSelectedFlow=inner)))
    answer = house.ask(outer, "Hi", chatId="c1", streaming=streaming)
    assert "a bug" not in answer.text
    (parent,) = house.client.get("/executions", params={"agentflowId": outer}).json()["data"]
    (child,) = house.client.get("/executions", params={"agentflowId": inner}).json()["data"]
    assert (parent["state"], child["state"]) == ("ERROR", "ERROR")
    assert child["error"] == parent["error"]
    assert child["usage"]["total_tokens"] == parent["usage"]["total_tokens"] > 0


def test_what_a_flow_that_was_called_waits_for_is_an_error_of_both(house: House) -> None:
    nodes = [node("start", "start"), node("h", "humanInput"), node("r", "directReply", directReplyMessage="x")]
    inner = made(house, graph(nodes, [edge("start", "h"), edge("h", "r", 0)]))
    outer = made(house, chain(node("e", "executeFlow", executeFlowSelectedFlow=inner)))
    assert house.ask(outer, "Hi", chatId="c1").json()["code"] == "nested_flow_waits"
    assert [item["state"] for item in house.client.get("/executions").json()["data"]] == ["ERROR", "ERROR"]


def test_a_function_is_refused_when_it_is_saved_while_javascript_is_off(house: House) -> None:
    function = chain(node("f", "customFunction", customFunctionJavascriptFunction="return 1"))
    answer = house.client.post("/chatflows", json={"name": "F", "type": "AGENTFLOW", "flowData": function})
    assert answer.status_code == 422
    assert "RAGSTONE_JAVASCRIPT" in answer.json()["message"]


def test_what_cannot_run_says_why(house: House) -> None:
    answer = house.own(made(house, chain(node("h", "http", url=""))))
    assert answer.status_code == 422
    assert "there is no address to call" in answer.json()["message"]


def test_an_agentflow_that_was_stored_as_a_chatflow_is_one_all_the_same(house: House) -> None:
    house.stub.script(Script(reply="Dear all"))
    flow = house.flow(asking(house))
    first = house.ask(flow, "A mail", chatId="c1", streaming=True)
    assert "agentFlowEvent:STOPPED" in shape(first)
    second = house.ask(flow, "", chatId="c1", humanInput={"type": "reject", "startNodeId": "h"}).json()
    assert second["text"] == "Dropped"
