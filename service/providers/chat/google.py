"""Chats with Google's Gemini models (extra `google`), by the REST interface of the Gemini API."""

from collections.abc import Mapping
from typing import Any

import httpx2
from google.genai import Client
from google.genai.errors import APIError, UnknownApiResponseError
from google.genai.types import HttpOptions, HttpRetryOptions
from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_google_genai._common import GoogleGenerativeAIError
from pydantic import SecretStr

from service.json_text import parsed
from service.providers.chat.services import key_of, place_of
from service.providers.chat.translated import SHAPE, TranslatedChat
from service.providers.defaults import Defaults
from service.providers.errors import Malformed, ProviderError, ProviderUnavailable, RequestRefused, redact
from service.providers.options import flag, number, seconds, text, whole
from service.providers.refusals import refusal, watch, watch_blocking

MODEL = "gemini-2.5-flash"
CONNECT_TIMEOUT = 10.0
VERSION = "v1beta"

_CONTENT = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"})
"""Reasons to end an answer that are the provider's content rules."""
_LEVELS = frozenset({"minimal", "low", "medium", "high"})


class GoogleChat(TranslatedChat, ChatGoogleGenerativeAI):
    """`ChatGoogleGenerativeAI` over the guarded connections, with our errors."""

    FAILURES = (APIError, GoogleGenerativeAIError, ValueError)

    async def aclose(self) -> None:
        """Close the connections."""
        options = self.client._api_client._http_options if self.client is not None else None
        if options is not None and options.httpx_async_client is not None:
            await options.httpx_async_client.aclose()
        if options is not None and options.httpx_client is not None:
            options.httpx_client.close()

    @property
    def _key(self) -> str:
        return self.google_api_key.get_secret_value() if isinstance(self.google_api_key, SecretStr) else ""

    def _theirs(self, error: Exception) -> ProviderError | None:
        if isinstance(error, APIError):  # it came inside a stream: else the hook has seen it
            said = redact(str(error.message or error), self._key)
            if 400 <= int(error.code or 0) < 500:
                return refusal(error.code, said.encode(), {}, key=self._key)
            return ProviderUnavailable(f"The model provider broke off its answer: {said}")
        if isinstance(error, GoogleGenerativeAIError):
            return None
        if isinstance(error, (*SHAPE, UnknownApiResponseError)):
            return Malformed("The model provider's answer cannot be understood.")
        return RequestRefused(f"The model cannot be asked so: {redact(str(error), self._key)}")

    def _refused(self, generation: ChatGeneration | ChatGenerationChunk) -> bool:
        about = {**(generation.generation_info or {}), **generation.message.response_metadata}
        if str(about.get("finish_reason", "")).rpartition(".")[2] in _CONTENT:
            return True
        feedback = about.get("prompt_feedback") or {}
        reason = feedback.get("block_reason") if isinstance(feedback, Mapping) else None
        return bool(reason) and not generation.message.content


def configured(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatGoogleGenerativeAI; credential googleGenerativeAI."""
    budget = whole(config, "thinkingBudget", least=-1)
    level = text(config, "thinkingLevel").lower()
    optional = {
        "temperature": number(config, "temperature", least=0),
        "max_output_tokens": whole(config, "maxOutputTokens"),
        "top_p": number(config, "topP", least=0),
        "top_k": whole(config, "topK"),
        "thinking_budget": budget,
        "thinking_level": level if level in _LEVELS else None,
        "include_thoughts": True if level in _LEVELS or (budget is not None and budget != 0) else None,
        "safety_settings": _safety(config),
    }
    key = SecretStr(key_of("google", config, credential, defaults) or "none")
    place = place_of("google", config, defaults)
    made = GoogleChat(
        model=text(config, "customModelName") or text(config, "modelName") or MODEL,
        google_api_key=key,
        base_url=place,
        vertexai=False,
        disable_streaming=not flag(config, "streaming", True),
        max_retries=0,
        again=defaults.max_retries,
        **{name: value for name, value in optional.items() if value is not None},
    )
    made.client = _client(key.get_secret_value(), place, seconds(config, defaults.timeout), defaults)
    return made


def _client(key: str, place: str, timeout: float, defaults: Defaults) -> Client:
    """Google's client over the guarded connections."""
    limits = httpx2.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout))
    waiting = defaults.egress.http_client(timeout=limits)
    waiting.event_hooks = {"response": [watch(key)]}
    blocking = defaults.egress.blocking_client(timeout=limits)
    blocking.event_hooks = {"response": [watch_blocking(key)]}
    options = HttpOptions(
        base_url=place,
        api_version=VERSION,
        timeout=max(1, round(timeout * 1000)),
        retry_options=HttpRetryOptions(attempts=1),  # else the library tries once more by itself
        httpx_client=blocking,
        httpx_async_client=waiting,
    )
    return Client(api_key=key, vertexai=False, http_options=options)


def _safety(config: Mapping[str, Any]) -> dict[Any, Any] | None:
    """The node's rows of category and threshold, by category. Raises `RequestRefused` naming the field."""
    given = config.get("safetySettings")
    if not given:
        return None
    try:
        rows = parsed(given) if isinstance(given, str) else given
        return {str(row["harmCategory"]): str(row["harmBlockThreshold"]) for row in rows}
    except (ValueError, TypeError, KeyError):
        raise RequestRefused("The field 'safetySettings' must list categories and thresholds.") from None
