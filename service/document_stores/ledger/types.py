"""Documents and chunks, as the ledger knows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

LONGEST_SOURCE = 2500
"""Bytes of what a document is known by: it stands in a unique index, whose rows take 2,704 at most."""

NUMBERED = 100
"""Bytes more, at most, of the numbers that tell sources of one name apart."""

IDS: Mapping[str, str] = {"docId": "loader_id", "chunkId": "id"}
"""Fields that results show beside a chunk's own metadata, and the columns that they come from. Filters know them;
points do not keep them."""

LONGEST_MIME = 1000
"""Characters of a MIME type."""

LONGEST_ERROR = 5000
"""Characters of why a document failed: enough for people, and an archive takes it."""


def told(message: str) -> str:
    """A message in `LONGEST_ERROR` characters: what is cut ends in an ellipsis."""
    return message if len(message) <= LONGEST_ERROR else message[: LONGEST_ERROR - 1] + "…"


class DocumentState(StrEnum):
    """SAVED when it waits for somebody to process its loader; PENDING while its job has not come to it; READY when its
    chunks are live; LEAVING when its job (without one: the next of its loader) will remove it once what replaces it is
    there; FAILED with a reason."""

    SAVED = "saved"
    PENDING = "pending"
    READY = "ready"
    LEAVING = "leaving"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A source in a document store: what was uploaded last, and how far it is indexed.

    `digest` is that of the content and recipe which the live chunks were made from; `blob` holds the newest upload.
    `superseded` of the live chunks are from former content, kept because a record manager wants it. `principals` may
    find it; None: it is not restricted.
    """

    id: UUID
    store_id: UUID
    loader_id: UUID
    job_id: UUID | None
    source: str
    name: str
    mime: str | None
    size: int
    sha256: bytes
    blob: str
    recipe: Mapping[str, Any]
    state: DocumentState
    digest: bytes | None
    error_code: str | None
    error: str | None
    chunks: int
    characters: int
    superseded: int
    principals: Sequence[str] | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A piece of a document's text with its metadata. `position` counts from 0 in its document.

    `number` names the chunk in the keyword index and among the vectors; None: it is in neither of them.
    """

    id: UUID
    document_id: UUID
    loader_id: UUID
    number: int | None
    position: int
    head: str
    text: str
    metadata: Mapping[str, Any]
    edited: bool
    place: int = 0
    """Among the chunks of its loader, from 1, in pages of chunks."""
    principals: Sequence[str] | None = None
    """Who may find its document, in pages of chunks."""

    @property
    def index_text(self) -> str:
        """What is embedded and searched by words."""
        return indexed(self.head, self.text)


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk that the plan for a document asks for. `head` holds the lines that its text is indexed under; `vector`
    its embedding as 32-bit floats, little-endian, where its caller brought one. `foreign`: the one that he brought is
    of another space than the document store has by now, and left out; the text is embedded in place of that."""

    id: UUID
    position: int
    text: str
    metadata: Mapping[str, Any]
    head: str = ""
    vector: bytes | None = None
    foreign: bool = False

    @property
    def index_text(self) -> str:
        """What is embedded and searched by words."""
        return indexed(self.head, self.text)


def indexed(head: str, text: str) -> str:
    """What is embedded and searched by words for a chunk: its text, under its head if it has one."""
    return f"{head}\n{text}" if head else text


@dataclass(frozen=True, slots=True)
class PendingChunk:
    """What is indexed of a chunk in the ledger, and its number if it is indexed already."""

    id: UUID
    document_id: UUID
    number: int | None
    head: str
    text: str
    metadata: Mapping[str, Any]

    @property
    def index_text(self) -> str:
        """What is embedded and searched by words."""
        return indexed(self.head, self.text)


@dataclass(slots=True)
class Counts:
    """What an upsert did to chunks, in the words of the contract. `failed` counts documents."""

    added: int = 0
    updated: int = 0
    skipped: int = 0
    deleted: int = 0


def chunk_id(store: UUID, source: str, fingerprint: str, text: str, index_text: str, occurrence: int) -> UUID:
    """The id of a chunk: equal for equal text, indexed equally, cut by an equal splitter from one source, so that
    upserting twice adds nothing. `occurrence` tells equal chunks of one document apart."""
    parts = (source, fingerprint, str(occurrence), text, index_text)
    digest = sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).digest()
    return masked(store, UUID(bytes=digest[:16], version=4))


def masked(store: UUID, key: UUID) -> UUID:
    """A chunk's key, which is the same in every document store, as its id in this one; and an id as its key again.

    So a chunk can move to another document store, an edited one too, whose first text nobody knows any more.
    """
    mask = sha256(store.bytes).digest()
    return UUID(bytes=bytes(left ^ right for left, right in zip(key.bytes, mask, strict=False)), version=4)
