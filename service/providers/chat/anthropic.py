"""Chats with Anthropic's models (extra `anthropic`)."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import anthropic
import httpx2
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr, SecretStr

from service.egress.client import Egress
from service.providers.chat.services import key_of, place_of
from service.providers.chat.translated import TranslatedChat
from service.providers.defaults import Defaults
from service.providers.errors import Malformed, ProviderError, ProviderUnavailable, RequestRefused, redact
from service.providers.options import flag, headers, number, seconds, text, whole
from service.providers.refusals import watch, watch_blocking

MODEL = "claude-haiku-4-5"
CONNECT_TIMEOUT = 10.0
BUDGET = 1024
"""Tokens to think with, unless the node says otherwise; the fewest that Anthropic takes."""
ROOM = 8192
"""Tokens that are left for the answer, behind those to think with, where the node does not bound it."""


class AnthropicChat(TranslatedChat, ChatAnthropic):
    """`ChatAnthropic` over the guarded connections, with our errors."""

    FAILURES = (anthropic.AnthropicError,)
    _egress: Egress = PrivateAttr(default_factory=Egress)
    _limits: httpx2.Timeout = PrivateAttr(default_factory=lambda: httpx2.Timeout(120.0))

    async def aclose(self) -> None:
        """Close the connections."""
        if (waiting := self.__dict__.pop("_async_client", None)) is not None:
            await waiting.close()
        if (blocking := self.__dict__.pop("_client", None)) is not None:
            blocking.close()

    @property
    def _key(self) -> str:
        return self.anthropic_api_key.get_secret_value()

    @cached_property
    def _async_client(self) -> anthropic.AsyncClient:
        client = self._egress.http_client(timeout=self._limits)
        client.event_hooks = {"response": [watch(self._key)]}
        return anthropic.AsyncClient(**self._client_params, http_client=client)

    @cached_property
    def _client(self) -> anthropic.Client:
        client = self._egress.blocking_client(timeout=self._limits)
        client.event_hooks = {"response": [watch_blocking(self._key)]}
        return anthropic.Client(**self._client_params, http_client=client)

    def _theirs(self, error: Exception) -> ProviderError | None:
        """What the library says by itself: an error that came inside a stream, else what it could not read."""
        if isinstance(error, anthropic.APIStatusError | anthropic.APIResponseValidationError):
            body = error.body
            said = body.get("error", body) if isinstance(body, Mapping) else body
            message = said.get("message", said) if isinstance(said, Mapping) else said
            return ProviderUnavailable(f"The model provider broke off its answer: {redact(str(message), self._key)}")
        if isinstance(error, anthropic.APIConnectionError):
            return ProviderUnavailable("The model provider cannot be reached, or broke off its answer.")
        return Malformed("The model provider's answer cannot be understood.")

    def _refused(self, generation: ChatGeneration | ChatGenerationChunk) -> bool:
        return generation.message.response_metadata.get("stop_reason") == "refusal"

    def _stopped(self, result: ChatResult) -> bool:
        return (result.llm_output or {}).get("stop_reason") == "refusal"


def configured(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatAnthropic; credential anthropicApi."""
    thinking = _thinking(config)
    longest = whole(config, "maxTokensToSample")
    budget = (thinking or {}).get("budget_tokens", 0)
    if longest is not None and longest <= budget:
        raise RequestRefused(f"The field 'budgetTokens' must be less than 'maxTokensToSample', {longest}.")
    optional = {
        "max_tokens": longest or (budget + ROOM if budget else None),
        # Anthropic takes neither of these of a model that thinks
        "temperature": None if thinking else _temperature(config),
        "top_k": None if thinking else whole(config, "topK"),
        "top_p": number(config, "topP", least=0),
        "thinking": thinking,
        "output_config": {"effort": effort} if (effort := text(config, "thinkingEffort")) and thinking else None,
    }
    if optional["top_p"] is not None:
        optional["temperature"] = None  # newer models take one of the two
    timeout = seconds(config, defaults.timeout)
    model = AnthropicChat(
        model=text(config, "modelName") or MODEL,
        api_key=SecretStr(key_of("anthropic", config, credential, defaults) or "none"),
        base_url=place_of("anthropic", config, defaults),
        default_headers=headers(config) or None,
        disable_streaming=not flag(config, "streaming", True),
        timeout=timeout,
        max_retries=0,
        again=defaults.max_retries,
        **{name: value for name, value in optional.items() if value is not None},
    )
    model._egress = defaults.egress
    model._limits = httpx2.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout))
    return model


def _thinking(config: Mapping[str, Any]) -> dict[str, Any] | None:
    if flag(config, "adaptiveThinking", False):
        return {"type": "adaptive", "display": "summarized"}
    if flag(config, "extendedThinking", False):
        return {"type": "enabled", "budget_tokens": whole(config, "budgetTokens", least=BUDGET) or BUDGET}
    return None


def _temperature(config: Mapping[str, Any]) -> float | None:
    """Flowise's nodes go up to 2, Anthropic's models to 1."""
    wanted = number(config, "temperature", least=0)
    return None if wanted is None else min(wanted, 1.0)
