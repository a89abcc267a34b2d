"""From a blob of chunks that a caller gave to the plan of their document."""

import base64
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from loaders.base import Failure, LoaderError
from service.document_stores.ledger.types import NewChunk, chunk_id

VERSION = "chunks/1"
"""Part of every chunk's id, as a splitter's fingerprint is of others."""

OWN_ID = "chunkId"
"""The metadata that shows a chunk's id as its caller named it."""


def plan(
    store: UUID,
    source: str,
    label: str,
    common: Mapping[str, Any],
    path: Path,
    space: Mapping[str, Any] | None = None,
) -> list[NewChunk]:
    """The chunks in the file that `OwnChunks` wrote, in the order they were given. Vectors from another space than
    `space`, the fingerprint of the document store's, are left out: their chunks are `foreign`.

    Every chunk has the metadata that it came with, over those of the whole call (`common`); `source` is `label` unless
    it has its own. What it came with is shown and filtered by, but neither embedded nor searched by words.

    Raises `LoaderError` for a file that is none of these.
    """
    seen: Counter[tuple[str, str]] = Counter()
    chunks: list[NewChunk] = []
    brought: Mapping[str, Any] | None = None
    with path.open("rb") as file:
        for position, line in enumerate(file):
            try:
                value = json.loads(line)
                if "space" in value:
                    brought = dict(value["space"])
                    continue
                chunk = _chunk(store, source, position, value, {"source": label, **common}, seen)
            except (ValueError, KeyError, TypeError) as error:
                raise LoaderError(Failure.CORRUPT, f"Line {position + 1} holds no chunk: {error}") from error
            chunks.append(chunk)
    if not chunks:
        raise LoaderError(Failure.EMPTY, "There are no chunks.")
    return chunks if space is None else [_at_home(chunk, brought, space) for chunk in chunks]


def _at_home(chunk: NewChunk, brought: Mapping[str, Any] | None, space: Mapping[str, Any]) -> NewChunk:
    """The chunk without a vector that is from another space; of old uploads, only the size of theirs is known."""
    if chunk.vector is None:
        return chunk
    same = brought == space if brought is not None else len(chunk.vector) == 4 * int(space["dimension"])
    return chunk if same else replace(chunk, vector=None, foreign=True)


def _chunk(
    store: UUID,
    source: str,
    position: int,
    value: Mapping[str, Any],
    common: Mapping[str, Any],
    seen: Counter[tuple[str, str]],
) -> NewChunk:
    text, own = value["text"], value.get("id")
    vector = base64.b64decode(value["vector"], validate=True) if "vector" in value else None
    fingerprint = "/".join((VERSION, own or "", sha256(vector).hexdigest() if vector else ""))
    number = seen[fingerprint, text]
    seen[fingerprint, text] += 1
    metadata = {**common, **({OWN_ID: own} if own else {}), **value["metadata"]}
    return NewChunk(
        id=chunk_id(store, source, fingerprint, text, text, number),
        position=position,
        text=text,
        metadata=metadata,
        vector=vector,
    )
