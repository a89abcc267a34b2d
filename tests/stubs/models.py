"""Chat models and embedders of every row, at the stub's place instead of the service's own."""

from dataclasses import replace
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from service.providers.chat import create_chat_model
from service.providers.chat.services import KEYS, SERVICES
from service.providers.defaults import Defaults
from service.providers.embedding import create_embedder
from service.providers.embedding.base import Embedder
from tests.stubs.model_servers import ModelStub
from tests.stubs.openai_server import KEY, near

AZURE = {
    "azureOpenAIApiKey": KEY,
    "azureOpenAIApiInstanceName": "here",
    "azureOpenAIApiDeploymentName": "deployed",
    "azureOpenAIApiVersion": "2024-10-21",
}
PLACES = {"anthropic": "basePath", "google": "baseUrl", "ollama": "baseUrl", "replicate": "basePath"}
"""Services with protocols of their own -> the field that holds their address."""


def chat_at(name: str, stub: ModelStub, defaults: Defaults | None = None, **config: Any) -> BaseChatModel:
    """The chat model of a row that is asked over HTTP."""
    reached = near(defaults)
    if name == "azure":
        return create_chat_model(name, {"basepath": stub.root, "modelName": "m"} | config, AZURE, defaults=reached)
    if name in PLACES:
        model = {"model": "o/m"} if name == "replicate" else {"modelName": "m"}
        fields = {PLACES[name]: stub.root} | model | config
        return create_chat_model(name, fields, {KEYS[name][0]: KEY}, defaults=reached)
    credential = {SERVICES[name].key[0]: KEY, "cloudflareAccountId": "v1"}
    with pytest.MonkeyPatch.context() as patch:
        url = f"{stub.root}" if name == "cloudflare" else stub.url
        patch.setitem(SERVICES, name, replace(SERVICES[name], url=url))
        return create_chat_model(name, {SERVICES[name].called: "m"} | config, credential, defaults=reached)


EMBEDDED_AT: dict[str, tuple[str, str, dict[str, str]]] = {
    "azure": ("basepath", "", AZURE),
    "cohere": ("basePath", "/v2", {"cohereApiKey": KEY}),
    "google": ("baseUrl", "", {"googleGenerativeAPIKey": KEY}),
    "huggingface": ("endpoint", "/tei", {"huggingFaceApiKey": KEY}),
    "jina": ("basePath", "/v1", {"jinaAIAPIKey": KEY}),
    "mistral": ("overrideEndpoint", "/v1", {"mistralAIAPIKey": KEY}),
    "ollama": ("baseUrl", "", {}),
    "openai": ("basepath", "/v1", {"openAIApiKey": KEY}),
    "together": ("basePath", "/v1", {"togetherAIApiKey": KEY}),
    "voyage": ("basePath", "/v1", {"apiKey": KEY}),
}
"""Embedders over HTTP -> the field of their address, what it ends with, and their credential."""


def embedder_at(name: str, stub: ModelStub, defaults: Defaults | None = None, **config: Any) -> Embedder:
    """The embedder of a row that is asked over HTTP."""
    field, path, credential = EMBEDDED_AT[name]
    fields = {field: stub.root + path, "modelName": "m", "batchSize": "3"} | config
    return create_embedder(name, fields, credential, defaults=near(defaults))
