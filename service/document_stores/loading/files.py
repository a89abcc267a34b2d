"""The files that stand in a loader's configuration: as data URIs, or as names of files that are kept already."""

import base64
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from service.document_stores.types import Upload
from service.errors import Unprocessable
from service.json_text import parsed
from service.nodes.service import NODES
from service.nodes.types import Category
from service.secret_names import redacted

KEPT = "FILE-STORAGE::"
"""Begins a value that names kept files: `FILE-STORAGE::["a.txt"]`, or one bare name."""

FILE_FIELDS = frozenset(
    {field.name for node in NODES.values() if node.category is Category.LOADERS for field in node.files}
    | {"file", "yamlFile"}
)
"""Fields of loaders that hold files."""

_PIECE = 1024 * 1024
"""Characters of base64 that are decoded at once: other threads wait for that long. Four are three bytes."""


def field_of(component: str) -> str | None:
    """The field that a loader's files are shown under; None for one that takes no files."""
    node = NODES.get(component)
    if node is None:
        return "file"
    return node.files[0].name if node.files else None


def shown(component: str, config: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """A loader's configuration as callers see it: with the names of its files."""
    field = field_of(component)
    if field is None or not names:
        return dict(config)
    return {**config, field: KEPT + json.dumps(names, ensure_ascii=False)}


def source_of(component: str, config: Mapping[str, Any]) -> str | None:
    """What a loader without files of its own loads, in words: the address of its place, without secrets in it; None for
    one with files."""
    if field_of(component) is not None:
        return None
    for key in ("url", "webPath", "repoLink", "bucketName", "folderPath"):
        if isinstance(value := config.get(key), str) and value:
            place = redacted(value)
            return f"{place} ({config.get('method') or 'GET'})" if component == "apiLoader" else place
    return "None"


def place_of(component: str, config: Mapping[str, Any]) -> str:
    """What people know the place by that a loader asks; at most 500 characters."""
    place = source_of(component, config)
    return place[:500] if place and place != "None" else component


def kept_names(config: Mapping[str, Any]) -> frozenset[str] | None:
    """The kept files that a configuration names; None when it says nothing of kept files."""
    named = [
        value.removeprefix(KEPT)
        for key in FILE_FIELDS
        if isinstance(value := config.get(key), str) and value.startswith(KEPT)
    ]
    return frozenset(name for value in named for name in _items(value)) if named else None


def carries_files(config: Mapping[str, Any]) -> bool:
    """Whether files stand in a configuration themselves."""
    return any(
        isinstance(value := config.get(key), str) and bool(value.strip()) and not value.startswith(KEPT)
        for key in FILE_FIELDS
    )


def inline_files(config: Mapping[str, Any]) -> list[Upload]:
    """The files that a configuration carries; blocks. Raises `Unprocessable` naming the field."""
    return [upload for key in sorted(FILE_FIELDS & config.keys()) for upload in _of_field(key, config[key])]


def without_files(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without its files, as it is kept."""
    return {key: value for key, value in config.items() if key not in FILE_FIELDS}


def _of_field(key: str, value: Any) -> Iterator[Upload]:
    if value and not isinstance(value, str):
        raise Unprocessable(f"loader.config.{key}: must be a text; several files are the JSON text of a list")
    if not value or value.isspace() or value.startswith(KEPT):
        return
    for item in _items(value):
        yield _data_uri(key, item)


def _items(value: str) -> list[str]:
    if not value.lstrip().startswith("["):
        return [value]
    try:
        items = parsed(value)
    except ValueError:
        return [value]
    return [item for item in items if isinstance(item, str) and item]


def _data_uri(field: str, value: str) -> Upload:
    """`data:<mime>;base64,<data>,filename:<name>`, as Flowise's forms send files."""
    head, _, rest = value.partition(",")
    data, _, tail = rest.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise Unprocessable(f"loader.config.{field}: must be data:<mime>;base64,<data>,filename:<name>")
    try:
        content = _decoded(data)
    except ValueError:
        raise Unprocessable(f"loader.config.{field}: the base64 data are damaged") from None
    name = tail.removeprefix("filename:") or field
    return Upload(PurePosixPath(name).name or field, content, head[5:-7] or None)


def _decoded(data: str) -> io.BytesIO:
    """The bytes in base64. Raises `ValueError` for what is none."""
    content = io.BytesIO()
    for start in range(0, len(data), _PIECE):
        content.write(base64.b64decode(data[start : start + _PIECE], validate=True))
    if 0 <= data.find("=") < len(data) - 2:
        raise ValueError("data after the end")
    content.seek(0)
    return content
