"""The loader port: the bytes of one file become LangChain documents."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from langchain_core.documents import Document

from loaders.unicode import clean

if TYPE_CHECKING:
    from loaders.ocr import Reader

_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([A-Za-z0-9_:.-]+)", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://[^/?#]*([^?#]*)", re.IGNORECASE)

ADDED = "added"
"""Metadata of a document: the JSON text of an object that the caller asked to be read in the file, by name."""
LONGEST_PLACE = 1000
"""Characters of a title, and of anything else that says where a text is from: every chunk of a file carries it."""


class Failure(StrEnum):
    """Why a file could not be loaded; the stable code of a failed document."""

    EMPTY = "empty_content"
    ENCRYPTED = "encrypted"
    CORRUPT = "corrupt"
    UNKNOWN = "unsupported_format"
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "parser_crashed"
    BAD_OPTION = "bad_option"
    OCR_UNAVAILABLE = "ocr_unavailable"


class Format(StrEnum):
    """How the text of a document is written; splitters go by it."""

    TEXT = "text"
    MARKDOWN = "markdown"


class LoaderError(Exception):
    """A file that cannot become documents: a code for programs, a sentence for people."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure
        self.message = message

    def __reduce__(self) -> tuple[type["LoaderError"], tuple[Failure, str]]:
        return (LoaderError, (self.failure, self.message))


@dataclass(frozen=True, slots=True)
class Source:
    """A file to load: where its bytes lie, the name its user gave it (never used as a path), its declared MIME type.

    A file inside another one (an attachment) has its bytes in `data`, since parsers cannot write files; `depth` counts
    the files it lies in. `ocr` reads the pictures in it; None where nothing can.
    """

    path: Path
    name: str
    mime: str = ""
    data: bytes | None = None
    depth: int = 0
    ocr: "Reader | None" = field(default=None, compare=False)

    def read(self) -> bytes:
        """All bytes of the file."""
        return self.path.read_bytes() if self.data is None else self.data

    def open(self) -> BinaryIO:
        """The file, opened for reading; close it."""
        return self.path.open("rb") if self.data is None else BytesIO(self.data)

    @property
    def charset(self) -> str:
        """The charset that the MIME type names, or an empty string."""
        named = _CHARSET.search(self.mime)
        return named[1] if named else ""

    @property
    def stem(self) -> str:
        """The file's name without folder and suffix, for titles."""
        return PurePosixPath(self.name.strip()).stem or self.name

    @property
    def is_address(self) -> bool:
        """Whether the name is an http(s) address: what its path ends in may be the program that answers there."""
        return _ADDRESS.match(self.name.strip()) is not None

    @property
    def suffix(self) -> str:
        """The last suffix of the name, or of an address's path, in lower case with its dot, or an empty string."""
        name = self.name.strip()
        address = _ADDRESS.match(name)
        return PurePosixPath(address[1] if address else name).suffix.lower()


class Loader(ABC):
    """Turns one file into documents, in reading order.

    Each document is a unit that no chunk may cross (a page of a PDF, else the whole file). Its metadata carry
    provenance: `source` (the file's name), `title` (the document's own title, else the file's name), and where they
    are known `page` (from 1, a slide too) and `pages`, `row` or `line` (from 1), `sheet`, `chapter`, `language` (of
    source code), `attachment` (the name of the file within `source` that the text comes from, with ` > ` between
    levels), `ocr_confidence` (in percent, of text that was read from a picture). `format` is `markdown` when the text
    carries Markdown headings and tables, else `text`; splitters go by it. `ADDED` is what the caller wants to know.
    Text is valid Unicode in NFC without NUL characters.

    Raises `LoaderError`; a file without any text is `Failure.EMPTY`, never an empty list.
    """

    options: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The documents of `source`. `options` are the loader's, by their Flowise names; unknown ones are ignored."""


def document(
    source: Source, text: str, *, title: str = "", form: Format = Format.TEXT, **place: int | str
) -> Document | None:
    """A document of `source` in the port's shape, its text and title cleaned; None when no text is left.

    `place` are further parts of its provenance (`page`, `pages`, `row`, `line`, `sheet`, `language`). Title and texts
    of `place` that are longer than `LONGEST_PLACE` are cut, and end in an ellipsis then.
    """
    text = clean(text).strip("\n")
    if not text.strip():
        return None
    title = short(" ".join(clean(title).split())) or " ".join(clean(source.name).split())
    place = {key: short(clean(value)) if isinstance(value, str) else value for key, value in place.items()}
    metadata: dict[str, Any] = {"source": clean(source.name), "title": title, "format": form.value, **place}
    return Document(page_content=text, metadata=metadata)


def short(place: str) -> str:
    """What says where a text is from, in `LONGEST_PLACE` characters at most: what is cut ends in an ellipsis."""
    return place if len(place) <= LONGEST_PLACE else place[: LONGEST_PLACE - 1].rstrip() + "…"


def required(found: Document | None, what: str = "The file has no text.") -> Document:
    """`found`, or the failure `EMPTY` with the sentence `what` when there is none."""
    if found is None:
        raise LoaderError(Failure.EMPTY, what)
    return found
