"""Reads the fields of a Flowise node, where numbers may be text and an empty text means "not set"."""

from collections.abc import Mapping
from typing import Any

from service.json_text import parsed
from service.providers.errors import RequestRefused


def text(config: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that is set, stripped; else an empty text."""
    for name in names:
        value = config.get(name)
        if value is not None and str(value).strip():
            return str(value).strip()
    return ""


def number(config: Mapping[str, Any], name: str, *, least: float | None = None) -> float | None:
    """A numeric field; None when not set. Raises `RequestRefused` naming the field."""
    value = text(config, name)
    if not value:
        return None
    try:
        parsed = float(value)
    except ValueError:
        raise RequestRefused(f"The field '{name}' must be a number, not '{value[:40]}'.") from None
    if parsed != parsed or parsed in (float("inf"), float("-inf")) or (least is not None and parsed < least):
        raise RequestRefused(f"The field '{name}' must be a number of at least {least or 0:g}, not '{value[:40]}'.")
    return parsed


def whole(config: Mapping[str, Any], name: str, *, least: int = 1) -> int | None:
    """A whole-number field; None when not set. Raises `RequestRefused` naming the field."""
    parsed = number(config, name, least=least)
    if parsed is not None and parsed != int(parsed):
        raise RequestRefused(f"The field '{name}' must be a whole number, not {parsed:g}.")
    return None if parsed is None else int(parsed)


def flag(config: Mapping[str, Any], name: str, default: bool) -> bool:
    """A yes-or-no field, as JSON or as text."""
    value = config.get(name)
    if value is None or value == "":
        return default
    return value if isinstance(value, bool) else str(value).strip().lower() in ("true", "1", "yes")


def headers(config: Mapping[str, Any], name: str = "baseOptions") -> dict[str, str]:
    """Extra HTTP headers: Flowise's `baseOptions`, an object or its JSON text. Raises `RequestRefused`.

    A `defaultHeaders` or `headers` object inside is taken in its place, as Flowise's UI writes both.
    """
    value = config.get(name)
    if value is None or value == "":
        return {}
    try:
        given = parsed(value) if isinstance(value, str) else value
    except ValueError:
        raise RequestRefused(f"The field '{name}' must be a JSON object.") from None
    if not isinstance(given, Mapping):
        raise RequestRefused(f"The field '{name}' must be a JSON object.")
    given = given.get("defaultHeaders") or given.get("headers") or given
    return {str(key): str(item) for key, item in given.items() if not isinstance(item, Mapping | list)}


def seconds(config: Mapping[str, Any], default: float) -> float:
    """The field `timeout`, which Flowise gives in milliseconds, in seconds."""
    milliseconds = number(config, "timeout", least=1)
    return default if milliseconds is None else milliseconds / 1000
