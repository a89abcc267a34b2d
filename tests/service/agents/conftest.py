"""A model that calls tools as it is told, and tools to call."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.language_models import BaseChatModel

from service.chatflows.run import Backing, Run
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed
from service.chatflows.types import Passage
from service.providers.chat import create_chat_model
from service.providers.chat.base import close_chat_model
from service.providers.chat.fake import FakeChat
from service.providers.defaults import Defaults
from tests.stubs.openai_server import OpenAIStub, near

TWO_NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
    "required": ["a", "b"],
}
TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}

PASSAGES = (
    Passage("p1", "Leave is 30 days.", {"source": "leave.md"}, 0.9),
    Passage("p2", "Doors open at 8.", {"source": "doors.md"}, 0.5),
)


async def _nothing(*_given: Any, **_named: Any) -> Any:
    raise AssertionError("nobody asks for this here")


def run(*, whole: bool = False) -> Run:
    """A prediction that has nothing but its question."""
    backing = Backing(_nothing, _nothing, _nothing)
    return Run(uuid4(), uuid4(), "c", "s", "What is 1 + 2?", (), backing, whole=whole)


def tool(name: str, answer: str | Exception | Outcome, schema: Mapping[str, Any] = TEXT, **more: Any) -> Tool:
    """A tool that answers so, or fails."""

    async def call(_run: Run, _given: Mapping[str, Any]) -> Outcome:
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Outcome) else Outcome(answer)

    return Tool(name, f"Does {name}.", schema, call, **more)


async def _add(_run: Run, given: Mapping[str, Any]) -> Outcome:
    return Outcome(str(given["a"] + given["b"]))


ADD = Tool("add", "Adds two numbers.", TWO_NUMBERS, _add)
FAILING = tool("failing", ToolFailed("The server is on fire."))


@pytest.fixture(scope="session")
def server() -> Iterator[OpenAIStub]:
    """The model's server."""
    with OpenAIStub() as running:
        yield running


@pytest.fixture
def stub(server: OpenAIStub) -> OpenAIStub:
    """The model's server, without scripts and requests of others."""
    server.reset()
    return server


@pytest.fixture
async def chat(stub: OpenAIStub) -> AsyncIterator[BaseChatModel]:
    """A model that can call tools."""
    model = create_chat_model(
        "chatOpenAI", {"basepath": stub.url, "modelName": "m"}, {}, defaults=near(Defaults(max_retries=0))
    )
    yield model
    await close_chat_model(model)


def writes(*replies: str) -> FakeChat:
    """A model that can only write: these replies, in turn."""
    return FakeChat(replies=replies)
