"""Feedback over HTTP (contract 6.5). Reading it needs a key, unlike Flowise (Annex 2 no. 14)."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request

from service.chatflows.routes import VIEW, Id, flow_id
from service.errors import NotFound
from service.feedback import service, wire
from service.feedback.wire import Done, FeedbackBody, FeedbackChange, FeedbackShown
from service.http.access import PUBLIC, CurrentWorkspace
from service.http.routing import Routes
from service.http.wire import Page, date_in
from service.resources import CurrentResources, Resources

routes = Routes("Feedback and leads")

Start = Annotated[str | None, Query(alias="startDate", description="ISO date; only from then on")]
End = Annotated[str | None, Query(alias="endDate", description="ISO date; only until then")]


@routes.post("/feedback", PUBLIC, errors=(400, 403, 404), summary="Rate an answer", response_model=FeedbackShown)
async def give_feedback(body: FeedbackBody, request: Request, resources: CurrentResources) -> FeedbackShown:
    """Keeps what somebody says of an answer; saying something else later takes its place. The id of the answer opens
    this to those who got it."""
    return await _give(body, request, resources)


@routes.post(
    "/feedback/{id}",
    PUBLIC,
    errors=(400, 403, 404),
    summary="Rate an answer, by a path of older clients",
    response_model=FeedbackShown,
)
async def give_feedback_with_id(
    id: Annotated[str, Path(description="Not looked at")],
    body: FeedbackBody,
    request: Request,
    resources: CurrentResources,
) -> FeedbackShown:
    """As without the id, which older clients send and which says nothing."""
    return await _give(body, request, resources)


async def _give(body: FeedbackBody, request: Request, resources: Resources) -> FeedbackShown:
    given = await service.give(
        resources,
        body.of(),
        body.rated(),
        body.content,
        chatflow=body.chatflowid,
        chat=body.chat_id,
        origin=request.headers.get("origin"),
    )
    return wire.shown(given)


@routes.put(
    "/feedback/{id}", PUBLIC, errors=(403, 404), summary="Change what was said of an answer", response_model=Done
)
async def change_feedback(
    id: Annotated[str, Path(description="Id of the feedback", examples=["0b0f2a53-93f7-4d0f-8f1b-6d4b8cc0a9d3"])],
    body: FeedbackChange,
    request: Request,
    resources: CurrentResources,
) -> Done:
    """Changes rating or words; what is left out stays."""
    try:
        feedback = UUID(id)
    except ValueError:
        raise NotFound(f"Feedback {id[:100]} not found") from None
    await service.change(resources, feedback, body.rating, body.content, origin=request.headers.get("origin"))
    return Done()


@routes.get(
    "/feedback/{chatflowid}",
    VIEW,
    errors=(400, 404, 422),
    summary="List feedback to a chatflow",
    response_model=list[FeedbackShown],
)
async def list_feedback(
    chatflowid: Id,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    page: Page,
    chat: Annotated[str | None, Query(alias="chatId", description="Only of this conversation")] = None,
    order: Annotated[str | None, Query(description="`DESC`: newest first; anything else: oldest first")] = None,
    start: Start = None,
    end: End = None,
) -> list[FeedbackShown]:
    """Ratings in order of time, ten thousand at most."""
    found = await service.page(
        resources.database,
        workspace,
        flow_id(chatflowid),
        chat=chat or None,
        newest_first=order == "DESC",
        start=date_in("startDate", start),
        end=date_in("endDate", end),
        limit=page.most,
    )
    return [wire.shown(item) for item in found]


list_feedback_without_id = routes.refuse(
    "GET",
    "/feedback",
    VIEW,
    "list_feedback_without_id",
    "chatflowid",
    summary="List feedback to a chatflow",
    response_model=list[FeedbackShown],
)
