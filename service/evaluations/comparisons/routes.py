"""Comparisons of evaluations over HTTP: further than the contract goes, and under its paths."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from service.evaluations import comparing
from service.evaluations.comparing import Choice
from service.evaluations.comparisons import wire
from service.evaluations.outcomes.routes import VIEW
from service.http.access import CurrentWorkspace
from service.http.routing import Routes
from service.metrics.resampling import LEVEL
from service.resources import CurrentResources

routes = Routes("Evaluations")


@routes.get(
    "/evaluations/{id}/compare/{other}",
    VIEW,
    errors=(404, 422),
    summary="Compare two evaluations",
    response_model=wire.ComparisonEntity,
)
async def compare_evaluations(
    id: UUID,
    other: UUID,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    target: Annotated[int | None, Query(ge=0, le=10_000, description="Place of the first's target")] = None,
    other_target: Annotated[
        int | None, Query(alias="otherTarget", ge=0, le=10_000, description="Place of the second's target")
    ] = None,
    metric: Annotated[list[str] | None, Query(max_length=100, description="Only these measures")] = None,
    level: Annotated[float, Query(ge=0.5, le=0.999, description="How sure a verdict must be")] = LEVEL,
) -> wire.ComparisonEntity:
    """The second against the first, row by row: what is better, what is worse, and whether that is more than chance.
    Targets are paired by their labels; of an evaluation with itself its first target is held against the others."""
    choice = Choice(target, other_target, tuple(metric or ()), level)
    return wire.comparison(await comparing.compare(resources.database, workspace, id, other, choice))
