"""Plain text in any usual encoding."""

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
    return decode(data, declared)


class TextLoader(Loader):
    """One document of `text` format, titled with the file's name."""

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        yield required(document(source, read_text(source)))
