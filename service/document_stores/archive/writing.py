"""A document store as an archive: its rows and vectors at one moment into a file without a name, then its uploads.

The database is asked at its own pace, before the first byte is sent, so that no slow client holds a snapshot open.
"""

import asyncio
import json
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from typing import IO, Any
from uuid import UUID

import numpy as np

from service.document_stores import records as stores
from service.document_stores.archive import records
from service.document_stores.archive.limits import DOCUMENT, MANIFEST, Limits
from service.document_stores.archive.secrets import bare, bare_options
from service.document_stores.archive.tar import END, PIECE, header, padding
from service.document_stores.archive.wire import (
    LATER,
    VERSION,
    Checksums,
    ChunkLine,
    Counts,
    DocumentLine,
    Fingerprint,
    LoaderLine,
    Manifest,
    Part,
)
from service.document_stores.ledger.types import masked
from service.document_stores.types import Component, StoreRow
from service.document_stores.vectors import writing_at
from service.errors import NotFound, TooLarge
from service.resources import Resources
from service.retrieval.base import point_id
from stores.blobs.base import UnknownBlob
from stores.records.database import Scope
from stores.vector.base import UnknownCollection, VectorStore

Row = Mapping[str, Any]
"""A row of the database by column."""

PART_CHUNKS = 500
PART_BYTES = 4 * 1024 * 1024
"""A part of the chunks ends with the first of them that reaches one of these; bytes of their lines."""

UNFINISHED = ("not_indexed", "It was being indexed when the archive was written; upload it again.")


@dataclass(slots=True)
class Draft:
    """An archive as far as it comes from the database, and the uploads that follow, by hash. Close it."""

    store: StoreRow
    file: IO[bytes]
    sums: dict[str, str] = field(default_factory=dict)
    uploads: dict[bytes, str] = field(default_factory=dict)

    def add(self, name: str, content: bytes) -> None:
        """Write a member."""
        self.sums[name] = sha256(content).hexdigest()
        self.file.write(header(name, len(content)))
        self.file.write(content)
        self.file.write(padding(len(content)))

    def add_file(self, name: str, content: IO[bytes]) -> None:
        """Write a member whose content is a file."""
        size = content.seek(0, 2)
        content.seek(0)
        self.sums[name] = file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]  # it is a binary file
        content.seek(0)
        self.file.write(header(name, size))
        shutil.copyfileobj(content, self.file, PIECE)
        self.file.write(padding(size))


