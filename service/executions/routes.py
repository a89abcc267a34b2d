"""Executions over HTTP (contract 6.4)."""

from typing import Annotated

from fastapi import Depends, Path, Query

from service.chatflows.types import RunStatus
from service.executions import service, wire
from service.executions.types import Filter
from service.executions.wire import (
    ExecutionChanges,
    ExecutionEntity,
    ExecutionIds,
    ExecutionPage,
    ExecutionsDeleted,
)
from service.http.access import PUBLIC, CurrentCaller, CurrentWorkspace, needs
from service.http.routing import Routes
from service.http.wire import Page, date_in
from service.resources import CurrentResources
from service.viewers import believed

routes = Routes("Executions")

VIEW = needs("executions:view")
UPDATE = needs("executions:update")
DELETE = needs("executions:delete")

PAGE_SIZE = 12
MOST = 100
"""Executions on a page: each has all that its nodes did."""

Id = Annotated[str, Path(description="Id of the execution", examples=["5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"])]


def _filter(
    id: Annotated[str | None, Query(description="Only this one")] = None,
    agentflow_id: Annotated[str | None, Query(alias="agentflowId", description="Only of this flow")] = None,
    agentflow_name: Annotated[
        str | None, Query(alias="agentflowName", description="Only of flows with this in their name")
    ] = None,
    session_id: Annotated[str | None, Query(alias="sessionId", description="Only of this session")] = None,
    state: Annotated[
        str | None, Query(description=f"One of {', '.join(RunStatus)}; any other text leaves none out")
    ] = None,
    start: Annotated[str | None, Query(alias="startDate", description="ISO date; only begun from then on")] = None,
    end: Annotated[str | None, Query(alias="endDate", description="ISO date; only begun until then")] = None,
) -> Filter:
    """The executions that a query asks for. Raises `Unprocessable` naming a value that is none."""
    return Filter(
        id=wire.id_in("id", id),
        chatflow=wire.id_in("agentflowId", agentflow_id),
        chatflow_name=agentflow_name or None,
        session=session_id or None,
        state=RunStatus(state) if state in set(RunStatus) else None,
        start=date_in("startDate", start),
        end=date_in("endDate", end),
    )


Wanted = Annotated[Filter, Depends(_filter)]


@routes.get("/executions", VIEW, errors=(412,), summary="List executions", response_model=ExecutionPage)
async def list_executions(
    resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace, wanted: Wanted, page: Page
) -> ExecutionPage:
    """Runs of agentflows with their flows, last changed first; twelve on a page where `limit` says nothing else, a
    hundred at most. Of a page that is larger than 16 MB nodes and graphs are left out: read the execution. What was
    done for somebody with principals is listed only to keys that may read every document."""
    size = min(page.limit or PAGE_SIZE, MOST)
    offset = (max(page.page, 1) - 1) * size
    scoped = Filter(
        wanted.id,
        wanted.chatflow,
        wanted.chatflow_name,
        wanted.session,
        wanted.state,
        wanted.start,
        wanted.end,
        everything=believed(caller),
    )
    found, total = await service.page(resources.database, workspace, scoped, offset, size)
    return ExecutionPage(data=wire.listed(found, service.ROOM), total=total)


@routes.get("/executions/{id}", VIEW, errors=(400, 404), summary="Read an execution", response_model=ExecutionEntity)
async def get_execution(
    id: Id, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> ExecutionEntity:
    """What every node of a run was given and did, without secrets."""
    found = await service.get(resources.database, workspace, wire.execution_id(id), everything=believed(caller))
    return wire.entity(found)


@routes.put("/executions/{id}", UPDATE, errors=(400, 404), summary="Share an execution", response_model=ExecutionEntity)
async def update_execution(
    id: Id,
    body: ExecutionChanges,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
) -> ExecutionEntity:
    """Changes `isPublic`: whether everybody who knows its id may read it. What a run did cannot be changed."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    found = await service.publish(
        resources.database, workspace, wire.execution_id(id), changes, everything=believed(caller)
    )
    return wire.entity(found)


@routes.delete(
    "/executions/{id}", DELETE, errors=(400, 404), summary="Delete an execution", response_model=ExecutionsDeleted
)
async def delete_execution(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> ExecutionsDeleted:
    """Removes what a run did; its messages stay. One that waits for a person cannot be answered any more."""
    count = await service.delete(resources.database, workspace, [wire.execution_id(id)])
    if not count:
        raise service.missing(id)
    return ExecutionsDeleted(deleted_count=count)


@routes.delete("/executions", DELETE, errors=(400,), summary="Delete executions", response_model=ExecutionsDeleted)
async def delete_executions(
    body: ExecutionIds, resources: CurrentResources, workspace: CurrentWorkspace
) -> ExecutionsDeleted:
    """Removes those of the ids that are there; their messages stay."""
    return ExecutionsDeleted(deleted_count=await service.delete(resources.database, workspace, body.chosen()))


@routes.get(
    "/public-executions/{id}",
    PUBLIC,
    errors=(400, 404),
    summary="Read an execution that is public",
    response_model=ExecutionEntity,
)
async def get_public_execution(id: Id, resources: CurrentResources) -> ExecutionEntity:
    """A run whose owner made it public, without secrets, credentials, the prompts of its models and its session."""
    return wire.public(await service.public(resources.database, wire.execution_id(id)))


update_execution_without_id = routes.refuse(
    "PUT",
    "/executions",
    UPDATE,
    "update_execution_without_id",
    "id",
    summary="Share an execution",
    response_model=ExecutionEntity,
)
get_public_execution_without_id = routes.refuse(
    "GET",
    "/public-executions",
    PUBLIC,
    "get_public_execution_without_id",
    "id",
    summary="Read an execution that is public",
    response_model=ExecutionEntity,
)
