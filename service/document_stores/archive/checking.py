"""What must hold of an archive as a whole, looked at before anything of it is kept."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import numpy as np

from loaders.splitters.base import SplitterError
from service.document_stores.archive.reading import Chunks, Content, Documents, Item, Loaders, contents
from service.document_stores.archive.tar import BadArchive
from service.document_stores.archive.wire import ChunkLine, DocumentLine, Manifest
from service.document_stores.cleanup import cleaning_of
from service.document_stores.recipe import Recipe
from service.document_stores.types import Component
from service.errors import TooLarge, Unprocessable
from service.settings import Settings

OWN_TIMES = 3
"""How much longer a blob of chunks may be than the request that brought them."""


@dataclass(slots=True)
class _Seen:
    loaders: int = 0
    documents: int = 0
    chunks: int = 0
    last: tuple[int, int] = (0, 0)
    sources: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    """The size of each uploaded file by its SHA-256."""
    keys: bytearray = field(default_factory=bytearray)


def begin(path: Path) -> None:
    """Look at the manifest only, so that most of what is no archive is refused at once; blocks. Raises `BadArchive`."""
    with path.open("rb") as file:
        next(contents(file))


def check(path: Path, settings: Settings) -> Manifest:
    """Read an archive from end to end and return its manifest; blocks.

    Raises `BadArchive` for anything that is not as FORMAT.md has it, `TooLarge` for limits of this service.
    """
    with path.open("rb") as file:
        return _check(contents(file), settings)


def _check(items: Iterator[Item], settings: Settings) -> Manifest:
    manifest = next(items)
    if not isinstance(manifest, Manifest):
        raise TypeError("an archive begins with its manifest")
    if manifest.counts.chunks > settings.max_chunks:
        raise TooLarge(f"max_chunks: the archive has more than {settings.max_chunks} chunks")
    _check_record_manager(manifest)
    seen = _Seen()
    for item in items:
        match item:
            case Loaders(lines):
                seen.loaders = sum(1 for _ in lines)
                _expect("loaders", seen.loaders, manifest.counts.loaders)
            case Documents(lines):
                for line in lines:
                    _check_document(seen, line)
                _expect("documents", seen.documents, manifest.counts.documents)
            case Chunks():
                _check_chunks(seen, item, manifest)
            case Content():
                _check_content(seen, item, settings)
    _expect("chunks", seen.chunks, manifest.counts.chunks)
    keys = np.frombuffer(bytes(seen.keys), [("high", ">u8"), ("low", ">u8")])
    if len(np.unique(keys)) != len(keys):
        raise BadArchive("chunks: two have one key")
    return manifest


def _expect(what: str, found: int, announced: int) -> None:
    if found != announced:
        raise BadArchive(f"manifest.json: {announced} {what} are announced, {found} are there")


def _check_record_manager(manifest: Manifest) -> None:
    part = manifest.record_manager
    try:
        cleaning_of(Component(part.name, part.config) if part else None)
    except Unprocessable as error:
        raise BadArchive(f"manifest.json: {error.message}") from error


def _check_document(seen: _Seen, line: DocumentLine) -> None:
    place = f"documents.jsonl line {seen.documents + 1}"
    seen.documents += 1
    if line.loader >= seen.loaders:
        raise BadArchive(f"{place}: there is no loader {line.loader}")
    if line.source in seen.sources:
        raise BadArchive(f"{place}: another document has this source")
    seen.sources.add(line.source)
    if seen.sizes.setdefault(line.sha256, line.size) != line.size:
        raise BadArchive(f"{place}: another document with these bytes has another size")
    try:
        Recipe.from_json(line.recipe).make_splitter()
    except (KeyError, TypeError, ValueError, AttributeError, SplitterError) as error:
        raise BadArchive(f"{place}: recipe: {error}") from error


def _check_chunks(seen: _Seen, part: Chunks, manifest: Manifest) -> None:
    for line in part.chunks:
        _check_chunk(seen, line, manifest)
    if part.vectors is not None:
        present = [bool(row.any()) for row in part.vectors]
        for line, there in zip(part.chunks, present, strict=True):
            if there and not line.indexed:
                raise BadArchive(f"vectors-{part.number:05}.f32: a chunk that is not indexed has a vector")


def _check_chunk(seen: _Seen, line: ChunkLine, manifest: Manifest) -> None:
    place = f"chunk {seen.chunks + 1}"
    seen.chunks += 1
    if seen.chunks > manifest.counts.chunks:
        raise BadArchive("chunks: there are more than the manifest announces")
    if line.document >= seen.documents:
        raise BadArchive(f"{place}: there is no document {line.document}")
    if (line.document, line.position) < seen.last:
        raise BadArchive(f"{place}: is not in order")
    if line.indexed and manifest.fingerprint is None:
        raise BadArchive(f"{place}: is indexed, but the manifest names no vector space")
    seen.last = (line.document, line.position)
    seen.keys += UUID(line.key).bytes


def _check_content(seen: _Seen, item: Content, settings: Settings) -> None:
    name = item.member.name
    if item.sha256 not in seen.sizes:
        raise BadArchive(f"{name}: belongs to no document")
    if item.member.size != seen.sizes[item.sha256]:
        raise BadArchive(f"{name}: has another size than its document says")
    limit = max(settings.max_upload, OWN_TIMES * settings.max_request)
    if item.member.size > limit:
        raise TooLarge(f"max_upload: a file in the archive is larger than {limit} bytes")
