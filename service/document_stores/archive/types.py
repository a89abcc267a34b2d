"""What an import writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.document_stores.types import Component


@dataclass(frozen=True, slots=True)
class NewLoader:
    """A loader of an imported document store."""

    id: UUID
    component: Component
    label: str
    splitter: Component | None
    kept: bool
    principals: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document of an imported document store."""

    id: UUID
    loader_id: UUID
    source: str
    name: str
    mime: str | None
    size: int
    sha256: bytes
    recipe: Mapping[str, Any]
    state: str
    digest: bytes | None
    error_code: str | None
    error: str | None
    namespace: str
    superseded: int
    edited: bool
    principals: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class NewRow:
    """A chunk of an imported document store; `number` is None when it is not indexed."""

    id: UUID
    document_id: UUID
    loader_id: UUID
    number: int | None
    position: int
    head: str
    text: str
    metadata: Mapping[str, Any]
    edited: bool
    own_vector: bool
    """Whether its vector may be one that a caller brought."""
    job_id: UUID
