"""Document stores over HTTP (contract, area 3)."""

import asyncio
import time
from typing import Any
from uuid import UUID

from fastapi import Request

from service.document_stores import search, service, wire
from service.document_stores.own_chunks import service as own_chunks
from service.document_stores.own_chunks.body import read_body, read_form
from service.document_stores.own_chunks.spool import OwnChunks
from service.document_stores.querying.wire import QueryBody, QueryResult, query_result
from service.document_stores.showing import shown_to
from service.document_stores.types import Upload
from service.document_stores.upserting.wire import UpsertBody, UpsertResult, upsert_body, upsert_result
from service.errors import BadRequest, MissingPart, NotFound, Unprocessable
from service.http.access import SIGNED_IN, Caller, CurrentCaller, CurrentWorkspace, needs
from service.http.answers import ACCEPTED, PREFER, answered
from service.http.forms import MULTIPART, URL_ENCODED, fields_of, files_of, media_type, upload_form
from service.http.routing import Routes
from service.http.wire import Page
from service.jobs.types import Job
from service.resources import CurrentResources, Resources
from service.retrieval.trace import Trace
from service.viewers import HEADER, NotBelieved, believed, claimed, restricting, told, viewer_of

routes = Routes("Document stores")

VIEW = needs("documentStores:view")
READ = needs("documentStores:view", "documentStores:update", "documentStores:delete")
WRITE = needs("documentStores:create", "documentStores:update")

UPSERT_REQUEST = {
    "requestBody": {
        "content": {
            "application/json": {
                "example": {"loader": {"name": "plainText", "config": {"text": "Offices close at 18:00."}}},
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "metadata": {"type": "string", "description": "JSON text"},
                        "docId": {"type": "string"},
                        "replaceExisting": {"type": "boolean"},
                        "createNewDocStore": {"type": "boolean"},
                        "docStore": {"type": "string", "description": "JSON text"},
                        "loaderName": {"type": "string"},
                        "loader": {"type": "string", "description": "JSON text"},
                        "splitter": {"type": "string", "description": "JSON text"},
                        "embedding": {"type": "string", "description": "JSON text"},
                        "vectorStore": {"type": "string", "description": "JSON text"},
                        "recordManager": {"type": "string", "description": "JSON text"},
                        "principals": {"type": "string", "description": "JSON text"},
                        "chunks": {"type": "string", "description": "JSON text, in place of files"},
                        "source": {"type": "string"},
                    },
                }
            },
        }
    },
    "parameters": [PREFER],
}


@routes.post(
    "/document-store/store", WRITE, errors=(422,), summary="Make a document store", response_model=wire.RawStore
)
async def create_store(body: wire.StoreBody, resources: CurrentResources, workspace: CurrentWorkspace) -> wire.RawStore:
    """A new, empty document store. What is not configured takes the service's defaults with the first upsert."""
    restricted = bool(body.restricted)
    store = await service.create(
        resources,
        workspace,
        body.name or "",
        body.description,
        body.configs(),
        restricted=restricted,
        loaders=body.loader_ids(),
    )
    return wire.raw_store(store)


@routes.get(
    "/document-store/store",
    VIEW,
    errors=(412,),
    summary="List document stores",
    response_model=list[wire.Store] | wire.StorePage,
)
async def list_stores(resources: CurrentResources, workspace: CurrentWorkspace, page: Page) -> Any:
    """The workspace's document stores, the one changed last first."""
    rows, total = await service.page(resources, workspace, page.offset, page.size)
    stores = [wire.store_wire(row) for row in rows]
    return wire.StorePage(total=total, data=stores) if page.on else stores


