"""What a job is to fetch, what is known of what was fetched before, and what a fetch did."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from service.connectors.base import Item
from service.document_stores.ledger.types import LONGEST_SOURCE, DocumentState
from service.document_stores.types import Component
from service.secret_names import redacted_text

MAX_FAILURES = 500
"""Most documents that could not be fetched that a result spells out; their number is always complete."""


class Empty(StrEnum):
    """What it means that a place lists nothing."""

    FAILS = "fails"
    """The job fails with that reason: somebody wants to see documents."""
    KEEPS = "keeps"
    """Nothing: what the loader holds stays."""
    REMOVES = "removes"
    """The loader is to hold nothing."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What a job is to fetch: what a loader names, as the loader's row has it when the job looks.

    Neither addresses nor headers are part of it, so that a job's payload holds no secrets.
    """

    loader_id: UUID
    every: bool = False
    """Whether documents that are as they should be are the job's too, so that it makes or counts their chunks."""
    remake: bool = False
    """Whether edited chunks are made again though nothing changed."""
    namespace: str | None = None
    """Of the record manager that the call names; None: of that which the document store has."""
    empty: Empty = Empty.KEEPS
    may_remove: bool = True
    """Whether documents leave that a complete listing does not name."""

    def as_json(self) -> dict[str, Any]:
        """For the payload."""
        return {
            "docId": str(self.loader_id),
            "every": self.every,
            "remake": self.remake,
            "namespace": self.namespace,
            "empty": self.empty.value,
            "mayRemove": self.may_remove,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Errand":
        """What `as_json` wrote."""
        return cls(
            UUID(value["docId"]),
            value["every"],
            value["remake"],
            value["namespace"],
            Empty(value["empty"]),
            value["mayRemove"],
        )


def left_of(payload: Mapping[str, Any], *, but: UUID | None = None) -> list[Errand]:
    """The errands of a job that are not done yet, without that for the loader `but`."""
    errands = [Errand.from_json(value) for value in payload.get("fetch", ())]
    done = payload.get("gathered", {})
    return [errand for errand in errands if str(errand.loader_id) not in done and errand.loader_id != but]


def lock_of(loader_id: UUID) -> str:
    """The lock of jobs that fetch for a loader: they run one after another."""
    return f"fetch:{loader_id}"


def shown(item: Item) -> Item:
    """An item as it is kept and shown: without the secrets in its address, and with a source that is not too long. It
    stays apart from items that differ in what is left out alone, and is the same one whenever it is listed."""
    source, digest = redacted_text(item.source), sha256(item.source.encode()).hexdigest()
    if len(long := source.encode()) > LONGEST_SOURCE:
        source = f"{long[: LONGEST_SOURCE - 65].decode(errors='ignore')}#{digest}"
    elif source != item.source:
        source = f"{source}#{digest[:16]}"
    name, url = redacted_text(item.name), redacted_text(item.url) if item.url else item.url
    return (
        item
        if (source, name, url) == (item.source, item.name, item.url)
        else replace(item, source=source, name=name, url=url)
    )


@dataclass(frozen=True, slots=True)
class Setup:
    """A loader as it is configured, whatever it holds."""

    id: UUID
    name: str
    component: str
    config: Mapping[str, Any]
    splitter: Component | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document was fetched, and what its place said of those bytes; kept in the document's row."""

    url: str | None = None
    etag: str | None = None
    modified: str | None = None
    size: int | None = None
    """Bytes, as the place lists them."""

    def as_json(self) -> dict[str, Any]:
        """For the row."""
        return {"url": self.url, "etag": self.etag, "modified": self.modified, "size": self.size}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Origin":
        """What `as_json` wrote; what it lacks is not known."""
        return cls(value.get("url"), value.get("etag"), value.get("modified"), value.get("size"))

    def is_of(self, item: Item) -> bool:
        """Whether a listed item is what was taken: by its ETag, else by time and size together."""
        if item.etag is not None or self.etag is not None:
            return item.etag is not None and item.etag == self.etag
        listed = item.modified is not None and item.size is not None
        return listed and (item.modified, item.size) == (self.modified, self.size)


@dataclass(frozen=True, slots=True)
class Held:
    """A document that the ledger holds under a source."""

    id: UUID
    loader_id: UUID
    job_id: UUID | None
    state: DocumentState
    sha256: bytes
    blob: str
    origin: Origin | None
    same_recipe: bool
    """Whether it is to become chunks in the way that was asked about, whatever it is cited by."""
    cited: str | None
    """What its chunks name as their source."""
    lost: bool
    """Whether it failed and has no bytes, so that it must be fetched even when it is unchanged."""

    def busy_or_done(self, job_id: UUID) -> bool:
        """Whether it is indexed, or this very job will do it."""
        return self.state is DocumentState.READY or (self.state is DocumentState.PENDING and self.job_id == job_id)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a job puts what it fetched, and how that becomes chunks."""

    store_id: UUID
    loader_id: UUID
    job_id: UUID
    recipe: Mapping[str, Any]
    namespace: str
    remake: bool

    def recipe_of(self, url: str | None) -> Mapping[str, Any]:
        """The recipe of a document; what has an address is cited by it, unless the loader's metadata say otherwise."""
        return {**self.recipe, "metadata": {"source": url, **self.recipe["metadata"]}} if url else self.recipe

    def settled(self, held: Held, url: str | None) -> bool:
        """Whether a document is indexed as it should be, or this very job will do it."""
        cited = "source" in self.recipe["metadata"] or held.cited == url
        return held.busy_or_done(self.job_id) and held.same_recipe and cited


@dataclass(slots=True)
class Tally:
    """What a job did so far. Documents that could not be fetched are `failures`, the first of them in `failed`."""

    listed: int = 0
    unchanged: int = 0
    fetched: int = 0
    claimed: int = 0
    gone: int = 0
    failures: int = 0
    kept: int = 0
    """Documents that would have left, had the listing not been empty or incomplete."""
    error: dict[str, Any] | None = None
    """Why the listing is not complete."""
    failed: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """What the job's result says of it."""
        return {
            "listed": self.listed,
            "unchanged": self.unchanged,
            "fetched": self.fetched,
            "claimed": self.claimed,
            "left": self.gone,
            "fetchFailures": self.failures,
            "complete": self.error is None,
            "listingError": self.error,
            "keptForSafety": self.kept,
            "failed": self.failed,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Tally":
        """What `as_json` wrote."""
        return cls(
            value["listed"],
            value["unchanged"],
            value["fetched"],
            value["claimed"],
            value["left"],
            value["fetchFailures"],
            value["keptForSafety"],
            value["listingError"],
            list(value["failed"]),
        )

    def __add__(self, other: "Tally") -> "Tally":
        """Both in all."""
        return Tally(
            self.listed + other.listed,
            self.unchanged + other.unchanged,
            self.fetched + other.fetched,
            self.claimed + other.claimed,
            self.gone + other.gone,
            self.failures + other.failures,
            self.kept + other.kept,
            self.error or other.error,
            [*self.failed, *other.failed][:MAX_FAILURES],
        )

    def fail(self, name: str, code: str, message: str) -> None:
        """Name something that could not be fetched."""
        if len(self.failed) < MAX_FAILURES:
            self.failed.append({"name": name, "code": code, "message": message})
