"""Where the values of a credential may be sent when it names no hosts of its own."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from service.credentials.types import HOSTS, Component, Value
from service.settings import Settings

HOMES: Mapping[str, tuple[str, ...]] = {
    "AlibabaApi": ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"),
    "anthropicApi": ("api.anthropic.com",),
    "awsApi": ("*.amazonaws.com", "*.amazonaws.com.cn"),
    "azureOpenAIApi": ("*.openai.azure.com", "*.cognitiveservices.azure.com"),
    "cerebrasAIApi": ("api.cerebras.ai",),
    "braveSearchApi": ("api.search.brave.com",),
    "chromaApi": ("*.trychroma.com",),
    "cloudflareApi": ("api.cloudflare.com",),
    "cohereApi": ("api.cohere.com", "api.cohere.ai"),
    "cometApi": ("api.cometapi.com",),
    "deepseekApi": ("api.deepseek.com",),
    "fireworksApi": ("api.fireworks.ai",),
    "exaSearchApi": ("api.exa.ai",),
    "githubApi": ("api.github.com", "github.com", "raw.githubusercontent.com"),
    "googleCustomSearchApi": ("www.googleapis.com", "customsearch.googleapis.com"),
    "googleGenerativeAI": ("generativelanguage.googleapis.com",),
    "groqApi": ("api.groq.com",),
    "huggingFaceApi": ("huggingface.co", "*.huggingface.co"),
    "jinaAIApi": ("api.jina.ai",),
    "mistralAIApi": ("api.mistral.ai",),
    "nvidiaNIMApi": ("integrate.api.nvidia.com",),
    "ollamaApi": ("ollama.com",),
    "openAIApi": ("api.openai.com", "*.api.openai.com"),
    "openRouterApi": ("openrouter.ai",),
    "perplexityApi": ("api.perplexity.ai",),
    "qdrantApi": ("*.cloud.qdrant.io",),
    "replicateApi": ("api.replicate.com",),
    "sambanovaApi": ("api.sambanova.ai",),
    "searchApi": ("www.searchapi.io",),
    "serpApi": ("serpapi.com",),
    "serperApi": ("google.serper.dev",),
    "tavilyApi": ("api.tavily.com",),
    "togetherAIApi": ("api.together.xyz",),
    "voyageAIApi": ("api.voyageai.com",),
    "wolframAlphaAppId": ("api.wolframalpha.com",),
    "xaiApi": ("api.x.ai",),
}
"""Component -> the provider's own hosts; `*.` stands for every name below."""

_OPERATORS = frozenset({"openAIApi", "localAIApi"})
"""Components whose server the operator names in RAGSTONE_OPENAI_BASE_URL."""


_NAME = re.compile(r"(\*\.)?[^\s:/?#@*\[\]]+")


def is_pattern(value: str) -> bool:
    """Whether a value is a host name, `*.` and a host name, or an address: what `fits` can ever match."""
    try:
        return bool(_NAME.fullmatch(value) or ip_address(value))
    except ValueError:
        return False


def own_hosts(values: Mapping[str, Value]) -> list[str]:
    """The hosts that a credential names, as patterns."""
    return [part.strip().lower() for part in str(values.get(HOSTS, "")).split(",") if part.strip()]


def default_hosts(component: str, kind: Component | None, values: Mapping[str, Value], settings: Settings) -> list[str]:
    """The hosts of a credential that names none: its provider's own, those in its own values, the operator's."""
    places = (
        [str(values.get(item.name, "")) for item in kind.inputs if item.binds and item.name != HOSTS] if kind else []
    )
    if component in _OPERATORS:
        places.append(settings.openai_base_url)
    return [*HOMES.get(component, ()), *(host for place in places if (host := _host(place)))]


def fits(host: str, patterns: Sequence[str]) -> bool:
    """Whether a host is one of the patterns, or lies under one that starts with `*.`."""
    host = host.lower().rstrip(".")
    return any(host.endswith(item[1:]) if item.startswith("*.") else host == item for item in patterns)


def _host(value: str) -> str:
    try:
        return (urlsplit(value if "://" in value else f"//{value}").hostname or "").lower()
    except ValueError:
        return ""
