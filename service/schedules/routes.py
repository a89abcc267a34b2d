"""Schedules of agentflows over HTTP (contract 4.3)."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from service.chatflows import service as chatflows
from service.chatflows.routes import UPDATE, VIEW, Id, flow_id
from service.chatflows.types import Chatflow
from service.http.access import CurrentWorkspace, needs
from service.http.routing import Routes
from service.http.wire import Page
from service.resources import CurrentResources, Resources
from service.schedules import service, wire
from service.schedules.types import RunStatus
from service.schedules.wire import LogIds, LogsDeleted, ScheduleRecord, ScheduleStatus, ScheduleSwitch, TriggerLogs

routes = Routes("Schedules")

DELETE = needs(*UPDATE.scopes, "executions:delete")

PAGE_SIZE = 20
MOST = 100


async def _flow(resources: Resources, workspace: UUID, id: str) -> Chatflow:
    return await chatflows.get(resources.database, workspace, flow_id(id))


@routes.get(
    "/chatflows/{id}/schedule/status",
    VIEW,
    errors=(400, 404),
    summary="Whether an agentflow starts by itself",
    response_model=ScheduleStatus,
    response_model_exclude_unset=True,
)
async def get_schedule_status(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> ScheduleStatus:
    """The schedule that is kept of the flow's start node, whether it is on, and whether the start node as it is now
    could be switched on."""
    return wire.status(await service.standing(resources, await _flow(resources, workspace, id)))


@routes.patch(
    "/chatflows/{id}/schedule/enabled",
    UPDATE,
    errors=(400, 404),
    summary="Switch an agentflow's schedule on or off",
    response_model=ScheduleRecord,
)
async def switch_schedule(
    id: Id, body: ScheduleSwitch, resources: CurrentResources, workspace: CurrentWorkspace
) -> ScheduleRecord:
    """Switched on, the flow is due at its next time from now; what it missed meanwhile is not run."""
    wanted = body.wanted()
    return wire.record(await service.switch(resources, await _flow(resources, workspace, id), enabled=wanted))


@routes.get(
    "/chatflows/{id}/schedule/trigger-logs",
    VIEW,
    errors=(400, 404, 412),
    summary="List the times at which an agentflow was due",
    response_model=TriggerLogs,
)
async def list_trigger_logs(
    id: Id,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    page: Page,
    status: Annotated[
        list[str] | None, Query(description=f"One of {', '.join(RunStatus)}; repeated for several")
    ] = None,
) -> TriggerLogs:
    """Newest first, twenty on a page where `limit` says nothing else, a hundred at most. A run that waits for a person
    has succeeded so far."""
    flow = await _flow(resources, workspace, id)
    number, size = max(page.page, 1), min(page.limit or PAGE_SIZE, MOST)
    found, total = await service.runs(resources, flow, status or (), (number - 1) * size, size)
    return TriggerLogs(data=[wire.log(item) for item in found], total=total, page=number, limit=size)


@routes.delete(
    "/chatflows/{id}/schedule/trigger-logs",
    DELETE,
    errors=(400, 404),
    summary="Forget times at which an agentflow was due",
    response_model=LogsDeleted,
)
async def delete_trigger_logs(
    id: Id, body: LogIds, resources: CurrentResources, workspace: CurrentWorkspace
) -> LogsDeleted:
    """Removes those of the rows that are there, with their executions; messages stay."""
    logs, ran = await service.delete(resources, await _flow(resources, workspace, id), body.chosen())
    return LogsDeleted(deleted_logs=logs, deleted_executions=ran)
