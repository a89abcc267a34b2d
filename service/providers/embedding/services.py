"""The services that texts are embedded by over HTTP, and where each of them is."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from service.providers.chat.services import azure_place
from service.providers.defaults import Defaults
from service.providers.options import text

HOMES = {
    "cohere": "https://api.cohere.com/v2",
    "google": "https://generativelanguage.googleapis.com",
    "huggingface": "https://router.huggingface.co/hf-inference",
    "jina": "https://api.jina.ai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "ollama": "http://localhost:11434",
    "together": "https://api.together.xyz/v1",
    "voyage": "https://api.voyageai.com/v1",
}
"""Embedder -> where its provider is. Azure's addresses are its customers' own."""

KEYS: dict[str, tuple[str, ...]] = {
    "azure": ("azureOpenAIApiKey",),
    "cohere": ("cohereApiKey",),
    "google": ("googleGenerativeAPIKey",),
    "huggingface": ("huggingFaceApiKey",),
    "jina": ("jinaAIAPIKey",),
    "mistral": ("mistralAIAPIKey",),
    "ollama": ("ollamaApiKey",),
    "together": ("togetherAIApiKey",),
    "voyage": ("apiKey",),
}
"""Embedder -> the fields of its credential that hold the key."""

_PLACES = {"huggingface": ("endpoint",), "mistral": ("overrideEndpoint",), "voyage": ("basePath", "baseUrl")}
"""Fields of the node that hold another URL, where they have names of their own."""


def place_of(
    name: str, config: Mapping[str, Any], defaults: Defaults, credential: Mapping[str, str] | None = None
) -> str:
    """The URL below which an embedder's provider answers; empty where only the credential says it."""
    if name == "azure":
        return azure_place(config, credential or {})
    own = text(config, *_PLACES.get(name, ("basePath", "basepath", "baseUrl"))).rstrip("/")
    if name == "voyage" and not own:
        own = text(credential or {}, "endpoint").rstrip("/").removesuffix("/embeddings")
    if name == "mistral" and own and not own.endswith("/v1"):
        own += "/v1"
    home = defaults.ollama_base_url.rstrip("/") if name == "ollama" and defaults.ollama_base_url else HOMES[name]
    return own or home


def host_of(
    name: str, config: Mapping[str, Any], defaults: Defaults, credential: Mapping[str, str] | None = None
) -> str:
    """The host that a credential is sent to; empty where only the credential says it."""
    if name == "voyage" and credential is None:
        return ""  # its credential may hold another address
    return urlsplit(place_of(name, config, defaults, credential)).hostname or ""
