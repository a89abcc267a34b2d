"""Configurations as they may leave the installation."""

from collections.abc import Mapping
from typing import Any

from service.document_stores.types import Component
from service.secret_names import OPEN, REFERENCES, is_secret


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
        elif key in REFERENCES or is_secret(key, value):
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
