"""A stream says what the whole answer says, and what is stored: for every flow, wherever it fails, stops or talks
nonsense."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.chatflows.types import (
    Artifacts,
    Passage,
    Sources,
    StepEvent,
    Structured,
    Thinking,
    Token,
    ToolCalls,
    ToolsUsed,
    ToolUse,
    Usage,
)
from service.providers.errors import ProviderTimeout
from tests.service.chatflows.flows import edge, graph, node, openai
from tests.service.predictions.conftest import House
from tests.service.predictions.scripted import Scripted
from tests.service.predictions.test_streams import events, text_of
from tests.stubs.openai_server import Lie, Script

TEXT = st.text(st.sampled_from("ab é\n\0\u2028\ud800:data{}"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT | st.just(float("nan")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab\0"), inner, max_size=2),
    max_leaves=4,
)
OBJECT = st.dictionaries(st.sampled_from(["q", "n"]), JSON, max_size=2)
PASSAGE = st.builds(Passage, st.sampled_from(["1", "2", "3"]), st.just("Text"), OBJECT, st.just(0.5))
PASSAGES = st.lists(PASSAGE, max_size=3).map(tuple)
USE = st.builds(ToolUse, st.just("tool"), OBJECT, TEXT, PASSAGES)
SAID: st.SearchStrategy[StepEvent] = st.one_of(
    st.builds(Token, TEXT),
    st.builds(Token, TEXT),
    st.builds(Thinking, TEXT),
    st.builds(Sources, PASSAGES),
    st.builds(ToolsUsed, st.lists(USE, max_size=2).map(tuple)),
    st.builds(ToolCalls, st.just((("tool", {"q": 1}),))),
    st.builds(Artifacts, st.lists(OBJECT, max_size=1).map(tuple)),
    st.builds(Structured, JSON),
    st.builds(Usage, st.sampled_from(["a", "b"]), st.integers(0, 9), st.integers(0, 9)),
)
ERRORS = st.sampled_from([None, None, ProviderTimeout("Too slow."), RuntimeError("a bug")])


def plain_text(body: dict[str, Any]) -> str:
    """The answer in a whole one."""
    return body["text"] if "text" in body else json.dumps(body["json"], ensure_ascii=False, separators=(",", ":"))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(said=st.lists(SAID, max_size=10), error=ERRORS)
def test_whatever_a_flow_says_a_stream_and_a_whole_answer_say_alike(
    house: House, monkeypatch: pytest.MonkeyPatch, said: list[StepEvent], error: Exception | None
) -> None:
    flow = _flow(house)

    async def ready(*_: object, **__: object) -> Scripted:
        return Scripted(said, error=error)

    monkeypatch.setattr("service.predictions.service.ready", ready)
    before = len(house.messages(flow))
    plain = house.ask(flow)
    found = events(house.ask(flow, streaming=True).content, beside=True)
    data = dict(found)
    stored = house.messages(flow)[before:]
    assert found[-1] == ("end", "[DONE]")
    assert [name for name, _ in found].count("start") <= 1
    if error is not None:
        assert data["error"] == plain.json()["message"]
        assert "metadata" not in data
        assert {row["state"] for row in stored} <= {"failed"}
    else:
        body = plain.json()
        assert text_of(found) == plain_text(body)
        for name in ("sourceDocuments", "usedTools", "artifacts"):
            assert data.get(name) == body.get(name)
        assert data["metadata"]["usageMetadata"] == body["usageMetadata"]
        first, second = (row for row in stored if row["role"] == "apiMessage")
        columns = ("content", "source_documents", "used_tools", "artifacts", "usage", "reason_content", "state")
        assert [first[name] for name in columns] == [second[name] for name in columns]
        answered = json.loads(first["content"]) if "json" in body else first["content"]
        assert answered == (body["json"] if "json" in body else body["text"])


KINDS = ("rag", "remembers", "chain", "conversation")
BROKEN: list[dict[str, Any]] = [
    *({"stop_after": tokens} for tokens in range(4)),
    *({"status": status} for status in (400, 401)),
    *({"lie": lie} for lie in (Lie.NOT_JSON, Lie.EMPTY_OBJECT)),
    {"finish_reason": "content_filter"},
    {"finish_reason": "length"},
    {"usage": False},
    {"reply": ""},
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_breaks_anywhere_leaves_no_stream_without_an_end(house: House, kind: str) -> None:
    flow = _of_kind(house, kind)
    for broken in BROKEN:
        house.stub.reset()
        house.stub.script(Script(**broken), times=None)
        chat = str(uuid4())
        plain = house.ask(flow, chatId=chat)
        stream = events(house.ask(flow, chatId=chat + "s", streaming=True).content)
        data = dict(stream)
        assert stream[-1] == ("end", "[DONE]"), broken
        answers = [row for row in house.messages(flow) if row["chat_id"] == chat + "s" and row["role"] == "apiMessage"]
        if "error" in data:
            assert "metadata" not in data
            assert [row["content"] for row in answers] == ([text_of(stream)] if text_of(stream) else [])
            if plain.status_code != 200:
                assert {row["state"] for row in answers} <= {"failed"}
        else:
            assert text_of(stream) == plain.json()["text"], broken
            assert [row["content"] for row in answers] == [text_of(stream)]
            assert data.get("sourceDocuments") == plain.json().get("sourceDocuments")


def _of_kind(house: House, kind: str) -> str:
    if kind == "rag":
        return house.writing(model={"timeout": 2000})
    if kind == "remembers":
        return house.writing(memory={})
    model = openai(house.stub.url)
    if kind == "conversation":
        memory = node("memory_0", "bufferMemory", "Memory", {})
        chain = node("chain_0", "conversationChain", "Chains", {})
        return house.flow(
            graph(
                [model, memory, chain], [edge(model["id"], "chain_0", "model"), edge("memory_0", "chain_0", "memory")]
            )
        )
    prompt = node("prompt_0", "promptTemplate", "Prompts", {"template": "Say {question}"})
    chain = node("chain_0", "llmChain", "Chains", {})
    links = [edge(model["id"], "chain_0", "model"), edge("prompt_0", "chain_0", "prompt")]
    return house.flow(graph([model, prompt, chain], links))


_flows: dict[int, str] = {}


def _flow(house: House) -> str:
    """One flow for all examples."""
    if id(house) not in _flows:
        _flows[id(house)] = house.quoting()
    return _flows[id(house)]
