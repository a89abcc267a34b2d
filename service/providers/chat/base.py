"""The chat model port: LangChain's `BaseChatModel`, which fails in our words and can be closed.

Every model of the table, whatever makes it:

- raises only `ChatModelError` and what lies below it (`service.providers.errors`), with messages fit for users;
- streams (`astream`) the same text that it gives at once (`ainvoke`);
- ends its request when the task that awaits or iterates it is cancelled, or the stream is closed;
- reports `usage_metadata` where the provider counts tokens.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from langchain_core.language_models import BaseChatModel

from service.providers.defaults import Defaults
from service.providers.errors import ProviderError

ChatModelError = ProviderError
"""The root of what a chat model raises."""


class ChatModelMaker(Protocol):
    """What a row of the table names: makes a model from the fields of a Flowise node and its credential's data."""

    def __call__(self, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> BaseChatModel:
        """Nothing is loaded or asked yet. Unknown fields are ignored; a bad value raises `RequestRefused`."""
        ...


@runtime_checkable
class Closable(Protocol):
    """A model that holds connections or memory."""

    async def aclose(self) -> None:
        """Give them back."""
        ...


async def close_chat_model(model: BaseChatModel) -> None:
    """Give back what the model holds, if anything."""
    if isinstance(model, Closable):
        await model.aclose()
