"""The container of old Office files (DOC, XLS, MSG): a small file system in one file."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loaders.base import Failure, LoaderError, Source

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""What every such file begins with."""

_PACKAGE = "EncryptedPackage"


def refuse_encrypted(source: Source) -> None:
    """Raises `LoaderError(ENCRYPTED)` for an Office file (DOCX, XLSX, PPTX) that needs a password.

    Such a file is an OLE container that holds the real one as an encrypted stream.
    """
    with source.open() as file:
        if file.read(len(MAGIC)) != MAGIC:
            return
    names = entries(source)
    if _PACKAGE in names or (not names and _PACKAGE.encode("utf-16-le") in source.read()):
        raise LoaderError(Failure.ENCRYPTED, "The Office document is protected by a password.")


@contextmanager
def opened(source: Source, what: str) -> Iterator[Any]:
    """The container as an `olefile.OleFileIO`. What goes wrong inside the `with` block is told as damage of `what`.

    Raises `LoaderError`: EMPTY for nothing but white space, CORRUPT.
    """
    import olefile

    with source.open() as file:
        if not file.read(8).strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
    try:
        with source.open() as file, olefile.OleFileIO(file) as ole:
            yield ole
    except (OSError, struct.error, ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        raise LoaderError(Failure.CORRUPT, f"The {what} is damaged: {error}.") from error


def entries(source: Source) -> frozenset[str]:
    """The names at the top level of the container, empty when it cannot be read."""
    try:
        with opened(source, "file") as ole:
            return frozenset(path[0] for path in ole.listdir(streams=True, storages=True))
    except LoaderError:
        return frozenset()
