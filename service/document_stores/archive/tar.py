"""The container of archives: a tar stream of plain members, gzipped or not, read strictly and in constant memory.

`tarfile` writes and reads the single headers. Its streams are not used: they take extensions that make the reader
allocate what a header claims, and end silently where an archive is damaged.
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import BinaryIO, cast

from service.errors import Unprocessable

BLOCK = 512
END = bytes(2 * BLOCK)
PIECE = 256 * 1024

MOST_TIMES = 250
"""Bytes that a gzipped byte may become; text of real documents stays far below."""

SLACK = 64 * 1024 * 1024
"""Bytes that any archive may have beyond that."""


class BadArchive(Unprocessable):
    """The archive is damaged, or is none."""

    code = "bad_archive"


def header(name: str, size: int) -> bytes:
    """The block before a member."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def padding(size: int) -> bytes:
    """The zeros that fill a member's last block."""
    return bytes(-size % BLOCK)


@dataclass(slots=True)
class Member:
    """A member while it is read: `read` and `lines` give its content once, in order."""

    name: str
    size: int
    _stream: BinaryIO
    left: int
    digest: object = field(default_factory=sha256)

    def read(self, limit: int = PIECE) -> bytes:
        """The next bytes, at most `limit`; empty at the end. Raises `BadArchive` when the archive ends before."""
        wanted = min(limit, self.left)
        piece = self._stream.read(wanted) if wanted else b""
        if len(piece) < wanted:
            raise BadArchive(f"{self.name}: the archive ends within it")
        self._note(piece)
        return piece

    def whole(self, limit: int) -> bytes:
        """All of it. Raises `BadArchive` when it is longer than `limit` bytes."""
        if self.size > limit:
            raise BadArchive(f"{self.name}: has {self.size} bytes, at most {limit} are read")
        return self.read(self.size)

    def lines(self, limit: int) -> Iterator[bytes]:
        """Its lines without their ends. Raises `BadArchive` for one that is longer than `limit` bytes, and when the
        last one has no end."""
        while self.left:
            line = self._stream.readline(min(limit, self.left))
            if not line.endswith(b"\n"):
                short = len(line) < min(limit, self.left)
                what = "the archive ends within it" if short else f"a line has no end, or more than {limit} bytes"
                raise BadArchive(f"{self.name}: {what}")
            self._note(line)
            yield line[:-1]

    def checksum(self) -> str:
        """The SHA-256 of its content, which must have been read to its end."""
        assert not self.left
        found: str = self.digest.hexdigest()  # type: ignore[attr-defined]  # hashlib's type has no public name
        return found

    def _note(self, piece: bytes) -> None:
        self.left -= len(piece)
        self.digest.update(piece)  # type: ignore[attr-defined]


def members(stream: BinaryIO) -> Iterator[Member]:
    """The members of an archive in order; what was left unread of one is passed over. The end is checked too.

    Raises `BadArchive` for anything that is no plain tar with plain files, cut short, or followed by something else.
    """
    yield from _members(_opened(stream))


def _opened(stream: BinaryIO) -> BinaryIO:
    start = stream.read(2)
    stream.seek(-len(start), 1)
    return cast(BinaryIO, _Bounded(stream)) if start == b"\x1f\x8b" else stream


def _members(stream: BinaryIO) -> Iterator[Member]:
    while True:
        block = stream.read(BLOCK)
        if block == bytes(BLOCK):
            break
        if len(block) < BLOCK:
            raise BadArchive("The archive is cut short, or none at all")
        try:
            found = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise BadArchive(f"The archive is damaged or no tar file: {error}") from error
        if found.type != tarfile.REGTYPE or found.size < 0:
            raise BadArchive(f"{found.name[:100]!r}: archives hold plain files only")
        member = Member(found.name, found.size, stream, found.size)
        yield member
        while member.read():
            pass
        fill = stream.read(len(padding(found.size)))
        if len(fill) < len(padding(found.size)) or fill.strip(b"\0"):
            raise BadArchive(f"{found.name}: damaged after its end")
    while piece := stream.read(PIECE):
        if piece.strip(b"\0"):
            raise BadArchive("Something follows the end of the archive")


class _Bounded(gzip.GzipFile):
    """Unpacks gzip, but not without end: a small file must not become an endless one."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(fileobj=stream, mode="rb")
        self._packed = stream
        self._unpacked = 0

    def read(self, size: int | None = -1) -> bytes:
        return self._counted(super().read, size)

    def readline(self, size: int | None = -1) -> bytes:
        return self._counted(super().readline, size)

    def _counted(self, take: Callable[[int | None], bytes], size: int | None) -> bytes:
        try:
            piece = take(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadArchive(f"The archive is damaged: {error}") from error
        self._unpacked += len(piece)
        if self._unpacked > SLACK + MOST_TIMES * self._packed.tell():
            raise BadArchive("The archive unpacks to far more than archives do")
        return piece
