"""What a component is: a node of Flowise's forms, with the fields that its configuration may have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Category(StrEnum):
    """Where a component belongs, under Flowise's heading."""

    LOADERS = "Document Loaders"
    SPLITTERS = "Text Splitters"
    EMBEDDINGS = "Embeddings"
    VECTOR_STORES = "Vector Stores"
    RECORD_MANAGERS = "Record Manager"
    AGENT_FLOWS = "Agent Flows"
    UTILITIES = "Utilities"


class FieldType(StrEnum):
    """How a field is entered, in Flowise's words."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    JSON = "json"
    FILE = "file"
    OPTIONS = "options"
    MULTI_OPTIONS = "multiOptions"
    ASYNC_OPTIONS = "asyncOptions"
    ARRAY = "array"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a configuration. `choices` are its values where it has a fixed list, with their labels."""

    name: str
    label: str
    type: FieldType = FieldType.STRING
    optional: bool = False
    default: Any = None
    description: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    suffixes: str = ""
    """The file names that a FILE takes, as a form shows them: `.pdf`."""
    rows: int = 0
    """Lines of the input of a long text."""
    items: "tuple[Field, ...]" = ()
    """The fields of each row of an ARRAY."""
    method: str = ""
    """What lists the values of ASYNC_OPTIONS (`choices.METHODS`)."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place that another component is linked to, by the class it must be."""

    name: str
    label: str
    accepts: str
    optional: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A component under the name that configurations give it."""

    name: str
    label: str
    category: Category
    description: str
    fields: tuple[Field, ...]
    anchors: tuple[Anchor, ...] = ()
    version: float = 1
    base_classes: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    """Kinds of credential it can take."""
    credential_optional: bool = True
    connector: bool = False
    """A loader that fetches what it loads: there only while the table of connectors has it."""

    def field(self, name: str) -> Field | None:
        """The field of this name."""
        return next((item for item in self.fields if item.name == name), None)

    @property
    def files(self) -> tuple[Field, ...]:
        """The fields that hold files to load."""
        return tuple(item for item in self.fields if item.type is FieldType.FILE and item.name != "caFile")
