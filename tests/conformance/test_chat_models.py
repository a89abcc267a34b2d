"""What every chat model of the table must do."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from pydantic import SecretStr

from service.providers.chat import CHAT_MODELS, NODES, create_chat_model
from service.providers.chat.base import close_chat_model
from service.providers.chat.fake import FakeChat
from service.providers.chat.openai import OpenAIChat
from service.providers.chat.services import SERVICES
from service.providers.chat.translated import TranslatedChat
from service.providers.defaults import Defaults
from service.providers.errors import RequestRefused, UnknownProvider
from tests.stubs.model_servers import ModelStub
from tests.stubs.models import PLACES, chat_at
from tests.stubs.openai_server import KEY, near
from tests.stubs.tiny_models import write_gguf

MESSAGES = [SystemMessage("Be short."), HumanMessage("Say hello to Anna.")]
MODEL_FILE = "RAGSTONE_TEST_GGUF"


@pytest.fixture(scope="module")
def stub() -> Iterator[ModelStub]:
    with ModelStub() as server:
        yield server


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GGUF file that RAGSTONE_TEST_GGUF names, else one built here."""
    if find_spec("xllamacpp") is None:
        pytest.skip("the extra llm is not installed")
    if MODEL_FILE in os.environ:
        return Path(os.environ[MODEL_FILE])
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def make(name: str, stub: ModelStub, request: pytest.FixtureRequest, **config: Any) -> BaseChatModel:
    if name == "openai":
        fields = {"basepath": stub.url, "modelName": "m"} | config
        return create_chat_model("chatOpenAI", fields, {"openAIApiKey": KEY}, defaults=near())
    if name in SERVICES or name in PLACES or name == "azure":
        return chat_at(name, stub, **config)
    if name == "local":
        defaults = Defaults(chat_model_path=request.getfixturevalue("model_file"))
        return create_chat_model("local", {"maxTokens": 24, "temperature": 0} | config, defaults=defaults)
    return create_chat_model(name, config)


@pytest.fixture(params=sorted(CHAT_MODELS))
async def model(request: pytest.FixtureRequest, stub: ModelStub) -> AsyncIterator[BaseChatModel]:
    made = make(request.param, stub, request)
    yield made
    await close_chat_model(made)


async def streamed(model: BaseChatModel) -> AIMessageChunk:
    whole: AIMessageChunk | None = None
    async for chunk in model.astream(MESSAGES):
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    return whole


async def test_the_streamed_text_is_the_whole_text(model: BaseChatModel) -> None:
    answer = await model.ainvoke(MESSAGES)
    assert answer.text
    assert (await streamed(model)).text == answer.text


async def test_the_short_way_to_a_whole_answer_brings_what_the_long_one_does(model: BaseChatModel) -> None:
    if not isinstance(model, TranslatedChat):
        pytest.skip("no adapter over a vendor's library")
    short, long = await model.whole(MESSAGES), await model.ainvoke(MESSAGES)
    assert (short.text, short.usage_metadata) == (long.text, long.usage_metadata)
    assert short.text
    assert {name: type(value) for name, value in short.response_metadata.items()} == {
        name: type(value) for name, value in long.response_metadata.items()
    }


async def test_tokens_are_counted_alike_streamed_and_not(model: BaseChatModel) -> None:
    plain, stream = (await model.ainvoke(MESSAGES)).usage_metadata, (await streamed(model)).usage_metadata
    assert plain is not None
    assert stream is not None
    assert plain["output_tokens"] == stream["output_tokens"] > 0
    assert plain["total_tokens"] == plain["input_tokens"] + plain["output_tokens"]


async def test_a_batch_equals_single_calls(model: BaseChatModel) -> None:
    single = await model.ainvoke(MESSAGES)
    assert [answer.text for answer in await model.abatch([MESSAGES, MESSAGES])] == [single.text] * 2


async def test_a_cancelled_call_leaves_the_model_usable(model: BaseChatModel) -> None:
    await model.ainvoke(MESSAGES)
    task = asyncio.ensure_future(model.ainvoke(MESSAGES))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await model.ainvoke(MESSAGES)).text


