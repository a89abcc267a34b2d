"""A chat endpoint that hangs, fails and lies; and what is sent to it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, ToolMessage

from service.providers.chat import create_chat_model
from service.providers.chat.base import close_chat_model
from service.providers.chat.openai import THOUGHTS, OpenAIChat
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
from tests.stubs.openai_server import KEY, REPLY, Called, Lie, OpenAIStub, Script, near

QUESTION = [HumanMessage("Hello?")]
FAST = Defaults(max_retries=0, timeout=5.0)


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIStub]:
    with OpenAIStub() as stub:
        yield stub


@pytest.fixture
def stub(server: OpenAIStub) -> OpenAIStub:
    server.reset()
    return server


def make(stub: OpenAIStub, defaults: Defaults = FAST, **config: Any) -> BaseChatModel:
    fields = {"basepath": stub.url, "modelName": "chat-1"} | config
    return create_chat_model("chatOpenAI", fields, {"openAIApiKey": KEY}, defaults=near(defaults))


@pytest.fixture
async def model(stub: OpenAIStub) -> AsyncIterator[BaseChatModel]:
    made = make(stub)
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
    (Script(status=400, error_code="content_filter"), ContentRefused),
    (Script(finish_reason="content_filter"), ContentRefused),
    (Script(lie=Lie.NOT_JSON), Malformed),
]


@pytest.mark.parametrize(("script", "expected"), FAILURES)
async def test_failures_become_ours_and_never_show_the_key(
    stub: OpenAIStub, model: BaseChatModel, script: Script, expected: type[ProviderError]
) -> None:
    stub.script(script, times=2)
    with pytest.raises(expected) as plain:
        await model.ainvoke(QUESTION)
    with pytest.raises(expected) as stream:
        await read(model)
    for caught in (plain, stream):
        assert caught.value.message
        assert KEY not in caught.value.message
        assert caught.value.__cause__ is not None or expected is ContentRefused
    assert (await model.ainvoke(QUESTION)).text == REPLY


async def test_an_answer_of_another_shape_is_malformed(stub: OpenAIStub, model: BaseChatModel) -> None:
    stub.script(Script(lie=Lie.EMPTY_OBJECT), times=2)
    with pytest.raises(Malformed):
        await model.ainvoke(QUESTION)
    with pytest.raises(Malformed):
        await read(model)


@pytest.mark.parametrize("tokens", [0, 3])
async def test_a_stream_that_breaks_off_is_no_short_answer(stub: OpenAIStub, model: BaseChatModel, tokens: int) -> None:
    stub.script(Script(stop_after=tokens))
    got = ""

    async def read_on() -> None:
        nonlocal got
        async for chunk in model.astream(QUESTION):
            got += chunk.text

    with pytest.raises(ProviderUnavailable):
        await read_on()
    assert len(got.split()) == tokens


async def test_the_wait_that_the_provider_asks_for_is_passed_on(stub: OpenAIStub, model: BaseChatModel) -> None:
    stub.script(Script(status=429, retry_after=42))
    with pytest.raises(RateLimited) as caught:
        await read(model)
    assert caught.value.retry_after == 42


async def test_a_stream_is_begun_again_after_a_transient_failure(stub: OpenAIStub) -> None:
    model = make(stub, Defaults(max_retries=2))
    stub.script(Script(status=429, retry_after=0.01), times=2)
    assert "".join(await read(model)) == REPLY
    assert len(stub.requests) == 3
    await close_chat_model(model)


async def test_a_stream_is_not_begun_again_once_a_token_was_shown(stub: OpenAIStub) -> None:
    model = make(stub, Defaults(max_retries=2))
    stub.script(Script(stop_after=3))
    with pytest.raises(ProviderUnavailable):
        await read(model)
    assert len(stub.requests) == 1
    await close_chat_model(model)


@pytest.mark.parametrize("script", [Script(hang=True), Script(token_delay=30.0)])
async def test_a_server_that_hangs_is_given_up_at_once(stub: OpenAIStub, script: Script) -> None:
    model = make(stub, Defaults(max_retries=2), timeout="300")
    stub.script(script, times=None)
    with pytest.raises(ProviderTimeout):
        await read(model)
    assert (await asyncio.to_thread(stub.wait_until_ended)).disconnected
    assert len(stub.requests) == 1
    await close_chat_model(model)


@pytest.mark.parametrize("script", [Script(hang=True), Script(token_delay=30.0)])
async def test_cancelling_ends_the_request_at_the_provider(
    stub: OpenAIStub, model: BaseChatModel, script: Script
) -> None:
    stub.script(script)
    task = asyncio.ensure_future(read(model))
    await asyncio.to_thread(stub.wait_until_asked)
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await asyncio.to_thread(stub.wait_until_ended)).disconnected


async def test_leaving_a_stream_ends_the_request_at_the_provider(stub: OpenAIStub, model: BaseChatModel) -> None:
    stub.script(Script(token_delay=30.0))
    stream = model.astream(QUESTION)
    while not (await anext(stream)).text:
        pass
    await stream.aclose()  # type: ignore[attr-defined]  # typed as an iterator, it is a generator
    assert (await asyncio.to_thread(stub.wait_until_ended)).disconnected


async def test_the_fields_of_the_node_reach_the_provider(stub: OpenAIStub) -> None:
    model = make(
        stub,
        temperature="0.2",
        maxTokens="50",
        topP=0.5,
        frequencyPenalty="",
        stopSequence="END, STOP",
        baseOptions={"X-Team": "blue"},
    )
    await read(model)
    sent = stub.requests[0]
    assert sent.body["messages"] == [{"role": "user", "content": "Hello?"}]
    expected = {"model": "chat-1", "temperature": 0.2, "top_p": 0.5, "stop": ["END", "STOP"], "stream": True}
    assert expected.items() <= sent.body.items()
    assert 50 in (sent.body.get("max_tokens"), sent.body.get("max_completion_tokens"))
    assert "frequency_penalty" not in sent.body
    assert (sent.headers["authorization"], sent.headers["x-team"]) == (f"Bearer {KEY}", "blue")
    await close_chat_model(model)


@pytest.mark.parametrize(
    "name",
    ["o1", "O3-Mini", "o3-mini-2025-01-31", "o4-mini", "gpt-5", "gpt-5.1", "openai/o3", "ft:o4-mini:us::a"],
)
async def test_models_that_reason_are_sent_no_temperature_and_no_words_to_stop_at(stub: OpenAIStub, name: str) -> None:
    model = make(stub, modelName=name, temperature=0.9, stopSequence="END", topP=1)
    await read(model)
    await model.ainvoke(QUESTION)
    for sent in stub.requests:
        assert {"model": name, "top_p": 1.0}.items() <= sent.body.items()
        assert sent.body.keys().isdisjoint({"temperature", "stop"})
    await close_chat_model(model)


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4o1x", "gpt-4.1-mini", "gpt-5-chat-latest", "pro1", "marco-o1"])
async def test_models_of_other_families_are_sent_both(stub: OpenAIStub, name: str) -> None:
    model = make(stub, modelName=name, temperature=0.9, stopSequence="END")
    await read(model)
    assert {"temperature": 0.9, "stop": ["END"]}.items() <= stub.requests[0].body.items()
    await close_chat_model(model)


async def test_the_key_of_the_settings_goes_only_to_the_server_of_the_settings(stub: OpenAIStub) -> None:
    defaults = Defaults(openai_api_key="sk-settings", openai_base_url=stub.url)
    for config in ({}, {"basepath": stub.url + "/"}):
        model = create_chat_model("chatOpenAI", config, defaults=near(defaults))
        await model.ainvoke(QUESTION)
        await close_chat_model(model)
    keys = [request.headers["authorization"] for request in stub.requests]
    assert keys == ["Bearer sk-settings", "Bearer none"]


@pytest.mark.parametrize("field", THOUGHTS)
async def test_what_a_model_of_another_service_thinks_aloud_is_no_part_of_its_answer(
    stub: OpenAIStub, model: BaseChatModel, field: str
) -> None:
    stub.script(Script(thought="Let me see. Yes.", thought_in=field), times=2)
    whole = await model.ainvoke(QUESTION)
    assert (whole.text, thoughts(whole)) == (REPLY, ["Let me see. Yes."])
    pieces = [chunk async for chunk in model.astream(QUESTION)]
    assert "".join(str(piece.text) for piece in pieces) == REPLY
    assert "".join(text for piece in pieces for text in thoughts(piece)) == "Let me see. Yes."


@pytest.mark.parametrize("takes", [False, True])
async def test_thoughts_go_back_with_the_results_of_tools_where_the_service_wants_them(
    stub: OpenAIStub, model: BaseChatModel, takes: bool
) -> None:
    assert isinstance(model, OpenAIChat)
    model.takes_thoughts = takes
    stub.script(Script(thought="A tool knows.", calls=(Called("clock", {}, "call_1"),)))
    called = await model.ainvoke(QUESTION)
    await model.ainvoke([*QUESTION, called, ToolMessage("noon", tool_call_id="call_1")])
    sent = stub.requests[-1].body["messages"][1]
    assert sent["role"] == "assistant"
    assert sent.get("reasoning_content") == ("A tool knows." if takes else None)
