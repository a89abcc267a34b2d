"""JSON that stands in texts of requests, read within bounds."""

import json
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 100
"""Objects and lists within each other; deeper ones are made to exhaust whoever walks through them."""


def parsed(text: str) -> Any:
    """The value in a JSON text. Raises `ValueError` for what is no JSON, and what is nested deeper than `MAX_DEPTH`."""
    try:
        value = json.loads(text)
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
