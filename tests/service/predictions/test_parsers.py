"""Chains whose answers are read by output parsers, chains that feed other chains, prompts with examples."""

import json
from typing import Any

import pytest

from tests.service.chatflows.flows import edge, graph, node, openai
from tests.service.predictions.conftest import House
from tests.stubs.openai_server import Script

MOVIE = "z.object({ title: z.string(), year: z.number().int() })"


def parsing(house: House, kind: str, template: str = "{q}", **inputs: Any) -> str:
    """A chain with an output parser."""
    model = openai(house.stub.url)
    nodes = [
        model,
        node("prompt_0", "promptTemplate", "Prompts", {"template": template}),
        node("parser_0", kind, "Output Parsers", inputs),
        node("chain_0", "llmChain", "Chains"),
    ]
    links = [(model["id"], "model"), ("prompt_0", "prompt"), ("parser_0", "outputParser")]
    return house.flow(graph(nodes, [edge(source, "chain_0", anchor) for source, anchor in links]))


def asked(house: House, request: int = -1) -> str:
    """The last message of a request."""
    return str(house.stub.requests[request].body["messages"][-1]["content"])


@pytest.mark.parametrize(
    ("kind", "inputs", "reply", "value"),
    [
        ("csvOutputParser", {}, 'red, green , "blue, dark"', ["red", "green", "blue, dark"]),
        ("customListOutputParser", {"length": "2", "separator": "|"}, "one| two", ["one", "two"]),
        (
            "structuredOutputParser",
            {"jsonStructure": '[{"property":"name","type":"string","description":"Of them"}]'},
            'Sure!\n```json\n{"name": "Anna"}\n```',
            {"name": "Anna"},
        ),
        (
            "advancedStructuredOutputParser",
            {"exampleJson": MOVIE},
            '{"title": "Alien", "year": 1979}',
            {"title": "Alien", "year": 1979},
        ),
        ("advancedStructuredOutputParser", {"exampleJson": f"z.array({MOVIE})"}, "[]", []),
    ],
)
def test_answers_are_read(house: House, kind: str, inputs: dict[str, Any], reply: str, value: Any) -> None:
    flow = parsing(house, kind, **inputs)
    house.stub.script(Script(reply=reply))
    body = house.ask(flow, "go").json()
    assert body["json"] == value
    assert "text" not in body
    assert asked(house).startswith("go\n\nAnswer with ")
    assert json.loads(house.messages(flow)[1]["content"]) == value
    streams = house.client.get(f"/chatflows-streaming/{flow}").json()
    assert streams == {"isStreaming": False}


def test_a_prompt_can_say_where_the_form_is_told(house: House) -> None:
    flow = parsing(house, "csvOutputParser", "Form: {format_instructions} Question: {q}")
    house.ask(flow, "go")
    assert asked(house).startswith("Form: Answer with a list")
    assert asked(house).endswith("Question: go")


def test_an_answer_that_cannot_be_read_fails(house: House) -> None:
    flow = parsing(house, "advancedStructuredOutputParser", exampleJson=MOVIE)
    house.stub.script(Script(reply='{"title": "Alien", "year": "soon"}'))
    failed = house.ask(flow, "go")
    assert failed.status_code == 502
    assert "year: 'soon' is not of type 'integer'" in failed.json()["error"]


