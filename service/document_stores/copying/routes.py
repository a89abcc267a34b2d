"""Copies of document stores over HTTP (ours; the contract has no such route)."""

from typing import Any
from uuid import UUID

from fastapi import Request

from service.document_stores.copying import service
from service.document_stores.copying.wire import CopyBody, CopyResult, CopyRow, copy_result, copy_row
from service.errors import Forbidden
from service.http.access import FULL, CurrentCaller, CurrentWorkspace, needs
from service.http.answers import ACCEPTED, PREFER, answered
from service.http.routing import Routes
from service.jobs.types import Job
from service.resources import CurrentResources

routes = Routes("Document stores")

CONFIGURES = "documentStores:upsert-config"
"""Who has this says by what documents are embedded."""


@routes.post(
    "/document-store/store/{id}/copy",
    needs("documentStores:create"),
    errors=(400, 403, 404, 409, 422, 429, 502, 503, 507),
    summary="Copy a document store",
    response_model=CopyResult,
    responses={**ACCEPTED},
    openapi_extra={"parameters": [PREFER]},
)
async def copy_store(
    id: UUID,
    body: CopyBody,
    request: Request,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
) -> Any:
    """A new document store with the same documents, cut by another splitter or embedded otherwise, to be tried beside
    the original. Texts that are embedded in the original, or in another copy of it, are not embedded again. With
    `hours` it is deleted after so many. With `Prefer: respond-async` the answer is 202 and the job, whose `storeId` is
    the copy's. Another embedding is sent all texts, and so needs the permission to configure that."""
    embedding = body.component("embedding", body.embedding)
    if embedding is not None and not {FULL, CONFIGURES} & caller.scopes:
        raise Forbidden(f"This key lacks the permission {CONFIGURES}.")
    job = await service.copy(
        resources,
        workspace,
        id,
        body.name,
        splitter=body.component("splitter", body.splitter),
        embedding=embedding,
        seconds=body.hours * 3600 if body.hours is not None else None,
    )

    async def done(job: Job) -> CopyResult:
        return copy_result(job)

    return await answered(resources, job, request.headers.get("prefer"), done)


@routes.get(
    "/document-store/store/{id}/copies",
    needs("documentStores:view"),
    errors=(404,),
    summary="List the copies of a document store",
    response_model=list[CopyRow],
)
async def list_copies(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> list[CopyRow]:
    """The copies that are there, the oldest first, with when they are deleted."""
    return [copy_row(each) for each in await service.of_store(resources, workspace, id)]
