"""Nodes that ask a model: what it is told, what it remembers, words and structures."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from service.agentflows.flow import compile_agentflow
from service.agentflows.nodes.structured import Structure
from service.chatflows.graph import parse
from service.chatflows.steps.base import BadOption
from service.chatflows.types import (
    Attached,
    FlowNotRunnable,
    Picture,
    Structured,
    Token,
    Usage,
)
from tests.service.agentflows.flows import (
    HISTORY,
    ask,
    both,
    chain,
    llm,
    node,
    run,
    sent,
    variable,
)
from tests.stubs.openai_server import Lie, OpenAIStub, Script


async def test_a_model_answers_word_by_word_and_says_what_it_took(stub: OpenAIStub) -> None:
    stub.script(Script(reply="Three little words"), times=2)
    ran = await both(
        chain(llm(stub, llmMessages=[{"role": "system", "content": "<p>Be <em>kind</em></p>"}])), run("Q?")
    )
    assert ran.text == "Three little words"
    assert ran.statuses == ["INPROGRESS", "FINISHED"]
    assert len(ran.of(Token)) > 1
    assert ran.of(Usage)
    assert sent(stub) == [("system", "Be _kind_"), ("user", "Q?")]
    data = ran.data("m")
    assert data["output"]["content"] == "Three little words"
    assert data["chatHistory"] == [
        {"role": "user", "content": "Q?"},
        {"role": "user", "content": "Three little words", "name": "my_model"},
    ]
    assert stub.url not in json.dumps(data)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({}, ["Hello", "Hi there", "Q?"]),
        ({"llmMemoryType": "windowSize", "llmMemoryWindowSize": "1"}, ["Hello", "Hi there", "Q?"]),
        ({"llmEnableMemory": False, "llmUserMessage": "left over"}, ["Q?"]),
        ({"llmEnableMemory": "", "llmUserMessage": "left over"}, ["Q?"]),
        ({"llmEnableMemory": None}, ["Q?"]),
        ({"llmEnableMemory": "true"}, ["Hello", "Hi there", "Q?"]),
        ({"llmUserMessage": "<p>Now sum up</p>"}, ["Hello", "Hi there", "Q?", "Now sum up"]),
        ({"llmEnableMemory": False, "llmMessages": [{"role": "user", "content": "Own {{ question }}"}]}, ["Own Q?"]),
    ],
)
async def test_a_model_remembers_as_its_node_says(
    stub: OpenAIStub, inputs: Mapping[str, Any], expected: list[str]
) -> None:
    await ask(chain(llm(stub, **inputs)), run("Q?", history=HISTORY))
    assert [text for _, text in sent(stub)] == expected


@pytest.mark.parametrize("memory", ["windowSize", "conversationSummary", "conversationSummaryBuffer"])
async def test_what_a_model_remembers_begins_with_the_user(stub: OpenAIStub, memory: str) -> None:
    """Templates of local models, and some providers, refuse a conversation that begins with an answer."""
    limits = {"llmMemoryWindowSize": 1, "llmMemoryMaxTokenLimit": 1}
    first = llm(stub, "a", llmReturnResponseAs="assistantMessage")
    flow = chain(first, llm(stub, "b", llmMemoryType=memory, **limits))
    await ask(flow, run("Q?", history=(*HISTORY, *HISTORY)))
    talk = [part for part, _ in sent(stub) if part != "system"]
    assert talk == ["user", "assistant", "user"]
    assert "Q?" in [text for _, text in sent(stub)]


async def test_a_conversation_is_summed_up_when_it_is_long(stub: OpenAIStub) -> None:
    stub.script(Script(reply="They greeted."))
    node_of = llm(stub, llmMemoryType="conversationSummaryBuffer", llmMemoryMaxTokenLimit=1)
    await ask(chain(node_of), run("Q?", history=HISTORY))
    assert "Hi there" in sent(stub, 0)[0][1]
    (first, summary), last = sent(stub)
    assert first == "system"
    assert "They greeted." in summary
    assert last == ("user", "Q?")


async def test_ephemeral_flows_forget_earlier_turns(stub: OpenAIStub) -> None:
    flow = chain(llm(stub), start={"startInputType": "chatInput", "startEphemeralMemory": True})
    await ask(flow, run("Q?", history=HISTORY))
    assert [text for _, text in sent(stub)] == ["Q?"]


async def test_the_next_model_sees_what_the_last_one_said(stub: OpenAIStub) -> None:
    stub.script(Script(reply="Better question"))
    first = llm(stub, "one", llmReturnResponseAs="assistantMessage")
    ran = await ask(chain(first, llm(stub, "two")), run("Q?"))
    assert ran.nodes == ["start", "one", "two"]
    assert sent(stub)[:2] == [("user", "Q?"), ("assistant", "Better question")]
    assert sent(stub)[-1][0] == "user", "models do not go on from their own words"


async def test_pictures_and_documents_go_to_the_model_with_the_question(stub: OpenAIStub) -> None:
    picture = Picture("p.png", "image/png", "data:image/png;base64,AAAA")
    given = run("Q?", pictures=(picture,), documents=(Attached("a.txt", "the text"),))
    await ask(chain(llm(stub, allowImageUploads=True)), given)
    ((_, content),) = sent(stub)
    assert [part["type"] for part in content] == ["text", "image_url"]
    assert "the text" in content[0]["text"]


async def test_pictures_without_a_question_are_seen_too(stub: OpenAIStub) -> None:
    picture = Picture("p.png", "image/png", "data:image/png;base64,AAAA")
    own = [{"role": "user", "content": "Describe it"}]
    await ask(chain(llm(stub, allowImageUploads=True, llmMessages=own)), run("", pictures=(picture,)))
    ((_, content),) = sent(stub)
    assert content[0] == {"type": "text", "text": "Describe it"}
    assert content[1]["type"] == "image_url"


SHAPE = [
    {"key": "next", "type": "enum", "enumValues": "FINISH, SOFTWARE", "description": "who"},
    {"key": "sure", "type": "boolean"},
    {"key": "score", "type": "number"},
    {"key": "tags", "type": "stringArray"},
    {"key": "tasks", "type": "jsonArray", "jsonSchema": '{"task": {"type": "string", "description": "what"}}'},
]
GOOD = {"next": "software", "sure": "true", "score": "2", "tags": ["a"], "tasks": [{"task": "dig"}]}


async def test_a_structure_is_read_checked_and_put_into_the_state(stub: OpenAIStub) -> None:
    stub.script(Script(reply=f"Here you are:\n```json\n{json.dumps(GOOD)}\n```"), times=2)
    updates = [{"key": "next", "value": variable("output.next")}, {"key": "tasks", "value": variable("output.tasks")}]
    shaped = llm(stub, llmStructuredOutput=SHAPE, llmUpdateState=updates)
    ran = await both(chain(shaped, start={"startState": [{"key": "next", "value": ""}]}), run("Q?"))
    data = ran.data("m")
    assert data["state"] == {"next": "SOFTWARE", "tasks": [{"task": "dig"}]}
    assert json.loads(ran.text) == {**GOOD, "next": "SOFTWARE", "sure": True, "score": 2}
    assert data["output"]["tags"] == ["a"]
    assert not ran.of(Structured)


async def test_rows_of_the_state_may_be_json_text(stub: OpenAIStub) -> None:
    stub.script(Script(reply="Forty-two"))
    rows = json.dumps([{"key": "found", "value": variable("output")}])
    ran = await ask(chain(llm(stub, llmUpdateState=rows)), run("Q?"))
    assert ran.data("m")["state"] == {"found": "Forty-two"}
    with pytest.raises(FlowNotRunnable, match="llmUpdateState: must be a list"):
        compile_agentflow(parse(chain(llm(stub, llmUpdateState="found = output"))))


@pytest.mark.parametrize(
    ("given", "items"),
    [
        (
            '{"task": {"type": "string"}, "note": {"type": "string", "optional": true}, "by": {"required": false}}',
            {
                "type": "object",
                "properties": {"task": {"type": "string"}, "note": {"type": "string"}, "by": {"type": "string"}},
                "required": ["task"],
            },
        ),
        (
            '{"title": "string", "n": 1, "done": false, "x": null, "tags": []}',
            {
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "n": {"type": "number"},
                    "done": {"type": "boolean"},
                    "x": {"type": "null"},
                    "tags": {"type": "array"},
                },
                "required": ["title", "n", "done", "x", "tags"],
            },
        ),
        (
            '{"title": {"type": "string"},}',
            {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]},
        ),
        (
            '{"by": {"type": "object", "properties": {"name": {"type": "string", "required": true}, "age": {}}}}',
            {
                "type": "object",
                "properties": {
                    "by": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "age": {}},
                        "required": ["name"],
                    }
                },
                "required": ["by"],
            },
        ),
        (
            '{"type": "object", "required": ["a"], "properties": {"a": {"optional": false}, "b": {"required": true}}}',
            {"type": "object", "required": ["a", "b"], "properties": {"a": {}, "b": {}}},
        ),
        ('{"title": {"type": "string"', {"type": "object"}),
        ("[1]", {"type": "object"}),
    ],
)
def test_schemas_of_a_list_are_read_as_people_write_them(given: str, items: Mapping[str, Any]) -> None:
    structure = Structure.read([{"key": "tasks", "type": "jsonArray", "jsonSchema": given}], "f")
    assert structure is not None
    assert structure.schema["properties"]["tasks"] == {"type": "array", "items": items}


@pytest.mark.parametrize("row", [{"type": "enum", "enumValues": " , "}, {"type": "date"}, {"type": ["x"]}])
def test_a_type_that_says_nothing_is_a_text(row: Mapping[str, Any]) -> None:
    structure = Structure.read([{"key": "a", "description": "when", **row}], "f")
    assert structure is not None
    assert structure.schema["properties"]["a"] == {"type": "string", "description": "when"}


def test_rows_that_were_left_empty_are_no_fields() -> None:
    empty: list[Mapping[str, Any]] = [{"key": "", "type": ""}, {"key": "", "type": "string", "description": ""}]
    assert Structure.read(empty, "f") is None
    structure = Structure.read([*empty, {"key": "a", "type": "string"}], "f")
    assert structure is not None
    assert list(structure.schema["properties"]) == ["a"]
    with pytest.raises(BadOption, match="has no key"):
        Structure.read([{"key": "", "description": "what it is"}], "f")


async def test_a_structure_may_be_corrected_once(stub: OpenAIStub) -> None:
    stub.script(Script(reply='{"next": "NOBODY"}'))
    stub.script(Script(reply=json.dumps(GOOD)))
    ran = await ask(chain(llm(stub, llmStructuredOutput=SHAPE)), run("Q?"))
    assert ran.error is None
    assert "does not fit" in sent(stub)[-1][1]
    stub.reset()
    stub.script(Script(reply="No."), times=None)
    ran = await ask(chain(llm(stub, llmStructuredOutput=SHAPE)), run("Q?"))
    assert ran.error is not None
    assert ran.error.status == 502
    assert ran.error.message.startswith("My Model (m): "), "whoever built the flow must find the node"
    assert ran.statuses == ["INPROGRESS", "ERROR"]
    assert len(stub.requests) == 2


async def test_a_model_that_fails_is_told_at_its_node(stub: OpenAIStub) -> None:
    stub.script(Script(status=401), times=None)
    ran = await ask(chain(llm(stub)), run("Q?"))
    assert ran.error is not None
    assert ran.error.status == 502
    assert ran.data("m")["error"] == ran.error.message
    assert ran.statuses == ["INPROGRESS", "ERROR"]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("script", [Script(status=400), Script(lie=Lie.NOT_JSON), Script(stop_after=1)], ids=repr)
async def test_a_flow_ends_where_a_model_fails(stub: OpenAIStub, place: int, whole: bool, script: Script) -> None:
    if script.stop_after is not None and (whole or place < 2):
        script = Script(lie=Lie.EMPTY_OBJECT)  # only the node that answers is asked for a stream
    if place:
        stub.script(Script(), times=place)
    stub.script(script, times=None)
    names = ["one", "two", "three"]
    ran = await ask(chain(*(llm(stub, name) for name in names)), run("Q?", whole=whole))
    assert ran.error is not None
    assert ran.nodes == ["start", *names[: place + 1]]
    assert ran.data(names[place])["error"] == ran.error.message
    assert ran.statuses == ["INPROGRESS", "ERROR"]
    assert "three" in ran.nodes or ran.text == ""


async def test_everything_that_is_missing_is_named_at_once() -> None:
    credential = str(uuid4())
    models = [
        node(name, "llm", label=name, llmModel="chatOpenAI", llmModelConfig={"credential": credential})
        for name in ("first", "second")
    ]
    ran = await ask(chain(*models), run("Q?"))
    assert isinstance(ran.error, FlowNotRunnable)
    assert "first (first)" in ran.error.message
    assert "second (second)" in ran.error.message
    assert not ran.events
