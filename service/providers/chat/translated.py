"""What the adapters over vendors' libraries have in common: our errors, retries before the first token, and streams
that end with whoever reads them."""

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import httpx2
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ValidationError

from service.egress.errors import EgressError
from service.providers.errors import ContentRefused, Malformed, ProviderError, ProviderTimeout, ProviderUnavailable
from service.providers.refusals import by_egress, listed
from service.providers.retries import patiently

SHAPE = (
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    json.JSONDecodeError,
    UnicodeDecodeError,
    ValidationError,
)
"""What LangChain and the libraries trip over when an answer has another shape than the protocol's."""

STOPPED = "The model provider's content rules stopped the answer."
EMPTY = "The model provider's answer is empty."


class TranslatedChat(BaseChatModel):
    """Put before a LangChain model among the bases: `class OurChat(TranslatedChat, TheirChat)`."""

    again: int = 2
    """How often a call that failed in passing is made again, as long as no token has come."""
    FAILURES: ClassVar[tuple[type[Exception], ...]] = ()
    """What the vendor's library raises when the provider is at fault."""

    @abstractmethod
    def _theirs(self, error: Exception) -> ProviderError | None:
        """Our error for one of the vendor's; None: what caused it says more, or nothing does."""

    def _refused(self, generation: ChatGeneration | ChatGenerationChunk) -> bool:
        """Whether the provider's content rules stopped the answer here."""
        return (generation.generation_info or {}).get("finish_reason") == "content_filter"

    def _stopped(self, result: ChatResult) -> bool:
        """The same of a whole answer."""
        return any(self._refused(generation) for generation in result.generations)

    def _ours(self, error: Exception) -> ProviderError:
        """Our error for anything that a call raised."""
        for cause in _chain(error):
            if isinstance(cause, ProviderError):
                return cause
            if isinstance(cause, EgressError):
                return by_egress(cause)
            if isinstance(cause, TimeoutError | httpx2.TimeoutException):
                return ProviderTimeout("The model provider did not answer in time.")
            if isinstance(cause, httpx2.TransportError):
                return ProviderUnavailable("The model provider cannot be reached, or broke off its answer.")
        for cause in _chain(error):
            if isinstance(cause, self.FAILURES) and (found := self._theirs(cause)) is not None:
                return found
        return Malformed("The model provider's answer cannot be understood.")

    def _silent(self, error: ProviderError) -> bool:
        """A provider that said nothing for the whole timeout is not asked again."""
        return any(isinstance(item, TimeoutError | httpx2.TimeoutException) for item in _chain(error))

    @property
    def _caught(self) -> tuple[type[Exception], ...]:
        return (*self.FAILURES, *SHAPE, httpx2.HTTPError, EgressError, ProviderError, TimeoutError)

    async def _retried(self, call: Callable[[], Any]) -> Any:
        async def once() -> Any:
            try:
                return await call()
            except self._caught as error:
                raise self._said(error) from error

        return await patiently(once, self.again, silent=self._silent)

    def _said(self, error: Exception) -> ProviderError:
        return error if isinstance(error, ProviderError) else self._ours(error)

    async def whole(self, messages: Sequence[BaseMessage]) -> AIMessage:
        """The model's answer as one message. As `ainvoke`, but for what LangChain does around each call for callbacks,
        caches and rate limiters, of which there are none here: a twentieth of a prediction. Raises `ProviderError`."""
        result = await self._agenerate(list(messages))
        generation = result.generations[0]
        message = generation.message
        if not isinstance(message, AIMessage):
            raise Malformed("The model provider's answer is no message of a model.")
        about = (result.llm_output, generation.generation_info, message.response_metadata)
        message.response_metadata = {key: value for part in about if part for key, value in part.items()}
        return message

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        async def call() -> ChatResult:
            return await super(TranslatedChat, self)._agenerate(*args, **kwargs)

        result: ChatResult = await self._retried(call)
        return self._let_through(result)

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        try:
            result: ChatResult = super()._generate(*args, **kwargs)  # type: ignore[safe-super]  # the vendor's
        except self._caught as error:
            raise self._said(error) from error
        return self._let_through(result)

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        opened: list[Any] = []

        async def begin() -> tuple[Any, ChatGenerationChunk]:
            stream: Any = super(TranslatedChat, self)._astream(*args, **kwargs)
            with listed(opened):
                try:
                    return stream, await anext(stream)
                except StopAsyncIteration:
                    raise Malformed(EMPTY) from None

        stream, first = await self._retried(begin)
        try:
            async with aclosing(stream):
                yield self._allowed(first)
                try:
                    async for chunk in stream:
                        yield self._allowed(chunk)
                except self._caught as error:
                    raise self._said(error) from error
        finally:
            for response in opened:  # some libraries leave that to the garbage collection
                await response.aclose()

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        try:
            for chunk in super()._stream(*args, **kwargs):
                yield self._allowed(chunk)
        except self._caught as error:
            raise self._said(error) from error

    def _allowed(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        if self._refused(chunk):
            raise ContentRefused(STOPPED)
        return chunk

    def _let_through(self, result: ChatResult) -> ChatResult:
        if self._stopped(result):
            raise ContentRefused(STOPPED)
        return result


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came from."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and not isinstance(current, asyncio.CancelledError):
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
