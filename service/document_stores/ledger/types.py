"""Documents and chunks, as the ledger knows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID


class DocumentState(StrEnum):
    """PENDING while its job has not come to it; READY when its chunks are live; LEAVING when its job will remove it
    once what replaces it is there; FAILED with a reason."""

    PENDING = "pending"
    READY = "ready"
    LEAVING = "leaving"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A source in a document store: what was uploaded last, and how far it is indexed.

    `digest` is that of the content and recipe which the live chunks were made from; `blob` holds the newest upload.
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

    @property
    def index_text(self) -> str:
        """What is embedded and searched by words."""
        return indexed(self.head, self.text)


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk that the plan for a document asks for. `head` holds the lines that its text is indexed under."""

    id: UUID
    position: int
    text: str
    metadata: Mapping[str, Any]
    head: str = ""

    @property
    def index_text(self) -> str:
        """What is embedded and searched by words."""
        return indexed(self.head, self.text)


def indexed(head: str, text: str) -> str:
    """What is embedded and searched by words for a chunk: its text, under its head if it has one."""
    return f"{head}\n{text}" if head else text


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
    parts = (store.hex, source, fingerprint, str(occurrence), text, index_text)
    digest = sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).digest()
    return UUID(bytes=digest[:16], version=4)
