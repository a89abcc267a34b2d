"""Plain text in any usual encoding."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.documents import Document

from loaders.base import Failure, Loader, LoaderError, Source, document, required
from loaders.unicode import decode, is_binary

_HEAD = 64 * 1024


def read_text(source: Source, declared: str = "") -> str:
    """The whole file as text, not yet cleaned; `declared` is an encoding that the file itself names.

    Raises `LoaderError(UNKNOWN)` for bytes that are no text.
    """
    data = source.read()
    if is_binary(data[:_HEAD]):
        raise LoaderError(Failure.UNKNOWN, "The file holds binary data, not text.")
    return decode(data, declared, sent=source.charset)


_TITLE = re.compile(r"\s*(\S[^\n]{0,198}\S)[ \t]*\r?\n[ \t]*\r?\n\s*(\S.*?)(?:\n\s*\n|\Z)", re.DOTALL)
"""A first line of reasonable length with an empty line below it, and the paragraph after that."""

_PARAGRAPH_TO_TITLE = 2
"""How many times as long the next paragraph is at least: lines of equal rank have no title among them."""


def title_of(text: str) -> str:
    """The title of a plain text: its first line, where that stands by itself above longer text; else nothing."""
    found = _TITLE.match(text)
    if found is None or len(found.group(2)) < _PARAGRAPH_TO_TITLE * len(found.group(1)):
        return ""
    return found.group(1)


class TextLoader(Loader):
    """One document of `text` format, titled with its first line where that stands alone, else with the file's name."""

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        text = read_text(source)
        yield required(document(source, text, title=title_of(text)))
