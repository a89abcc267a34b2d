"""Editing and deleting single chunks over HTTP (contract 3.4)."""

from uuid import UUID

from service.document_stores import service
from service.document_stores.editing import service as editing
from service.document_stores.editing.wire import ChunkBody
from service.document_stores.showing import chunks_shown_to, shown_to
from service.document_stores.wire import ChunkPage, chunk_page
from service.http.access import Caller, CurrentCaller, CurrentWorkspace, needs
from service.http.routing import Routes
from service.resources import CurrentResources, Resources

routes = Routes("Document stores")

PATH = "/document-store/chunks/{store_id}/{loader_id}/{chunk_id}"


@routes.put(
    PATH,
    needs("documentStores:update"),
    errors=(404, 409, 413, 422, 502, 503),
    summary="Edit a chunk",
    response_model=ChunkPage,
)
async def edit_chunk(
    store_id: UUID,
    loader_id: UUID,
    chunk_id: UUID,
    body: ChunkBody,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
) -> ChunkPage:
    """Give a chunk another text and, if they are sent, other metadata. An indexed chunk is found by its new text, and
    no longer by its old one, when this answers. The edit lasts until the content or the recipe of its source changes,
    or its loader is processed again."""
    await editing.edit_chunk(resources, workspace, store_id, loader_id, chunk_id, body.page_content, body.metadata)
    return await _page(resources, caller, workspace, store_id, loader_id)


@routes.delete(
    PATH,
    needs("documentStores:update", "documentStores:delete"),
    errors=(404, 409),
    summary="Delete a chunk",
    response_model=ChunkPage,
)
async def delete_chunk(
    store_id: UUID,
    loader_id: UUID,
    chunk_id: UUID,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
) -> ChunkPage:
    """Remove one chunk; no search finds it when this answers. The others keep their numbers."""
    await editing.delete_chunk(resources, workspace, store_id, loader_id, chunk_id)
    return await _page(resources, caller, workspace, store_id, loader_id)


async def _page(resources: Resources, caller: Caller, workspace: UUID, store_id: UUID, loader_id: UUID) -> ChunkPage:
    store, rows, total, characters = await service.chunk_page(resources, workspace, store_id, loader_id, 1)
    rows = chunks_shown_to(caller, store, rows)
    return chunk_page(shown_to(caller, store), rows, total, characters, loader_id, 1)
