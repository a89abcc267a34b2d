"""The vector store of a document store over HTTP (contract 3.5)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Query, Response

from service.document_stores import service
from service.document_stores.indexing import service as indexing
from service.document_stores.indexing import wire
from service.document_stores.showing import shown_to
from service.document_stores.types import Component
from service.document_stores.wire import RawStore, raw_store
from service.http.access import CurrentCaller, CurrentWorkspace, needs
from service.http.answers import ACCEPTED, PREFER, answered
from service.http.routing import Routes
from service.jobs.types import Job
from service.resources import CurrentResources
from service.viewers import believed

routes = Routes("Document stores")

CONFIGURE = needs("documentStores:upsert-config")


@routes.post(
    "/document-store/vectorstore/save",
    CONFIGURE,
    errors=(404, 409, 412, 422, 502, 503),
    summary="Configure the vectors of a document store",
    response_model=RawStore,
)
async def save_vector_store(
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
    body: wire.VectorsBody | None = None,
) -> RawStore:
    """Set embedding, vector store and record manager; what is left out is cleared and takes the service's defaults.
    Another embedding than the one that the vectors were made by is refused."""
    store_id = wire.store_of(body)
    assert body is not None
    configured = await indexing.configure(resources, workspace, store_id, body.configs(strict=True))
    return raw_store(shown_to(caller, configured))


@routes.post(
    "/document-store/vectorstore/insert",
    CONFIGURE,
    errors=(404, 409, 412, 422, 502, 503),
    summary="Index the chunks of a document store",
    response_model=wire.InsertResult,
    responses={**ACCEPTED},
)
async def insert_vectors(
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
    body: wire.InsertBody | None = None,
    prefer: Annotated[str | None, Header(description=PREFER["description"])] = None,
) -> Any:
    """Give every chunk that is not indexed yet its vector and its words: it can be found when this answers.

    Chunks that are indexed already are skipped. With `docId` only the chunks of that loader. Configurations in the body
    are saved first.
    """
    store_id = wire.store_of(body)
    assert body is not None
    configs = body.configs(strict=bool(body.is_strict_save))
    job = await indexing.insert(resources, workspace, store_id, configs, body.doc_id)

    async def done(job: Job) -> wire.InsertResult:
        added = await service.added_by(resources, workspace, job, everything=believed(caller))
        return wire.insert_result(store_id, job, added)

    return await answered(resources, job, prefer, done)


@routes.post(
    "/document-store/vectorstore/update",
    CONFIGURE,
    errors=(404, 412, 422),
    summary="Change the vector store of a document store",
    response_model=RawStore | wire.Nothing,
)
async def update_vector_store(
    resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace, body: wire.UpdateBody | None = None
) -> RawStore | wire.Nothing:
    """Set the vector store's configuration; the others stay. Without a name there is nothing to change."""
    store_id = wire.store_of(body)
    assert body is not None
    if not body.vector_store_name:
        await service.get(resources, workspace, store_id)
        return wire.Nothing()
    vector_store = Component(body.vector_store_name, body.vector_store_config or {})
    configured = await indexing.configure(resources, workspace, store_id, {"vector_store": vector_store})
    return raw_store(shown_to(caller, configured))


@routes.delete(
    "/document-store/vectorstore/{store_id}",
    CONFIGURE,
    errors=(404,),
    summary="Remove the vectors of a document store",
    response_class=Response,
    responses={
        200: {
            "description": "They are gone; the body is empty",
            "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}, "example": ""}},
        }
    },
)
async def delete_vectors(
    store_id: UUID,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    doc_id: Annotated[UUID | None, Query(alias="docId", description="Only those of this loader")] = None,
) -> Response:
    """Take the chunks out of both indexes: no search finds them when this answers, and they stay listed."""
    await indexing.remove_vectors(resources, workspace, store_id, doc_id)
    return Response(status_code=200)
