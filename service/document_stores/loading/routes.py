"""Components and loaders of document stores over HTTP (contract 3.3, 3.5, 3.7, 3.8)."""

from typing import Any
from uuid import UUID

from fastapi import Request

from service.document_stores import service as document_stores
from service.document_stores import wire as stores_wire
from service.document_stores.loading import describing, service, wire
from service.document_stores.loading import preview as previews
from service.document_stores.showing import chunks_shown_to, loader_shown_to, shown_to
from service.document_stores.upserting.wire import UpsertResult, upsert_result
from service.http.access import SIGNED_IN, CurrentCaller, CurrentWorkspace, needs
from service.http.answers import ACCEPTED, PREFER, accepted, answered, ended, failure
from service.http.routing import Routes
from service.jobs.types import FINAL, Job, JobState
from service.jobs.wire import JobStatus
from service.nodes.service import of_category
from service.nodes.types import Category
from service.nodes.wire import NodeDefinition, definition
from service.resources import CurrentResources
from service.viewers import believed, restricting

routes = Routes("Document stores")

ADD_LOADER = needs("documentStores:add-loader")
PREVIEW = needs("documentStores:preview-process")
CONFIGURE = needs("documentStores:upsert-config")
VIEW = needs("documentStores:view")

BODY_ERRORS = (400, 404, 412, 413, 422, 502, 503)
JOB_ERRORS = (400, 404, 409, 412, 413, 422, 502, 503)


def _definitions(category: Category) -> list[NodeDefinition]:
    return [definition(node) for node in of_category(category)]


@routes.get(
    "/document-store/components/loaders",
    ADD_LOADER,
    summary="List the loaders",
    response_model=list[NodeDefinition],
    response_model_exclude_none=True,
)
async def list_loaders() -> list[NodeDefinition]:
    """The loaders that this service has, under Flowise's names, with the fields of their configuration."""
    return _definitions(Category.LOADERS)


@routes.get(
    "/document-store/components/embeddings",
    CONFIGURE,
    summary="List the embeddings",
    response_model=list[NodeDefinition],
    response_model_exclude_none=True,
)
async def list_embeddings() -> list[NodeDefinition]:
    """The embeddings that this service has, with the fields of their configuration."""
    return _definitions(Category.EMBEDDINGS)


@routes.get(
    "/document-store/components/vectorstore",
    CONFIGURE,
    summary="List the vector stores",
    response_model=list[NodeDefinition],
    response_model_exclude_none=True,
)
async def list_vector_stores() -> list[NodeDefinition]:
    """The vector stores that a document store can be configured with."""
    return _definitions(Category.VECTOR_STORES)


@routes.get(
    "/document-store/components/recordmanager",
    CONFIGURE,
    summary="List the record managers",
    response_model=list[NodeDefinition],
    response_model_exclude_none=True,
)
async def list_record_managers() -> list[NodeDefinition]:
    """The record managers that a document store can be configured with; the ledger does their work."""
    return _definitions(Category.RECORD_MANAGERS)


