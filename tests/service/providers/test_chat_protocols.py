"""Every protocol of chat models: an endpoint that hangs, fails and lies, whatever library asks it."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from service.providers.chat.base import close_chat_model
from service.providers.chat.reading import thoughts
from service.providers.defaults import Defaults
from service.providers.errors import (
    BadCredential,
    ContentRefused,
    Malformed,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
)
from tests.stubs.model_servers import ModelStub
from tests.stubs.models import chat_at
from tests.stubs.openai_server import KEY, REPLY, Called, Lie, Script

QUESTION = [HumanMessage("Hello?")]
FAST = Defaults(max_retries=0, timeout=5.0)
PROTOCOLS = ("anthropic", "azure", "google", "ollama")


@pytest.fixture(scope="module")
def server() -> Iterator[ModelStub]:
    with ModelStub() as stub:
        yield stub


@pytest.fixture
def stub(server: ModelStub) -> ModelStub:
    server.reset()
    return server


@pytest.fixture(params=PROTOCOLS)
def name(request: pytest.FixtureRequest) -> str:
    """A row of the table."""
    return str(request.param)


@pytest.fixture
async def model(name: str, stub: ModelStub) -> AsyncIterator[BaseChatModel]:
    made = chat_at(name, stub, FAST)
    yield made
    await close_chat_model(made)


async def read(model: BaseChatModel) -> list[str]:
    return [chunk.text async for chunk in model.astream(QUESTION) if chunk.text]


FAILURES = [
    (Script(status=401), BadCredential),
    (Script(status=429, retry_after=7), RateLimited),
    (Script(status=500), ProviderUnavailable),
    (Script(status=503), ProviderUnavailable),
    (Script(status=400), RequestRefused),
    (Script(lie=Lie.NOT_JSON), Malformed),
]


@pytest.mark.parametrize(("script", "expected"), FAILURES)
async def test_failures_become_ours_and_never_show_the_key(
    stub: ModelStub, model: BaseChatModel, script: Script, expected: type[ProviderError]
) -> None:
    stub.script(script, times=2)
    with pytest.raises(expected) as plain:
        await model.ainvoke(QUESTION)
    with pytest.raises(expected) as stream:
        await read(model)
    for caught in (plain, stream):
        assert caught.value.message
        assert KEY not in caught.value.message
        if isinstance(caught.value, RateLimited):
            assert caught.value.retry_after == 7
    assert (await model.ainvoke(QUESTION)).text == REPLY


@pytest.mark.parametrize("name", ["anthropic", "azure", "google"], indirect=True)
async def test_an_answer_that_the_providers_rules_stop_is_refused(stub: ModelStub, model: BaseChatModel) -> None:
    stub.script(Script(finish_reason="content_filter"), times=2)
    with pytest.raises(ContentRefused):
        await model.ainvoke(QUESTION)
    with pytest.raises(ContentRefused):
        await read(model)


async def test_a_stream_that_breaks_off_is_no_short_answer(stub: ModelStub, model: BaseChatModel) -> None:
    stub.script(Script(stop_after=3))
    got = ""

    async def read_on() -> None:
        nonlocal got
        async for chunk in model.astream(QUESTION):
            got += chunk.text

    with pytest.raises(ProviderUnavailable):
        await read_on()
    assert REPLY.startswith(got)


async def test_a_stream_is_begun_again_after_a_transient_failure(name: str, stub: ModelStub) -> None:
    model = chat_at(name, stub, Defaults(max_retries=2))
    stub.script(Script(status=429, retry_after=0.01), times=2)
    assert "".join(await read(model)) == REPLY
    assert len(stub.requests) == 3
    await close_chat_model(model)


async def test_a_stream_is_not_begun_again_once_a_token_was_shown(name: str, stub: ModelStub) -> None:
    model = chat_at(name, stub, Defaults(max_retries=2))
    stub.script(Script(stop_after=5))
    with pytest.raises(ProviderUnavailable):
        await read(model)
    assert len(stub.requests) == 1
    await close_chat_model(model)


@pytest.mark.parametrize("script", [Script(hang=True), Script(token_delay=30.0)])
async def test_a_server_that_hangs_is_given_up_at_once(name: str, stub: ModelStub, script: Script) -> None:
    model = chat_at(name, stub, Defaults(max_retries=2), timeout="300")
    stub.script(script, times=None)
    with pytest.raises(ProviderTimeout):
        await read(model)
    assert (await asyncio.to_thread(stub.wait_until_ended)).disconnected
    assert len(stub.requests) == 1
    await close_chat_model(model)


@pytest.mark.parametrize("script", [Script(hang=True), Script(token_delay=30.0)])
async def test_cancelling_ends_the_request_at_the_provider(
    stub: ModelStub, model: BaseChatModel, script: Script
) -> None:
    stub.script(script)
    task = asyncio.ensure_future(read(model))
    await asyncio.to_thread(stub.wait_until_asked)
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await asyncio.to_thread(stub.wait_until_ended)).disconnected


async def test_leaving_a_stream_ends_the_request_at_the_provider(stub: ModelStub, model: BaseChatModel) -> None:
    stub.script(Script(token_delay=30.0))
    stream = model.astream(QUESTION)
    while not (await anext(stream)).text:
        pass
    await stream.aclose()  # type: ignore[attr-defined]  # typed as an iterator, it is a generator
    assert (await asyncio.to_thread(stub.wait_until_ended)).disconnected


async def test_callers_without_an_event_loop_get_the_same(stub: ModelStub, model: BaseChatModel) -> None:
    assert (await asyncio.to_thread(model.invoke, QUESTION)).text == REPLY
    assert "".join(str(chunk.text) for chunk in await asyncio.to_thread(lambda: list(model.stream(QUESTION)))) == REPLY
    stub.script(Script(status=401))
    with pytest.raises(BadCredential):
        await asyncio.to_thread(model.invoke, QUESTION)


@pytest.mark.parametrize("name", ["anthropic", "google", "ollama"], indirect=True)
async def test_what_a_model_thinks_aloud_is_no_part_of_its_answer(stub: ModelStub, name: str) -> None:
    fields: dict[str, dict[str, Any]] = {
        "anthropic": {"extendedThinking": True},
        "google": {"thinkingBudget": -1},
        "ollama": {"think": True},
    }
    model = chat_at(name, stub, FAST, **fields[name])
    stub.script(Script(thought="Let me see. Yes."), times=2)
    whole = await model.ainvoke(QUESTION)
    assert whole.text == REPLY
    assert "".join(thoughts(whole)) == "Let me see. Yes."
    pieces = [chunk async for chunk in model.astream(QUESTION)]
    assert "".join(str(piece.text) for piece in pieces) == REPLY
    assert "".join(text for piece in pieces for text in thoughts(piece)) == "Let me see. Yes."
    await close_chat_model(model)


async def test_a_model_of_anthropic_calls_tools(stub: ModelStub) -> None:
    model = chat_at("anthropic", stub, FAST)
    tool = {"name": "add", "description": "Adds.", "input_schema": {"type": "object", "properties": {}}}
    bound = model.bind_tools([tool])
    stub.script(Script(calls=(Called("add", {"a": 1}),)))
    said = await bound.ainvoke(QUESTION)
    assert [(call["name"], call["args"]) for call in said.tool_calls] == [("add", {"a": 1})]
    await close_chat_model(model)


ELSEWHERE = {
    "ANTHROPIC_API_KEY": "sk-ant-env",
    "ANTHROPIC_AUTH_TOKEN": "token-env",
    "AZURE_OPENAI_AD_TOKEN": "ad-env",
    "AZURE_OPENAI_API_KEY": "az-env",
    "GEMINI_API_KEY": "gem-env",
    "GOOGLE_API_KEY": "goo-env",
    "OLLAMA_API_KEY": "oll-env",
    "OPENAI_API_KEY": "oai-env",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Secret: custom-env",
}


async def test_keys_of_the_environment_are_sent_nowhere(
    name: str, stub: ModelStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in ELSEWHERE.items():
        monkeypatch.setenv(variable, value)
    assert os.environ["OLLAMA_API_KEY"]
    model = chat_at(name, stub, FAST)
    await model.ainvoke(QUESTION)
    await read(model)
    await asyncio.to_thread(model.invoke, QUESTION)
    await close_chat_model(model)
    for asked in stub.requests:
        sent = " ".join(asked.headers.values())
        assert KEY in sent
        assert not any(value in sent for value in ELSEWHERE.values())


async def test_models_of_azure_that_reason_are_sent_no_temperature_and_no_words_to_stop_at(stub: ModelStub) -> None:
    for name, holds in {"o3-mini": False, "gpt-4o": True}.items():
        model = chat_at("azure", stub, FAST, modelName=name, temperature="0.9", stopSequence="END")
        await model.ainvoke(QUESTION)
        sent = stub.requests[-1].body
        assert ("temperature" in sent, "stop" in sent) == (holds, holds)
        await close_chat_model(model)
