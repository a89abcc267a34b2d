"""Chatflows over HTTP (contract 4.3)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query

from service.chatflows import service, wire
from service.chatflows.types import FlowType
from service.chatflows.wire import (
    Changed,
    ChatflowBody,
    ChatflowEntity,
    ChatflowPage,
    PublicConfig,
    Streaming,
)
from service.errors import BadRequest, MissingPart
from service.http.access import PUBLIC, CurrentWorkspace, needs
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


@routes.post("/chatflows", WRITE, summary="Create a chatflow", response_model=ChatflowEntity)
async def create_chatflow(
    body: ChatflowBody, resources: CurrentResources, workspace: CurrentWorkspace
) -> ChatflowEntity:
    """Keeps `flowData` byte for byte. A graph that is none is refused and nothing is stored; nodes that this service
    cannot run are kept, and named when the flow is run."""
    return wire.entity(await service.create(resources.database, workspace, body.draft()))


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


@routes.get("/chatflows/{id}", READ, errors=(400, 404), summary="Read a chatflow", response_model=ChatflowEntity)
async def get_chatflow(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> ChatflowEntity:
    """A flow of the workspace with all its columns."""
    return wire.entity(await service.get(resources.database, workspace, flow_id(id)))


@routes.put("/chatflows/{id}", WRITE, errors=(404,), summary="Change a chatflow", response_model=ChatflowEntity)
async def update_chatflow(
    id: Id, body: ChatflowBody, resources: CurrentResources, workspace: CurrentWorkspace
) -> ChatflowEntity:
    """Fields that are left out stay as they are. Predictions that run go on with the former version."""
    return wire.entity(await service.update(resources.database, workspace, flow_id(id), body.changes()))


@routes.put(
    "/chatflows", WRITE, errors=(412,), summary="Change a chatflow: without an id", response_model=ChatflowEntity
)
async def update_chatflow_without_id(resources: CurrentResources) -> ChatflowEntity:
    """Always refused."""
    raise MissingPart("id not provided!")


@routes.delete("/chatflows/{id}", DELETE, errors=(400, 404), summary="Delete a chatflow", response_model=Deleted)
async def delete_chatflow(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> Deleted:
    """Removes the flow with its messages, its upsert history, what its vector stores hold, and the files of its
    conversations."""
    return Deleted(affected=await service.delete(resources, workspace, flow_id(id)))


@routes.delete("/chatflows", DELETE, errors=(412,), summary="Delete a chatflow: without an id", response_model=Deleted)
async def delete_chatflow_without_id() -> Deleted:
    """Always refused."""
    raise MissingPart("id not provided!")


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


@routes.get(
    "/chatflows-streaming",
    PUBLIC,
    errors=(412,),
    summary="Whether a chatflow can stream: without an id",
    response_model=Streaming,
)
async def can_chatflow_stream_without_id() -> Streaming:
    """Always refused."""
    raise MissingPart("id not provided!")


@routes.get(
    "/public-chatbotConfig/{id}",
    PUBLIC,
    errors=(400, 404),
    summary="What a widget needs of a chatflow",
    response_model=PublicConfig,
)
async def get_public_chatbot_config(id: Id, resources: CurrentResources) -> PublicConfig:
    """The flow's `chatbotConfig` without its origin rules, what may be uploaded, and the graph without prompts,
    credentials and secret inputs."""
    known = await service.know(resources, flow_id(id))
    return wire.public_config(known.flow.flow_data, known.config)


@routes.get(
    "/public-chatbotConfig",
    PUBLIC,
    errors=(412,),
    summary="What a widget needs of a chatflow: without an id",
    response_model=PublicConfig,
)
async def get_public_chatbot_config_without_id() -> PublicConfig:
    """Always refused."""
    raise MissingPart("id not provided!")
