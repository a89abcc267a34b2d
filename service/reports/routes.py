"""Reports over HTTP: further than the contract goes, and under its paths."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from fastapi.responses import HTMLResponse

from service.evaluations import service as evaluations
from service.http.access import CurrentCaller, CurrentWorkspace, needs
from service.http.routing import Routes
from service.reports import service
from service.resources import CurrentResources

routes = Routes("Evaluations")

VIEW = needs("evaluations:view")


@routes.get(
    "/evaluations/{id}/report",
    VIEW,
    errors=(403, 404, 422),
    summary="Read the report on an evaluation",
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {"example": "<!doctype html>"}}}},
)
async def get_evaluation_report(
    id: UUID,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
    compare: Annotated[UUID | None, Query(description="Another evaluation, held against this one")] = None,
) -> HTMLResponse:
    """One HTML page that needs nothing else: what was run, figures with their intervals, plots, the slowest and the
    worst rows with what they found, errors; of two evaluations also the differences. It may be kept as a file. What was
    found for named principals is for keys that may read every document."""
    for each in (id, *([] if compare is None else [compare])):
        evaluations.check_reader(caller, await evaluations.get(resources.database, workspace, each))
    page = await service.page(resources, workspace, id, compare)
    policy = f"{service.policy()}; frame-ancestors 'none'"  # which counts in headers only, not in the page
    return HTMLResponse(page, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})