@routes.post(
    "/document-store/loader/preview",
    PREVIEW,
    errors=BODY_ERRORS,
    summary="Try a loader out",
    response_model=wire.PreviewResult,
)
async def preview_loader(
    body: wire.PreviewBody, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> wire.PreviewResult:
    """The chunks that a loader would bring. Nothing is kept; of a place such as a web site three documents are
    fetched."""
    return wire.preview_result(
        await previews.preview(resources, workspace, body.form(), body.most, everything=believed(caller))
    )


@routes.post(
    "/document-store/loader/save",
    PREVIEW,
    errors=BODY_ERRORS,
    summary="Save a loader",
    response_model=stores_wire.Loader,
)
async def save_loader(
    body: wire.LoaderBody, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> stores_wire.Loader:
    """Keep a loader and its files: a new one, or with `id` one that is there. It brings nothing until it is processed;
    what it brought before stays until then."""
    restricting(caller, body.principals)
    return stores_wire.loader_wire(loader_shown_to(caller, await service.save(resources, workspace, body.form())))


@routes.post(
    "/document-store/loader/process/{loader_id}",
    PREVIEW,
    errors=JOB_ERRORS,
    summary="Process a loader",
    response_model=stores_wire.ChunkPage,
    responses={**ACCEPTED},
    openapi_extra={
        "parameters": [PREFER],
        "requestBody": {"content": {"application/json": {"example": wire.EXAMPLE_PROCESS}}},
    },
)
async def process_loader(
    loader_id: UUID,
    body: wire.LoaderBody,
    request: Request,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
) -> Any:
    """Make the chunks of a saved loader, by what the body says, else as it was saved; answers with the first page.

    They can be searched once the document store has vectors: from then on at once, before that with
    `vectorstore/insert`. With `Prefer: respond-async` the answer is 202 and the job.
    """
    restricting(caller, body.principals)
    form = body.form(loader_id)

    async def done(job: Job) -> stores_wire.ChunkPage:
        assert job.store_id is not None
        store, rows, total, size = await document_stores.chunk_page(resources, workspace, job.store_id, loader_id, 1)
        rows = chunks_shown_to(caller, store, rows)
        return stores_wire.chunk_page(shown_to(caller, store), rows, total, size, loader_id, 1)

    job = await service.process(resources, workspace, form)
    return await answered(resources, job, request.headers.get("prefer"), done)


process_without_id = routes.refuse(
    "POST",
    "/document-store/loader/process",
    PREVIEW,
    "process_without_id",
    "loaderId",
    summary="Process a loader",
    response_model=stores_wire.ChunkPage,
)


@routes.get(
    "/document-store/store-configs/{store_id}/{loader_id}",
    VIEW,
    errors=(404,),
    summary="List what calls may override",
    response_model=list[wire.OverrideField],
)
async def list_store_configs(
    store_id: UUID, loader_id: UUID, resources: CurrentResources, workspace: CurrentWorkspace
) -> list[wire.OverrideField]:
    """The fields of the loader, its splitter, and the document store's embedding, vector store and record manager."""
    found = await service.overrides(resources, workspace, store_id, loader_id)
    return [wire.override_field(item) for item in found]


@routes.post(
    "/document-store/generate-tool-desc/{store_id}",
    VIEW,
    errors=(400, 404, 412, 422, 429, 502, 503, 504),
    summary="Describe a document store for agents",
    response_model=wire.Description,
)
async def generate_tool_description(
    store_id: UUID, body: wire.DescribeBody, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.Description:
    """A sentence or two on what the document store holds, written by the chat model that the body names."""
    model = body.selected_chat_model.model_dump() if body.selected_chat_model else None
    return wire.Description(content=await describing.describe(resources, workspace, store_id, model))


@routes.post(
    "/document-store/refresh/{store_id}",
    SIGNED_IN,
    errors=JOB_ERRORS,
    summary="Make loaders anew",
    response_model=list[UpsertResult],
    responses={202: {"model": list[JobStatus], "description": "The jobs go on"}},
    openapi_extra={"parameters": [PREFER], "requestBody": {"content": {"application/json": {"example": {}}}}},
)
async def refresh_store(
    store_id: UUID,
    request: Request,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
    body: wire.RefreshBody | None = None,
) -> Any:
    """Files are read again from what is kept of them; places are asked again, and what is unchanged there is not
    fetched. An answer for each loader: one that failed has no counts and its reason in `failed`."""
    items = [item.asked() for item in body.items] if body is not None and body.items else None
    for item in items or ():
        restricting(caller, item.principals)
    begun = await service.refresh(resources, workspace, store_id, items)
    jobs = await ended(resources, begun, request.headers.get("prefer"))
    if any(job.state not in FINAL for job in jobs):
        return accepted(jobs, several=True)
    if jobs and all(job.state is not JobState.DONE for job in jobs):
        return failure(jobs[0])
    results = []
    for job in jobs:
        if job.state is JobState.DONE:
            added = await document_stores.added_by(resources, workspace, job, everything=believed(caller))
            results.append(upsert_result(job, added))
        else:
            results.append(wire.failed_result(store_id, job))
    return results


refresh_without_id = routes.refuse(
    "POST",
    "/document-store/refresh",
    SIGNED_IN,
    "refresh_without_id",
    "storeId",
    summary="Make loaders anew",
    response_model=list[UpsertResult],
)
