"""Chat models by name, and the Flowise node names that stand for them."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from service.plugins import resolve
from service.providers.defaults import Defaults
from service.providers.errors import MissingLibrary, UnknownProvider

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CHAT_MODELS = {
    "alibaba": "service.providers.chat.openai:alibaba",
    "anthropic": "service.providers.chat.anthropic:configured",
    "azure": "service.providers.chat.azure:configured",
    "cerebras": "service.providers.chat.openai:cerebras",
    "cloudflare": "service.providers.chat.openai:cloudflare",
    "cohere": "service.providers.chat.openai:cohere",
    "comet": "service.providers.chat.openai:comet",
    "deepseek": "service.providers.chat.openai:deepseek",
    "fireworks": "service.providers.chat.openai:fireworks",
    "google": "service.providers.chat.google:configured",
    "groq": "service.providers.chat.openai:groq",
    "huggingface": "service.providers.chat.openai:huggingface",
    "litellm": "service.providers.chat.openai:litellm",
    "localai": "service.providers.chat.openai:localai",
    "mistral": "service.providers.chat.openai:mistral",
    "nvidia": "service.providers.chat.openai:nvidia",
    "ollama": "service.providers.chat.ollama:configured",
    "openai": "service.providers.chat.openai:configured",
    "openrouter": "service.providers.chat.openai:openrouter",
    "perplexity": "service.providers.chat.openai:perplexity",
    "replicate": "service.providers.chat.replicate:configured",
    "sambanova": "service.providers.chat.openai:sambanova",
    "together": "service.providers.chat.openai:together",
    "xai": "service.providers.chat.openai:xai",
    "local": "service.providers.chat.local:configured",
    "fake": "service.providers.chat.fake:configured",
}

NODES = {
    "azureChatOpenAI": "azure",
    "azureChatOpenAI_LlamaIndex": "azure",
    "azureOpenAI": "azure",
    "chatAlibabaTongyi": "alibaba",
    "chatAnthropic": "anthropic",
    "chatAnthropic_LlamaIndex": "anthropic",
    "chatCerebras": "cerebras",
    "chatCloudflareWorkersAI": "cloudflare",
    "chatCohere": "cohere",
    "chatCometAPI": "comet",
    "chatDeepseek": "deepseek",
    "chatFireworks": "fireworks",
    "chatGoogleGenerativeAI": "google",
    "chatGroq_LlamaIndex": "groq",
    "chatHuggingFace": "huggingface",
    "chatLitellm": "litellm",
    "chatLocal": "local",
    "chatLocalAI": "localai",
    "chatMistralAI": "mistral",
    "chatMistral_LlamaIndex": "mistral",
    "chatNvidiaNIM": "nvidia",
    "chatOllama": "ollama",
    "chatOllama_LlamaIndex": "ollama",
    "chatOpenAI": "openai",
    "chatOpenAICustom": "openai",
    "chatOpenAI_LlamaIndex": "openai",
    "chatOpenRouter": "openrouter",
    "chatPerplexity": "perplexity",
    "chatSambanova": "sambanova",
    "chatTogetherAI": "together",
    "chatTogetherAI_LlamaIndex": "together",
    "chatXAI": "xai",
    "cohere": "cohere",
    "fireworks": "fireworks",
    "groqChat": "groq",
    "huggingFaceInference_LLMs": "huggingface",
    "ollama": "ollama",
    "openAI": "openai",
    "replicate": "replicate",
    "sambanova": "sambanova",
    "togetherAI": "together",
}
"""Flowise node name -> chat model. `chatLocal` is ours."""

EXTRAS = {
    "anthropic": ("langchain_anthropic", "anthropic"),
    "google": ("langchain_google_genai", "google"),
    "ollama": ("langchain_ollama", "ollama"),
}
"""Chat model -> the library that it needs beyond the base, and the extra of this package that brings it."""


def lacking(name: str) -> MissingLibrary | None:
    """What keeps a chat model, by a name of ours or of a node, from being made here: a library that is not there."""
    module, extra = EXTRAS.get(NODES.get(name, name), ("", ""))
    return MissingLibrary(module.replace("_", "-"), extra) if module and find_spec(module) is None else None


def load(name: str) -> None:
    """Import what makes a chat model, by a name of ours or of a node; blocks, for some libraries a second or two.

    Raises `MissingLibrary` naming the extra."""
    row = NODES.get(name, name)
    if (missing := lacking(row)) is not None:
        raise missing
    resolve(CHAT_MODELS, row, "chat model")


def create_chat_model(
    name: str,
    config: Mapping[str, Any] | None = None,
    credential: Mapping[str, str] | None = None,
    *,
    defaults: Defaults | None = None,
) -> "BaseChatModel":
    """The chat model of a name of ours or of a Flowise node, configured by the node's fields; nothing is loaded yet.

    Make one for a compiled flow and keep it: it holds the pool of connections. `credential` holds the plain data of
    the credential the node names. Raises `UnknownProvider` with the names that are available, `RequestRefused`
    naming a field with a bad value, `MissingLibrary` naming the extra.
    """
    row = NODES.get(name, name)
    if row not in CHAT_MODELS:
        known = ", ".join([*(key for key in CHAT_MODELS if key != "fake"), *NODES])
        raise UnknownProvider(f"There is no chat model '{name}' here. Available: {known}.")
    if (missing := lacking(row)) is not None:
        raise missing
    _trace_nothing()
    made: BaseChatModel = resolve(CHAT_MODELS, row, "chat model")(
        config or {}, credential or {}, defaults or Defaults()
    )
    return made


def _trace_nothing() -> None:
    """Have LangChain send what models read and write to no tracing service, past the egress client, by variables that
    stand in the environment for another program. With those of its old tracing it would answer nothing at all."""
    os.environ["LANGSMITH_TRACING_V2"] = "false"  # goes before all other names of this
    for old in ("LANGCHAIN_TRACING", "LANGCHAIN_HANDLER"):
        os.environ.pop(old, None)
