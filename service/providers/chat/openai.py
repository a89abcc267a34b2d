"""Chats with OpenAI, and with every other service that speaks its protocol."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import httpx2
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr, ValidationError

from service.providers.chat.services import SERVICES, key_of, place_of
from service.providers.chat.translated import TranslatedChat
from service.providers.defaults import Defaults
from service.providers.errors import Malformed, ProviderError, RequestRefused
from service.providers.openai_errors import FAILURES, SILENCE, translate
from service.providers.options import flag, headers, number, seconds, text, whole

CONNECT_TIMEOUT = 10.0

_REASONERS = re.compile(r"(?:.*/)?(?:ft:)?(?:o\d+|gpt-5)(?![a-z0-9])(?!.*chat)", re.IGNORECASE)
"""Names of OpenAI's models that reason: of any size and date, fine-tuned or behind a gateway, but none that only
chats, as gpt-5-chat does."""

_SHAPE = (KeyError, TypeError, AttributeError, ValidationError)
"""What LangChain and the SDK trip over when an answer has another shape than the protocol's."""


class OpenAIWords(TranslatedChat):
    """What is OpenAI's in a model that its library asks."""

    FAILURES: ClassVar[tuple[type[Exception], ...]] = FAILURES

    async def aclose(self) -> None:
        """Close the connections."""
        for client in (getattr(self, "http_async_client", None), getattr(self, "root_async_client", None)):
            if isinstance(client, httpx2.AsyncClient):
                await client.aclose()
        if isinstance(blocking := getattr(self, "http_client", None), httpx2.Client):
            blocking.close()

    @property
    def _key(self) -> str:
        key = getattr(self, "openai_api_key", None)
        return key.get_secret_value() if isinstance(key, SecretStr) else ""

    def _theirs(self, error: Exception) -> ProviderError:
        return translate(error, key=self._key)

    def _ours(self, error: Exception) -> ProviderError:
        return self._theirs(error) if isinstance(error, FAILURES) else Malformed()

    def _silent(self, error: ProviderError) -> bool:
        return isinstance(error.__cause__, SILENCE)


THOUGHTS = ("reasoning_content", "reasoning")
"""Where services put what a model thinks aloud: DeepSeek, xAI and others in the first, OpenRouter and Groq in the
second."""


class OpenAIChat(OpenAIWords, ChatOpenAI):
    """`ChatOpenAI` with our errors, with retries that end as soon as the first token has come, and with the thoughts
    that other services add to the protocol (`reading.thoughts` finds them)."""

    takes_thoughts: bool = False
    """Whether the service wants what the model thought before it called tools sent along with their results."""

    def _convert_chunk_to_generation_chunk(self, chunk: dict[str, Any], *args: Any) -> ChatGenerationChunk | None:
        made = super()._convert_chunk_to_generation_chunk(chunk, *args)
        if made is not None and (choices := chunk.get("choices")):
            _note_thought(made.message, choices[0]["delta"])
        return made

    def _create_chat_result(self, response: Any, *args: Any) -> ChatResult:
        result = super()._create_chat_result(response, *args)
        choices = response["choices"] if isinstance(response, dict) else response.choices
        for generation, choice in zip(result.generations, choices, strict=False):
            said = choice["message"] if isinstance(choice, Mapping) else choice.message.model_extra
            _note_thought(generation.message, said or {})
        return result

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        if self.takes_thoughts:
            messages = self._convert_input(input_).to_messages()
            for written, message in zip(payload.get("messages", ()), messages, strict=False):
                thought = message.additional_kwargs.get(THOUGHTS[0])
                if thought and written.get("tool_calls"):
                    written[THOUGHTS[0]] = thought
        return payload


def _note_thought(message: BaseMessage, said: Mapping[str, Any]) -> None:
    for name in THOUGHTS:
        thought = said.get(name)
        if isinstance(thought, str) and thought:
            message.additional_kwargs[THOUGHTS[0]] = thought
            return


