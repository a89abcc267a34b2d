"""Flowise's loaders in our words: which loader reads the files, with which options, and what it adds or leaves out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from loaders import DETECT, canonical
from loaders.base import LoaderError
from service.connectors import canonical as connector_name
from service.connectors import open_connector
from service.document_stores.loading.files import FILE_FIELDS
from service.document_stores.types import Component
from service.errors import Unprocessable
from service.nodes import service as nodes
from service.nodes.types import Node
from service.resources import Resources

NO_OPTIONS = FILE_FIELDS | {
    "text", "metadata", "textSplitter", "omitMetadataKeys", "credential", "FLOWISE_CREDENTIAL_ID",
    "legacyBuild", "unstructuredAPIUrl", "encoding", "pdfUsage",
}  # fmt: skip
"""Fields of loaders that decide nothing about how a file is read, or do so under another name."""

OPTIONS_OF_CONNECTORS = ("usage", "pointerName", "pointersName", "separateByObject", "columnName")
"""Fields of a loader that fetches that are for reading what it fetched; its others say what to fetch."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the files of a loader are read. `loader` is a row of `LOADERS` or `DETECT`."""

    loader: str
    options: Mapping[str, Any]
    omit: tuple[str, ...]
    """Metadata that chunks do not get; `*`: none but additional ones."""


def reading(resources: Resources, workspace: UUID, component: Component) -> Reading:
    """How a configured loader reads. Raises `Unprocessable` naming the field, and what there is for an unknown name."""
    config = component.config
    node = _node(component.name)
    if node is not None:
        nodes.check(node, config, "loader.config")
    omit = _omitted(config.get("omitMetadataKeys"))
    _check_credential(config.get("credential"))
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
        raise Unprocessable(f"loader.name: '{name}' is not available here: {reason}. Use one of {_known()}.")
    try:
        return canonical(name)
    except LoaderError:
        raise Unprocessable(f"loader.name: '{name}' is not available here; use one of {_known()}") from None


def _check_credential(value: Any) -> None:
    try:
        UUID(str(value or UUID(int=0)))
    except ValueError:
        raise Unprocessable(f"loader.config.credential: '{str(value)[:80]}' is not the id of a credential") from None


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
