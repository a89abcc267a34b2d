"""What is asked of a flow's vector store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from service.document_stores.types import Owner, Upload, Upsert
from service.errors import Unprocessable
from service.jobs.types import Job

Part = tuple[Upsert, list[Upload]]
"""A loader of the graph, and what it brings."""


@dataclass(frozen=True, slots=True)
class FlowUpsert:
    """A call, free of any wire format."""

    stop_node: str = ""
    """The vector store that is meant; empty: the only one."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    chat: str = ""
    files: Sequence[Upload] = ()
    principals: Sequence[str] | None = None
    """Who may find what the call brings; copies keep those of what they are copied from."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A `documentStore` loader: the documents of a document store are brought again."""

    title: str
    store_id: UUID
    source: str
    """What the sources of the copies begin with."""
    upsert: Upsert


@dataclass(slots=True)
class Plan:
    """What an upsert of a graph does. `notes` say what has no effect here, `lacking` which loaders bring nothing."""

    owner: Owner
    parts: list[Part] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    flow_data: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Started:
    """An upsert whose job is queued."""

    job: Job
    store_id: UUID
    notes: tuple[str, ...]


class NoStore(Unprocessable):
    """The chatflow has no vector store that can be upserted into."""

    code = "no_vector_store"


class AmbiguousStore(Unprocessable):
    """The chatflow has several vector stores."""

    code = "ambiguous_vector_store"


class FilesRefused(Unprocessable):
    """The chatflow takes no files from callers."""

    code = "files_refused"
