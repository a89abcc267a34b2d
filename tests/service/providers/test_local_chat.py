"""A GGUF model in this process: one file for all, a template that is honoured, and an end when its caller leaves."""

import asyncio
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from service.providers.chat import create_chat_model
from service.providers.chat.base import close_chat_model
from service.providers.chat.local import Engine, LocalChat
from service.providers.defaults import Defaults
from service.providers.errors import RequestRefused
from tests.stubs.tiny_models import CONTEXT, write_gguf

pytestmark = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="the extra llm is not installed")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def local(file: Path, **config: object) -> BaseChatModel:
    return create_chat_model("chatLocal", {"temperature": 0} | config, defaults=Defaults(chat_model_path=file))


def counted(model: BaseChatModel, what: str) -> int:
    """One of llama.cpp's own counters."""
    assert isinstance(model, LocalChat)
    assert model._engine is not None
    found = re.search(rf"^llamacpp:{what} (\d+)", model._engine.server.handle_metrics(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def test_the_models_own_template_makes_the_prompt(file: Path) -> None:
    model = local(file, maxTokens=8)
    answer = await model.ainvoke([SystemMessage("Be short."), HumanMessage("Say hello.")])
    await close_chat_model(model)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == len("system: Be short.\nuser: Say hello.\nassistant: ")
    assert answer.usage_metadata["output_tokens"] == len(answer.text) == 8
    assert answer.response_metadata["model_name"] == "tiny"


@pytest.mark.parametrize("prompt", ["tell", "tell " * 1500], ids=["while it answers", "while it reads"])
async def test_a_request_whose_caller_left_ends(tmp_path: Path, prompt: str) -> None:
    slow = write_gguf(tmp_path / "slow.gguf", width=768)
    endless, short = local(slow, numCtx=CONTEXT, maxTokens=CONTEXT), local(slow, numCtx=CONTEXT, maxTokens=2)
    await short.ainvoke("Hello")
    task = asyncio.ensure_future(endless.ainvoke(prompt))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await short.ainvoke("Hello")  # waits for the other to end
    assert counted(short, "tokens_predicted_total") + counted(short, "prompt_tokens_total") < CONTEXT * 3 // 4
    await close_chat_model(endless)
    await close_chat_model(short)


async def test_flows_share_the_model_and_the_last_one_unloads_it(file: Path) -> None:
    first, second = local(file, maxTokens=2), local(file, maxTokens=3)
    await asyncio.gather(first.ainvoke("Hello"), second.ainvoke("Hello"))
    assert isinstance(first, LocalChat)
    assert isinstance(second, LocalChat)
    assert first._engine is second._engine
    await close_chat_model(first)
    assert (await second.ainvoke("Hello")).text
    await close_chat_model(second)
    assert len(Engine._running) == 0
    assert (await first.ainvoke("Hello")).text
    await close_chat_model(first)


async def test_a_prompt_longer_than_the_context_is_refused(file: Path) -> None:
    model = local(file, numCtx=256)
    with pytest.raises(RequestRefused, match="context"):
        await model.ainvoke("a" * 300)
    await close_chat_model(model)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match=r"no model file .*absent\.gguf"):
        local(tmp_path / "absent.gguf")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "notes.gguf"
    other.write_text("no model")
    with pytest.raises(RequestRefused, match=r"notes\.gguf is not a GGUF file"):
        local(other)


async def test_a_damaged_model_is_refused(file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(RequestRefused, match=r"damaged\.gguf is not a model that llama\.cpp can load"):
        await local(damaged).ainvoke("Hello")


def test_a_node_names_the_services_file_or_none(file: Path) -> None:
    for name in ("", str(file), file.name):
        local(file, modelPath=name)
    with pytest.raises(RequestRefused, match="modelPath"):
        local(file, modelPath="/etc/passwd")
