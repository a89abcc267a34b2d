"""The messages of chatflows over HTTP (contract 6.5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from service.chatflows.routes import VIEW, Id, flow_id
from service.http.access import Caller, CurrentCaller, CurrentWorkspace, needs
from service.http.routing import Routes
from service.http.wire import Deleted, Page, Paging, date_in
from service.messages import service, wire
from service.messages.types import Wanted
from service.messages.wire import ChatMessage, RatedMessage, Stats
from service.predictions.types import ChatType
from service.resources import CurrentResources, Resources
from service.viewers import believed

routes = Routes("Chat messages")

DELETE = needs("chatflows:update", "chatflows:delete", "agentflows:update", "agentflows:delete")

Order = Annotated[str | None, Query(description="`DESC`: newest first; anything else: oldest first")]
OnlyId = Annotated[str | None, Query(alias="messageId", description="Only this one")]
WithFeedback = Annotated[
    str | None, Query(description="With any text: each message with its feedback, and pages of sessions")
]


def _filters(
    types: Annotated[
        list[str] | None,
        Query(alias="chatType", description=f"One of {', '.join(ChatType)}; repeated, or a JSON array, for several"),
    ] = None,
    chat: Annotated[str | None, Query(alias="chatId", description="Only of this conversation")] = None,
    session: Annotated[str | None, Query(alias="sessionId", description="Only of this session")] = None,
    memory: Annotated[
        str | None, Query(alias="memoryType", description="Only those kept by a memory of this name")
    ] = None,
    start: Annotated[str | None, Query(alias="startDate", description="ISO date; only from then on")] = None,
    end: Annotated[str | None, Query(alias="endDate", description="ISO date; only until then")] = None,
    rated: Annotated[
        list[str] | None,
        Query(
            alias="feedbackType", description="`THUMBS_UP`, `THUMBS_DOWN`: only answers rated so and their questions"
        ),
    ] = None,
) -> Wanted:
    """The messages that a query asks for. Raises `Unprocessable` naming a value that is none."""
    return Wanted(
        types=wire.listed("chatType", types),
        chat=chat or None,
        session=session or None,
        memory=memory or None,
        start=date_in("startDate", start),
        end=date_in("endDate", end),
        ratings=tuple(wire.rating("feedbackType", item) for item in wire.listed("feedbackType", rated)),
    )


Filters = Annotated[Wanted, Depends(_filters)]

FILTERS = ("chatType", "chatId", "sessionId", "memoryType", "startDate", "endDate", "feedbackType", "messageId")


def _to_delete(wanted: Filters, request: Request, message: OnlyId = None) -> Wanted:
    """The messages to delete. A filter that is given and empty, which lists leave unheeded, would delete all of them:
    raises `Unprocessable` naming it."""
    for name in FILTERS:
        if name in request.query_params:
            wire.check_said(name, request.query_params.getlist(name))
    return replace(wanted, message=wire.message_id(message))


ToDelete = Annotated[Wanted, Depends(_to_delete)]


@dataclass(frozen=True, slots=True)
class _Listing:
    """Which messages are listed, in which order, with their feedback or without."""

    wanted: Wanted
    page: Paging
    newest_first: bool
    feedback: bool


def _listing(
    wanted: Filters, page: Page, order: Order = None, message: OnlyId = None, feedback: WithFeedback = None
) -> _Listing:
    only = replace(wanted, message=wire.message_id(message))
    return _Listing(only, page, order == "DESC", bool(feedback))


Listing = Annotated[_Listing, Depends(_listing)]


@routes.get(
    "/chatmessage/{chatflowid}",
    VIEW,
    errors=(400, 404, 412, 422),
    summary="List the messages of a chatflow",
    response_model=list[RatedMessage | ChatMessage],
)
async def list_chat_messages(
    chatflowid: Id,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
    listing: Listing,
) -> Sequence[ChatMessage]:
    """Questions and answers in order of time. With `feedback`, `page` and `limit` count sessions, those that were last
    talked in first; without it they have no effect. Ten thousand messages are listed at most. What was said to somebody
    with principals is listed only to keys that may read every document."""
    return await _page(resources, caller, workspace, chatflowid, listing)


@routes.get(
    "/internal-chatmessage/{chatflowid}",
    VIEW,
    errors=(400, 404, 412, 422),
    summary="List the internal messages of a chatflow",
    response_model=list[RatedMessage | ChatMessage],
)
async def list_internal_chat_messages(
    chatflowid: Id,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
    listing: Listing,
) -> Sequence[ChatMessage]:
    """As the messages of a chatflow, but only those of internal predictions."""
    internal = replace(listing.wanted, types=(ChatType.INTERNAL.value,))
    return await _page(resources, caller, workspace, chatflowid, replace(listing, wanted=internal))


async def _page(
    resources: Resources, caller: Caller, workspace: UUID, chatflowid: str, listing: _Listing
) -> Sequence[ChatMessage]:
    page = listing.page
    found = await service.page(
        resources.database,
        workspace,
        flow_id(chatflowid),
        replace(listing.wanted, everything=believed(caller)),
        newest_first=listing.newest_first,
        offset=page.offset if listing.feedback else 0,
        sessions=page.size if listing.feedback and page.on else None,
        most=page.most,
    )
    return [wire.message(item, rated=listing.feedback) for item in found]


@routes.delete(
    "/chatmessage/{chatflowid}",
    DELETE,
    errors=(400, 404, 422),
    summary="Delete messages of a chatflow",
    response_model=Deleted,
)
async def delete_chat_messages(
    chatflowid: Id, resources: CurrentResources, workspace: CurrentWorkspace, wanted: ToDelete
) -> Deleted:
    """Removes the messages that pass the filters, all of the chatflow without any: with their feedback, and with the
    files of conversations of which nothing is left. What the chatflow remembers is made of its messages, so it forgets
    them too. A filter without a value is refused."""
    return Deleted(affected=await service.delete(resources.database, workspace, flow_id(chatflowid), wanted))


@routes.get(
    "/stats/{chatflowid}",
    VIEW,
    errors=(400, 404, 422),
    summary="Count the messages of a chatflow",
    response_model=Stats,
)
async def get_stats(chatflowid: Id, resources: CurrentResources, workspace: CurrentWorkspace, wanted: Filters) -> Stats:
    """Messages, sessions and ratings of a chatflow in numbers."""
    return wire.stats(await service.count(resources.database, workspace, flow_id(chatflowid), wanted))


list_chat_messages_without_id = routes.refuse(
    "GET",
    "/chatmessage",
    VIEW,
    "list_chat_messages_without_id",
    "chatflowid",
    summary="List the messages of a chatflow",
    response_model=list[ChatMessage],
)
list_internal_chat_messages_without_id = routes.refuse(
    "GET",
    "/internal-chatmessage",
    VIEW,
    "list_internal_chat_messages_without_id",
    "chatflowid",
    summary="List the internal messages of a chatflow",
    response_model=list[ChatMessage],
)
delete_chat_messages_without_id = routes.refuse(
    "DELETE",
    "/chatmessage",
    DELETE,
    "delete_chat_messages_without_id",
    "chatflowid",
    summary="Delete messages of a chatflow",
    response_model=Deleted,
)
get_stats_without_id = routes.refuse(
    "GET",
    "/stats",
    VIEW,
    "get_stats_without_id",
    "chatflowid",
    summary="Count the messages of a chatflow",
    response_model=Stats,
)
