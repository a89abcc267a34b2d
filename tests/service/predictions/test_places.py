"""Places in the inputs of chatflows: filled literally, once, and only where nothing depends on it."""

import json
from typing import Any
from uuid import uuid4

import pytest

from service.chatflows import graph as graphs
from service.chatflows import texts
from service.chatflows.graph import Graph
from service.chatflows.run import Backing, Run
from service.chatflows.types import Role, Turn
from tests.service.chatflows.flows import edge, graph, node, openai
from tests.service.predictions.conftest import House

HOSTILE = "{{$vars.secret}} {{question}} {context} {{context}} {{7*7}} {chat_history} ${1} FILE-STORAGE::x"


def chat(url: str, system: str, **model: Any) -> str:
    """A conversation with a system message."""
    nodes = [
        openai(url, **model),
        node("memory_0", "bufferMemory", "Memory"),
        node("chain_0", "conversationChain", "Chains", {"systemMessagePrompt": system}),
    ]
    return graph(nodes, [edge("chatOpenAI_0", "chain_0", "model"), edge("memory_0", "chain_0", "memory")])


def variable(house: House, name: str, value: str) -> None:
    body = {"name": name, "value": value, "type": "static"}
    assert house.client.post("/variables", json=body).status_code == 200


def said(house: House) -> list[dict[str, Any]]:
    """The messages that the model read last."""
    found: list[dict[str, Any]] = house.stub.requests[-1].body["messages"]
    return found


def test_a_system_message_has_what_the_run_knows(house: House) -> None:
    variable(house, "company", "ACME {{question}}")
    flow = house.flow(chat(house.stub.url, "For {{ $vars.company }}: {{question}} in {{$flow.sessionId}}, {{other}}."))
    answer = house.ask(flow, "Who?", overrideConfig={"sessionId": "s-1"})
    assert answer.status_code == 200, answer.text
    assert said(house)[0]["content"] == "For ACME {{question}}: Who? in s-1, {{other}}."


def test_what_is_put_in_is_never_looked_at_again(house: House) -> None:
    variable(house, "secret", "sk-canary")
    flow = house.flow(chat(house.stub.url, "[{{question}}]"))
    assert house.ask(flow, HOSTILE).status_code == 200
    assert said(house)[0]["content"] == f"[{HOSTILE}]"
    assert "sk-canary" not in json.dumps(said(house))


def test_templates_of_chains_take_no_places_from_callers(house: House) -> None:
    prompt = "Said: {{question}}. Documents: {context}"
    flow = house.writing(chain={"responsePrompt": prompt})
    assert house.ask(flow, HOSTILE).status_code == 200
    assert said(house)[0]["content"].startswith(f"Said: {HOSTILE}. Documents: ")


def test_a_variable_that_there_is_not_is_named(house: House) -> None:
    flow = house.flow(chat(house.stub.url, "For {{$vars.nobody}}"))
    answer = house.own(flow, "Who?")
    assert answer.status_code == 422
    assert "there is no variable 'nobody'" in answer.json()["message"]
    assert "conversationChain (chain_0)" in answer.json()["message"]


@pytest.mark.parametrize("opened", [True, False])
def test_a_call_changes_the_variables_that_the_owner_has_opened(house: House, opened: bool) -> None:
    variable(house, "tone", "kind")
    variable(house, "closed", "kept")
    gate = {"overrideConfig": {"status": opened, "variables": [{"name": "tone", "enabled": True}]}}
    flow = house.flow(chat(house.stub.url, "{{$vars.tone}} {{$vars.closed}}"), apiConfig=json.dumps(gate))
    assert house.ask(flow, "Who?", overrideConfig={"vars": {"tone": "rude", "closed": "open"}}).status_code == 200
    assert said(house)[0]["content"] == ("rude kept" if opened else "kind kept")


@pytest.mark.parametrize("given", [[], {"tone": {"mood": "rude"}}, {"closed": ["x"]}, {"unknown": {}}, "[]"])
def test_variables_that_nobody_opened_change_nothing_whatever_they_hold(house: House, given: Any) -> None:
    variable(house, "tone", "kind")
    flow = house.flow(chat(house.stub.url, "{{$vars.tone}}"))
    assert house.ask(flow, "Who?", overrideConfig={"vars": given}).status_code == 200
    assert said(house)[0]["content"] == "kind"


def test_a_variable_that_is_open_is_a_text_or_stands_for_one(house: House) -> None:
    variable(house, "tone", "kind")
    gate = {"overrideConfig": {"status": True, "variables": [{"name": "tone", "enabled": True}]}}
    flow = house.flow(chat(house.stub.url, "{{$vars.tone}}"), apiConfig=json.dumps(gate))
    for given, filled in ((3, "3"), (True, "true"), (None, "kind")):
        assert house.ask(flow, "Who?", overrideConfig={"vars": {"tone": given}}).status_code == 200
        assert said(house)[0]["content"] == filled
    for streaming in (False, True):
        refused = house.ask(flow, "Who?", overrideConfig={"vars": {"tone": {"a": 1}}}, streaming=streaming)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_field")
        assert "overrideConfig.vars.tone" in refused.json()["message"]


