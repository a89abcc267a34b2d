"""Predictions over HTTP (contract 1)."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request, Response

from service.chatflows.routes import Id, flow_id
from service.errors import BadRequest, ServiceError
from service.http.access import PUBLIC, SIGNED_IN, Caller, CurrentCaller, CurrentWorkspace
from service.http.routing import Routes
from service.http.streams import EventStream, while_connected
from service.predictions import service, wire
from service.predictions.events import End, Failure
from service.predictions.runs import Running, Stop
from service.predictions.wire import Aborted, PredictionAnswer, PredictionBody
from service.rate_limits import service as rate_limits
from service.resources import CurrentResources, Resources
from service.viewers import HEADER, told

routes = Routes("Predictions")
messages = Routes("Chat messages")

HEARTBEAT_SECONDS = 15.0
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
BODIES = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": BODY}, "multipart/form-data": {"schema": BODY}},
    }
}


async def _body(request: Request) -> PredictionBody:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form() as form:
            return wire.parse_form(form.multi_items())
    content = await request.body()
    if kind == "application/x-www-form-urlencoded":
        return wire.parse_urlencoded(content)
    return wire.parse_json(content)


async def _frames(running: Running) -> AsyncIterator[bytes]:
    """The run as frames, with a heartbeat where it is silent."""
    writer = wire.Writer()
    read = 0
    while not running.done or read < len(running.events):
        events = await running.read(read, HEARTBEAT_SECONDS)
        read += len(events)
        if events:
            yield writer.write(events)
        elif not running.done:
            yield wire.HEARTBEAT


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
    return Response(wire.Writer().write((Failure(error), End())), headers={"Content-Type": STREAM, **wire.HEADERS})


@routes.post(
    "/prediction/{id}",
    PUBLIC,
    errors=(400, 401, 403, 404, 412, 413, 422, 429, 502, 503, 504),
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
    errors=(400, 404, 412, 413, 422, 429, 502, 503, 504),
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
    try:
        if member is None:
            told_left = await rate_limits.spend(resources, target, request.client and request.client.host)
        body = await _body(request)
        question = body.asked(told(request.headers.getlist(HEADER)))
        prediction = await service.ask(resources, target, question, token=caller.token, origin=origin, member=member)
    except ServiceError as error:
        return _refused(request, error)
    running = prediction.running

    def leave() -> None:
        running.stop(Stop.GONE)

    if prediction.streams:
        return EventStream(_frames(running), leave, {**wire.HEADERS, **told_left})
    await while_connected(request.receive, running.wait(), leave)
    return Response(wire.answer(prediction), media_type=JSON, headers=dict(told_left))


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
    chatflowid: Annotated[str, Path(description="Id of the chatflow")],
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
