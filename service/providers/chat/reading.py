"""Reads what a model says besides its answer's text: what it thinks aloud, and what its answer took."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # importing LangChain costs half a second of CPU: only what runs a model pays for it
    from langchain_core.messages import AIMessage
    from langchain_core.messages.ai import UsageMetadata


def thoughts(message: "AIMessage") -> list[str]:
    """What a reasoning model thinks aloud. Looking costs: plain pieces hold nothing of the kind."""
    if isinstance(message.content, str):
        thought = message.additional_kwargs.get("reasoning_content")
        return [thought] if isinstance(thought, str) and thought else []
    blocks = (block for block in message.content_blocks if block["type"] == "reasoning")
    return [str(text) for block in blocks if (text := block.get("reasoning"))]


def total(before: "UsageMetadata | None", taken: "UsageMetadata") -> "UsageMetadata":
    """The sum: some providers count with every piece of a stream what came since the last."""
    from langchain_core.messages.ai import add_usage

    return add_usage(before, taken) if before else taken


class Timed:
    """How long a model thought."""

    def __init__(self) -> None:
        """Not yet."""
        self._since: float | None = None

    def began(self) -> None:
        """It thinks; only the first time counts."""
        self._since = self._since or time.monotonic()

    def ended(self) -> float | None:
        """The seconds since it began, once; None when it does not think."""
        since, self._since = self._since, None
        return None if since is None else round(time.monotonic() - since, 3)
