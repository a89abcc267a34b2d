"""What must hold of an archive as a whole, looked at before anything of it is kept."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from loaders.splitters.base import SplitterError
from service.document_stores.archive.limits import PLACES, Limits
from service.document_stores.archive.reading import Chunks, Content, Documents, Item, Loaders, contents
from service.document_stores.archive.tar import BadArchive
from service.document_stores.archive.wire import ChunkLine, DocumentLine, Manifest, RecipeShape, shaped
from service.document_stores.intake import check_components
from service.document_stores.ledger.types import LONGEST_SOURCE, NUMBERED
from service.document_stores.recipe import Recipe
from service.document_stores.types import Component
from service.document_stores.vectors import OWN
from service.errors import TooLarge, Unprocessable
from service.settings import Settings
from service.viewers import MOST_OF_DOCUMENT, principals


@dataclass(slots=True)
class _Seen:
    settings: Settings
    limits: Limits
    loaders: int = 0
    documents: int = 0
    chunks: int = 0
    last: tuple[int, int] = (0, 0)
    sources: set[bytes] = field(default_factory=set)
    """What stands for the source of each document, which may be long."""
    sizes: dict[str, int] = field(default_factory=dict)
    """The size of each uploaded file by its SHA-256."""
    keys: bytearray = field(default_factory=bytearray)


def begin(path: Path, settings: Settings) -> None:
    """Look at the manifest only, so that most of what is no archive is refused at once; blocks. Raises `BadArchive`."""
    with path.open("rb") as file:
        next(contents(file, Limits.of(settings)))


def check(path: Path, settings: Settings) -> Manifest:
    """Read an archive from end to end and return its manifest; blocks.

    Raises `BadArchive` for anything that is not as FORMAT.md has it, `TooLarge` for limits of this service.
    """
    with path.open("rb") as file:
        limits = Limits.of(settings)
        return _check(contents(file, limits), _Seen(settings, limits))


def _check(items: Iterator[Item], seen: _Seen) -> Manifest:
    manifest = next(items)
    if not isinstance(manifest, Manifest):
        raise TypeError("an archive begins with its manifest")
    _check_counts(manifest, seen.settings.max_chunks)
    _check_components(manifest)
    for item in items:
        match item:
            case Loaders(batches):
                for loaders in batches:
                    for loader in loaders:
                        _check_principals("loaders.jsonl", loader.principals)
                    seen.loaders += len(loaders)
                    _expect("loaders", seen.loaders, manifest.counts.loaders, so_far=True)
                _expect("loaders", seen.loaders, manifest.counts.loaders)
            case Documents(batches):
                for documents in batches:
                    for line in documents:
                        _check_document(seen, line)
                    _expect("documents", seen.documents, manifest.counts.documents, so_far=True)
                _expect("documents", seen.documents, manifest.counts.documents)
            case Chunks():
                _check_chunks(seen, item, manifest)
            case Content():
                _check_content(seen, item)
    _expect("chunks", seen.chunks, manifest.counts.chunks)
    keys = np.frombuffer(bytes(seen.keys), [("high", ">u8"), ("low", ">u8")])
    if len(np.unique(keys)) != len(keys):
        raise BadArchive("chunks: two have one key")
    return manifest


def _check_counts(manifest: Manifest, most: int) -> None:
    """A document or loader takes no less room than a chunk, so that there are no more of them either."""
    for what, count in manifest.counts:
        if count > most:
            raise TooLarge(f"max_chunks: the archive has more than {most} {what}")


def _expect(what: str, found: int, announced: int, *, so_far: bool = False) -> None:
    if found > announced or (found < announced and not so_far):
        raise BadArchive(f"manifest.json: {announced} {what} are announced, {found} are there")


def _check_components(manifest: Manifest) -> None:
    """What is taken over of them can be used; a vector store elsewhere is not."""
    held = manifest.vector_store if manifest.vector_store and manifest.vector_store.name in OWN else None
    found = [Component(part.name, part.config) if part else None for part in (held, manifest.record_manager)]
    try:
        check_components(*found)
    except Unprocessable as error:
        raise BadArchive(f"manifest.json: {error.message}") from error


def _check_principals(place: str, given: Sequence[str] | None) -> None:
    """Raises `BadArchive` for those that nobody can be asked for."""
    try:
        principals(given, MOST_OF_DOCUMENT)
    except Unprocessable as error:
        raise BadArchive(f"{place}: {error.message}") from error


def _check_document(seen: _Seen, line: DocumentLine) -> None:
    place = f"documents.jsonl line {seen.documents + 1}"
    seen.documents += 1
    if line.loader >= seen.loaders:
        raise BadArchive(f"{place}: there is no loader {line.loader}")
    name = line.source.encode()
    if len(name) > (limit := LONGEST_SOURCE + NUMBERED):
        raise BadArchive(f"{place}: source has {len(name)} bytes, the limit is {limit}")
    source = blake2b(name, digest_size=16).digest()
    if source in seen.sources:
        raise BadArchive(f"{place}: another document has this source")
    seen.sources.add(source)
    if seen.sizes.setdefault(line.sha256, line.size) != line.size:
        raise BadArchive(f"{place}: another document with these bytes has another size")
    try:
        shaped(RecipeShape, line.recipe)
        Recipe.from_json(line.recipe).make_splitter()
    except (KeyError, TypeError, ValueError, AttributeError, SplitterError) as error:
        raise BadArchive(f"{place}: recipe.{error}") from error
    _check_metadata(seen, place, line.recipe["metadata"])
    _check_principals(place, line.principals)


def _check_metadata(seen: _Seen, place: str, metadata: Mapping[str, Any]) -> None:
    size = len(json.dumps(metadata, ensure_ascii=False).encode())
    if size > seen.limits.metadata:
        raise TooLarge(
            f"max_metadata: the metadata of {place} have {size} bytes; with those of its call and its file they may"
            f" have {seen.limits.metadata}"
        )


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
    if not line.text.strip():
        raise BadArchive(f"{place}: has no text")
    if len(line.text) > (limit := seen.settings.max_chunk_text):
        raise TooLarge(f"max_chunk_text: {place} has {len(line.text)} characters, the limit is {limit}")
    if len(line.head) > PLACES:
        raise TooLarge(f"{place}: the title and headings that it is indexed under have more than {PLACES} characters")
    _check_metadata(seen, place, line.metadata)
    if line.document >= seen.documents:
        raise BadArchive(f"{place}: there is no document {line.document}")
    if (line.document, line.position) < seen.last:
        raise BadArchive(f"{place}: is not in order")
    if line.indexed and manifest.fingerprint is None:
        raise BadArchive(f"{place}: is indexed, but the manifest names no vector space")
    seen.last = (line.document, line.position)
    seen.keys += UUID(line.key).bytes


def _check_content(seen: _Seen, item: Content) -> None:
    name = item.member.name
    if item.sha256 not in seen.sizes:
        raise BadArchive(f"{name}: belongs to no document")
    if item.member.size != seen.sizes[item.sha256]:
        raise BadArchive(f"{name}: has another size than its document says")
    if item.member.size > (limit := seen.limits.content):
        raise TooLarge(f"max_upload: a file in the archive is larger than {limit} bytes")
