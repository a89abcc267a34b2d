"""How a document becomes chunks: loader, splitter, their options, extra metadata; and the chunks it becomes."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

from langchain_core.documents import Document

from loaders import DETECT
from loaders.base import ADDED, Source
from loaders.detect import declared
from loaders.splitters import splitter
from loaders.splitters.base import Splitter
from service.document_stores.ledger.types import NewChunk, chunk_id, indexed
from service.errors import Unprocessable

INDEX_VERSION = 1
"""Raised when the text that is embedded for a chunk is made differently: documents are then indexed anew."""

_UTF_8 = ("", "utf-8", "utf8")
HIDDEN = frozenset({"format", ADDED})
"""Metadata that loaders give to splitters and to `plan`, and nobody else needs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything besides a file's bytes that decides its chunks."""

    loader: str
    loader_options: Mapping[str, Any] = field(default_factory=dict)
    splitter: str = "default"
    splitter_options: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None
    omit: tuple[str, ...] = ()
    """Metadata of the loader that chunks do not get; `*`: none of them."""

    def as_json(self) -> dict[str, Any]:
        """What the ledger keeps."""
        return {
            "loader": self.loader,
            "loaderOptions": dict(self.loader_options),
            "splitter": self.splitter,
            "splitterOptions": dict(self.splitter_options),
            "metadata": dict(self.metadata),
            "title": self.title,
            **({"omit": list(self.omit)} if self.omit else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Recipe":
        """The recipe that `as_json` wrote."""
        return cls(
            loader=value["loader"],
            loader_options=value["loaderOptions"],
            splitter=value["splitter"],
            splitter_options=value["splitterOptions"],
            metadata=value["metadata"],
            title=value.get("title"),
            omit=tuple(value.get("omit", ())),
        )

    def make_splitter(self) -> Splitter:
        """The splitter. Raises `SplitterError` naming a field with a bad value."""
        return splitter(self.splitter, self.splitter_options)

    def digest(self, content: bytes, source: Source) -> bytes:
        """Identifies what these bytes (by their SHA-256), which came as `source`, become by this recipe: equal digests,
        equal chunks."""
        parts = [INDEX_VERSION, content.hex(), self.as_json(), self.make_splitter().fingerprint()]
        if self.loader == DETECT and (told := declared(source)):
            parts.append(told)
        if source.charset.lower() not in _UTF_8:
            parts.append(source.charset)
        return sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).digest()


def clean(value: Any, field: str = "metadata") -> Any:
    """JSON that Postgres can keep: no NUL characters and no lone surrogates in texts. Raises `Unprocessable`, naming
    the field, for values that are not JSON."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item, field) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item, field) for item in value]
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and value - value == 0):
        return value
    raise Unprocessable(f"{field}: {value!r} is not a JSON value")


def plan(store: UUID, source: str, recipe: Recipe, documents: Iterable[Document], splitter: Splitter) -> list[NewChunk]:
    """The chunks that a loaded document becomes, in reading order.

    Metadata that callers add are shown and filtered by, but neither embedded nor searched by words.
    """
    fingerprint = splitter.fingerprint()
    seen: Counter[tuple[str, str]] = Counter()
    chunks = []
    for position, piece in enumerate(splitter.split(list(documents))):
        text = piece.page_content
        metadata = {key: value for key, value in piece.metadata.items() if value is not None and key not in HIDDEN}
        if recipe.title:
            metadata["title"] = recipe.title
        head = head_of(text, metadata)
        key = indexed(head, text)
        chunks.append(
            NewChunk(
                id=chunk_id(store, source, fingerprint, text, key, seen[text, key]),
                position=position,
                text=text,
                metadata={**_shown(metadata, recipe.omit), **_added(recipe.metadata, piece.metadata.get(ADDED))},
                head=head,
            )
        )
        seen[text, key] += 1
    return chunks


def _added(metadata: Mapping[str, Any], read: str | None) -> dict[str, Any]:
    """What callers add, some of which the loader has `read` in the file; what it has not found there is left out."""
    if read is None:
        return dict(metadata)
    found = {**metadata, **clean(json.loads(read))}
    return {key: value for key, value in found.items() if value is not None or metadata.get(key) is None}


def _shown(metadata: Mapping[str, Any], omit: Sequence[str]) -> dict[str, Any]:
    """The loader's metadata but for those that are left out; what a chunk is indexed under was taken from all."""
    return {} if "*" in omit else {key: value for key, value in metadata.items() if key not in omit}


def head_of(text: str, metadata: Mapping[str, Any]) -> str:
    """The lines that a chunk is indexed under: its document's own title and its headings.

    A title that is only the file's name says nothing about the content and is left out, as is one that the headings
    begin with.
    """
    title, heading = metadata.get("title"), metadata.get("heading")
    lines = []
    if isinstance(heading, str) and heading:
        lines.append(heading)
    if isinstance(title, str) and title and title != metadata.get("source") and not _begins_with(lines, title):
        lines.insert(0, title)
    return "\n".join(line for line in lines if not text.startswith(line))


def _begins_with(lines: list[str], title: str) -> bool:
    return any(line == title or line.startswith(f"{title} > ") for line in lines)
