"""Upserts into chatflows over HTTP (contract 2.1)."""

import asyncio
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData

from service.chatflows.routes import Id, flow_id
from service.chatflows.types import Chatflow
from service.document_stores import service as document_stores
from service.document_stores.types import Upload
from service.document_stores.wire import added_docs
from service.errors import BadRequest, NotFound
from service.flow_upserts import service, wire
from service.flow_upserts.types import FlowUpsert
from service.flow_upserts.wire import FlowUpsertBody, FlowUpsertResult
from service.http.access import SIGNED_IN, WIDGET, Caller, CurrentCaller, CurrentWorkspace
from service.http.answers import ACCEPTED, PREFER, answered
from service.http.forms import MULTIPART, fields_of, files_of, media_type, upload_form
from service.http.routing import Routes
from service.jobs.types import Job
from service.rate_limits import service as rate_limits
from service.resources import CurrentResources, Resources
from service.viewers import believed, restricting

routes = Routes("Upserts")

ERRORS = (400, 404, 408, 409, 413, 422, 429, 502, 503, 507)
REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {"example": {}},
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "stopNodeId": {"type": "string"},
                        "chatId": {"type": "string"},
                        "overrideConfig": {"type": "string", "description": "JSON text"},
                        "principals": {"type": "string", "description": "JSON text"},
                    },
                    "additionalProperties": {"type": "string", "description": "An override, beside files"},
                }
            },
        },
    },
    "parameters": [PREFER],
}


@routes.post(
    "/vector/upsert/{id}",
    WIDGET,
    errors=ERRORS,
    summary="Upsert into a chatflow's vector store",
    response_model=FlowUpsertResult,
    responses={**ACCEPTED},
    body=FlowUpsertBody,
    openapi_extra=REQUEST,
)
async def upsert_into_flow(id: Id, request: Request, resources: CurrentResources, caller: CurrentCaller) -> Any:
    """Brings what the loaders behind a vector store hold, and files sent along, into the knowledge base that the node
    stands for. The same content twice adds nothing. A chatflow that is bound to an API key needs that key; files need a
    vector store with `fileUpload`, or their field opened in the chatflow's `apiConfig`. Chat widgets, which have no
    key, are let in only where the operator's setting `widget_upserts`, `fileUpload` and `allowedOrigins` all say so."""
    if caller.workspace is None:
        try:
            target = flow_id(id)
        except BadRequest:
            raise service.Closed from None
        try:
            await rate_limits.spend(resources, target, request.client and request.client.host)
        except NotFound:
            raise service.Closed from None
        flow = await service.flow_for_widget(resources, target, request.headers.get("origin"))
        return await _upsert(request, resources, caller, flow, widget=True)
    flow = await service.flow_for_key(resources, caller.workspace, flow_id(id), caller.key)
    await rate_limits.spend(resources, flow.id, request.client and request.client.host)
    return await _upsert(request, resources, caller, flow)


@routes.post(
    "/vector/internal-upsert/{id}",
    SIGNED_IN,
    errors=ERRORS,
    summary="Upsert into a chatflow from within",
    response_model=FlowUpsertResult,
    responses={**ACCEPTED},
    body=FlowUpsertBody,
    openapi_extra=REQUEST,
)
async def upsert_into_flow_internally(
    id: Id, request: Request, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> Any:
    """As the route without `internal`, with any key of the workspace, also where the chatflow is bound to one."""
    flow = await service.flow_for_key(resources, workspace, flow_id(id), caller.key, internal=True)
    return await _upsert(request, resources, caller, flow)


upsert_into_flow_without_id = routes.refuse(
    "POST",
    "/vector/upsert",
    SIGNED_IN,
    "upsert_into_flow_without_id",
    "id",
    summary="Upsert into a chatflow's vector store",
    response_model=FlowUpsertResult,
)
upsert_into_flow_internally_without_id = routes.refuse(
    "POST",
    "/vector/internal-upsert",
    SIGNED_IN,
    "upsert_into_flow_internally_without_id",
    "id",
    summary="Upsert into a chatflow from within",
    response_model=FlowUpsertResult,
)


async def _upsert(
    request: Request, resources: Resources, caller: Caller, flow: Chatflow, *, widget: bool = False
) -> Any:
    if media_type(request) == MULTIPART:
        async with upload_form(request, resources, flow.workspace) as form:
            asked = await asyncio.to_thread(_of_form, form)
            restricting(caller, asked.principals)
            started = await service.upsert(resources, flow, asked, widget=widget)
    else:
        asked = (await asyncio.to_thread(wire.body_of_json, await request.body())).asked()
        restricting(caller, asked.principals)
        started = await service.upsert(resources, flow, asked, widget=widget)

    async def done(job: Job) -> FlowUpsertResult:
        rows = await document_stores.added_by(resources, flow.workspace, job, everything=believed(caller))
        return wire.result(started, job, added_docs(rows))

    return await answered(resources, started.job, request.headers.get("prefer"), done, public=widget)


def _of_form(form: FormData) -> FlowUpsert:
    uploads = [Upload(part.filename or "file", part.file, part.content_type) for part in files_of(form)]
    body, more = wire.body_of_form(fields_of(form), files=bool(uploads))
    return body.asked(uploads, more)
