"""Checks of flows over HTTP: before an import, of a stored flow, and in Flowise's shape (contract 6.7)."""

from service.chatflows import service as chatflows
from service.chatflows.routes import READ, WRITE, Id, flow_id
from service.chatflows.wire import flow_type
from service.flow_checks import service, wire
from service.flow_checks.wire import CheckBody, CheckReport, NodeIssues
from service.http.access import CurrentWorkspace
from service.http.routing import Routes
from service.resources import CurrentResources

routes = Routes("Chatflows")


@routes.post("/flow-checks", WRITE, errors=(400,), summary="Check a flow", response_model=CheckReport)
async def check_flow(body: CheckBody, resources: CurrentResources, workspace: CurrentWorkspace) -> CheckReport:
    """Says what a flow needs before it is created: node by node what runs now, what needs a credential (and which of
    the workspace would do) or a setting, what is not supported, and what to use instead. Nothing is stored or run."""
    kind = flow_type(body.type) if body.type else None
    return wire.report(await service.check_in(resources, workspace, body.flow_data, kind))


@routes.get(
    "/chatflows/{id}/check",
    READ,
    errors=(400, 404),
    summary="Check a stored chatflow",
    response_model=CheckReport,
)
async def check_chatflow(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> CheckReport:
    """As `POST /flow-checks`, of a chatflow as it is stored: a prediction is refused for nothing else before its
    run."""
    flow = await chatflows.get(resources.database, workspace, flow_id(id))
    return wire.report(await service.check_in(resources, workspace, flow.flow_data, flow.type))


@routes.get(
    "/validation/{id}",
    READ,
    errors=(400, 404),
    summary="What is wrong with a chatflow",
    response_model=list[NodeIssues],
)
async def validate_chatflow(id: Id, resources: CurrentResources, workspace: CurrentWorkspace) -> list[NodeIssues]:
    """The nodes of a chatflow that keep it from running, with the reasons; empty for one that runs now."""
    flow = await chatflows.get(resources.database, workspace, flow_id(id))
    report = await service.check_in(resources, workspace, flow.flow_data, flow.type)
    return wire.issues(report, flow.id, flow.name)