@routes.get(
    "/document-store/store/{id}", READ, errors=(404,), summary="Read a document store", response_model=wire.Store
)
async def get_store(
    id: UUID, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> wire.Store:
    """A document store with its loaders and their files, and the flows that name it."""
    return wire.store_wire(shown_to(caller, await service.get(resources, workspace, id)), named=True)


@routes.put(
    "/document-store/store/{id}", WRITE, errors=(404, 422), summary="Change a document store", response_model=wire.Store
)
async def update_store(
    id: UUID, body: wire.StoreBody, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> wire.Store:
    """Change the name, the description or a configuration; what is left out stays. `restricted` is for keys that may
    read every document."""
    changes: dict[str, Any] = dict(body.configs())
    if body.name is not None:
        if not body.name.strip():
            raise Unprocessable("name: must not be empty")
        changes["name"] = body.name.strip()
    if "description" in body.model_fields_set:
        changes["description"] = body.description
    if body.restricted is not None:
        if not believed(caller):
            raise NotBelieved("restricted: only a key that may read every document may say who finds what is there")
        changes["restricted"] = body.restricted
    store = await service.update(resources, workspace, id, changes, loaders=body.loader_ids())
    return wire.store_wire(shown_to(caller, store))


@routes.delete(
    "/document-store/store/{id}",
    needs("documentStores:delete"),
    errors=(404,),
    summary="Delete a document store",
    response_model=wire.StoreDeleted,
)
async def delete_store(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> wire.StoreDeleted:
    """Nothing of it can be found from the moment of the answer; a job then removes vectors, chunks and uploads."""
    await service.delete(resources, workspace, id)
    return wire.StoreDeleted(deleted=1)


@routes.get(
    "/document-store/documents/{id}",
    VIEW,
    errors=(404, 412),
    summary="List the documents of a document store",
    response_model=list[wire.Document],
)
async def list_documents(
    id: UUID, resources: CurrentResources, workspace: CurrentWorkspace, page: Page
) -> list[wire.Document]:
    """Every document with its state: pending, ready, or failed with the reason. Take pages with `page` and `limit`."""
    rows = await service.documents(resources, workspace, id, page.offset, page.size)
    return [wire.document_wire(row) for row in rows]


@routes.get(
    "/document-store/chunks/{store_id}/{loader_id}/{page_no}",
    VIEW,
    errors=(404, 412),
    summary="Read a page of chunks",
    response_model=wire.ChunkPage,
)
async def get_chunks(
    store_id: UUID, loader_id: str, page_no: int, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.ChunkPage:
    """Fifty chunks of one loader, or of `all`; a page beyond the end has none."""
    if page_no < 1:
        raise MissingPart("pageNo: pages count from 1")
    loader = None if loader_id == "all" else _uuid(loader_id)
    store, rows, total, characters = await service.chunk_page(resources, workspace, store_id, loader, page_no)
    return wire.chunk_page(store, rows, total, characters, loader, page_no)


@routes.post(
    "/document-store/upsert/{id}",
    SIGNED_IN,
    errors=(400, 404, 408, 409, 413, 422, 429, 502, 503, 507),
    summary="Upsert documents",
    response_model=UpsertResult,
    responses={**ACCEPTED},
    body=UpsertBody,
    openapi_extra=UPSERT_REQUEST,
)
async def upsert(
    id: UUID, request: Request, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> Any:
    """Take files or text into a document store: chunked, embedded, searchable when this answers.

    The same content twice adds nothing (`numSkipped`); a changed file replaces its old chunks. Parts that the call and
    the store leave open take the service's defaults. With `Prefer: respond-async` the answer is 202 and the job.
    """
    if media_type(request) in (MULTIPART, URL_ENCODED):
        async with upload_form(request, resources, workspace) as form:
            uploads = [Upload(part.filename or "file", part.file, part.content_type) for part in files_of(form)]
            with OwnChunks(resources.settings) as own:
                values = await asyncio.to_thread(read_form, fields_of(form), own.take)
                job = await _upsert(resources, caller, workspace, id, values, uploads, own)
    else:
        with OwnChunks(resources.settings) as own:
            try:
                body = await asyncio.to_thread(read_body, await request.body(), own.take)
            except ValueError as error:
                raise BadRequest(f"The body is not valid JSON: {error}") from None
            job = await _upsert(resources, caller, workspace, id, body, [], own)

    async def done(job: Job) -> UpsertResult:
        added = await service.added_by(resources, workspace, job, everything=believed(caller))
        return upsert_result(job, added)

    return await answered(resources, job, request.headers.get("prefer"), done)


upsert_without_id = routes.refuse(
    "POST",
    "/document-store/upsert",
    SIGNED_IN,
    "upsert_without_id",
    "storeId",
    summary="Upsert documents",
    response_model=UpsertResult,
)


async def _upsert(
    resources: Resources,
    caller: Caller,
    workspace: UUID,
    store_id: UUID,
    values: object,
    uploads: list[Upload],
    own: OwnChunks,
) -> Job:
    body = await asyncio.to_thread(upsert_body, values)
    restricting(caller, body.principals)
    if not own.given:
        return await service.upsert(resources, workspace, store_id, body.asked(), uploads)
    if uploads:
        raise Unprocessable("chunks: come in place of files, not together with them")
    return await own_chunks.upsert(resources, workspace, store_id, body.asked(), own, body.source)


@routes.post(
    "/document-store/vectorstore/query",
    needs("documentStores:view"),
    errors=(403, 404, 409, 422, 429, 502, 503, 504),
    summary="Query a document store",
    response_model=QueryResult,
    response_model_exclude_unset=True,
)
async def query_store(
    body: QueryBody, request: Request, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> QueryResult:
    """The chunks that answer a question, best first, by hybrid retrieval (vectors and words) unless the request or the
    document store says otherwise; with `explain`, also what every stage found, left out and took.

    With `principals`, or the header `X-Ragstone-Principals`, only what these may find; without, what is restricted too,
    but nothing of a restricted document store."""
    begun = time.perf_counter()
    asked = body.asked()
    header = told(request.headers.getlist(HEADER))
    viewer = viewer_of(caller, claimed(body.principals, header), administers=True)
    trace = Trace() if asked.explain else None
    found = await search.search(
        resources,
        workspace,
        body.store_id,
        body.query,
        viewer=viewer,
        k=asked.limit,
        where=asked.where,
        retrieval=asked.retrieval,
        history=asked.history,
        trace=trace,
    )
    return query_result((time.perf_counter() - begun) * 1000, found, trace)


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise NotFound(f"Loader {value} not found") from None
