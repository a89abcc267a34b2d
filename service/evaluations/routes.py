"""Evaluations over HTTP (contract 5.3), open to everyone (Annex 2 no. 19); `outcomes` holds what Flowise has not."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from service.datasets import service as datasets
from service.errors import NotFound
from service.evaluations import listing, runs, service, sight, wire
from service.evaluations.listing import Told
from service.evaluations.outcomes import wire as outcomes
from service.evaluations.types import EvaluatedRow, Evaluation, Result
from service.http.access import SIGNED_IN, CurrentCaller, CurrentWorkspace, needs
from service.http.answers import ASYNC, PREFER
from service.http.asked import asked
from service.http.routing import Routes
from service.http.wire import Page, Paging
from service.jobs.wire import url as job_url
from service.resources import CurrentResources, Resources

routes = Routes("Evaluations")

VIEW = needs("evaluations:view")
CREATE = needs("evaluations:create")
RUN = needs("evaluations:create", "evaluations:run")
DELETE = needs("evaluations:delete")

JSON = "application/json"
STARTED: dict[int | str, dict[str, Any]] = {
    202: {"model": outcomes.StartedEvaluation, "description": "The evaluation, queued; its job is in `Location`"}
}
Evaluations = list[wire.ListedEvaluation]
Batches = AsyncIterator[list[tuple[EvaluatedRow, list[Result]]]]


@routes.get(
    "/evaluations",
    VIEW,
    errors=(412, 422),
    summary="List evaluations",
    response_model=Evaluations | wire.EvaluationPage,
)
async def list_evaluations(resources: CurrentResources, workspace: CurrentWorkspace, page: Page) -> Any:
    """The workspace's evaluations by name, all versions of each, the newest first: a list, or the names of a page with
    the number of names for `page` and `limit`."""
    found, total = await listing.listed(resources.database, workspace, page.offset, page.size)
    shown = _listed(found)
    return {"total": total, "data": shown} if page.on else shown


@routes.post(
    "/evaluations",
    CREATE,
    errors=(400, 404, 409, 412, 413, 422, 429),
    summary="Evaluate",
    body=wire.NewEvaluation,
    openapi_extra={"parameters": [PREFER]},
    response_model=Evaluations,
    responses=STARTED,
)
async def create_evaluation(
    request: Request, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> Any:
    """Puts the rows of a dataset to chatflows, in the background, and answers with all evaluations at once. Whoever
    names `targets`, or sends `Prefer: respond-async`, gets 202 with the new one and its job in `Location`. A document
    store as a target needs a permission to read all of it."""
    body = await asked(request, wire.NewEvaluation)
    wish = body.wish()
    sight.check_asker(caller, wish)
    made = await service.create(resources, workspace, wish)
    return await _started(resources, workspace, made, request, native=body.native)


@routes.post(
    "/evaluations/run-again/{id}",
    RUN,
    errors=(404, 409, 413, 422, 429),
    summary="Evaluate again",
    openapi_extra={"parameters": [PREFER]},
    response_model=Evaluations,
    responses=STARTED,
)
async def run_evaluation_again(
    id: UUID, request: Request, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> Any:
    """The next version of an evaluation: the same targets, metrics and judge, with the dataset, flows and document
    stores as they are now. Answers as `POST /evaluations`."""
    before = await service.get(resources.database, workspace, id)
    sight.check_asker(caller, before.plan)
    made = await service.run_again(resources, workspace, id)
    return await _started(resources, workspace, made, request, native=False)


@routes.get(
    "/evaluations/versions/{id}",
    VIEW,
    errors=(404,),
    summary="List the versions of an evaluation",
    response_model=wire.Versions,
)
async def list_evaluation_versions(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> wire.Versions:
    """The evaluations that have the name of this one, oldest first."""
    return wire.versions(await service.versions(resources.database, workspace, id))


@routes.get(
    "/evaluations/is-outdated/{id}",
    SIGNED_IN,
    errors=(404,),
    summary="Tell whether an evaluation is outdated",
    response_model=wire.OutdatedState,
)
async def is_evaluation_outdated(
    id: UUID, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.OutdatedState:
    """What was changed or removed since: the dataset, chatflows and document stores."""
    found = await service.get(resources.database, workspace, id)
    changes = await service.outdated(resources, workspace, id)
    dataset = None
    if changes.dataset:
        try:
            dataset = await datasets.get(resources.database, workspace, found.dataset)
        except NotFound:
            dataset = None  # it was removed meanwhile
    return wire.outdated(found, changes, dataset)


@routes.get(
    "/evaluations/{id}",
    VIEW,
    errors=(404, 412, 422),
    summary="Read an evaluation with the runs of its rows",
    response_class=StreamingResponse,
    responses={200: {"model": outcomes.EvaluationWithRuns, "description": "The evaluation"}},
)
async def get_evaluation(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace, page: Page) -> Response:
    """An evaluation with a run for each row that has been asked, in order: all of them, sent piece by piece, or those
    of a page of rows. Of several repeats it holds the first; `GET /evaluations/{id}/results` has every one."""
    found = await listing.told(resources.database, workspace, id)
    return StreamingResponse(_whole(resources, workspace, found, page), media_type=JSON)


async def _whole(resources: Resources, workspace: UUID, found: Told, page: Paging) -> AsyncIterator[bytes]:
    """The evaluation as JSON; of its rows no more than a batch is in memory."""
    head = outcomes.with_runs(*found).model_dump(mode="json", by_alias=True, exclude={"rows"})
    yield _json(head)[:-1].encode() + b', "rows": ['
    between = ""
    async for batch in _batches(resources, workspace, found[0].id, page):
        shown = [_json(run) for row, results in batch for run in runs.runs(found[0], [row], results)]
        if shown:
            yield (between + ", ".join(shown)).encode()
            between = ", "
    yield b"]}"


async def _batches(resources: Resources, workspace: UUID, evaluation_id: UUID, page: Paging) -> Batches:
    """The rows of a page, or all."""
    if not page.on:
        async for batch in service.batches(resources.database, workspace, evaluation_id):
            yield batch
        return
    end = page.offset + page.limit
    for start in range(page.offset, end, service.BATCH):
        size = min(service.BATCH, end - start)
        batch = await service.rows(resources.database, workspace, evaluation_id, start, size)
        yield batch
        if len(batch) < size:
            return


@routes.delete(
    "/evaluations/{id}",
    DELETE,
    errors=(404,),
    summary="Remove an evaluation",
    response_model=Evaluations,
)
async def delete_evaluation(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> Any:
    """Stops an evaluation and removes it with all that came of it; answers with those that are left."""
    if not await service.delete(resources, workspace, [id]):
        raise service.missing(id)
    return await _everything(resources, workspace)


@routes.patch(
    "/evaluations",
    DELETE,
    errors=(400, 412, 422),
    summary="Remove several evaluations",
    body=wire.EvaluationIds,
    response_model=Evaluations,
)
async def delete_evaluations(request: Request, resources: CurrentResources, workspace: CurrentWorkspace) -> Any:
    """Removes these evaluations, with `isDeleteAllVersion` every version of their names; answers with those that are
    left."""
    body = await asked(request, wire.EvaluationIds)
    await service.delete(resources, workspace, body.ids, all_versions=bool(body.is_delete_all_version))
    return await _everything(resources, workspace)


async def _started(resources: Resources, workspace: UUID, made: Evaluation, request: Request, *, native: bool) -> Any:
    prefers = ASYNC in request.headers.get("prefer", "")
    if not (native or prefers):
        return await _everything(resources, workspace)
    assert made.job is not None
    headers = {"Location": job_url(made.job), **({"Preference-Applied": ASYNC} if prefers else {})}
    return JSONResponse(outcomes.started(made).model_dump(mode="json", by_alias=True), 202, headers)


async def _everything(resources: Resources, workspace: UUID) -> list[wire.ListedEvaluation]:
    """All evaluations, as answers to every change show them (contract 5.3)."""
    found, _ = await listing.listed(resources.database, workspace, 0, resources.settings.max_page)
    return _listed(found)


def _listed(found: list[Told]) -> list[wire.ListedEvaluation]:
    return [wire.listed(*item) for item in found]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
