"""An archive's members in order, each checked as it is read: shapes, sizes, sums. Memory holds one part at a time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from service.document_stores.archive.limits import (
    CHUNKS,
    DEEPER,
    DOCUMENT,
    MANIFEST,
    MOST_IN_PART,
    MOST_PARTS,
    SUM,
    VALUES,
    VECTORS,
    Limits,
)
from service.document_stores.archive.tar import BadArchive, Member, members
from service.document_stores.archive.wire import (
    FORMAT,
    VERSION,
    Checksums,
    ChunkLine,
    DocumentLine,
    LoaderLine,
    Manifest,
    Shape,
    shaped,
)
from service.document_stores.own_chunks.spool import storable
from service.errors import Unprocessable
from service.json_text import MAX_DEPTH, check_depth, read

BLOB = re.compile(r"blobs/[0-9a-f]{64}")

BATCH = 500
BATCH_BYTES = 4 * 1024 * 1024
"""Loaders or documents are read together until there are as many, or take as much."""


@dataclass(frozen=True, slots=True)
class Loaders:
    """The loaders, some at a time, to be read before the next item is asked for."""

    batches: Iterator[list[LoaderLine]]


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents, some at a time, to be read before the next item is asked for."""

    batches: Iterator[list[DocumentLine]]


@dataclass(frozen=True, slots=True)
class Chunks:
    """Part `number` of the chunks. A row of `vectors` that is all zeros stands for a vector that is not there; None:
    the archive has no vectors."""

    number: int
    chunks: list[ChunkLine]
    vectors: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Content:
    """An uploaded file by the SHA-256 of its bytes, to be read before the next item is asked for."""

    sha256: str
    member: Member


Item = Manifest | Loaders | Documents | Chunks | Content


