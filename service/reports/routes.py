"""Reports over HTTP: further than the contract goes, and under its paths."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from fastapi.responses import HTMLResponse

from service.http.access import CurrentWorkspace, needs
from service.http.routing import Routes
from service.reports import service
from service.resources import CurrentResources

routes = Routes("Evaluations")

VIEW = needs("evaluations:view")


@routes.get(
    "/evaluations/{id}/report",
    VIEW,
    errors=(404, 422),
    summary="Read the report on an evaluation",
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {"example": "<!doctype html>"}}}},
)
async def get_evaluation_report(
    id: UUID,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    compare: Annotated[UUID | None, Query(description="Another evaluation, held against this one")] = None,
) -> HTMLResponse:
    """One HTML page that needs nothing else: what was run, figures with their intervals, plots, the slowest and the
    worst rows with what they found, errors; of two evaluations also the differences. It may be kept as a file."""
    page = await service.page(resources, workspace, id, compare)
    return HTMLResponse(page, headers={"Content-Security-Policy": service.policy()})
