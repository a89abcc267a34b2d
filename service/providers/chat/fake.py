"""A chat model that answers from a script, for tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from service.providers.defaults import Defaults
from service.providers.errors import ProviderError

Reply = str | ProviderError | Callable[[Sequence[BaseMessage]], str]

DEFAULT_REPLY = "The scripted answer has two sentences. This is the second one."


class FakeChat(BaseChatModel):
    """Answers with `replies` in turn, the last one for ever; a reply that is an error is raised.

    `calls` records the messages of each call; `cancelled` counts the streams that were given up.
    """

    replies: tuple[Any, ...] = (DEFAULT_REPLY,)
    token_delay: float = 0.0
    """Seconds before each token."""
    _calls: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _cancelled: int = PrivateAttr(default=0)

    @property
    def calls(self) -> list[list[BaseMessage]]:
        """The messages of each call, oldest first."""
        return self._calls

    @property
    def cancelled(self) -> int:
        """How many streams ended before their last token."""
        return self._cancelled

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _reply(self, messages: list[BaseMessage], stop: list[str] | None) -> str:
        reply: Reply = self.replies[min(len(self._calls), len(self.replies) - 1)]
        self._calls.append(list(messages))
        if isinstance(reply, ProviderError):
            raise reply
        text = reply if isinstance(reply, str) else reply(messages)
        for mark in stop or ():
            text = text.split(mark, 1)[0]
        return text

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = self._reply(messages, stop)
        message = AIMessage(
            content=text, usage_metadata=_usage(messages, text), response_metadata={"model_name": "fake"}
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from self._chunks(messages, self._reply(messages, stop))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        result = self._generate(messages, stop)
        await asyncio.sleep(self.token_delay)
        return result

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        complete = False
        try:
            for chunk in self._chunks(messages, self._reply(messages, stop)):
                await asyncio.sleep(self.token_delay)
                yield chunk
            complete = True
        finally:
            self._cancelled += not complete

    def _chunks(self, messages: list[BaseMessage], text: str) -> Iterator[ChatGenerationChunk]:
        for number, word in enumerate(text.split(" ")):
            content = word if number == 0 else " " + word
            yield ChatGenerationChunk(message=AIMessageChunk(content=content))
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                usage_metadata=_usage(messages, text),
                response_metadata={"model_name": "fake"},
                chunk_position="last",
            )
        )


def configured(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Takes `replies` and `token_delay`."""
    return FakeChat(
        replies=tuple(config.get("replies") or (DEFAULT_REPLY,)), token_delay=config.get("token_delay", 0.0)
    )


def _usage(messages: Sequence[BaseMessage], text: str) -> UsageMetadata:
    asked = sum(len(str(message.content).split()) for message in messages)
    answered = len(text.split())
    return UsageMetadata(input_tokens=asked, output_tokens=answered, total_tokens=asked + answered)
