"""Chat models by name, and the Flowise node names that stand for them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from service.plugins import resolve
from service.providers.defaults import Defaults
from service.providers.errors import UnknownProvider

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CHAT_MODELS = {
    "groq": "service.providers.chat.openai:groq",
    "localai": "service.providers.chat.openai:localai",
    "mistral": "service.providers.chat.openai:mistral",
    "openai": "service.providers.chat.openai:configured",
    "openrouter": "service.providers.chat.openai:openrouter",
    "local": "service.providers.chat.local:configured",
    "fake": "service.providers.chat.fake:configured",
}

NODES = {
    "chatOpenAI": "openai",
    "chatOpenAICustom": "openai",
    "chatLocalAI": "localai",
    "chatMistralAI": "mistral",
    "chatOpenRouter": "openrouter",
    "groqChat": "groq",
    "chatLocal": "local",
}
"""Flowise node name -> chat model. `chatLocal` is ours."""


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
    made: BaseChatModel = resolve(CHAT_MODELS, row, "chat model")(
        config or {}, credential or {}, defaults or Defaults()
    )
    return made
