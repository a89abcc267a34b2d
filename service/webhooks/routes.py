"""Webhooks over HTTP (contract 4.3, 6.9)."""

import asyncio
from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.responses import JSONResponse

from service.chatflows.routes import UPDATE, VIEW, WRITE, Id, flow_id
from service.http.access import PUBLIC, CurrentCaller, CurrentWorkspace
from service.http.routing import Routes
from service.http.streams import EventStream
from service.http.wire import Page
from service.predictions.routes import respond
from service.predictions.wire import PredictionAnswer
from service.predictions.writing import HEADERS
from service.rate_limits import service as rate_limits
from service.resources import CurrentResources
from service.webhooks import listeners, service, wire
from service.webhooks.contents import gathered
from service.webhooks.types import Accepted, Call
from service.webhooks.wire import (
    DeliveryPage,
    ListenerGone,
    ListenerMade,
    WebhookAccepted,
    WebhookSecret,
)

routes = Routes("Webhooks")
settings = Routes("Chatflows")

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"model": WebhookAccepted, "description": "The run goes on; its result is sent to the flow's callback URL"}
}
ERRORS = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 502, 503, 504)
BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {"schema": {"type": "object"}, "example": {"event": "push"}},
            "application/x-www-form-urlencoded": {"schema": {"type": "object"}, "example": {"payload": "{}"}},
        },
    }
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": 'message:\ndata:{"event":"x"}\n\n'}}
    }
}

Listener = Annotated[
    str,
    Path(alias="listenerId", description="Id of the listener", examples=["0b8d9c1e-3f0a-4d55-8a63-6e3a3f2c9d10"]),
]


async def call_webhook(id: Id, request: Request, resources: CurrentResources, caller: CurrentCaller) -> Response:
    """Starts an agentflow whose start node is a webhook trigger, or answers a run of it that waits (`humanInput` in the
    body). The flow sees body, headers and query as `$webhook`. Where the flow has a secret the call must be signed by
    it. The start node says which method, content type and fields are wanted, and whether the answer is the result, a
    stream, or 202 at once with the result sent to a callback URL. A delivery that comes once more (by `Webhook-Id`,
    `X-GitHub-Delivery` and their like, or signed at the same moment) starts nothing, unless its run failed: what became
    of it is the answer, `chatId`, `executionId` and `status`."""
    target = flow_id(id)
    left = await rate_limits.spend(resources, target, request.client and request.client.host)
    given = Call(
        method=request.method,
        headers={name: ", ".join(request.headers.getlist(name)) for name in request.headers},
        query=gathered(request.query_params.multi_items()),
        content=await request.body(),
        body=None,
    )
    started = await service.call(
        resources,
        target,
        given,
        lambda fields: wire.asked(fields, resources.settings.max_json),
        token=caller.token,
        origin=request.headers.get("origin"),
        address=request.client.host if request.client else "",
    )
    if isinstance(started, Accepted):
        told = WebhookAccepted(chat_id=started.chat, status=started.status, execution_id=started.execution)
        shown = told.model_dump(mode="json", exclude_none=True)
        return JSONResponse(shown, 202 if started.behind else 200, dict(left))
    return await respond(request, started, left)


declared = [
    routes.add(
        method,
        "/webhook/{id}",
        PUBLIC,
        errors=ERRORS,
        summary="Start an agentflow from outside",
        response_model=PredictionAnswer,
        responses=ANSWERS,
        operation_id=f"callWebhookBy{method.capitalize()}",
        openapi_extra={} if method == "GET" else BODY,
    )(call_webhook)
    for method in METHODS
]


@routes.post(
    "/webhook-listener/{id}/register",
    WRITE,
    errors=(400, 404),
    summary="Begin to look on at a webhook",
    response_model=ListenerMade,
)
async def register_listener(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> ListenerMade:
    """A listener of an agentflow that webhooks start; whoever reads its stream sees what calls make the flow do."""
    return ListenerMade(listener_id=await listeners.register(resources, workspace, flow_id(id)))


@routes.get(
    "/webhook-listener/{id}/stream/{listenerId}",
    WRITE,
    errors=(400, 404),
    summary="Look on at a webhook",
    response_class=Response,
    responses=EVENTS,
)
async def stream_listener(
    id: Id, listener: Listener, resources: CurrentResources, workspace: CurrentWorkspace
) -> Response:
    """The events of every run that a webhook starts from now on, in whatever process, as streams of predictions have
    them; `listenerReady` first, `executionEnd` behind each run. A client that goes away takes its listener along."""
    target, chosen = flow_id(id), wire.listener_id(listener)
    after = await listeners.attend(resources, workspace, target, chosen)
    left = asyncio.Event()
    return EventStream(listeners.watch(resources, workspace, target, chosen, after, left), left.set, HEADERS)


@routes.delete(
    "/webhook-listener/{id}/listener/{listenerId}",
    WRITE,
    errors=(400, 404),
    summary="Look on at a webhook no more",
    response_model=ListenerGone,
)
async def unregister_listener(
    id: Id, listener: Listener, resources: CurrentResources, workspace: CurrentWorkspace
) -> ListenerGone:
    """Takes the listener away, if it is there; its stream ends soon."""
    await listeners.unregister(resources, workspace, flow_id(id), wire.listener_id(listener))
    return ListenerGone()


@settings.post(
    "/chatflows/{id}/webhook-secret",
    UPDATE,
    errors=(400, 404),
    summary="Make the secret of a webhook",
    response_model=WebhookSecret,
)
async def make_webhook_secret(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> WebhookSecret:
    """A new secret, in place of a former one, shown this once: from now on calls of the flow's webhook must be signed
    by it, and what is sent to its callback URL is."""
    return WebhookSecret(webhook_secret=await service.make_secret(resources, workspace, flow_id(id)))


@settings.delete(
    "/chatflows/{id}/webhook-secret",
    UPDATE,
    errors=(400, 404),
    summary="Take the secret from a webhook",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "There is no secret any more"}},
)
async def drop_webhook_secret(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> Response:
    """From now on everybody who knows the flow's id may call its webhook."""
    await service.drop_secret(resources, workspace, flow_id(id))
    return Response(status_code=204)


@settings.get(
    "/chatflows/{id}/webhook-deliveries",
    VIEW,
    errors=(400, 404, 412),
    summary="List what was sent for a webhook",
    response_model=DeliveryPage,
)
async def list_webhook_deliveries(
    id: Id, resources: CurrentResources, workspace: CurrentWorkspace, page: Page
) -> DeliveryPage:
    """Calls to the flow's callback URL, newest first: how often each was tried, what the receiver answered, and those
    that were given up."""
    found, total = await service.deliveries(resources.database, workspace, flow_id(id), page.offset, page.size)
    return DeliveryPage(data=[wire.shown(item) for item in found], total=total)
