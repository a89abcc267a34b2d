"""Edits of single chunks: they keep their id, and last until what they were made from changes or is processed again."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.document_stores.editing import records
from service.document_stores.indexing.texts import index_texts
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.ledger.types import PendingChunk, indexed
from service.document_stores.recipe import clean
from service.document_stores.shelf import Indexed, Revision, changing
from service.document_stores.space import current_space
from service.errors import Conflict, NotFound, TooLarge, Unprocessable
from service.resources import Resources
from stores.records.database import Scope

MOST_TRIES = 5
"""How often an edit begins anew because the chunk changed while its text was embedded."""


class DocumentBusy(Conflict):
    """A job is making the chunks of this document anew."""

    code = "document_busy"


async def edit_chunk(
    resources: Resources,
    workspace: UUID,
    store_id: UUID,
    loader_id: UUID,
    chunk_id: UUID,
    text: str,
    metadata: Mapping[str, Any] | None,
) -> None:
    """Give a chunk another text, and other metadata unless they are None. Of an indexed chunk, row, vector and words
    change together.

    Raises `NotFound`, `DocumentBusy`, `Unprocessable` for an empty text or metadata that are no JSON, `TooLarge` naming
    the limit, `EmbeddingChanged`, and what the embedder raises; then nothing has changed.
    """
    text = clean(text, "pageContent")
    if not text.strip():
        raise Unprocessable("pageContent: must not be empty; delete the chunk instead")
    if len(text) > (limit := resources.settings.max_chunk_text):
        raise TooLarge(f"max_chunk_text: the text has {len(text)} characters, the limit is {limit}")
    given = None if metadata is None else _checked(metadata, resources.settings.max_metadata)
    for _ in range(MOST_TRIES):
        async with resources.database.read(workspace) as scope:
            chunk = _editable(await records.find(scope, store_id, loader_id, chunk_id), store_id, chunk_id)
        head = "\n".join(line for line in chunk.head.split("\n") if line and not text.startswith(line))
        found, collection = await _index(resources, workspace, store_id, chunk, indexed(head, text))
        async with changing(resources, workspace, store_id) as shelf:
            now = await _locked(shelf.scope, store_id, loader_id, chunk_id)
            if now != chunk or (chunk.number is not None and found is not None and shelf.collection != collection):
                continue  # it was edited or indexed meanwhile, or its document store has other vectors
            fresh = dict(chunk.metadata) if given is None else given
            if found is None and chunk.number is not None:  # indexed by the same text: the embedding stays
                renumbered = await shelf.describe(
                    [Revision(chunk_id, chunk.document_id, chunk.number, head, text, fresh, None)]
                )
                row = (chunk_id, renumbered.get(chunk_id, chunk.number), head, text, fresh, None)
                await chunk_rows.replace(shelf.scope, store_id, [row], edited=True)
            else:
                revision = Revision(chunk_id, chunk.document_id, chunk.number, head, text, fresh, found)
                await shelf.replace([revision], collection, edited=True)
            more = len(text) - len(chunk.text)
            await records.count_edit(shelf.scope, chunk.document_id, chunks=0, characters=more)
            return
    raise DocumentBusy(f"Chunk {chunk_id} changes too often at the moment; try again")


async def delete_chunk(resources: Resources, workspace: UUID, store_id: UUID, loader_id: UUID, chunk_id: UUID) -> None:
    """Remove a chunk: found and listed by nobody from the commit on. The others keep their numbers.

    Raises `NotFound`, `DocumentBusy`.
    """
    async with changing(resources, workspace, store_id) as shelf:
        chunk = await _locked(shelf.scope, store_id, loader_id, chunk_id)
        await shelf.remove([chunk_id])
        await records.count_edit(shelf.scope, chunk.document_id, chunks=-1, characters=-len(chunk.text))


async def _index(
    resources: Resources, workspace: UUID, store_id: UUID, chunk: PendingChunk, text: str
) -> tuple[Indexed | None, str | None]:
    """What the chunk's new text is indexed by, and the collection that this was made for; nothing for a chunk that is
    not indexed, or is by this very text."""
    if chunk.number is None or text == chunk.index_text:
        return None, None
    space = await current_space(resources, workspace, store_id)
    if space is None:
        return None, None
    (found,) = await index_texts(space.embedder, [text], None)
    return found, space.collection


async def _locked(scope: Scope, store_id: UUID, loader_id: UUID, chunk_id: UUID) -> PendingChunk:
    return _editable(await records.find(scope, store_id, loader_id, chunk_id, lock=True), store_id, chunk_id)


def _editable(found: records.Editable | None, store_id: UUID, chunk_id: UUID) -> PendingChunk:
    if found is None:
        raise NotFound(f"Chunk {chunk_id} not found in document store {store_id}")
    if found.busy:
        raise DocumentBusy("A job is making the chunks of this document anew; try again when it has ended")
    return found.chunk


def _checked(metadata: Mapping[str, Any], limit: int) -> dict[str, Any]:
    found: dict[str, Any] = clean(metadata)
    size = len(json.dumps(found, ensure_ascii=False).encode())
    if size > limit:
        raise TooLarge(f"max_metadata: the metadata have {size} bytes, the limit is {limit}")
    return found
