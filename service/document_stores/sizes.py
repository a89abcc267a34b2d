"""How large the configuration of a component may be: as large as an archive takes, or a store could not be exported."""

import json
from collections.abc import Mapping
from typing import Any

from service.errors import TooLarge

MAX_CONFIG = 256 * 1024
"""Bytes of a configuration as JSON; the manifest of an archive holds three, a line of documents two and metadata."""


def check_config(field: str, config: Mapping[str, Any]) -> None:
    """Raises `TooLarge`, naming the field, for a configuration that is larger than `MAX_CONFIG`."""
    size = len(json.dumps(config, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    if size > MAX_CONFIG:
        raise TooLarge(f"max_config: {field} has {size} bytes as JSON, the limit is {MAX_CONFIG}")
