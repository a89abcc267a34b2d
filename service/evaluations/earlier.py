"""What was said before a row's question, by the row itself: so questions that follow others can be asked alone."""

from collections.abc import Mapping
from typing import Any

from service.chatflows.types import Role, Turn
from service.predictions.text import clean

MOST_TURNS = 200
"""Turns of a conversation that a target is told of, the newest ones."""


def earlier(metadata: Mapping[str, Any]) -> tuple[Turn, ...]:
    """The turns of a row's `metadata.history`, oldest first, in the shape that predictions and `vectorstore/query` take
    (`role`, `content`). Metadata is anybody's: what is no turn is left out."""
    given = metadata.get("history")
    if not isinstance(given, list):
        return ()
    turns = []
    for item in given[-MOST_TURNS:]:
        role, content = (item.get("role"), item.get("content")) if isinstance(item, Mapping) else (None, None)
        if isinstance(role, str) and role in set(Role) and isinstance(content, str) and content.strip():
            turns.append(Turn(Role(role), clean(content)))
    return tuple(turns)
