"""Attachments over HTTP (contract 6.6)."""

from typing import Annotated
from urllib.parse import quote

from fastapi import Path, Query, Request
from fastapi.responses import StreamingResponse

from service.attachments import service, wire
from service.attachments.types import Upload
from service.attachments.wire import AttachmentBody
from service.chatflows.routes import flow_id
from service.errors import BadRequest
from service.http.access import PUBLIC, CurrentCaller, public_through
from service.http.forms import MULTIPART, fields_of, files_of, media_type, upload_form
from service.http.routing import Routes
from service.resources import CurrentResources, Resources

routes = Routes("Attachments")

FILES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "base64": {"type": "string", "description": "Sent with any value: bytes in place of text"},
                    },
                }
            }
        },
    }
}

SHOWN = ("image/", "audio/", "video/", "application/pdf", "text/plain")
"""Types that a browser may show."""

ACTIVE = frozenset({"image/svg+xml"})
"""Of these, such as can hold scripts (Annex 2 no. 25)."""

Flow = Annotated[
    str,
    Path(alias="chatflowId", description="Id of the chatflow", examples=["5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"]),
]


async def _admit(request: Request) -> None:
    """Let a caller bring files before any of them is read."""
    resources: Resources = request.app.state.resources
    request.state.guest = await service.admit(
        resources,
        flow_id(request.path_params["chatflowId"]),
        token=request.state.caller.token,
        origin=request.headers.get("origin"),
        address=request.client.host if request.client else "",
    )


@routes.post(
    "/attachments/{chatflowId}/{chatId}",
    public_through(_admit),
    errors=(400, 401, 403, 404, 408, 413, 422, 503, 507),
    summary="Bring files to a conversation",
    response_model=list[AttachmentBody],
    openapi_extra=FILES,
)
async def create_attachments(
    chatflow: Flow,
    chat: Annotated[str, Path(alias="chatId", description="Id of the conversation", examples=["c1"])],
    request: Request,
    resources: CurrentResources,
) -> list[AttachmentBody]:
    """Reads files and answers with their text, for a client that sends it along with a question. The chatflow's
    `fullFileUpload` says whether files are taken and of which types, by what they hold; a flow that is bound to an API
    key needs that key. They are kept for some weeks, or until the chatflow is deleted."""
    guest: service.Guest = request.state.guest
    if media_type(request) != MULTIPART:
        raise BadRequest("files: send multipart/form-data with parts named 'files'")
    async with upload_form(request, resources) as form:
        uploads = [Upload(part.filename or "file", part.file, part.content_type) for part in files_of(form)]
        as_base64 = "base64" in fields_of(form)
        found = await service.bring(resources, guest, chat, uploads, as_base64=as_base64)
    return [wire.body(item) for item in found]


create_attachments_without_chat = routes.refuse(
    "POST",
    "/attachments/{chatflowId}",
    PUBLIC,
    "create_attachments_without_chat",
    "chatId",
    summary="Bring files to a conversation",
    response_model=list[AttachmentBody],
)


@routes.get(
    "/get-upload-file",
    PUBLIC,
    errors=(400, 401, 403, 404),
    summary="Get a file of a conversation",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def get_upload_file(
    request: Request,
    resources: CurrentResources,
    caller: CurrentCaller,
    chatflow: Annotated[str | None, Query(alias="chatflowId", description="Id of the chatflow")] = None,
    chat: Annotated[str | None, Query(alias="chatId", description="Id of the conversation")] = None,
    name: Annotated[str | None, Query(alias="fileName", description="Name of the file")] = None,
    download: Annotated[str | None, Query(description="With any text: to be saved, not shown")] = None,
) -> StreamingResponse:
    """The bytes of a file that this caller brought to a conversation; pictures, sound and PDF to be shown, everything
    else to be saved. Whoever brought it with a key needs that key to read it."""
    for parameter, value in (("chatflowId", chatflow), ("chatId", chat), ("fileName", name)):
        if not value:
            raise BadRequest(f"{parameter}: is missing")
    assert chatflow is not None
    assert chat is not None
    assert name is not None
    origin = request.headers.get("origin")
    found, pieces = await service.show(resources, flow_id(chatflow), chat, name, token=caller.token, origin=origin)
    shown = not download and found.mime.startswith(SHOWN) and found.mime not in ACTIVE
    disposition = "inline" if shown else "attachment"
    return StreamingResponse(
        pieces,
        media_type=found.mime,
        headers={
            "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(found.name, safe='')}",
            "Content-Length": str(found.size),
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, max-age=3600",
        },
    )
