"""Predictions of Replicate: waited for, read, given up."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from service.providers.chat import create_chat_model
from service.providers.chat.base import close_chat_model
from service.providers.chat.replicate import prompt_of, text_of
from service.providers.defaults import Defaults
from service.providers.errors import (
    BadCredential,
    Malformed,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
)
from tests.stubs.model_servers import ModelStub
from tests.stubs.models import chat_at
from tests.stubs.openai_server import KEY, REPLY, Lie, Script

QUESTION = [HumanMessage("Hello?")]
FAST = Defaults(max_retries=0, timeout=5.0)
HASH = "af1a68a271597604546c09c64aabcd7782c114a63539a4a8d14d1eeda5630c33"


@pytest.fixture(scope="module")
def server() -> Iterator[ModelStub]:
    with ModelStub() as stub:
        yield stub


@pytest.fixture
def stub(server: ModelStub) -> ModelStub:
    server.reset()
    server.cancelled.clear()
    return server


async def test_a_version_is_asked_for_with_its_inputs(stub: ModelStub) -> None:
    model = chat_at("replicate", stub, FAST, model=f"o/m:{HASH}", temperature="0.7", additionalInputs='{"width": 512}')
    assert (await model.ainvoke(QUESTION)).text == REPLY
    (asked,) = stub.requests
    assert asked.path == "/predictions"
    assert asked.body == {"version": HASH, "input": {"prompt": "Hello?", "temperature": 0.7, "width": 512}}
    assert asked.headers["prefer"] == "wait=5"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    await close_chat_model(model)


async def test_a_prediction_is_looked_at_until_it_is_done(stub: ModelStub) -> None:
    model = chat_at("replicate", stub, FAST)
    model.pause = 0.01  # type: ignore[attr-defined]
    stub.script(Script(token_delay=1.0))
    assert (await model.ainvoke(QUESTION)).text == REPLY
    assert [asked.path.split("/")[1] for asked in stub.requests] == ["models", "predictions", "predictions"]
    await close_chat_model(model)


async def test_giving_up_cancels_the_prediction(stub: ModelStub) -> None:
    model = chat_at("replicate", stub, FAST)
    stub.script(Script(token_delay=1.0))
    task = asyncio.ensure_future(model.ainvoke(QUESTION))
    while len(stub.requests) < 2:  # noqa: ASYNC110 - it is made, and looked at
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(stub.cancelled) == 1
    await close_chat_model(model)


async def test_a_prediction_that_takes_too_long_is_cancelled(stub: ModelStub) -> None:
    model = chat_at("replicate", stub, FAST, timeout="300")
    stub.script(Script(token_delay=1.0))
    with pytest.raises(ProviderTimeout):
        await model.ainvoke(QUESTION)
    assert len(stub.cancelled) == 1
    await close_chat_model(model)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Script(finish_reason="failed"), ProviderUnavailable),
        (Script(status=401), BadCredential),
        (Script(status=422), RequestRefused),
        (Script(status=429, retry_after=3), RateLimited),
        (Script(lie=Lie.NOT_JSON), Malformed),
        (Script(lie=Lie.EMPTY_OBJECT), Malformed),
    ],
)
async def test_failures_become_ours(stub: ModelStub, script: Script, expected: type[Exception]) -> None:
    model = chat_at("replicate", stub, FAST)
    stub.script(script)
    with pytest.raises(expected) as caught:
        await model.ainvoke(QUESTION)
    assert KEY not in str(caught.value)
    await close_chat_model(model)


async def test_callers_without_an_event_loop_get_the_same(stub: ModelStub) -> None:
    model = chat_at("replicate", stub, FAST)
    assert (await asyncio.to_thread(model.invoke, QUESTION)).text == REPLY


@pytest.mark.parametrize("name", ["", "model", "../x/y", "o/m:latest", "o/m/x"])
def test_a_model_has_an_owner_and_a_name(name: str) -> None:
    with pytest.raises(RequestRefused, match="owner/name"):
        create_chat_model("replicate", {"model": name})


def test_a_conversation_is_written_out() -> None:
    assert prompt_of([SystemMessage("Be short."), HumanMessage("Hi")]) == "Be short.\n\nHi"
    told = prompt_of([HumanMessage("Hi"), AIMessage("Hello"), HumanMessage("Bye")])
    assert told == "User: Hi\nAssistant: Hello\nUser: Bye\nAssistant:"


def test_what_a_model_made_becomes_a_text() -> None:
    assert text_of(["30", " days"]) == "30 days"
    assert text_of(["https://a.example/1.png", "https://a.example/2.png"]).splitlines() == [
        "https://a.example/1.png",
        "https://a.example/2.png",
    ]
    assert text_of({"a": 1}) == '{"a": 1}'
    nothings: list[Any] = [None, [], {}, 3]
    for nothing in nothings:
        with pytest.raises(Malformed):
            text_of(nothing)
