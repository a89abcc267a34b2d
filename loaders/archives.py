"""The safety check of every format that is a ZIP archive inside: Office files, OpenDocument, EPUB."""

import re
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

from loaders.base import Failure, LoaderError

_BLOCK = 1 << 16
_XML_HEAD = 4096
_END_BYTES = (1 << 16) + 200
"""Where the end record stands, before a comment of any length."""
_MOST_DIRECTORY = 8 * 1024 * 1024
"""Some hundred thousand entries: reading more takes seconds and hundreds of megabytes."""

_STRICT = b"http://purl.oclc.org/ooxml/"
_STRICT_NAME = re.compile(re.escape(_STRICT) + rb"(\w+)/(\w+)")

ENCRYPTED_PACKAGE = "encrypted-package"
"""The part that is the whole document, behind a password, in an OpenDocument archive of newer programs."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive may hold: entries, bytes when unpacked, and bytes unpacked for each byte on disk."""

    entries: int = 10_000
    unpacked_bytes: int = 512 * 1024 * 1024
    ratio: int = 200
    free_bytes: int = 4 * 1024 * 1024
    """Below this many unpacked bytes the ratio does not matter."""


def check_directory(file: BinaryIO) -> None:
    """Refuses an archive whose directory is too large to be read; its end record says how large it is.

    Raises `LoaderError(TOO_LARGE)`.
    """
    size = file.seek(0, SEEK_END)
    file.seek(max(0, size - _END_BYTES))
    tail = file.read()
    end, wide = tail.rfind(b"PK\5\6"), tail.rfind(b"PK\6\6")
    found = 0
    if end >= 0 and len(tail) >= end + 16:
        found = int.from_bytes(tail[end + 12 : end + 16], "little")
    if wide >= 0 and len(tail) >= wide + 48:
        found = max(found if found < 0xFFFFFFFF else 0, int.from_bytes(tail[wide + 40 : wide + 48], "little"))
    file.seek(0)
    if _MOST_DIRECTORY < found <= size:
        raise LoaderError(
            Failure.TOO_LARGE, f"The archive's list of entries has {found} bytes, more than {_MOST_DIRECTORY}."
        )


def check(file: Path | BinaryIO, limits: ArchiveLimits | None = None, *, doctypes: bool = False) -> frozenset[str]:
    """The names of the archive's entries, once it is known to be harmless.

    First what the directory declares is held against `limits`, then every entry is unpacked block by block into
    nothing: real sizes are counted, checksums compared, and XML parts that declare a document type (the carrier of
    entity bombs; office programs write none) are refused. Nothing is written. With `doctypes` they are let pass, for
    formats whose old versions declare one and whose parser resolves no entities.

    Raises `LoaderError`: CORRUPT (no whole archive, wrong checksum, document type), ENCRYPTED, TOO_LARGE.
    """
    limits = limits or ArchiveLimits()
    try:
        if isinstance(file, Path):
            with file.open("rb") as opened:
                check_directory(opened)
        else:
            check_directory(file)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_declared(entries, _size(file), limits)
            left = limits.unpacked_bytes
            for entry in entries:
                left -= _unpack(archive, entry, left, doctypes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        raise LoaderError(Failure.CORRUPT, f"The file is not a whole archive: {error}.") from error
    return frozenset(entry.filename for entry in entries)


def transitional(file: BinaryIO) -> BinaryIO:
    """An Office archive that `check` let pass, in the namespaces that parsers know.

    Programs may write the strict kind of the standard, which names the same things otherwise.
    """
    with zipfile.ZipFile(file) as archive:
        if _STRICT not in archive.read("_rels/.rels"):
            file.seek(0)
            return file
        made = BytesIO()
        with zipfile.ZipFile(made, "w") as written:
            for entry in archive.infolist():
                data = archive.read(entry)
                if entry.filename.endswith((".xml", ".rels")):
                    data = _STRICT_NAME.sub(rb"http://schemas.openxmlformats.org/\1/2006/\2", data)
                written.writestr(entry, data)
    made.seek(0)
    return made


def _check_declared(entries: list[zipfile.ZipInfo], size: int, limits: ArchiveLimits) -> None:
    if len(entries) > limits.entries:
        raise LoaderError(
            Failure.TOO_LARGE, f"The archive has {len(entries)} entries, more than {limits.entries} are not read."
        )
    if any(entry.flag_bits & 1 or entry.filename == ENCRYPTED_PACKAGE for entry in entries):
        raise LoaderError(Failure.ENCRYPTED, "The file is protected by a password.")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.unpacked_bytes:
        raise LoaderError(Failure.TOO_LARGE, f"The archive would unpack to {unpacked} bytes.")
    if unpacked > limits.free_bytes and unpacked > limits.ratio * size:
        raise LoaderError(
            Failure.TOO_LARGE,
            f"The archive unpacks to {unpacked // max(size, 1)} times its size: a bomb, not a document.",
        )
    if sum(entry.compress_size for entry in entries) > size:
        raise LoaderError(Failure.CORRUPT, "The archive's entries overlap.")


def _size(file: Path | BinaryIO) -> int:
    return file.stat().st_size if isinstance(file, Path) else file.seek(0, SEEK_END)


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int, doctypes: bool) -> int:
    total = 0
    xml = entry.filename.endswith((".xml", ".rels")) and not doctypes
    with archive.open(entry) as part:
        while block := part.read(_BLOCK):
            if total == 0 and xml and b"<!DOCTYPE" in block[:_XML_HEAD].upper():
                raise LoaderError(Failure.CORRUPT, f"{entry.filename} declares a document type, which is refused.")
            total += len(block)
            if total > left:
                raise LoaderError(Failure.TOO_LARGE, "The archive unpacks to more than is allowed.")
    return total
