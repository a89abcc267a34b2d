"""Configurations as they may leave the installation."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from service.document_stores.types import Component

CREDENTIAL = frozenset({"credential", "FLOWISE_CREDENTIAL_ID"})

SECRET = re.compile(
    r"(api|access|private|secret|encryption|signing)_?-?key|secret|passw|passphrase|token$|authorization|credential"
    r"|headers?$|cookie|baseoptions|connection_?string",
    re.IGNORECASE,
)
"""Names of fields that may hold a secret."""

OPEN = frozenset({"metadata"})
"""Fields that hold the caller's own data under whatever names."""


def bare(component: Component) -> tuple[Component, bool]:
    """The component without its credential and without fields that may hold a secret, and whether there were any."""
    config, dropped = _bare(component.config)
    return Component(component.name, config), dropped


def bare_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a loader without fields that may hold a secret."""
    return _bare(options)[0]


def _bare(config: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    kept: dict[str, Any] = {}
    dropped = False
    for key, value in config.items():
        if key in OPEN:
            kept[key] = value
        elif key in CREDENTIAL or SECRET.search(key) or _names_a_password(value):
            dropped = dropped or value not in (None, "")
        elif isinstance(value, Mapping):
            kept[key], inner = _bare(value)
            dropped = dropped or inner
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            items = [_bare(item) if isinstance(item, Mapping) else (item, False) for item in value]
            kept[key] = [item for item, _ in items]
            dropped = dropped or any(inner for _, inner in items)
        else:
            kept[key] = value
    return kept, dropped


def _names_a_password(value: object) -> bool:
    """Whether it is a URL with a password in it."""
    if not isinstance(value, str) or "@" not in value:
        return False
    try:
        return urlsplit(value).password is not None
    except ValueError:
        return False
