"""How often visitors may call a chatflow: `apiConfig.rateLimit` (contract 1.5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.errors import BadRequest

MOST_SECONDS = 366 * 24 * 3600
MOST_CALLS = 2**31 - 1

DEFAULT_MESSAGE = "Too many requests. Please try again later."


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `most` calls of one address within `seconds` of its first one; `message` is said to further ones."""

    most: int
    seconds: int
    message: str


def rate_limit_of(config: Mapping[str, Any]) -> RateLimit | None:
    """The limit in an `apiConfig`; None where there is none or it is switched off. Raises `BadRequest`."""
    found = config.get("rateLimit")
    if not isinstance(found, Mapping) or found.get("status") is not True:
        return None
    message = found.get("limitMsg")
    return RateLimit(
        _number(found, "limitMax", MOST_CALLS),
        _number(found, "limitDuration", MOST_SECONDS),
        message if isinstance(message, str) and message.strip() else DEFAULT_MESSAGE,
    )


def _number(config: Mapping[str, Any], name: str, most: int) -> int:
    """A whole number from 1, which forms send as text too."""
    value = config.get(name)
    try:
        number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else 0
    except ValueError:
        number = 0
    if not 1 <= number <= most:
        raise BadRequest(f"apiConfig.rateLimit.{name}: must be a whole number from 1 to {most}")
    return number
