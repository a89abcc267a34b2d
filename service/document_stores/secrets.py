"""Secrets in configurations: never shown, sent back as a marker, and not handed on to another place.

A form gets `BLANK` in place of each secret and may send it back: it then means "as it was", as with credentials.
"""

import re
from collections.abc import Mapping
from typing import Any

from service.credentials.types import BLANK
from service.document_stores.sizes import check_config
from service.document_stores.types import Component, StoreRow
from service.errors import Unprocessable
from service.secret_names import OPEN, REFERENCES, is_secret

DESTINATION = re.compile(r"url|uri|host|endpoint|server|base_?path|repo_?link|instance|address|port$", re.IGNORECASE)
"""Names of fields that say where a component sends its secrets."""

FIELDS = {
    "embedding": "embeddingConfig",
    "vector_store": "vectorStoreConfig",
    "record_manager": "recordManagerConfig",
}
"""Configurations of a document store, as callers name them."""

LOADERS = ("loader.config", "config")
"""Configurations that may bring files, which are not kept in them; `loading.mapping` checks how large the rest is."""


def masked(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as callers may see it: the marker in place of each secret."""
    return {key: _masked(key, value) for key, value in config.items()}


def _masked(key: str, value: Any) -> Any:
    if key in OPEN:
        return value
    if is_secret(key, value):
        return BLANK if value not in (None, "", {}, []) else value
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, list):
        return [masked(item) if isinstance(item, Mapping) else _masked("", item) for item in value]
    return value


def restored(asked: Component, before: Component | None, field: str) -> Component:
    """The component that a caller wants in place of `before`, the saved secrets where he sent the marker.

    Raises `Unprocessable` naming the field for a marker that nothing stands behind, and where a saved secret would go
    to another place than before: whoever may change a configuration, but never read it, could have it sent to himself.
    Raises `TooLarge` for a configuration that is too large, but for those of loaders.
    """
    held = before.config if before is not None and asked.name in ("", before.name) else {}
    config = _restored(asked.config, held, field)
    kept = [key for key, value in asked.config.items() if value == BLANK]
    check_destination(config, held, kept, field)
    _check_size(field, config)
    return Component(asked.name, config)


def laid_over(asked: Mapping[str, Any], held: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Fields laid over those of the same component, with its secrets. Raises as `restored`."""
    config = {**held, **_restored(asked, held, field)}
    kept = [key for key, value in held.items() if is_secret(key, value) and asked.get(key, BLANK) == BLANK]
    check_destination(config, held, kept, field)
    _check_size(field, config)
    return config


def _check_size(field: str, config: Mapping[str, Any]) -> None:
    if field not in LOADERS:
        check_config(field, config)


def with_secrets(store: StoreRow | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of a document store, with its saved secrets where they hold the marker. Raises as `restored`."""
    return {
        name: restored(value, getattr(store, name, None), FIELDS[name]) if isinstance(value, Component) else value
        for name, value in changes.items()
    }


def without_secrets(config: Mapping[str, Any]) -> dict[str, Any]:
    """What another component may take over of a configuration."""
    return {key: value for key, value in config.items() if key not in REFERENCES and not is_secret(key, value)}


def check_destination(config: Mapping[str, Any], held: Mapping[str, Any], kept: list[str], field: str) -> None:
    """Raises `Unprocessable` where the secrets `kept` would be sent elsewhere than in `held`."""
    moved = [
        key
        for key in config.keys() | held.keys()
        if key not in kept and DESTINATION.search(key) and config.get(key, "") != held.get(key, "")
    ]
    if moved and kept:
        raise Unprocessable(f"{field}.{kept[0]}: give it anew; {min(moved)} changes where it is sent")


def _restored(asked: Mapping[str, Any], held: Mapping[str, Any], field: str) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for key, value in asked.items():
        before = held.get(key)
        if key in OPEN:
            config[key] = value
        elif value == BLANK:
            if before in (None, "", BLANK):
                raise Unprocessable(f"{field}.{key}: the marker stands for a saved secret, and there is none")
            config[key] = before
        elif isinstance(value, str) and BLANK in value:
            raise Unprocessable(f"{field}.{key}: is the marker of a hidden secret, not a value")
        elif isinstance(value, Mapping):
            config[key] = _restored(value, before if isinstance(before, Mapping) else {}, f"{field}.{key}")
        else:
            config[key] = value
    return config
