"""Speech to text: the services by the names that a flow's `speechToText` has for them."""

from collections.abc import Mapping
from typing import Any

from service.plugins import resolve
from service.providers.chat.services import place_of
from service.providers.defaults import Defaults
from service.providers.errors import UnknownProvider
from service.providers.options import text
from service.providers.speech.base import Transcriber

TRANSCRIBERS = {
    "groqWhisper": "service.providers.speech.openai:groq",
    "localAISTT": "service.providers.speech.openai:localai",
    "openAIWhisper": "service.providers.speech.openai:openai_whisper",
}

SERVICES = {"groqWhisper": "groq", "localAISTT": "localai", "openAIWhisper": "openai"}
"""What each of them is called among the services of chat models, which say where it is and what its key is called."""


def address(name: str, config: Mapping[str, Any], defaults: Defaults) -> str:
    """Where a service is asked, from the fields of its entry; empty where they must say so and do not.

    Raises `UnknownProvider`."""
    return text(config, "baseUrl") or place_of(SERVICES[_known(name)], config, defaults)


def create_transcriber(
    name: str, config: Mapping[str, Any], credential: Mapping[str, str], *, defaults: Defaults
) -> Transcriber:
    """What writes down sound by the service `name`, from the fields of its entry in `speechToText` and the values of
    its credential; nothing is asked yet. Raises `UnknownProvider`, which names those that there are, and
    `RequestRefused` naming a field with a bad value."""
    made: Transcriber = resolve(TRANSCRIBERS, _known(name), "speech service")(config, credential, defaults)
    return made


def _known(name: str) -> str:
    if name not in TRANSCRIBERS:
        raise UnknownProvider(
            f"speechToText: '{name[:100]}' is not supported here. Use a service that speaks OpenAI's protocol: "
            + ", ".join(sorted(TRANSCRIBERS))
        )
    return name
