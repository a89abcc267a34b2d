"""Document stores as portable archives over HTTP."""

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from service.document_stores.archive import service
from service.document_stores.archive.wire import ImportResult, import_result
from service.errors import BadRequest, TooLarge
from service.http.access import CurrentWorkspace, needs
from service.http.answers import ACCEPTED, PREFER, answered
from service.http.forms import MULTIPART, announced, is_file, media_type, upload_form
from service.http.routing import Routes
from service.jobs.types import Job
from service.resources import CurrentResources

routes = Routes("Document stores")

TAR, GZIP = "application/x-tar", "application/gzip"

ANY_SIZE = 2**50
"""The limit of every other request does not hold for archives, which `max_archive` limits."""

IMPORT_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            TAR: {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    },
    "parameters": [PREFER],
}

EXPORTED = {"schema": {"type": "string", "format": "binary"}}


@routes.get(
    "/document-store/store/{id}/export",
    needs("documentStores:view"),
    errors=(404, 413, 503),
    summary="Export a document store",
    response_class=StreamingResponse,
    responses={200: {"description": "The archive", "content": {TAR: EXPORTED, GZIP: EXPORTED}}},
)
async def export_store(
    id: UUID,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    vectors: Annotated[bool, Query(description="With the vectors, so that an import embeds nothing")] = True,
    blobs: Annotated[bool, Query(description="With the uploaded files, so that they can be processed again")] = True,
    gzip: Annotated[bool, Query(description="Packed")] = False,
) -> Response:
    """The document store as it is at this moment, in one file: its documents, chunks, vectors, uploaded files and
    configurations, without credentials and other secrets. An archive that ends early is refused by the import."""
    made = await service.draft(resources, workspace, id, vectors=vectors, blobs=blobs)
    pieces = service.stream(resources, made)
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", made.store.name).strip("-.")[:80] or "document-store"
    name = f"{label}.tar.gz" if gzip else f"{label}.tar"
    return StreamingResponse(
        service.packed(pieces) if gzip else pieces,
        media_type=GZIP if gzip else TAR,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@routes.post(
    "/document-store/import",
    needs("documentStores:create"),
    errors=(400, 408, 413, 422, 429, 503, 507),
    summary="Import a document store",
    response_model=ImportResult,
    responses={**ACCEPTED},
    openapi_extra=IMPORT_REQUEST,
    max_body_size=ANY_SIZE,
)
async def import_store(
    request: Request,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    name: Annotated[
        str | None, Query(max_length=500, description="Of the new document store; default: as in the archive")
    ] = None,
) -> Any:
    """A new document store from an archive, packed or not, as the body or as the part `file` of a form.

    The archive is checked from end to end before anything of it can be seen; one that is damaged leaves nothing behind.
    Vectors are taken over as they are. With `Prefer: respond-async` the answer is 202 and the job.
    """
    incoming = announced(request)
    if incoming > (limit := resources.settings.max_archive):
        raise TooLarge(f"max_archive: the archive is larger than {limit} bytes")
    if media_type(request) == MULTIPART:
        async with upload_form(request, resources, workspace) as form:
            file = form.get("file")
            if not is_file(file):
                raise BadRequest("file: the archive must come as a file in the part 'file'")
            job = await service.take_in(resources, workspace, file.file, name)
    else:
        job = await service.take_in(resources, workspace, service.Pulled(request.stream()), name, incoming)

    async def done(job: Job) -> ImportResult:
        return import_result(job)

    return await answered(resources, job, request.headers.get("prefer"), done)