async def test_a_stream_may_be_left_early(model: BaseChatModel) -> None:
    stream = model.astream(MESSAGES)
    assert await anext(stream) is not None
    await stream.aclose()  # type: ignore[attr-defined]  # typed as an iterator, it is a generator
    assert (await model.ainvoke(MESSAGES)).text


@pytest.mark.parametrize("name", sorted(NODES))
def test_every_flowise_name_stands_for_a_row(name: str) -> None:
    assert NODES[name] in CHAT_MODELS


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownProvider, match=r"chatFoo.*openai.*chatOpenAI"):
        create_chat_model("chatFoo")


def test_a_bad_field_is_named() -> None:
    with pytest.raises(RequestRefused, match="maxTokens"):
        create_chat_model("chatOpenAI", {"maxTokens": "a few"})


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"openai"}))
async def test_a_service_is_asked_at_its_own_place_with_its_own_key(name: str, stub: ModelStub) -> None:
    fields: dict[str, Any] = {"temperature": 0.5, SERVICES[name].longest: 7, "randomSeed": 3, "safeMode": True}
    model = chat_at(name, stub, **fields)
    await model.ainvoke(MESSAGES)
    await close_chat_model(model)
    asked = stub.requests[-1]
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body["model"] == "m"
    assert asked.body["temperature"] == 0.5
    assert 7 in (asked.body.get("max_tokens"), asked.body.get("max_completion_tokens"))
    assert {"random_seed", "safe_prompt"} <= asked.body.keys() if name == "mistral" else "random_seed" not in asked.body


def test_the_operators_key_is_for_the_operators_server_alone() -> None:
    ours = Defaults(openai_api_key="sk-operator", openai_base_url="http://127.0.0.1:1/v1")
    for name in SERVICES.keys() - {"openai", "localai", "litellm", "cloudflare"}:
        made = create_chat_model(name, {SERVICES[name].called: "m"}, {}, defaults=ours)
        assert isinstance(made, OpenAIChat)
        assert made.openai_api_base == SERVICES[name].url
        assert isinstance(made.openai_api_key, SecretStr)
        assert made.openai_api_key.get_secret_value() == "none"


@pytest.mark.parametrize(("name", "field"), [("chatLocalAI", "basePath"), ("groqChat", "modelName")])
def test_what_a_service_cannot_do_without_is_named(name: str, field: str) -> None:
    with pytest.raises(RequestRefused, match=field):
        create_chat_model(name, {})


def test_a_local_model_without_a_file_names_the_setting() -> None:
    with pytest.raises(RequestRefused, match="RAGSTONE_LOCAL_MODEL"):
        create_chat_model("chatLocal")


class LangChainSuite(ChatModelIntegrationTests):
    """LangChain's own suite; what needs a model with tools or structured output waits for one."""

    supports_image_inputs = False
    has_tool_calling = False
    has_structured_output = False

    @pytest.fixture
    def benchmark(self) -> None:
        """Nothing is timed in a test."""
        pytest.skip("a timed test")

    @pytest.fixture(autouse=True)
    async def clients(self, stub: ModelStub) -> AsyncIterator[None]:
        """Connections that the models of a test share."""
        self.stub = stub
        self.blocking, self.waiting = httpx2.Client(), httpx2.AsyncClient()
        yield
        self.blocking.close()
        await self.waiting.aclose()


class TestLangChainSuiteFake(LangChainSuite):
    """Over the scripted model."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        """The class under test."""
        return FakeChat


class TestLangChainSuiteOpenAI(LangChainSuite):
    """Over the stub server."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        """The class under test."""
        return OpenAIChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        """How it is made."""
        return {
            "model": "m",
            "api_key": KEY,
            "base_url": self.stub.url,
            "stream_usage": True,
            "http_client": self.blocking,
            "http_async_client": self.waiting,
        }

    @property
    def supports_model_override(self) -> bool:
        """A call may name another model."""
        return True

    @property
    def model_override_value(self) -> str:
        """That other model."""
        return "m-other"
