"""What a dataset is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.feedback.types import Rating


class GoldKind(StrEnum):
    """How a source that must be found is named."""

    SOURCE = "source"
    """By the name of the document, as the chunks' metadata have it."""
    DOCUMENT = "documentId"
    """By the document's id."""
    CHUNK = "chunkId"
    """By the chunk's id, which changes with the splitter's settings."""
    QUOTE = "quote"
    """By words that stand in it, however it is cut."""


@dataclass(frozen=True, slots=True)
class Gold:
    """One source that a retrieval should find."""

    kind: GoldKind
    value: str


@dataclass(frozen=True, slots=True)
class RowDraft:
    """What callers set of a row. `draft`: nobody has accepted it yet, so that no evaluation uses it. `origin` names
    what the row was made of: a dataset has one row of it at most."""

    input: str
    output: str = ""
    sources: Sequence[Gold] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    draft: bool = False
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Row(RowDraft):
    """A row as it is kept. `sequence_no` counts from 0 in its dataset; `ordinal` decides between equal ones."""

    id: UUID = field(kw_only=True)
    dataset: UUID = field(kw_only=True)
    sequence_no: int = field(kw_only=True)
    ordinal: int = field(kw_only=True)
    updated_at: datetime = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset as it is kept. `updated_at` changes with every change of it or of a row."""

    id: UUID
    workspace: UUID
    name: str
    description: str
    rows: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class RatedAnswers:
    """Which rated answers become rows: of a chatflow, by rating and by the date of the answer."""

    chatflow: UUID
    ratings: Sequence[Rating] = tuple(Rating)
    start: datetime | None = None
    end: datetime | None = None
    gold: GoldKind = GoldKind.CHUNK
    everything: bool = False
    """Those too that were said to somebody with principals."""


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """An answer with its question and what was said of it. `sources` as the message has them."""

    id: UUID
    sequence: int
    question: str
    answer: str
    sources: Any
    rating: Rating
    said: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of rated answers: new rows, and how many there were before."""

    created: int
    known: int


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A chunk that questions are made of."""

    id: UUID
    document: UUID
    head: str
    text: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which questions are drafted from a document store. `seed`: which chunks are drawn; the same draws the same."""

    store: UUID
    count: int = 20
    seed: int = 0
    gold: GoldKind = GoldKind.CHUNK
    model: bool = True
    """Ask the service's own chat model, where there is one."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """What became of a wish for questions: how many rows, how many of these a model wrote, and why not all."""

    created: int
    by_model: int
    fallback: str | None
