"""The splitter port: loaded documents become chunks that know where they come from."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from langchain_core.documents import Document

from loaders.base import Format
from loaders.splitters.structure import Structure, structure_of

CHUNK_SIZE = 1000
CHUNK_OVERLAP = 200


class SplitterError(ValueError):
    """An option of a splitter that cannot be used; `field` is its name on the wire."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message

    def __reduce__(self) -> tuple[type["SplitterError"], tuple[str, str]]:
        return (SplitterError, (self.field, self.message))


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text by character offsets, and what is repeated in front of it (the header of a table)."""

    start: int
    end: int
    prefix: str = ""


class Splitter(ABC):
    """Cuts documents into chunks, in order, each within one document.

    A chunk's metadata are its document's plus `start` and `end`, the characters it covers: its text is
    `text[start:end]`, after the repeated header of a table that was cut, if any. In `markdown` documents with headings
    it also has `heading`, the path of the headings that all of it stands under (else of those it begins under), as in
    `Guide > Install`. Chunks neither begin nor end with white space; together they hold every other character of the
    document. No chunk is larger than the size, a repeated header included.

    Options have Flowise's names; `chunkSize` and `chunkOverlap` may be numbers or strings of digits. A constructor
    raises `SplitterError` for a value that cannot be used.
    """

    chunk_size: ClassVar[int] = CHUNK_SIZE
    """The size where none is named."""

    version: ClassVar[int] = 1
    """To be raised with every change that cuts any text differently."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.size = whole(options, "chunkSize", self.chunk_size, least=1)
        # A smaller size than the default overlap, with no overlap named, takes a fifth as the default does.
        self.overlap = whole(options, "chunkOverlap", min(CHUNK_OVERLAP, self.size // 5), least=0)
        if self.overlap >= self.size:
            raise SplitterError(
                "chunkOverlap", f"chunkOverlap ({self.overlap}) must be smaller than chunkSize ({self.size})."
            )

    @abstractmethod
    def spans(self, text: str, structure: Structure | None) -> Iterable[Span]:
        """The pieces of `text` in order. `structure` is None for text that is not Markdown."""

    def settings(self) -> Mapping[str, str | int | Sequence[str]]:
        """All options that decide where is cut, with their values in force."""
        return {"chunkSize": self.size, "chunkOverlap": self.overlap}

    def fingerprint(self) -> str:
        """A short hash of the algorithm, its version and its options: the same fingerprint, the same chunks."""
        parts = [f"{type(self).__module__}:{type(self).__qualname__}", self.version, dict(self.settings())]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def split(self, documents: Iterable[Document]) -> list[Document]:
        """The chunks of all documents."""
        chunks: list[Document] = []
        for document in documents:
            text = document.page_content
            structure = structure_of(text) if document.metadata.get("format") == Format.MARKDOWN else None
            done = 0
            for span in self.spans(text, structure):
                if span.end <= done:
                    continue  # nothing but the overlap with the chunk before
                done = span.end
                metadata = {**document.metadata, "start": span.start, "end": span.end}
                heading = structure.heading(span.start, span.end) if structure else ""
                if heading:
                    metadata["heading"] = heading
                chunks.append(Document(page_content=span.prefix + text[span.start : span.end], metadata=metadata))
        return chunks


def whole(options: Mapping[str, Any], field: str, default: int, *, least: int) -> int:
    """The option `field` as a whole number; absent, None and an empty string mean `default`.

    Raises `SplitterError` for anything that is no whole number of at least `least`.
    """
    value = options.get(field)
    if value is None or (isinstance(value, str) and not value.strip()):
        return default
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    elif isinstance(value, str) and value.strip().isascii() and len(value.strip()) < 12:
        digits = value.strip()
        number = int(digits) if digits.lstrip("+-").isdigit() and len(digits.lstrip("+-")) >= len(digits) - 1 else None
    if number is None or number < least:
        raise SplitterError(field, f"{field} must be a whole number of at least {least}, not {value!r}.")
    return number


def strip(text: str, start: int, end: int) -> tuple[int, int]:
    """`start` and `end` moved inwards over white space; equal when nothing is left."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