async def draft(resources: Resources, workspace: UUID, store_id: UUID, *, vectors: bool, blobs: bool) -> Draft:
    """The rows of a document store, and with `vectors` its vectors, as they are at one moment. With `blobs` its uploads
    are remembered, for `stream`. Raises `NotFound`, `TooLarge`, and what the vector store raises."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the draft owns it
    try:
        async with resources.database.write(workspace) as scope:
            await records.freeze(scope)
            store = await stores.get(scope, store_id)
            if store is None:
                raise NotFound(f"Document store {store_id} not found")
            made = Draft(store, file)
            count = await records.counts(scope, store_id)
            vectors = vectors and store.collection is not None and store.fingerprint is not None
            manifest = _manifest(store, count, vectors=vectors, blobs=blobs)
            made.add("manifest.json", _within(MANIFEST, "The configurations of the document store", _json(manifest)))
            await _add_loaders(made, scope, Limits.of(resources.settings))
            await _add_documents(made, scope, blobs=blobs)
            held, _ = await writing_at(resources, scope, store.backend)
            await _add_chunks(made, scope, held if vectors else None)
        return made
    except BaseException:
        file.close()
        raise


def _manifest(store: StoreRow, count: Row, *, vectors: bool, blobs: bool) -> Manifest:
    return Manifest(
        version=VERSION,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=store.name[:500],
        description=store.description,
        embedding=_part(store.embedding),
        vector_store=_part(store.vector_store),
        record_manager=_part(store.record_manager),
        fingerprint=Fingerprint(**store.fingerprint) if store.fingerprint and store.collection else None,
        vectors=vectors,
        blobs=blobs,
        counts=Counts(loaders=count["loaders"], documents=count["documents"], chunks=count["chunks"]),
        restricted=store.restricted,
    )


def _part(component: Component | None, credential: str | None = None) -> Part | None:
    if component is None or not component.name:
        return None
    kept, dropped = bare(component)
    return Part(name=kept.name, config=dict(kept.config), credential=dropped or bool(credential))


def _json(line: Manifest | LoaderLine | DocumentLine | ChunkLine | Checksums) -> bytes:
    told = {name: value for name, value in line.model_dump().items() if name not in LATER or value != LATER[name]}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _within(limit: int, what: str, line: bytes) -> bytes:
    """The line with its end, if an import will take it. Raises `TooLarge`: no archive is made that nobody can read."""
    if len(line) >= limit:
        raise TooLarge(f"{what} take {len(line)} bytes in an archive, the limit is {limit}")
    return line + b"\n"


async def _add_loaders(made: Draft, scope: Scope, limits: Limits) -> None:
    with tempfile.TemporaryFile() as lines:
        async for row in records.loaders(scope, made.store.id):
            part = _part(Component(row["loader_id"], row["loader_config"]), row["credential"])
            assert part is not None
            splitter = _part(Component(row["splitter_id"] or "", row["splitter_config"] or {}))
            line = LoaderLine(
                component=part,
                label=row["loader_name"],
                splitter=splitter,
                kept=row["kept"],
                principals=row["principals"],
            )
            lines.write(_within(limits.loader, f"The fields of loader '{line.label[:100]}'", _json(line)))
        await asyncio.to_thread(made.add_file, "loaders.jsonl", lines)


async def _add_documents(made: Draft, scope: Scope, *, blobs: bool) -> None:
    with tempfile.TemporaryFile() as lines:
        async for row in records.documents(scope, made.store.id):
            lines.write(_within(DOCUMENT, f"The fields of document '{row['name'][:100]}'", _json(_document(row))))
            if blobs and row["blob"]:
                made.uploads[row["sha256"]] = row["blob"]
        await asyncio.to_thread(made.add_file, "documents.jsonl", lines)


def _document(row: Row) -> DocumentLine:
    unfinished = row["state"] in ("pending", "saved")
    code, error = UNFINISHED if unfinished else (row["error_code"], row["error"])
    failed = unfinished or row["state"] == "failed"
    recipe = {**row["recipe"], "loaderOptions": bare_options(row["recipe"]["loaderOptions"])}
    return DocumentLine(
        loader=row["loader"],
        source=row["source"],
        name=row["name"],
        mime=row["mime"],
        size=row["size"],
        sha256=row["sha256"].hex(),
        recipe=recipe,
        state="failed" if failed else "ready",
        digest=row["digest"].hex() if row["digest"] else None,
        error_code=code if failed else None,
        error=error if failed else None,
        namespace=row["namespace"],
        superseded=row["superseded"],
        edited=row["edited"],
        principals=row["principals"],
    )


async def _add_chunks(made: Draft, scope: Scope, vectors: VectorStore | None) -> None:
    part: list[Row] = []
    lines: list[bytes] = []
    size, number = 0, 0
    async for row in records.chunks(scope, made.store.id):
        part.append(row)
        lines.append(_json(_chunk(made.store, row)) + b"\n")
        size += len(lines[-1])
        if len(part) == PART_CHUNKS or size >= PART_BYTES:
            await _add_part(made, number, part, lines, vectors)
            part, lines, size, number = [], [], 0, number + 1
    if part:
        await _add_part(made, number, part, lines, vectors)


def _chunk(store: StoreRow, row: Row) -> ChunkLine:
    return ChunkLine(
        key=str(masked(store.id, row["id"])),
        document=row["document"],
        position=row["position"],
        head=row["head"],
        text=row["text"],
        metadata=row["metadata"],
        edited=row["edited"],
        indexed=store.collection is not None and store.fingerprint is not None and row["number"] is not None,
    )


async def _add_part(
    made: Draft, number: int, rows: Sequence[Row], lines: Sequence[bytes], vectors: VectorStore | None
) -> None:
    made.add(f"chunks-{number:05}.jsonl", b"".join(lines))
    if vectors is not None:
        made.add(f"vectors-{number:05}.f32", await _vectors(made.store, rows, vectors))


async def _vectors(store: StoreRow, rows: Sequence[Row], vectors: VectorStore) -> bytes:
    """One row a chunk; zeros where there is no vector."""
    assert store.fingerprint is not None
    assert store.collection is not None
    matrix = np.zeros((len(rows), int(store.fingerprint["dimension"])), "<f4")
    places = {point_id(row["number"]): place for place, row in enumerate(rows) if row["number"] is not None}
    try:
        points = await vectors.get(store.collection, list(places))
    except UnknownCollection:  # lost: the import embeds these chunks
        points = []
    for point in points:
        matrix[places[point.id]] = point.vector
    return matrix.tobytes()


async def stream(resources: Resources, made: Draft) -> AsyncIterator[bytes]:
    """The bytes of the archive; closes the draft. Uploads that are gone or damaged are left out."""
    with made.file as file:
        await asyncio.to_thread(file.seek, 0)
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
        blobs = 0
        for digest, key in sorted(made.uploads.items()):
            async for piece in _upload(resources, digest, key):
                blobs += not piece
                if piece:
                    yield piece
        last = _json(Checksums(members=made.sums, blobs=blobs))
        yield header("checksums.json", len(last)) + last + padding(len(last)) + END


async def _upload(resources: Resources, digest: bytes, key: str) -> AsyncIterator[bytes]:
    """An upload as a member, then an empty piece; nothing when it is not as it was."""
    try:
        async with resources.blobs.path(key) as path:
            file = await asyncio.to_thread(path.open, "rb")
    except (UnknownBlob, FileNotFoundError):
        return
    with file:
        if (await asyncio.to_thread(file_digest, file, "sha256")).digest() != digest:
            return
        size = file.tell()
        file.seek(0)
        yield header(f"blobs/{digest.hex()}", size)
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
        if fill := padding(size):
            yield fill
        yield b""


async def packed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, gzipped."""
    packer = zlib.compressobj(level=5, wbits=31)
    async for piece in pieces:
        if done := await asyncio.to_thread(packer.compress, piece):
            yield done
    yield packer.flush()
