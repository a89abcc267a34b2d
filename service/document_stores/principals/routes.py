"""Who may find documents, over HTTP."""

from uuid import UUID

from service.document_stores import service as document_stores
from service.document_stores.principals import service
from service.document_stores.principals.wire import ChangesBody
from service.document_stores.wire import Store, store_wire
from service.http.access import CurrentWorkspace, needs
from service.http.routing import Routes
from service.resources import CurrentResources

routes = Routes("Document stores")


@routes.put(
    "/document-store/principals/{store_id}",
    needs("documentStores:update"),
    errors=(404, 422, 502, 503),
    summary="Say who may find documents",
    response_model=Store,
)
async def change_principals(
    store_id: UUID, body: ChangesBody, resources: CurrentResources, workspace: CurrentWorkspace
) -> Store:
    """Each change is in force with its own commit, before this answers: queries for others than these no longer find
    the document, those for one of them do. Nothing is embedded again. Lists of documents and loaders show what holds.
    """
    await service.change(resources, workspace, store_id, body.asked())
    return store_wire(await document_stores.get(resources, workspace, store_id))
