"""Chats with OpenAI, and with every other service that speaks its protocol."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import httpx2
from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from service.providers.chat.services import SERVICES, place_of
from service.providers.defaults import Defaults
from service.providers.errors import ContentRefused, Malformed, ProviderError, RequestRefused
from service.providers.openai_errors import FAILURES, retried, translate
from service.providers.options import flag, headers, number, seconds, text, whole

CONNECT_TIMEOUT = 10.0

_SHAPE = (KeyError, TypeError, AttributeError)
"""What LangChain and the SDK trip over when an answer has another shape than the protocol's."""


class OpenAIChat(ChatOpenAI):
    """`ChatOpenAI` with our errors, and with retries that end as soon as the first token has come."""

    retries: int = 2

    async def aclose(self) -> None:
        """Close the connections."""
        for client in (self.http_async_client, self.root_async_client):
            if isinstance(client, httpx2.AsyncClient):
                await client.aclose()
        if isinstance(self.http_client, httpx2.Client):
            self.http_client.close()

    @property
    def _key(self) -> str:
        return self.openai_api_key.get_secret_value() if isinstance(self.openai_api_key, SecretStr) else ""

    def _ours(self, error: Exception) -> ProviderError:
        return Malformed() if isinstance(error, _SHAPE) else translate(error, key=self._key)

    async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
        async def call() -> ChatResult:
            return await super(OpenAIChat, self)._agenerate(*args, **kwargs)

        try:
            return _allowed(await retried(call, self.retries, key=self._key))
        except _SHAPE as error:
            raise self._ours(error) from error

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        try:
            return _allowed(super()._generate(*args, **kwargs))
        except (*FAILURES, *_SHAPE) as error:
            raise self._ours(error) from error

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        async def begin() -> tuple[Any, ChatGenerationChunk]:
            stream: Any = super(OpenAIChat, self)._astream(*args, **kwargs)
            try:
                return stream, await anext(stream)
            except StopAsyncIteration:
                raise Malformed("The model provider's answer is empty.") from None

        try:
            stream, first = await retried(begin, self.retries, key=self._key)
            async with aclosing(stream):
                yield first
                async for chunk in stream:
                    yield _allowed_chunk(chunk)
        except (*FAILURES, *_SHAPE) as error:
            raise self._ours(error) from error

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        try:
            for chunk in super()._stream(*args, **kwargs):
                yield _allowed_chunk(chunk)
        except (*FAILURES, *_SHAPE) as error:
            raise self._ours(error) from error


def configured(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatOpenAI and chatOpenAICustom; credential openAIApi."""
    return _configured("openai", config, credential, defaults)


def groq(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of groqChat; credential groqApi."""
    return _configured("groq", config, credential, defaults)


def localai(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatLocalAI; credential localAIApi, or none."""
    return _configured("localai", config, credential, defaults)


def mistral(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatMistralAI; credential mistralAIApi."""
    extra = {
        "random_seed": whole(config, "randomSeed", least=0),
        "safe_prompt": flag(config, "safeMode", False) or None,
    }
    return _configured("mistral", config, credential, defaults, {k: v for k, v in extra.items() if v is not None})


def openrouter(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatOpenRouter; credential openRouterApi."""
    return _configured("openrouter", config, credential, defaults)


def _configured(
    name: str,
    config: Mapping[str, Any],
    credential: Mapping[str, str],
    defaults: Defaults,
    extra: Mapping[str, Any] | None = None,
) -> BaseChatModel:
    """`extra` is added to the body of requests."""
    service = SERVICES[name]
    base_url = place_of(name, config, defaults)
    if not base_url:
        raise RequestRefused(f"The field '{service.place[-1]}' must be the URL of the server.")
    model = text(config, "modelName") or service.model
    if not model:
        raise RequestRefused("The field 'modelName' must name a model.")
    key = text(credential, *service.key)
    if not key and service.ours and text(config, *service.place) in ("", defaults.openai_base_url):
        key = defaults.openai_api_key  # never sent to a server that it was not meant for
    stop = [part.strip() for part in text(config, "stopSequence").split(",") if part.strip()]
    optional = {
        "temperature": number(config, "temperature", least=0),
        "max_tokens": whole(config, service.longest),
        "top_p": number(config, "topP", least=0),
        "frequency_penalty": number(config, "frequencyPenalty"),
        "presence_penalty": number(config, "presencePenalty"),
        "stop_sequences": stop or None,
        "reasoning_effort": text(config, "reasoningEffort") or None if flag(config, "reasoning", False) else None,
        "extra_body": dict(extra) if extra else None,
    }
    timeout = seconds(config, defaults.timeout)
    limits = httpx2.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout))
    fields: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
    return OpenAIChat(
        model=model,
        api_key=SecretStr(key or "none"),
        base_url=base_url,
        default_headers=headers(config) or None,
        disable_streaming=not flag(config, "streaming", True),
        timeout=limits,
        stream_chunk_timeout=None,  # its wait_for loses a cancellation now and then before Python 3.12
        stream_usage=True,
        max_retries=0,
        retries=defaults.max_retries,
        http_async_client=defaults.egress.http_client(timeout=limits),
        http_client=defaults.egress.blocking_client(timeout=limits),
        **fields,
    )


def _allowed(result: ChatResult) -> ChatResult:
    for generation in result.generations:
        reason = (generation.generation_info or {}).get("finish_reason")
        if reason == "content_filter":
            raise ContentRefused("The model provider's content rules stopped the answer.")
    return result


def _allowed_chunk(chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    if (chunk.generation_info or {}).get("finish_reason") == "content_filter":
        raise ContentRefused("The model provider's content rules stopped the answer.")
    return chunk
