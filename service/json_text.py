"""JSON that stands in texts of requests, read within bounds."""

import json
from collections.abc import Mapping
from json.scanner import py_make_scanner  # type: ignore[attr-defined]  # documented by its use in json.decoder
from typing import Any

MAX_DEPTH = 100
"""Objects and lists within each other; deeper ones are made to exhaust whoever walks through them."""


AT_ONCE = 1024 * 1024
"""Characters or bytes of JSON that are read at once. Reading in C lets no other thread run before its end: 100 MB of
small values would hold up the whole process for ten seconds."""


class _Steps(json.JSONDecoder):
    """Reads value by value, so that other threads run in between; strings and numbers in C, as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.scan_once = py_make_scanner(self)


def read(text: str | bytes) -> Any:
    """The JSON value, as `json.loads` gives it. Long texts belong into a thread of their own."""
    if len(text) <= AT_ONCE:
        return json.loads(text)
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    return _Steps().decode(text.removeprefix("\ufeff"))


def parsed(text: str) -> Any:
    """The value in a JSON text. Raises `ValueError` for what is no JSON, and what is nested deeper than `MAX_DEPTH`."""
    try:
        value = read(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check_depth(value)
    return value


def check_depth(value: object) -> None:
    """Raises `ValueError` for a JSON value that is nested deeper than `MAX_DEPTH`."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [item for part in level for item in _parts(part) if isinstance(item, Mapping | list)]
        if not level:
            return
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _parts(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []
