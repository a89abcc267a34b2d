"""What forms ask of loaders, and what they are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service.document_stores.ledger.types import NewChunk
from service.document_stores.types import Component

WEB_PAGES_SHOWN = 3
"""Most documents that trying a loader out fetches."""


@dataclass(frozen=True, slots=True)
class LoaderForm:
    """A loader as a form gives it. What is None is as the saved loader `id` has it."""

    store_id: UUID | None = None
    id: UUID | None = None
    component: Component | None = None
    label: str | None = None
    splitter: Component | None = None
    """With a component and without this: the default splitter."""
    principals: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a loader would bring: its first chunks, and how many there are in all."""

    chunks: Sequence[NewChunk]
    total: int


@dataclass(frozen=True, slots=True)
class Override:
    """A field of a component that calls may give another value."""

    node: str
    node_id: str
    label: str
    name: str
    type: str
