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
from service.secret_names import OPEN, REFERENCES, TEXTS, is_secret

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
    _check_destination(config, held, asked.config, field)
    _check_size(field, config)
    return Component(asked.name, config)


def laid_over(asked: Mapping[str, Any], held: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Fields laid over those of the same component, with its secrets. Raises as `restored`."""
    config = {**held, **_restored(asked, held, field)}
    _check_destination(config, held, asked, field)
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
    """What another component may take over of a configuration: fields without any secret in them."""
    return {
        key: value
        for key, value in config.items()
        if key not in REFERENCES and not is_secret(key, value) and _masked(key, value) == value
    }


def _check_destination(
    config: Mapping[str, Any], held: Mapping[str, Any], asked: Mapping[str, Any], field: str
) -> None:
    """Raises `Unprocessable` where saved secrets, which `asked` does not give, would be sent elsewhere than in `held`,
    however deep secret and destination lie."""
    after, before, told = _places(config), _places(held), _places(asked)
    kept = [
        place
        for place, value in before.items()
        if place in after and is_secret(place.rpartition(".")[2], value) and told.get(place, BLANK) == BLANK
    ]
    moved = [
        place
        for place in after.keys() | before.keys()
        if place not in kept and DESTINATION.search(place) and after.get(place, "") != before.get(place, "")
    ]
    if moved and kept:
        raise Unprocessable(f"{field}.{kept[0]}: give it anew; {min(moved)} changes where it is sent")


def _places(config: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """What stands where in a configuration, objects in it and lists of them taken apart; but for callers' own data."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if key in OPEN or key in TEXTS:
            continue
        if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            value = {str(number): item for number, item in enumerate(value)}
        if isinstance(value, Mapping) and not is_secret(key, value):
            found |= _places(value, f"{within}{key}.")
        else:
            found[within + key] = value
    return found


def _holds_marker(value: Any) -> bool:
    if isinstance(value, Mapping | list):
        return any(map(_holds_marker, value.values() if isinstance(value, Mapping) else value))
    return isinstance(value, str) and BLANK in value


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
        elif isinstance(value, list) and isinstance(before, list) and value == _masked(key, before):
            config[key] = before
        elif isinstance(value, list) and _holds_marker(value):
            raise Unprocessable(f"{field}.{key}: holds markers of hidden secrets; give these anew to change the list")
        else:
            config[key] = value
    return config
