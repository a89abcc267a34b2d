"""Chatflows over HTTP (contract 4.3)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request

from service.chatflows import service, wire
from service.chatflows.types import FlowType
from service.chatflows.wire import (
    Changed,
    ChatflowBody,
    ChatflowEntity,
    ChatflowPage,
    NewChatflow,
    Streaming,
)
from service.errors import BadRequest
from service.http.access import PUBLIC, CurrentWorkspace, authorise, needs
from service.http.routing import Routes
from service.http.wire import Deleted, Page, date, page_or_list
from service.resources import CurrentResources

routes = Routes("Chatflows")

VIEW = needs("chatflows:view", "chatflows:update", "agentflows:view", "agentflows:update")
READ = needs(*VIEW.scopes, "chatflows:delete", "agentflows:delete")
WRITE = needs("chatflows:create", "chatflows:update", "agentflows:create", "agentflows:update")
UPDATE = needs("chatflows:update", "agentflows:update")
DELETE = needs("chatflows:delete", "agentflows:delete", "assistants:delete")

Id = Annotated[str, Path(description="Id of the chatflow", examples=["5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"])]


def flow_id(text: str) -> UUID:
    """The id in a path. Raises `BadRequest`."""
    try:
        return UUID(text)
    except ValueError:
        raise BadRequest(f"'{text[:100]}' is not a chatflow id: must be a UUID") from None


@routes.post("/chatflows", WRITE, summary="Create a chatflow", response_model=NewChatflow)
async def create_chatflow(body: ChatflowBody, resources: CurrentResources, workspace: CurrentWorkspace) -> NewChatflow:
    """Keeps `flowData` byte for byte. A graph that is none is refused and nothing is stored; nodes that this service
    cannot run are kept, and named when the flow is run: `GET /chatflows/{id}/check` says before what it lacks."""
    scripts = resources.javascript is not None
    return wire.made(await service.create(resources.database, workspace, body.draft(), scripts=scripts))


@routes.get(
    "/chatflows",
    VIEW,
    errors=(412,),
    summary="List chatflows",
    response_model=list[ChatflowEntity] | ChatflowPage,
)
async def list_chatflows(
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    page: Page,
    type: Annotated[str | None, Query(description="Only of this type; any other text: all")] = None,
) -> Any:
    """The workspace's flows, last changed first: a list, or a page with its total when `page` and `limit` are given."""
    kind = FlowType(type) if type in set(FlowType) else None
    flows, total = await service.page(resources.database, workspace, kind, page.offset, page.size)
    return page_or_list([wire.entity(flow) for flow in flows], total, page)


@routes.get(
    "/chatflows/has-changed/{id}/{lastUpdatedDateTime}",
    UPDATE,
    errors=(400, 404),
    summary="Whether a chatflow was changed since",
    response_model=Changed,
)
async def has_chatflow_changed(
    id: Id,
    last_updated: Annotated[
        str,
        Path(alias="lastUpdatedDateTime", description="`updatedDate` as read", examples=["2026-01-31T09:30:00.000Z"]),
    ],
    resources: CurrentResources,
    workspace: CurrentWorkspace,
) -> Changed:
    """Compares the date with the flow's, as texts."""
    flow = await service.get(resources.database, workspace, flow_id(id))
    return Changed(has_changed=date(flow.updated_at) != last_updated)


@routes.get(
    "/chatflows/apikey/{apikey}",
    PUBLIC,
    errors=(401, 403),
    summary="List the chatflows that a key opens",
    response_model=list[ChatflowEntity],
)
async def list_chatflows_of_key(
    apikey: Annotated[str, Path(description="The key itself")],
    request: Request,
    resources: CurrentResources,
    keyonly: Annotated[str | None, Query(description="With any text: only flows that are bound to the key")] = None,
) -> list[ChatflowEntity]:
    """The flows that are bound to the key in the path and, without `keyonly`, those that are bound to none. The key
    needs the permission to read chatflows, as it would in the header, where it does not end up in logs."""
    caller = await authorise(VIEW, apikey, request.app.state.verify)
    assert caller.workspace is not None
    assert caller.key is not None
    flows = await service.of_key(resources.database, caller.workspace, caller.key, only=bool(keyonly))
    return [wire.entity(flow) for flow in flows]


list_chatflows_of_no_key = routes.refuse(
    "GET",
    "/chatflows/apikey",
    PUBLIC,
    "list_chatflows_of_no_key",
    "apikey",
    summary="List the chatflows that a key opens",
    response_model=list[ChatflowEntity],
)


@routes.get("/chatflows/{id}", READ, errors=(400, 404), summary="Read a chatflow", response_model=ChatflowEntity)
async def get_chatflow(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> ChatflowEntity:
    """A flow of the workspace with all its columns."""
    return wire.entity(await service.get(resources.database, workspace, flow_id(id)))


@routes.put("/chatflows/{id}", WRITE, errors=(404,), summary="Change a chatflow", response_model=ChatflowEntity)
async def update_chatflow(
    id: Id, body: ChatflowBody, resources: CurrentResources, workspace: CurrentWorkspace
) -> ChatflowEntity:
    """Fields that are left out stay as they are. Predictions that run go on with the former version."""
    scripts = resources.javascript is not None
    changed = await service.update(resources.database, workspace, flow_id(id), body.changes(), scripts=scripts)
    return wire.entity(changed)


update_chatflow_without_id = routes.refuse(
    "PUT",
    "/chatflows",
    WRITE,
    "update_chatflow_without_id",
    "id",
    summary="Change a chatflow",
    response_model=ChatflowEntity,
)


@routes.delete("/chatflows/{id}", DELETE, errors=(400, 404), summary="Delete a chatflow", response_model=Deleted)
async def delete_chatflow(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> Deleted:
    """Removes the flow with its messages, its upsert history, what its vector stores hold, and the files of its
    conversations."""
    return Deleted(affected=await service.delete(resources, workspace, flow_id(id)))


delete_chatflow_without_id = routes.refuse(
    "DELETE",
    "/chatflows",
    DELETE,
    "delete_chatflow_without_id",
    "id",
    summary="Delete a chatflow",
    response_model=Deleted,
)


@routes.get(
    "/chatflows-streaming/{id}",
    PUBLIC,
    errors=(400, 404),
    summary="Whether a chatflow can stream",
    response_model=Streaming,
)
async def can_chatflow_stream(id: Id, resources: CurrentResources) -> Streaming:
    """What clients ask before they stream; a prediction streams exactly when this says so."""
    known = await service.know(resources, flow_id(id))
    return Streaming(is_streaming=known.streams)


can_chatflow_stream_without_id = routes.refuse(
    "GET",
    "/chatflows-streaming",
    PUBLIC,
    "can_chatflow_stream_without_id",
    "id",
    summary="Whether a chatflow can stream",
    response_model=Streaming,
)
