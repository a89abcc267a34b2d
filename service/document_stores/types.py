"""What a document store is, and what callers ask of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from uuid import UUID, uuid5


class StoreStatus(StrEnum):
    """Derived from jobs, documents and vectors whenever it is asked for, so that it cannot get stuck.

    EMPTY without loaders; STALE while a loader is not SYNC; SYNC when every loader is but chunks are not indexed;
    UPSERTING while a job indexes; else UPSERTED.
    """

    EMPTY = "EMPTY"
    SYNC = "SYNC"
    STALE = "STALE"
    UPSERTING = "UPSERTING"
    UPSERTED = "UPSERTED"


class LoaderStatus(StrEnum):
    """SYNCING while a document of the loader is not indexed, STALE when one failed, else SYNC."""

    SYNC = "SYNC"
    SYNCING = "SYNCING"
    STALE = "STALE"


@dataclass(frozen=True, slots=True)
class Component:
    """A configured part of a document store: the component's name and its fields, as on the wire."""

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """`{name, config}`."""
        return {"name": self.name, "config": dict(self.config)}


@dataclass(frozen=True, slots=True)
class Backend:
    """A vector store other than the service's own, by what finds it again whatever is configured by then."""

    url: str
    """As the operator would name it, `chroma://host:8000?tenant=a`: without keys, and with its port."""
    credential: UUID | None = None
    """Whose value is the key, as it is when the store is opened."""

    @property
    def scheme(self) -> str:
        """The kind of vector store."""
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        """The host that it is on; "" when it is on none."""
        return urlsplit(self.url).hostname or ""

    @property
    def title(self) -> str:
        """What people read of it: its kind, its host and its port."""
        return " at ".join(filter(None, (self.scheme, urlsplit(self.url).netloc)))

    def as_json(self) -> dict[str, Any]:
        """`{url, credential}`."""
        return {"url": self.url, "credential": str(self.credential) if self.credential else None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> "Backend | None":
        """What `as_json` wrote; None stands for the service's own vector store."""
        if value is None:
            return None
        return cls(value["url"], UUID(value["credential"]) if value["credential"] else None)


@dataclass(frozen=True, slots=True)
class LoaderFile:
    """A file of a loader, with the reason why it is not indexed, if so."""

    id: UUID
    name: str
    mime: str | None
    size: int
    status: LoaderStatus
    error: str | None
    created_at: datetime
    principals: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class LoaderRow:
    """A loader: one upload of one or more files with one recipe. `docId` on the wire."""

    id: UUID
    store_id: UUID
    component: str
    name: str
    config: Mapping[str, Any]
    splitter: Component | None
    credential: str | None
    status: LoaderStatus
    chunks: int
    characters: int
    files: Sequence[LoaderFile] = ()
    principals: Sequence[str] | None = None
    """Who may find documents that come in through it from now on."""


LOADERS_ARE_ADDED = "Upserts and POST /document-store/loader/save add loaders"
"""For who would have a document store changed to have one."""


@dataclass(frozen=True, slots=True)
class Use:
    """A chatflow or agentflow that names a document store."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class StoreRow:
    """A document store. Configurations are None until they are given or the first upsert takes the defaults."""

    id: UUID
    workspace: UUID
    name: str
    description: str | None
    status: StoreStatus
    embedding: Component | None
    vector_store: Component | None
    record_manager: Component | None
    fingerprint: Mapping[str, Any] | None
    collection: str | None
    created_at: datetime
    updated_at: datetime
    backend: Backend | None = None
    """Where `collection` is; None: in the service's own vector store."""
    loaders: Sequence[LoaderRow] = ()
    restricted: bool = False
    """What carries no principals is found by nobody."""
    guarded: bool = False
    """Some of its documents carry principals."""
    used_by: Sequence[Use] = ()
    """By name; empty where nobody asked."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way into a document store. `stream` is read once, from where it stands."""

    name: str
    stream: BinaryIO
    mime: str | None = None
    source: str | None = None
    """Stable id of where it came from; None: its name."""


@dataclass(frozen=True, slots=True)
class Upsert:
    """What an upsert call asks for, whatever the transport. Parts left None are inherited or take the defaults."""

    doc_id: UUID | None = None
    metadata: Mapping[str, Any] | None = None
    replace_existing: bool = False
    chunk_only: bool = False
    """Chunks are made, and indexed only if the document store has vectors already."""
    remake: bool = False
    """Edited chunks are made again from their source though it is the same; `replace_existing` does that too."""
    new_store: bool = False
    new_store_name: str | None = None
    new_store_description: str | None = None
    loader_label: str | None = None
    loader: Component | None = None
    splitter: Component | None = None
    embedding: Component | None = None
    vector_store: Component | None = None
    record_manager: Component | None = None
    principals: Sequence[str] | None = None
    """Who may find what the call brings, and what comes in through its loader later; None: as it is."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whom a query is made for: somebody with these principals; none: somebody unknown.

    `everything`: nobody in particular, and nothing is held back but what is in restricted document stores.
    """

    principals: frozenset[str] = frozenset()
    everything: bool = False

    @property
    def name(self) -> str:
        """Tells conversations of different viewers apart; empty for those who say nothing of themselves."""
        if not self.principals:
            return ""
        return sha256("\n".join(sorted(self.principals)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Owner:
    """The vector-store node of a chatflow that a document store stands for; `name` is what the store is called."""

    flow_id: UUID
    node_id: str
    name: str

    @property
    def store_id(self) -> UUID:
        """The id of that document store, whether it is there yet or not."""
        return uuid5(self.flow_id, f"vector store {self.node_id}")


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk that answers a query. `score` is the strategy's, higher is better; `similarity` the cosine, where the
    strategy knows it. Metadata carry `source`, `title`, `page`, `heading`, `start`, `end` where known, and `docId`."""

    id: UUID
    text: str
    metadata: Mapping[str, Any]
    score: float
    similarity: float | None
    document_id: UUID
    loader_id: UUID
    position: int