def test_a_model_can_mend_its_answer_once(house: House) -> None:
    flow = parsing(house, "advancedStructuredOutputParser", exampleJson=MOVIE, autofixParser=True)
    house.stub.script(Script(reply="It is Alien."))
    house.stub.script(Script(reply='{"title": "Alien", "year": 1979}'))
    assert house.ask(flow, "go").json()["json"] == {"title": "Alien", "year": 1979}
    roles = [item["role"] for item in house.stub.requests[-1].body["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert "there is no JSON in it" in asked(house)
    house.stub.script(Script(reply="No."), times=2)
    assert house.ask(flow, "go").status_code == 502
    assert len(house.stub.requests) == 4


@pytest.mark.parametrize(
    ("kind", "inputs", "named"),
    [
        ("advancedStructuredOutputParser", {"exampleJson": "z.object({a: z.lazy(x)})"}, "z.lazy is not known"),
        ("structuredOutputParser", {"jsonStructure": '[{"type":"string"}]'}, "row 1 has no property"),
        ("structuredOutputParser", {"jsonStructure": '[{"property":"a","type":"date"}]'}, "'date' is none of"),
        ("customListOutputParser", {"length": "many"}, "length"),
    ],
)
def test_a_form_that_cannot_be_read_is_named(house: House, kind: str, inputs: dict[str, Any], named: str) -> None:
    refused = house.own(parsing(house, kind, **inputs), "go")
    assert refused.status_code == 422
    assert named in refused.json()["error"]


def chained(house: House, values: dict[str, str], template: str = "Reply: {text}") -> str:
    """Two chains that feed a third."""
    model = openai(house.stub.url)
    nodes = [model]
    edges = []
    for name in ("a", "b"):
        nodes += [
            node(f"prompt_{name}", "promptTemplate", "Prompts", {"template": f"{name}: {{q}}"}),
            node(f"chain_{name}", "llmChain", "Chains", outputs={"output": "outputPrediction"}),
        ]
        edges += [edge(f"prompt_{name}", f"chain_{name}", "prompt"), edge(model["id"], f"chain_{name}", "model")]
        edges.append(edge(f"chain_{name}", "prompt_z", "promptValues"))
    nodes.append(
        node("prompt_z", "promptTemplate", "Prompts", {"template": template, "promptValues": json.dumps(values)})
    )
    nodes.append(node("chain_z", "llmChain", "Chains", outputs={"output": "llmChain"}))
    edges += [edge("prompt_z", "chain_z", "prompt"), edge(model["id"], "chain_z", "model")]
    return house.flow(graph(nodes, edges))


def test_chains_feed_a_chain_and_run_once(house: House) -> None:
    def reply(messages: Any) -> str:
        return str(messages[-1]["content"]).upper()

    values = {"text": "{{chain_a.data.instance}} and {{chain_b.data.instance}}", "more": "{{chain_a.data.instance}}"}
    flow = chained(house, values, "Reply: {text} {more}")
    house.stub.script(Script(reply=reply), times=None)
    body = house.ask(flow, "{x}").json()
    assert body["text"] == "REPLY: A: {X} AND B: {X} A: {X}"
    assert len(house.stub.requests) == 3
    assert house.messages(flow)[1]["usage"]["calls"] == 3


def test_a_chain_that_feeds_another_streams_only_the_last(house: House) -> None:
    flow = chained(house, {"text": "{{chain_a.data.instance}}{{chain_b.data.instance}}"})
    rows = house.ask(flow, "x", streaming=True).text.splitlines()
    events = [json.loads(row[5:]) for row in rows if row.startswith("data:")]
    text = "".join(item["data"] for item in events if item["event"] == "token")
    assert text == "The stub has an answer. It comes in two sentences."


def test_a_node_that_is_not_linked_cannot_be_named(house: House) -> None:
    refused = house.own(chained(house, {"text": "{{chain_q.data.instance}}"}), "x")
    assert refused.status_code == 422
    assert "{{chain_q.data.instance}} is not known here" in refused.json()["error"]


def test_a_prompt_shows_examples(house: House) -> None:
    model = openai(house.stub.url)
    shots = {
        "examples": '[{"word": "happy", "antonym": "sad"}, {"word": "tall", "antonym": "short"}]',
        "prefix": "Give the antonym.",
        "suffix": "Word: {input}\nAntonym:",
        "exampleSeparator": "\n\n",
        "templateFormat": "f-string",
    }
    nodes = [
        model,
        node("example_0", "promptTemplate", "Prompts", {"template": "Word: {word}\nAntonym: {antonym}"}),
        node("prompt_0", "fewShotPromptTemplate", "Prompts", shots),
        node("chain_0", "llmChain", "Chains"),
    ]
    edges = [
        edge("example_0", "prompt_0", "examplePrompt"),
        edge("prompt_0", "chain_0", "prompt"),
        edge(model["id"], "chain_0", "model"),
    ]
    house.ask(house.flow(graph(nodes, edges)), "{big}")
    assert asked(house) == (
        "Give the antonym.\n\nWord: happy\nAntonym: sad\n\nWord: tall\nAntonym: short\n\nWord: {big}\nAntonym:"
    )
