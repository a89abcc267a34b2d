"""Upsert what a caller cut, and if he likes embedded, himself."""

from dataclasses import replace
from typing import BinaryIO, cast
from uuid import UUID

from service.document_stores import records as stores
from service.document_stores import service
from service.document_stores.cleanup import cleaning_of, merged
from service.document_stores.own_chunks import LOADER, MIME
from service.document_stores.own_chunks.spool import OwnChunks
from service.document_stores.space import DEFAULT_EMBEDDING, embedder_of, fingerprint_of
from service.document_stores.types import Component, Upload, Upsert
from service.errors import NotFound, Unprocessable
from service.jobs.types import Job
from service.resources import Resources


async def upsert(
    resources: Resources, workspace: UUID, store_id: UUID, asked: Upsert, chunks: OwnChunks, source: str | None
) -> Job:
    """Take chunks into a document store as the document `source`: what it held of that source before and is not among
    them goes, what is not new is not embedded again.

    Raises what `service.upsert` raises, and `Unprocessable` for no chunks, no source, or vectors of another size.
    """
    if not chunks.count:
        raise Unprocessable("chunks: must not be empty")
    for field, part in (("loader", asked.loader), ("splitter", asked.splitter)):
        if part is not None:
            raise Unprocessable(f"{field}: chunks are taken as they are, without a {field}")
    async with resources.database.read(workspace) as scope:
        store = await stores.get(scope, store_id)
    if store is None and not asked.new_store:
        raise NotFound(f"Document store {store_id} not found")
    if source is None:
        manager = merged(asked.record_manager, store.record_manager if store else None)
        source = cleaning_of(manager).source_of(asked.metadata or {})
    if source is None or not source.strip():
        raise Unprocessable("source: is missing; name the document that the chunks belong to")
    if chunks.dimension is not None:
        fixed = store is not None and not asked.new_store and not asked.embedding and store.collection is not None
        if fixed and store is not None and store.fingerprint is not None:
            chunks.note_space(store.fingerprint)
        else:
            embedding = _embedding(asked.embedding, store.embedding if store else None)
            chunks.note_space(await fingerprint_of(await embedder_of(resources, workspace, embedding)))
    upload = Upload(source, cast(BinaryIO, chunks.stream), MIME, f"chunks:{source}")
    return await service.upsert(resources, workspace, store_id, replace(asked, loader=Component(LOADER)), [upload])


def _embedding(asked: Component | None, base: Component | None) -> Component:
    base = base or DEFAULT_EMBEDDING
    if asked is None:
        return base
    same = not asked.name or asked.name == base.name
    return Component(base.name, {**base.config, **asked.config}) if same else asked
