"""Flowise's loaders in our words: which loader reads the files, with which options, and what it adds or leaves out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from loaders import DETECT, canonical
from loaders.base import LoaderError
from loaders.splitters import splitter as make_splitter
from loaders.splitters.base import SplitterError
from service.connectors import canonical as connector_name
from service.connectors import open_connector
from service.document_stores.loading.files import FILE_FIELDS
from service.document_stores.recipe import Recipe, clean
from service.document_stores.sizes import check_config
from service.document_stores.types import Component
from service.errors import TooLarge, Unprocessable
from service.nodes import service as nodes
from service.nodes.service import json_object
from service.nodes.types import Node
from service.resources import Resources

NO_OPTIONS = FILE_FIELDS | {
    "text", "metadata", "textSplitter", "omitMetadataKeys", "credential", "FLOWISE_CREDENTIAL_ID",
    "legacyBuild", "unstructuredAPIUrl", "strategy", "encoding", "pdfUsage",
}  # fmt: skip
"""Fields of loaders that decide nothing about how a file is read, or do so under another name."""

BROUGHT = FILE_FIELDS | {"text"}
"""Fields of loaders that hold what they load, and are bounded as uploads are."""

POINTED = ("json", "jsonl")
"""Loaders that read metadata in the file: a text such as `/author` is a JSON pointer, where anything stands there."""

OPTIONS_OF_CONNECTORS = ("usage", "pointerName", "pointersName", "separateByObject", "columnName")
"""Fields of a loader that fetches that are for reading what it fetched; its others say what to fetch."""


CONFIG = "loader.config"
"""What calls name a loader's configuration, unless they say otherwise."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the files of a loader are read. `loader` is a row of `LOADERS` or `DETECT`."""

    loader: str
    options: Mapping[str, Any]
    omit: tuple[str, ...]
    """Metadata that chunks do not get; `*`: none but additional ones."""


def recipe_of(
    resources: Resources, workspace: UUID, component: Component, splitter: Component | None, *, field: str = CONFIG
) -> Recipe:
    """How what a loader reads becomes chunks; `field` is where the caller gave the loader's configuration.

    Raises `Unprocessable` naming a bad field, `TooLarge`.
    """
    check_config(field, {key: value for key, value in component.config.items() if key not in BROUGHT})
    check_config("splitter.config", splitter.config if splitter else {})
    read = _reading(resources, workspace, component, field)
    name = splitter.name if splitter and splitter.name else "default"
    config = splitter.config if splitter else {}
    try:
        make_splitter(name, config)
    except SplitterError as error:
        raise Unprocessable(f"splitter.{error.field}: {error.message}") from None
    metadata = metadata_of(resources, component, field=field)
    options = clean({**read.options, **_pointers(read.loader, metadata)}, field)
    return Recipe(read.loader, options, name, clean(config, "splitter.config"), metadata, omit=read.omit)


def metadata_of(resources: Resources, component: Component, *, field: str = CONFIG) -> Mapping[str, Any]:
    """What a loader's configuration adds to the metadata of every chunk. Raises as `recipe_of`."""
    field = f"{field}.metadata"
    metadata: dict[str, Any] = clean(json_object(component.config.get("metadata"), field), field)
    size = len(json.dumps(metadata, ensure_ascii=False).encode())
    if size > (limit := resources.settings.max_metadata):
        raise TooLarge(f"max_metadata: the metadata have {size} bytes, the limit is {limit}")
    return metadata


def _pointers(loader: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Of the metadata that are added to what loaders of JSON read, those that may be pointers to values in the file."""
    found = {key: value for key, value in metadata.items() if isinstance(value, str) and value.startswith("/")}
    return {"metadata": found} if found and loader in POINTED else {}


def _reading(resources: Resources, workspace: UUID, component: Component, field: str) -> Reading:
    """How a configured loader reads."""
    config = component.config
    node = _node(component.name)
    if node is not None:
        nodes.check(node, config, field)
    omit = _omitted(config.get("omitMetadataKeys"))
    _check_credential(config.get("credential"), field)
    if node is not None and node.connector:
        connector = open_connector(resources, workspace, component.name, config)
        asked = {key: config.get(key) for key in OPTIONS_OF_CONNECTORS}
        return Reading(connector.loader, _set({**connector.loader_options, **_usage(config), **_set(asked)}), omit)
    options = {key: value for key, value in config.items() if key not in NO_OPTIONS}
    return Reading(_loader(component.name), _set({**_usage(config), **options}), omit)


def _node(name: str) -> Node | None:
    """The component of a name; short names of connectors stand for them."""
    return nodes.find(connector_name(name) or name)


def _loader(name: str) -> str:
    if name == "file":
        return DETECT
    if (reason := nodes.refusal(name)) is not None:
        raise Unprocessable(f"loader.name: '{name}' is not available here. {reason}")
    try:
        return canonical(name)
    except LoaderError:
        raise Unprocessable(f"loader.name: '{name}' is not available here; use one of {_known()}") from None


def _check_credential(value: Any, field: str) -> None:
    try:
        UUID(str(value or UUID(int=0)))
    except ValueError:
        raise Unprocessable(f"{field}.credential: '{str(value)[:80]}' is not the id of a credential") from None


def is_remote(component: str) -> bool:
    """Whether a loader fetches what it loads."""
    node = _node(component)
    return node is not None and node.connector


def _known() -> str:
    return ", ".join(nodes.loader_names())


def _usage(config: Mapping[str, Any]) -> dict[str, Any]:
    """What loaders of several kinds of file call `pdfUsage` is the `usage` of the PDF loader."""
    return {"usage": config.get("pdfUsage")}


def _set(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None and value != ""}


def _omitted(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple):
        return ()
    return tuple(sorted({str(key).strip() for key in value if str(key).strip()}))
