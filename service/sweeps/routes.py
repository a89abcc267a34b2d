"""Fronts over HTTP (ours; the contract has no such route)."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from service.http.access import CurrentWorkspace, needs
from service.http.routing import Routes
from service.resources import CurrentResources
from service.sweeps import service
from service.sweeps.wire import FrontResult, front_result

routes = Routes("Evaluations")


@routes.get(
    "/evaluations/{id}/front",
    needs("evaluations:view"),
    errors=(404, 422),
    summary="Weigh the targets of evaluations",
    response_model=FrontResult,
)
async def get_front(
    id: UUID,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    quality: Annotated[
        str, Query(max_length=200, description="Label of the measure to be good at; default: the first")
    ] = "",
    by: Annotated[
        list[str] | None,
        Query(max_length=5, description="Labels of what it is weighed against; default: latency, cost, contextLength"),
    ] = None,
    also: Annotated[
        list[UUID] | None, Query(max_length=20, description="Further evaluations of the same dataset")
    ] = None,
    holdout: Annotated[float, Query(ge=0, le=0.9, description="Share of rows that the choice is not made by")] = 0.0,
    seed: Annotated[int, Query(ge=0, description="Which rows these are")] = 0,
) -> FrontResult:
    """The Pareto front of an evaluation's targets: those that no other one is as good as in everything and better than
    in something, by quality, time and cost. Says with intervals how sure that is, who is as good as the best as far as
    the rows can tell (paired test, corrected for the number of targets), and which one to take.

    The best of many looks better on the rows that it was chosen by than it is: `holdout` keeps a share of them back and
    shows the quality there."""
    front, candidates = await service.weigh(
        resources.database,
        workspace,
        [id, *(also or ())],
        quality=quality,
        by=by,
        holdout=holdout,
        seed=seed,
    )
    return front_result(front, candidates)