class _Open:
    """The members of an archive, looked at one ahead, with the sums of those that were read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._members = members(stream)
        self.sums: dict[str, str] = {}
        self.next = self._advance()

    def _advance(self) -> Member | None:
        return next(self._members, None)

    def take(self, name: str) -> Member:
        """The next member, which must have this name."""
        if self.next is None or self.next.name != name:
            found = "its end" if self.next is None else repr(self.next.name[:100])
            raise BadArchive(f"{name}: is missing; there is {found}")
        return self.next

    def pass_over(self, member: Member) -> None:
        """Read the rest of a member and go on to the next one."""
        while member.read():
            pass
        if member.name in self.sums:
            raise BadArchive(f"{member.name}: stands in the archive twice")
        if not BLOB.fullmatch(member.name):
            self.sums[member.name] = member.checksum()
        self.next = self._advance()


def contents(stream: BinaryIO, limits: Limits) -> Iterator[Item]:
    """Everything in an archive, in its order.

    Raises `BadArchive` as soon as something is not as FORMAT.md has it; what was read before must then be given up.
    """
    archive = _Open(stream)
    manifest = _manifest(archive)
    yield manifest
    member = archive.take("loaders.jsonl")
    yield Loaders(_batches(member, LoaderLine, limits.loader))
    archive.pass_over(member)
    member = archive.take("documents.jsonl")
    yield Documents(_batches(member, DocumentLine, DOCUMENT))
    archive.pass_over(member)
    yield from _chunks(archive, manifest, limits)
    blobs, last = 0, ""
    while archive.next is not None and BLOB.fullmatch(archive.next.name):
        member = archive.next
        if member.name <= last:
            raise BadArchive(f"{member.name}: is not in order")
        if not manifest.blobs:
            raise BadArchive(f"{member.name}: the manifest has none")
        name = member.name.removeprefix("blobs/")
        yield Content(name, member)
        archive.pass_over(member)
        if member.checksum() != name:
            raise BadArchive(f"{member.name}: is damaged")
        blobs, last = blobs + 1, member.name
    _check_sums(archive, blobs)


def _manifest(archive: _Open) -> Manifest:
    member = archive.take("manifest.json")
    value = _json(member.name, member.whole(MANIFEST))
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BadArchive("manifest.json: this is no archive of a document store")
    if value.get("version") != VERSION:
        found = repr(value.get("version"))[:40]
        raise BadArchive(f"manifest.json: version {found} is unknown; version {VERSION} can be read")
    manifest = _shaped(Manifest, value, member.name)
    if manifest.vectors and manifest.fingerprint is None:
        raise BadArchive("manifest.json: vectors without a fingerprint")
    archive.pass_over(member)
    return manifest


def _chunks(archive: _Open, manifest: Manifest, limits: Limits) -> Iterator[Chunks]:
    number = 0
    while archive.next is not None and archive.next.name == f"chunks-{number:05}.jsonl":
        member = archive.next
        if member.size > CHUNKS + limits.chunk or number == MOST_PARTS:
            raise BadArchive(f"{member.name}: is too large, or there are more than {MOST_PARTS} of them")
        lines: list[ChunkLine] = []
        for _, line in _lines(member, ChunkLine, limits.chunk):
            if len(lines) == MOST_IN_PART:
                raise BadArchive(f"{member.name}: has more than {MOST_IN_PART} lines")
            lines.append(line)
        if not lines:
            raise BadArchive(f"{member.name}: is empty")
        archive.pass_over(member)
        vectors = None
        if manifest.vectors and manifest.fingerprint is not None:
            vectors = _vectors(archive, number, len(lines), manifest.fingerprint.dimension)
        yield Chunks(number, lines, vectors)
        number += 1


def _vectors(archive: _Open, number: int, rows: int, dimension: int) -> NDArray[np.float32]:
    member = archive.take(f"vectors-{number:05}.f32")
    if member.size != rows * dimension * 4 or member.size > VECTORS:
        raise BadArchive(f"{member.name}: must hold {rows} vectors of {dimension} numbers")
    vectors = np.frombuffer(member.whole(VECTORS), "<f4").reshape(rows, dimension)
    if not np.isfinite(vectors).all():
        raise BadArchive(f"{member.name}: holds a number that is not finite")
    archive.pass_over(member)
    return vectors


def _check_sums(archive: _Open, blobs: int) -> None:
    member = archive.take("checksums.json")
    most = SUM * (len(archive.sums) + 10)
    sums = _shaped(Checksums, _json(member.name, member.whole(most), most), member.name)
    if sums.blobs != blobs:
        raise BadArchive(f"checksums.json: {sums.blobs} blobs are announced, {blobs} are there")
    for name in archive.sums.keys() | sums.members.keys():
        if archive.sums.get(name) != sums.members.get(name):
            raise BadArchive(f"{name[:100]}: is damaged, missing or surplus")
    archive.pass_over(member)
    if archive.next is not None:
        raise BadArchive(f"{archive.next.name[:100]!r}: follows the end")


def _batches(member: Member, shape: type[Shape], limit: int) -> Iterator[list[Shape]]:
    batch: list[Shape] = []
    size = 0
    for length, line in _lines(member, shape, limit):
        batch.append(line)
        size += length
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _lines(member: Member, shape: type[Shape], limit: int) -> Iterator[tuple[int, Shape]]:
    """The lines, each with its bytes."""
    for number, line in enumerate(member.lines(limit), 1):
        place = f"{member.name} line {number}"
        yield len(line), _shaped(shape, _json(place, line), place)


def _json(place: str, text: bytes, most: int = VALUES) -> object:
    try:
        value: object = read(text, most)
        check_depth(value, MAX_DEPTH + DEEPER)
        storable(place, value)
    except (ValueError, RecursionError) as error:
        raise BadArchive(f"{place}: is damaged: {error}") from error
    except Unprocessable as error:
        raise BadArchive(error.message) from error
    return value


def _shaped(shape: type[Shape], value: object, place: str) -> Shape:
    try:
        return shaped(shape, value)
    except ValueError as error:
        raise BadArchive(f"{place}: {error}") from None
