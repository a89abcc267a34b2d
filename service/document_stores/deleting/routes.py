"""Deleting loaders and documents over HTTP (contract 3.3)."""

from uuid import UUID

from service.document_stores import service
from service.document_stores.deleting import service as deleting
from service.document_stores.showing import shown_to
from service.document_stores.wire import Store, store_wire
from service.http.access import CurrentCaller, CurrentWorkspace, needs
from service.http.routing import Routes
from service.resources import CurrentResources

routes = Routes("Document stores")

DELETE = needs("documentStores:delete-loader")


@routes.delete(
    "/document-store/loader/{store_id}/{loader_id}",
    DELETE,
    errors=(404,),
    summary="Delete a loader",
    response_model=Store,
)
async def delete_loader(
    store_id: UUID, loader_id: UUID, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> Store:
    """Remove a loader with its documents, chunks and vectors: nothing of it is found or listed when this answers."""
    await deleting.delete_loader(resources, workspace, store_id, loader_id)
    return store_wire(shown_to(caller, await service.get(resources, workspace, store_id)))


@routes.delete(
    "/document-store/documents/{store_id}/{document_id}",
    DELETE,
    errors=(404,),
    summary="Delete a document",
    response_model=Store,
)
async def delete_document(
    store_id: UUID, document_id: UUID, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> Store:
    """Remove one document of a loader with its chunks and vectors: nothing of it is found when this answers."""
    await deleting.delete_document(resources, workspace, store_id, document_id)
    return store_wire(shown_to(caller, await service.get(resources, workspace, store_id)))
