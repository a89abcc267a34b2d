"""What is kept of an upsert."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.secret_names import REFERENCES, is_confidential


@dataclass(frozen=True, slots=True)
class Entry:
    """An upsert that is done: its counts, and how the nodes that took part were configured."""

    id: UUID
    target: UUID
    """The chatflow or document store that was upserted into."""
    result: Mapping[str, Any]
    flow_data: Sequence[Mapping[str, Any]]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field of a component as an upsert found it."""

    name: str
    label: str
    type: str
    value: Any


def described(identifier: str, name: str, label: str, category: str, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """A component as the history shows it (contract 2.2): secrets and files left out, long texts cut."""
    return {
        "label": label,
        "name": name,
        "category": category,
        "id": identifier,
        "paramValues": [
            {"label": item.label, "name": item.name, "type": item.type, "value": _short(item.value)}
            for item in parameters[:MOST_PARAMETERS]
            if item.type not in HIDDEN_TYPES and not _is_hidden(item) and item.value not in (None, "")
        ],
    }


MOST_PARAMETERS = 40
LONGEST_VALUE = 300

HIDDEN_TYPES = frozenset({"password", "file", "folder", "credential"})
FILES = ("txtfile", "pdffile", "docxfile", "csvfile", "jsonfile", "jsonlinesfile", "yamlfile", "fileobject", "file")


def _is_hidden(item: Parameter) -> bool:
    return item.name.lower() in FILES or item.name in REFERENCES or is_confidential(item.name, item.value)


def _short(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"