def configured(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatOpenAI and chatOpenAICustom; credential openAIApi."""
    return _configured("openai", config, credential, defaults)


def mistral(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatMistralAI; credential mistralAIApi."""
    extra = {
        "random_seed": whole(config, "randomSeed", least=0),
        "safe_prompt": flag(config, "safeMode", False) or None,
    }
    return _configured("mistral", config, credential, defaults, {k: v for k, v in extra.items() if v is not None})


@dataclass(frozen=True, slots=True)
class Compatible:
    """Makes the models of a service that takes nothing beyond the protocol."""

    name: str
    """Its row in `SERVICES`."""

    def __call__(self, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
        """The fields and the credential of the service's nodes."""
        return _configured(self.name, config, credential, defaults)


def cloudflare(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatCloudflareWorkersAI; credential cloudflareApi, whose account is part of the address."""
    account = text(credential, "cloudflareAccountId")
    if not account.isalnum():
        raise RequestRefused("cloudflareAccountId: the credential must hold the id of the account.")
    place = f"{place_of('cloudflare', config, defaults).rstrip('/')}/{account}/ai/v1"
    return _configured("cloudflare", config, credential, defaults, place=place)


def deepseek(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatDeepseek; credential deepseekApi."""
    extra = {"thinking": {"type": "enabled"}} if flag(config, "thinking", False) else None
    return _configured("deepseek", config, credential, defaults, extra)


def huggingface(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatHuggingFace and huggingFaceInference_LLMs; credential huggingFaceApi. An endpoint of one's own
    serves one model, whatever it is called."""
    top_k = whole(config, "hfTopK")
    named = {"model": "tgi", **{k: v for k, v in config.items() if v not in (None, "")}}
    fields = named if text(config, "endpoint") else config
    return _configured("huggingface", fields, credential, defaults, {"top_k": top_k} if top_k else None)


def together(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
    """Fields of chatTogetherAI and togetherAI; credential togetherAIApi."""
    extra = {"top_k": whole(config, "topK"), "repetition_penalty": number(config, "repeatPenalty")}
    return _configured("together", config, credential, defaults, {k: v for k, v in extra.items() if v is not None})


def _configured(
    name: str,
    config: Mapping[str, Any],
    credential: Mapping[str, str],
    defaults: Defaults,
    extra: Mapping[str, Any] | None = None,
    *,
    place: str = "",
) -> BaseChatModel:
    """`extra` is added to the body of requests; `place` is the URL where it takes more than the fields to know it."""
    service = SERVICES[name]
    base_url = place or place_of(name, config, defaults)
    if not base_url:
        raise RequestRefused(f"The field '{service.place[-1]}' must be the URL of the server.")
    model = text(config, service.called) or service.model
    if not model:
        raise RequestRefused(f"The field '{service.called}' must name a model.")
    key = key_of(name, config, credential, defaults)
    if not key and service.ours and text(config, *service.place) in ("", defaults.openai_base_url):
        key = defaults.openai_api_key  # never sent to a server that it was not meant for
    return OpenAIChat(
        model=model,
        api_key=SecretStr(key or "none"),
        base_url=base_url,
        max_retries=0,
        again=defaults.max_retries,
        takes_thoughts=name == "deepseek",
        **asked(config, extra, longest=service.longest, reasons=name == "openai" and reasons(model)),
        **connected(config, defaults),
    )


def reasons(model: str) -> bool:
    """Whether a model of OpenAI's, by its name, is one that reasons: its requests are refused over a temperature or
    words to stop at, which exports hold even so, as the node's own default is a temperature."""
    return _REASONERS.match(model) is not None


def asked(
    config: Mapping[str, Any],
    extra: Mapping[str, Any] | None,
    *,
    longest: str = "maxTokens",
    reasons: bool = False,
) -> dict[str, Any]:
    """What of a node's fields goes into every request; `longest` names the one that bounds the answer, `reasons` leaves
    out what models that reason do not take."""
    stop = [part.strip() for part in text(config, "stopSequence", "stop").split(",") if part.strip()]
    fields = {
        "temperature": number(config, "temperature", least=0),
        "max_tokens": whole(config, longest),
        "top_p": number(config, "topP", least=0),
        "frequency_penalty": number(config, "frequencyPenalty"),
        "presence_penalty": number(config, "presencePenalty"),
        "stop_sequences": stop or None,
        "reasoning_effort": text(config, "reasoningEffort") or None if flag(config, "reasoning", False) else None,
        "extra_body": dict(extra) if extra else None,
    }
    kept: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    if reasons:
        kept.pop("stop_sequences", None)
        kept["temperature"] = None  # said outright: LangChain gives o1 one of its own otherwise
    return kept


def connected(config: Mapping[str, Any], defaults: Defaults) -> dict[str, Any]:
    """How a model's requests travel: guarded, within the node's timeout, with its headers."""
    timeout = seconds(config, defaults.timeout)
    limits = httpx2.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout))
    return {
        "default_headers": headers(config) or None,
        "disable_streaming": not flag(config, "streaming", True),
        "timeout": limits,
        "stream_chunk_timeout": None,  # its wait_for loses a cancellation now and then before Python 3.12
        "stream_usage": True,
        "http_async_client": defaults.egress.http_client(timeout=limits),
        "http_client": defaults.egress.blocking_client(timeout=limits),
    }


alibaba = Compatible("alibaba")
cerebras = Compatible("cerebras")
cohere = Compatible("cohere")
comet = Compatible("comet")
fireworks = Compatible("fireworks")
groq = Compatible("groq")
litellm = Compatible("litellm")
localai = Compatible("localai")
nvidia = Compatible("nvidia")
openrouter = Compatible("openrouter")
perplexity = Compatible("perplexity")
sambanova = Compatible("sambanova")
xai = Compatible("xai")
