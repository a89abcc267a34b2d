"""What is kept of the conversations with a flow: `apiConfig.conversations = {"store": bool, "days": number}`, a key of
ours. It stands there as apiConfig is never shown to visitors."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from service.errors import BadRequest
from service.settings import Settings

KEY = "conversations"
LONGEST = 36_500.0
"""Days; more are as many: no date lies so far back."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a flow's owner says. None: what the operator's settings say."""

    store: bool | None = None
    """False: no message, file, lead or execution of a conversation is left when it has been answered, and the model
    sees those earlier turns alone that the client sends along."""
    days: float | None = None
    """For how long messages are kept."""

    def stores(self, settings: Settings) -> bool:
        """Whether anything of a conversation is kept."""
        return settings.store_messages if self.store is None else self.store


def read(api_config: Mapping[str, Any]) -> Keeping:
    """What a parsed apiConfig says. Raises `BadRequest` naming the field."""
    said = api_config.get(KEY)
    if said is None:
        return Keeping()
    if not isinstance(said, Mapping):
        raise BadRequest(f"apiConfig.{KEY}: must be an object with `store` and `days`")
    store, days = said.get("store"), said.get("days")
    if store is not None and not isinstance(store, bool):
        raise BadRequest(f"apiConfig.{KEY}.store: must be true or false")
    if days is None:
        return Keeping(store)
    if isinstance(days, bool) or not isinstance(days, int | float) or not 0 < days < math.inf:
        raise BadRequest(f"apiConfig.{KEY}.days: must be a number above 0")
    return Keeping(store, float(min(days, LONGEST)))


@lru_cache(maxsize=512)
def keeping_of(api_config: str | None) -> Keeping:
    """What the apiConfig of a stored flow says; where it cannot be read, nothing is kept rather than too much."""
    try:
        parsed = json.loads(api_config) if api_config else None
        return read(parsed) if isinstance(parsed, Mapping) else Keeping()
    except (ValueError, RecursionError):
        return Keeping()  # of before such texts were refused
    except BadRequest:
        return Keeping(store=False)