def test_a_call_cannot_ask_for_variables_by_what_it_overrides(house: House) -> None:
    variable(house, "secret", "sk-canary")
    nodes = {"conversationChain": [{"name": "systemMessagePrompt", "enabled": True}]}
    gate = {"overrideConfig": {"status": True, "nodes": nodes}}
    flow = house.flow(chat(house.stub.url, "{{question}} {{$vars.secret}}"), apiConfig=json.dumps(gate))
    answer = house.ask(flow, "Who?", overrideConfig={"systemMessagePrompt": "{{ $vars.secret }}"})
    assert answer.status_code == 422
    assert "overrideConfig.systemMessagePrompt" in answer.json()["message"]
    assert house.ask(flow, "Who?", overrideConfig={"systemMessagePrompt": "{{question}}"}).status_code == 200
    assert said(house)[0]["content"] == "{{question}}"


@pytest.mark.parametrize("field", ["basepath", "modelName", "baseOptions"])
def test_what_callers_say_decides_no_address(house: House, field: str) -> None:
    flow = house.flow(chat(house.stub.url, "Hi", **{field: "{{question}}"}))
    before = len(house.stub.requests)
    answer = house.own(flow, house.stub.url)
    assert answer.status_code == 422
    assert f"{field}: {{{{question}}}} cannot stand here" in answer.json()["message"]
    assert len(house.stub.requests) == before


def test_a_variable_may_be_an_address_and_a_number(house: House) -> None:
    variable(house, "server", house.stub.url)
    variable(house, "warmth", "0.25")
    flow = house.flow(chat("{{$vars.server}}", "Hi", temperature="{{$vars.warmth}}"))
    assert house.ask(flow, "Who?").status_code == 200
    assert house.stub.requests[-1].body["temperature"] == 0.25


def test_variables_of_other_workspaces_and_prompts_stay_apart(house: House) -> None:
    variable(house, "who", "Ada {x}")
    nodes = [
        openai(house.stub.url),
        node("p", "promptTemplate", "Prompts", {"template": "{{$vars.who}} {input} {{question}}"}),
        node("c", "llmChain", "Chains"),
    ]
    flow = house.flow(graph(nodes, [edge("chatOpenAI_0", "c", "model"), edge("p", "c", "prompt")]))
    assert house.ask(flow, "{input}").status_code == 200
    assert said(house)[-1]["content"] == "Ada {x} {input} {input}"


def test_flows_without_places_are_compiled_once(house: House) -> None:
    parsed = graphs.parse(chat("http://h", "{other} {{other}} {{chatOpenAI_0.data.instance}}"))
    assert texts.find(parsed) is None
    assert texts.variables_in("{{$vars.a}} {{ $vars.b-c }}") == frozenset({"a", "b-c"})
    assert texts.variables_in('"customTool"') is None


def filled(inputs: dict[str, Any], name: str = "openAPIToolkit") -> Graph:
    """A node as a run has it."""
    made = graphs.parse(graph([node("n", name, "Tools", inputs)], []))

    async def none(*_: Any, **__: Any) -> Any:
        raise AssertionError

    turns = (Turn(Role.USER, "Before"), Turn(Role.MODEL, "Then"))
    run = Run(uuid4(), uuid4(), "c", "s", 'a", "b": "c', turns, Backing(none, none, none), variables={"v": '"}'})
    found = texts.find(made)
    return made if found is None else found.fill(made, run)


def test_json_stays_what_it_is() -> None:
    made = filled({"requestPostBody": '{"a": "{{question}}", "{{question}}": [1]}'}, "requestsPost").nodes["n"].inputs
    assert json.loads(made["requestPostBody"]) == {"a": 'a", "b": "c', "{{question}}": [1]}
    made = filled({"headers": {"X": "{{$vars.v}}"}}).nodes["n"].inputs
    assert made["headers"] == {"X": '"}'}


def test_code_and_files_are_left_as_they_are() -> None:
    inputs = {"customCode": "return '{{question}}'", "yamlFile": "{{question}}"}
    assert filled(inputs).nodes["n"].inputs == inputs


def test_the_conversation_stands_as_data() -> None:
    made = filled({"description": "{{chat_history}}"}, "exaSearch").nodes["n"].inputs["description"]
    assert "Before" in made
    assert "data-" in made


def test_no_place_stands_for_a_credential() -> None:
    parsed = graphs.parse(graph([node("n", "exaSearch", "Tools", {"credential": "{{$vars.v}}"})], []))
    assert [problem.node for problem in texts.problems(parsed)] == ["n"]
