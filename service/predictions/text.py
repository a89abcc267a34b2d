"""Text that every part of the service can hold: a database refuses NUL, UTF-8 has no lone surrogates."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str, allow_nan=False)
_SPACED = json.JSONEncoder(ensure_ascii=False, default=str, allow_nan=False)
_SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without NUL, and with U+FFFD for each lone surrogate."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    return _SURROGATES.sub("\ufffd", text)


def json_of(value: Any, *, compact: bool = True) -> str:
    """The value as JSON text: null for numbers that JSON has none for, which tools and models write."""
    encoder = _COMPACT if compact else _SPACED
    try:
        return encoder.encode(value)
    except ValueError:
        return encoder.encode(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
