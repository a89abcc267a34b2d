"""Asks OpenAI, or a server that speaks as it does, whether its rules forbid a text."""

from collections.abc import Mapping
from typing import Any

from service.providers.chat import create_chat_model
from service.providers.chat.base import close_chat_model
from service.providers.defaults import Defaults
from service.providers.errors import Malformed
from service.providers.openai_errors import retried

MODEL = "omni-moderation-latest"
MOST = 100_000
"""Characters that are looked at."""


class Moderation:
    """The endpoint `/moderations`, with the connections, the errors and the retries of the chat models."""

    def __init__(self, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> None:
        """Fields and credential as chatOpenAI has them; nothing is asked yet. Raises `RequestRefused`."""
        self._chat: Any = create_chat_model("chatOpenAI", config, credential, defaults=defaults)
        self._retries = defaults.max_retries

    async def forbids(self, text: str) -> bool:
        """Whether the rules forbid the text. Raises `ProviderError`."""

        async def call() -> Any:
            return await self._chat.root_async_client.moderations.create(model=MODEL, input=text[:MOST])

        key: str = self._chat.openai_api_key.get_secret_value()
        answer = await retried(call, self._retries, key=key)
        try:
            return any(bool(item.flagged) for item in answer.results)
        except (AttributeError, TypeError) as error:
            raise Malformed from error

    async def aclose(self) -> None:
        """Close the connections."""
        await close_chat_model(self._chat)
