"""Chats with models of an Ollama server (extra `ollama`)."""

from collections.abc import Mapping
from typing import Any

import httpx
import ollama
from langchain_core.language_models import BaseChatModel
from langchain_ollama import ChatOllama

from service.providers.chat.services import key_of, place_of
from service.providers.chat.translated import SHAPE, TranslatedChat
from service.providers.defaults import Defaults
from service.providers.errors import (
    Malformed,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RequestRefused,
    redact,
)
from service.providers.options import flag, number, seconds, text, whole
from service.providers.refusals import watch, watch_blocking

CONNECT_TIMEOUT = 10.0

_WHOLE = {
    "mirostat": "mirostat",
    "num_ctx": "numCtx",
    "num_gpu": "numGpu",
    "num_thread": "numThread",
    "num_predict": "maxTokens",
    "top_k": "topK",
}
_NUMBERS = {
    "temperature": "temperature",
    "top_p": "topP",
    "mirostat_eta": "mirostatEta",
    "mirostat_tau": "mirostatTau",
    "repeat_penalty": "repeatPenalty",
    "tfs_z": "tfsZ",
}
"""LangChain's name -> the node's."""


class OllamaChat(TranslatedChat, ChatOllama):
    """`ChatOllama` over the guarded connections, with our errors."""

    FAILURES = (
        ollama.ResponseError,
        ollama.RequestError,
        httpx.HTTPError,
        httpx.InvalidURL,
        ConnectionError,
        ValueError,
    )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._async_client._client.aclose()
        self._client._client.close()

    @property
    def _key(self) -> str:
        return str(self._async_client._client.headers.get("authorization", "")).removeprefix("Bearer ")

    def _theirs(self, error: Exception) -> ProviderError | None:
        if isinstance(error, SHAPE):
            return Malformed("The model provider's answer cannot be understood.")
        if isinstance(error, httpx.TimeoutException):
            return ProviderTimeout("The model provider did not answer in time.")
        if isinstance(error, ollama.ResponseError):
            said = redact(error.error, self._key)
            return ProviderUnavailable(f"The model provider broke off its answer: {said}")
        if isinstance(error, httpx.HTTPError | ConnectionError):
            return ProviderUnavailable("The model provider cannot be reached, or broke off its answer.")
        if "No data received" in str(error):
            return Malformed("The model provider's answer is empty.")
        return RequestRefused(f"The model cannot be asked so: {redact(str(error), self._key)}")

    def _silent(self, error: ProviderError) -> bool:
        return isinstance(error, ProviderTimeout) and isinstance(error.__cause__, httpx.TimeoutException)


def configured(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatOllama and ollama; credential ollamaApi, or none."""
    model = text(config, "modelName")
    if not model:
        raise RequestRefused("The field 'modelName' must name a model.")
    optional: dict[str, Any] = {
        **{ours: whole(config, theirs, least=0) for ours, theirs in _WHOLE.items()},
        **{ours: number(config, theirs) for ours, theirs in _NUMBERS.items()},
        "repeat_last_n": whole(config, "repeatLastN", least=-1),
        "keep_alive": text(config, "keepAlive") or None,
        "stop": [part.strip() for part in text(config, "stop").split(",") if part.strip()] or None,
        "format": "json" if flag(config, "jsonMode", False) else None,
        "reasoning": flag(config, "think", False) or None,
    }
    key = key_of("ollama", config, credential, defaults)
    timeout = seconds(config, defaults.timeout)
    limits = httpx.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout))
    egress = defaults.egress
    ways = {
        "headers": {"authorization": f"Bearer {key}"} if key else {},
        "timeout": limits,
        "follow_redirects": False,
        "trust_env": False,
    }
    made = OllamaChat(
        model=model,
        base_url=place_of("ollama", config, defaults),
        disable_streaming=not flag(config, "streaming", True),
        client_kwargs=ways,
        async_client_kwargs={"transport": egress.httpx_transport(), "event_hooks": {"response": [watch(key)]}},
        sync_client_kwargs={
            "transport": egress.blocking_httpx_transport(),
            "event_hooks": {"response": [watch_blocking(key)]},
        },
        again=defaults.max_retries,
        **{name: value for name, value in optional.items() if value is not None},
    )
    if not key:  # the library would send the key of its own environment variable, whatever the server
        made._async_client._client.headers.pop("authorization", None)
        made._client._client.headers.pop("authorization", None)
    return made
