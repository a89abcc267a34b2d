"""The services that models are asked at, and where each of them is. Light: nothing of a vendor is imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

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
    called: str = "modelName"
    """The field that names the model."""
    below: str = ""
    """What the protocol's paths begin with at another URL, where the node's users leave it out."""


SERVICES = {
    "alibaba": Service("https://dashscope.aliyuncs.com/compatible-mode/v1", ("alibabaApiKey",)),
    "cerebras": Service("https://api.cerebras.ai/v1", ("cerebrasApiKey",), model="llama3.1-8b"),
    "cloudflare": Service(
        "https://api.cloudflare.com/client/v4/accounts",
        ("cloudflareApiToken",),
        ("baseUrl",),
        "@cf/meta/llama-3.1-8b-instruct-fast",
        called="model",
    ),
    "cohere": Service("https://api.cohere.ai/compatibility/v1", ("cohereApiKey",), model="command-r7b-12-2024"),
    "comet": Service("https://api.cometapi.com/v1", ("cometApiKey",), (), "gpt-5-mini"),
    "deepseek": Service("https://api.deepseek.com/v1", ("deepseekApiKey",), (), "deepseek-chat"),
    "fireworks": Service("https://api.fireworks.ai/inference/v1", ("fireworksApiKey",)),
    "groq": Service("https://api.groq.com/openai/v1", ("groqApiKey",), ()),
    "huggingface": Service(
        "https://router.huggingface.co/v1", ("huggingFaceApiKey",), ("endpoint",), called="model", below="/v1"
    ),
    "litellm": Service("", ("litellmApiKey",)),
    "localai": Service("", ("localAIApiKey",)),
    "mistral": Service(
        "https://api.mistral.ai/v1",
        ("mistralAIAPIKey",),
        ("overrideEndpoint",),
        "mistral-tiny",
        "maxOutputTokens",
        below="/v1",
    ),
    "nvidia": Service("https://integrate.api.nvidia.com/v1", ("nvidiaNIMApiKey",)),
    "openai": Service(OFFICIAL_URL, ("openAIApiKey",), model=DEFAULT_MODEL, ours=True),
    "openrouter": Service("https://openrouter.ai/api/v1", ("openRouterApiKey",)),
    "perplexity": Service("https://api.perplexity.ai", ("perplexityApiKey",), (), "sonar", called="model"),
    "sambanova": Service("https://api.sambanova.ai/v1", ("sambanovaApiKey",), model="Meta-Llama-3.3-70B-Instruct"),
    "together": Service("https://api.together.xyz/v1", ("togetherAIApiKey",)),
    "xai": Service("https://api.x.ai/v1", ("xaiApiKey",), ()),
}
"""The services by the names of their rows in `CHAT_MODELS`."""

OWN_PROTOCOLS = {
    "anthropic": ("https://api.anthropic.com", ("basePath", "basepath", "baseUrl")),
    "google": ("https://generativelanguage.googleapis.com", ("baseUrl",)),
    "ollama": ("http://localhost:11434", ("baseUrl",)),
    "replicate": ("https://api.replicate.com/v1", ("basePath",)),
}
"""Services with protocols of their own: where each is, and the fields of its nodes that hold another URL."""

KEYS = {
    "anthropic": ("anthropicApiKey",),
    "google": ("googleGenerativeAPIKey",),
    "ollama": ("ollamaApiKey",),
    "replicate": ("replicateApiKey",),
}
"""The fields of their credentials that hold the key."""


OWN = {
    "anthropic": ("chatAnthropic", "modelName"),
    "google": ("chatGoogleGenerativeAI", "modelName"),
    "groq": ("groqChat", "modelName"),
    "local": ("chatLocal", "modelPath"),
    "mistral": ("chatMistralAI", "modelName"),
    "ollama": ("chatOllama", "modelName"),
    "openai": ("chatOpenAI", "modelName"),
    "openrouter": ("chatOpenRouter", "modelName"),
}
"""What stands before the colon of RAGSTONE_CHAT_MODEL -> the node whose fields say the same, and its field for what
stands behind."""


def own_model(chosen: str) -> tuple[str, dict[str, str]]:
    """Node name and inputs of RAGSTONE_CHAT_MODEL. Raises `ValueError` for a text that names no model."""
    provider, _, name = chosen.partition(":")
    if provider not in OWN or not name:
        raise ValueError(f"'{chosen}' is not PROVIDER:NAME, of {', '.join(OWN)} (local:FILE.gguf)")
    node, field = OWN[provider]
    return node, {field: name}


def key_of(name: str, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> str:
    """The key for a service: the credential's, else the operator's, which is sent to the service itself alone."""
    fields = SERVICES[name].key if name in SERVICES else KEYS.get(name, ())
    key = text(credential, *fields)
    if key or place_of(name, config, defaults) != place_of(name, {}, defaults):
        return key
    return defaults.keys.get(name, "")


def place_of(
    name: str, config: Mapping[str, Any], defaults: Defaults, credential: Mapping[str, str] | None = None
) -> str:
    """The URL that a service's node is answered from; empty where none is given.

    Azure's stands in the node, else in the credential, which names the resource.
    """
    if name == "azure":
        return azure_place(config, credential or {})
    if name in OWN_PROTOCOLS:
        url, fields = OWN_PROTOCOLS[name]
        if name == "ollama":
            url = defaults.ollama_base_url or url
        return (text(config, *fields) or url).rstrip("/")
    service = SERVICES[name]
    own = text(config, *service.place)
    if own and service.below and not own.rstrip("/").endswith(service.below):
        own = own.rstrip("/") + service.below
    return own or (defaults.openai_base_url if service.ours else "") or service.url


def azure_place(config: Mapping[str, Any], credential: Mapping[str, str]) -> str:
    """The URL of an Azure resource, without what Azure's own paths begin with; empty where neither names one."""
    own = text(config, "basepath", "basePath").rstrip("/")
    if own:
        return own.partition("/openai")[0]
    instance = text(credential, "azureOpenAIApiInstanceName")
    if "." in instance or "/" in instance:  # people paste the whole address
        parts = urlsplit(instance if "://" in instance else f"https://{instance}")
        return f"{parts.scheme}://{parts.netloc}"
    return f"https://{instance}.openai.azure.com" if instance else ""
