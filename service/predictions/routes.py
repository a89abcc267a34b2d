"""Predictions over HTTP (contract 1)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request, Response

from service.chatflows.routes import Id, flow_id
from service.errors import BadRequest, ServiceError
from service.http.access import PUBLIC, SIGNED_IN, Caller, CurrentCaller, CurrentWorkspace
from service.http.forms import MULTIPART, URL_ENCODED, fields_of, files_of, media_type, upload_form
from service.http.idempotency import UNKEPT
from service.http.routing import Routes
from service.http.streams import EventStream, while_connected
from service.json_text import AT_ONCE
from service.predictions import service, wire, writing
from service.predictions.events import End, Failure
from service.predictions.runs import Running
from service.predictions.service import Prediction
from service.predictions.types import Question, Upload
from service.predictions.wire import Aborted, PredictionAnswer, PredictionBody
from service.predictions.writing import Writer
from service.rate_limits import service as rate_limits
from service.resources import CurrentResources, Resources
from service.viewers import HEADER, told

routes = Routes("Predictions")
messages = Routes("Chat messages")

HEARTBEAT_SECONDS = 15.0
LAST = "last-event-id"
"""The header by which a client says what of a resumable stream it has read."""
JSON = "application/json"
STREAM = "text/event-stream"
WITH_STATUS = frozenset({400, 404, 412})
"""Failures that a caller who reads streams alone is told by their status: it has named no chatflow, and the widget,
which asks `chatflows-streaming` first, does not get as far as a stream then."""
SHOWN = frozenset({401, 403, 429})
"""Failures whose body the chat widget shows as it stands, in place of a stream."""
EXAMPLE = 'message:\ndata:{"event":"token","data":"You"}\n\n'
BODY = PredictionBody.model_json_schema()
STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}}}
}
FILES = {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}}
BODIES = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": BODY},
            MULTIPART: {"schema": {**BODY, "properties": {**BODY["properties"], **FILES}}},
        },
    }
}


async def _asked(request: Request, resources: Resources) -> Question:
    """What a call asks, from JSON or a form. What came from a tool of another server's flow is never streamed."""
    header = told(request.headers.getlist(HEADER))
    kind = media_type(request)
    if kind == MULTIPART:
        question = await _of_form(request, resources, header)
    else:
        content = await request.body()
        most, is_form = resources.settings.max_json, kind == URL_ENCODED

        def read() -> Question:
            body = wire.parse_urlencoded(content, most) if is_form else wire.parse_json(content, most)
            return body.asked(header)

        question = read() if len(content) <= AT_ONCE else await asyncio.to_thread(read)
    if request.headers.get("flowise-tool", "").lower() == "true":
        question = replace(question, streaming=False)
    return question


async def _of_form(request: Request, resources: Resources, header: str | None) -> Question:
    async with upload_form(request, resources) as form:
        fields = fields_of(form)
        files: list[Upload] = []
        for part in files_of(form):
            content = await asyncio.to_thread(part.file.read)
            files.append(wire.part(len(files), part.filename, part.content_type, content))

    def read() -> Question:
        return wire.parse_form(fields, files=bool(files)).asked(header, files)

    return await asyncio.to_thread(read)


async def _frames(running: Running, writer: Writer, read: int = 0) -> AsyncIterator[bytes]:
    """The run from the event `read` on as frames, with a heartbeat where it is silent. A reader that takes none holds
    up nothing but itself: what comes next is written when it has taken what came before."""
    while not running.done or read < len(running.events):
        events = await running.read(read, HEARTBEAT_SECONDS)
        read += len(events)
        if events:
            yield writer.write(events)
        elif not running.done:
            yield writing.HEARTBEAT


def _refused(request: Request, error: ServiceError) -> Response:
    """A failure before the answer begins.

    The chat widget asks with `Accept: text/event-stream` and shows nothing at all when the answer is no stream, unless
    its status is one of `SHOWN`. So a caller who accepts a stream alone gets those as text, and others as the event
    `error`. Raises the failure for everybody else: they get its status and the error body.
    """
    if request.headers.get("accept", "").strip().lower() != STREAM or error.status in WITH_STATUS:
        raise error
    if error.status in SHOWN:
        error.plain = True
        raise error
    frames = Writer(full=True).write((Failure(error), End()))  # what is not for this caller is withheld already
    return Response(frames, headers={"Content-Type": STREAM, **writing.HEADERS})


