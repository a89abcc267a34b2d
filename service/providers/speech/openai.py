"""Speech to text by OpenAI's Whisper, and by every other service that speaks its protocol."""

from collections.abc import Mapping
from typing import Any

import openai

from service.providers.chat.services import SERVICES, place_of
from service.providers.defaults import Defaults
from service.providers.errors import Malformed, RequestRefused
from service.providers.openai_errors import retried
from service.providers.options import number, seconds, text
from service.providers.speech.base import Sound, Transcriber

MODELS = {"groq": "whisper-large-v3", "localai": "whisper-1", "openai": "whisper-1"}
"""What is asked where the flow names no model."""


class Whisper(Transcriber):
    """Words from `/audio/transcriptions` of a base URL."""

    def __init__(
        self, *, key: str, base_url: str, fields: Mapping[str, Any], timeout: float, retries: int, defaults: Defaults
    ) -> None:
        """`fields` go along with every sound: model, language, prompt, temperature. `timeout` in seconds."""
        self._key, self._fields, self._retries = key, dict(fields), retries
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=base_url,
            timeout=timeout,
            max_retries=0,
            http_client=defaults.egress.http_client(timeout=timeout),
        )

    async def transcribe(self, sound: Sound) -> str:
        """The words."""

        async def call() -> str:
            file = (sound.name, sound.content, sound.mime)
            try:
                answer: Any = await self._client.audio.transcriptions.create(file=file, **self._fields)
            except (ValueError, TypeError, AttributeError) as error:  # the SDK trips over a body of another shape
                raise Malformed("The speech service's answer cannot be understood.") from error
            words = getattr(answer, "text", None)
            if not isinstance(words, str):
                raise Malformed("The speech service's answer holds no text.")
            return words.strip()

        return await retried(call, self._retries, key=self._key)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def openai_whisper(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Transcriber:
    """OpenAI, or the operator's server that speaks its protocol; credential openAIApi."""
    return _whisper("openai", config, credential, defaults)


def groq(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Transcriber:
    """Groq; credential groqApi."""
    return _whisper("groq", config, credential, defaults)


def localai(config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Transcriber:
    """A LocalAI server; credential localAIApi, or none."""
    return _whisper("localai", config, credential, defaults)


def _whisper(name: str, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Transcriber:
    base_url = text(config, "baseUrl") or place_of(name, config, defaults)
    if not base_url:
        raise RequestRefused("speechToText: the field 'baseUrl' must be the URL of the server.")
    service = SERVICES[name]
    key = text(credential, *service.key)
    if not key and service.ours and base_url == (defaults.openai_base_url or service.url):
        key = defaults.openai_api_key  # never sent to a server that it was not meant for
    fields: dict[str, Any] = {"model": text(config, "model", "modelName") or MODELS[name]}
    for field in ("language", "prompt"):
        if given := text(config, field):
            fields[field] = given
    warmth = number(config, "temperature", least=0)
    if warmth is not None:
        fields["temperature"] = warmth
    return Whisper(
        key=key,
        base_url=base_url,
        fields=fields,
        timeout=seconds(config, defaults.timeout),
        retries=defaults.max_retries,
        defaults=defaults,
    )
