"""The services that speak OpenAI's protocol, and where each of them is. Light: nothing of a vendor is imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.providers.defaults import Defaults
from service.providers.options import text

OFFICIAL_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-4o-mini"


@dataclass(frozen=True, slots=True)
class Service:
    """A service that speaks OpenAI's protocol, and how its node says what it needs."""

    url: str
    """Where it is, unless the node says so; empty: the node must."""
    key: tuple[str, ...]
    """Fields of its credential that hold the key."""
    place: tuple[str, ...] = ("basepath", "basePath")
    """Fields of the node that hold another URL."""
    model: str = ""
    """What is taken where the node names no model; empty: it must."""
    longest: str = "maxTokens"
    """The field that bounds the answer."""
    ours: bool = False
    """Whether the operator's own server and key (RAGSTONE_OPENAI_*) stand in for what is not given."""


SERVICES = {
    "groq": Service("https://api.groq.com/openai/v1", ("groqApiKey",), ()),
    "localai": Service("", ("localAIApiKey",)),
    "mistral": Service(
        "https://api.mistral.ai/v1", ("mistralAIAPIKey",), ("overrideEndpoint",), "mistral-tiny", "maxOutputTokens"
    ),
    "openai": Service(OFFICIAL_URL, ("openAIApiKey",), model=DEFAULT_MODEL, ours=True),
    "openrouter": Service("https://openrouter.ai/api/v1", ("openRouterApiKey",)),
}
"""The services by the names of their rows in `CHAT_MODELS`."""


def place_of(name: str, config: Mapping[str, Any], defaults: Defaults) -> str:
    """The URL that a service's node is answered from; empty where none is given."""
    service = SERVICES[name]
    return text(config, *service.place) or (defaults.openai_base_url if service.ours else "") or service.url