@routes.post(
    "/prediction/{id}",
    PUBLIC,
    errors=(400, 401, 403, 404, 410, 412, 413, 422, 429, 502, 503, 504),
    summary="Ask a chatflow",
    response_model=PredictionAnswer,
    responses=STREAMED,
    openapi_extra=BODIES,
)
async def predict(id: Id, request: Request, resources: CurrentResources, caller: CurrentCaller) -> Response:
    """Answers whole, or as a stream of events when `streaming` is true and the flow can stream. Both messages are
    stored under the session; a client that goes away stops the model, and what was written until then is kept.

    A flow that is bound to an API key needs that key. What is wrong with the request or the flow is answered with a
    status in both cases; a model that fails while a stream is open ends it with the event `error`. A caller that
    accepts `text/event-stream` alone, as the chat widget, is told of unusable fields and flows by that event too."""
    return await _answer(id, request, resources, caller)


@routes.post(
    "/internal-prediction/{id}",
    SIGNED_IN,
    errors=(400, 404, 410, 412, 413, 422, 429, 502, 503, 504),
    summary="Ask a chatflow from within",
    response_model=PredictionAnswer,
    responses=STREAMED,
    openapi_extra=BODIES,
)
async def predict_internally(
    id: Id, request: Request, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> Response:
    """As a prediction, but by somebody who holds a key of the workspace: the rules for visitors, the flow's own key and
    its origins, do not count, and the messages are listed as INTERNAL."""
    return await _answer(id, request, resources, caller, member=workspace)


async def _answer(
    id: str, request: Request, resources: Resources, caller: Caller, member: UUID | None = None
) -> Response:
    target = flow_id(id)
    origin = request.headers.get("origin")
    told_left: Mapping[str, str] = {}
    if last := request.headers.get(LAST):
        return await _continued(target, last, request, resources, caller, member)
    try:
        if member is None:
            told_left = await rate_limits.spend(resources, target, request.client and request.client.host)
        question = await _asked(request, resources)
        address = request.client.host if request.client else ""
        prediction = await service.ask(
            resources, target, question, token=caller.token, origin=origin, member=member, address=address
        )
    except ServiceError as error:
        return _refused(request, error)
    return await respond(request, prediction, told_left)


async def respond(request: Request, prediction: Prediction, headers: Mapping[str, str]) -> Response:
    """A run that has begun, as a stream or, when it has ended, whole; it is stopped when the client goes away."""
    running = prediction.running
    setattr(request.state, UNKEPT, not prediction.keeps)
    leave = running.attend()
    if prediction.streams:
        writer = Writer(full=prediction.full, run=running.id if running.resumable else "")
        return EventStream(_frames(running, writer), leave, {**writing.HEADERS, **headers})
    await while_connected(request.receive, running.wait(), leave)
    return Response(writing.answer(prediction), media_type=JSON, headers=dict(headers))


async def _continued(
    target: UUID, last: str, request: Request, resources: Resources, caller: Caller, member: UUID | None
) -> Response:
    """The rest of a resumable stream. The body, which clients send again, says only whom the caller asks for."""
    header = told(request.headers.getlist(HEADER))
    asked = await _asked(request, resources) if await request.body() else PredictionBody().asked(header)
    principals, token = asked.principals, caller.token
    found = await service.resume(resources, target, last, token=token, member=member, principals=principals)
    running = found.running
    before = running.events[: found.start]
    writer = Writer(full=found.full, run=running.id, start=found.start, skip=found.skip, before=before)
    return EventStream(_frames(running, writer, found.start), running.attend(), writing.HEADERS)


predict_without_id = routes.refuse(
    "POST", "/prediction", PUBLIC, "predict_without_id", "id", summary="Ask a chatflow", response_model=PredictionAnswer
)
predict_internally_without_id = routes.refuse(
    "POST",
    "/internal-prediction",
    SIGNED_IN,
    "predict_internally_without_id",
    "id",
    summary="Ask a chatflow from within",
    response_model=PredictionAnswer,
)


@messages.put(
    "/chatmessage/abort/{chatflowid}/{chatid}",
    PUBLIC,
    summary="Stop an answer",
    response_model=Aborted,
)
async def abort_chat_message(
    chatflowid: Id,
    chatid: Annotated[str, Path(description="Id of the conversation")],
    resources: CurrentResources,
) -> Aborted:
    """Stops the model of the running answer in whatever process it runs, and keeps what was written until then.
    Answers the same for a conversation that is unknown or has ended."""
    try:
        target = flow_id(chatflowid)
    except BadRequest:
        return Aborted()
    if len(chatid) <= wire.MAX_ID and "\0" not in chatid:
        await service.abort(resources, target, chatid)
    return Aborted()


abort_chat_message_without_chat = messages.refuse(
    "PUT",
    "/chatmessage/abort/{chatflowid}",
    PUBLIC,
    "abort_chat_message_without_chat",
    "chatid",
    summary="Stop an answer",
    response_model=Aborted,
)
abort_chat_message_without_ids = messages.refuse(
    "PUT",
    "/chatmessage/abort",
    PUBLIC,
    "abort_chat_message_without_ids",
    "chatflowid",
    summary="Stop an answer",
    response_model=Aborted,
)
