"""What came of evaluations over HTTP: further than the contract goes, and under its paths."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Response
from fastapi.responses import StreamingResponse

from service.evaluations import files, service, sight
from service.evaluations.outcomes import wire
from service.evaluations.types import OPEN, ResultFilter, Sort
from service.http.access import CurrentCaller, CurrentWorkspace, needs
from service.http.routing import Routes
from service.jobs.routes import LONGEST_WAIT
from service.metrics import METRICS
from service.metrics.making import metric_class
from service.resources import CurrentResources

routes = Routes("Evaluations")

VIEW = needs("evaluations:view")
STEER = needs("evaluations:create", "evaluations:run")

MOST_RESULTS = 1000
"""Results in a page."""

CSV, JSONL = "text/csv", "application/jsonl"
TEXT = {"schema": {"type": "string", "format": "binary"}}


@routes.get("/evaluations/metrics", VIEW, summary="List metrics", response_model=list[wire.MetricEntity])
async def list_metrics() -> list[wire.MetricEntity]:
    """What evaluations can be measured by, each with its options as a JSON Schema."""
    return [wire.metric(name, metric_class(name)) for name in METRICS]


@routes.get(
    "/evaluations/{id}/progress",
    VIEW,
    errors=(404,),
    summary="Read how far an evaluation is",
    response_model=wire.EvaluationProgress,
)
async def get_evaluation_progress(
    id: UUID,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for its end before this answers")
    ] = 0.0,
) -> wire.EvaluationProgress:
    """Cases that are done and how fast they get done; `events` is where its job can be followed."""
    found = await service.progress(resources.database, workspace, id)
    if wait and found.job is not None and found.state in OPEN:
        await resources.watch.wait(workspace, found.job, wait)
        found = await service.progress(resources.database, workspace, id)
    return wire.progress(found)


@routes.get(
    "/evaluations/{id}/results",
    VIEW,
    errors=(403, 404, 422),
    summary="Read results",
    response_model=wire.CasePage,
)
async def list_evaluation_results(
    id: UUID,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
    page: Annotated[int, Query(ge=1, le=10_000_000, description="Page, from 1")] = 1,
    limit: Annotated[int, Query(ge=1, le=MOST_RESULTS, description="Results in a page")] = 100,
    target: Annotated[int | None, Query(ge=0, le=10_000, description="Only of this target, by its place")] = None,
    sort: Annotated[Sort, Query(description="`score`: worst first, by `metric`; `slowest`: by latency")] = Sort.ORDER,
    metric: Annotated[str, Query(max_length=300, description="The measure to sort by")] = "",
    errors: Annotated[
        bool | None, Query(description="`true`: only those that hold an error; `false`: the others")
    ] = None,
) -> wire.CasePage:
    """What came of the cases: answers, passages, scores with their details, times, errors. One page at a time.
    What was found for named principals is for keys that may read every document."""
    evaluation = await service.get(resources.database, workspace, id)
    sight.check_reader(caller, evaluation)
    chosen = ResultFilter(target, errors, sort, metric)
    found, total = await service.results(resources.database, workspace, id, chosen, (page - 1) * limit, limit)
    return wire.case_page(evaluation, found, total)


@routes.get(
    "/evaluations/{id}/summary",
    VIEW,
    errors=(404,),
    summary="Read what an evaluation says",
    response_model=wire.SummaryEntity,
)
async def get_evaluation_summary(
    id: UUID, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.SummaryEntity:
    """For each target and measure the mean with its interval, what it is of, and what failed; also while it runs."""
    evaluation = await service.get(resources.database, workspace, id)
    return wire.summary(evaluation, await service.summary(resources.database, workspace, id))


@routes.get(
    "/evaluations/{id}/export",
    VIEW,
    errors=(403, 404, 422),
    summary="Export results",
    response_class=StreamingResponse,
    responses={200: {"description": "The results", "content": {CSV: TEXT, JSONL: TEXT}}},
)
async def export_evaluation(
    id: UUID,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
    format: Annotated[Literal["csv", "jsonl"], Query(description="CSV for spreadsheets, or JSON Lines")] = "jsonl",
) -> Response:
    """All results in order, sent piece by piece. JSON Lines have a line for each as the route for results shows it; in
    CSV, texts that a spreadsheet would calculate have an apostrophe before them. Who may read them: as `results`."""
    evaluation = await service.get(resources.database, workspace, id)
    sight.check_reader(caller, evaluation)
    batches = service.batches(resources.database, workspace, id)
    return StreamingResponse(
        files.as_csv(evaluation, batches) if format == "csv" else files.as_jsonl(evaluation, batches),
        media_type="text/csv; charset=utf-8" if format == "csv" else JSONL,
        headers={"Content-Disposition": f'attachment; filename="evaluation-{id}.{format}"'},
    )


@routes.post(
    "/evaluations/{id}/cancel",
    STEER,
    errors=(404,),
    summary="Stop an evaluation",
    response_model=wire.EvaluationProgress,
)
async def cancel_evaluation(
    id: UUID, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.EvaluationProgress:
    """It ends within seconds; the results so far stay. One that has ended stays as it is."""
    await service.cancel(resources, workspace, id)
    return wire.progress(await service.progress(resources.database, workspace, id))


@routes.post(
    "/evaluations/{id}/pause",
    STEER,
    errors=(404, 409),
    summary="Pause an evaluation",
    response_model=wire.EvaluationProgress,
)
async def pause_evaluation(
    id: UUID, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.EvaluationProgress:
    """It rests behind the cases that it is at, until it is resumed. 409 when it has ended."""
    await service.pause(resources, workspace, id)
    return wire.progress(await service.progress(resources.database, workspace, id))


@routes.post(
    "/evaluations/{id}/resume",
    STEER,
    errors=(404, 409),
    summary="Go on with an evaluation",
    response_model=wire.EvaluationProgress,
)
async def resume_evaluation(
    id: UUID, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.EvaluationProgress:
    """A paused one goes on. One that has ended asks what it has not asked yet, and again what failed or could not be
    scored; 409 when nothing is left. One that runs stays as it is."""
    await service.resume(resources, workspace, id)
    return wire.progress(await service.progress(resources.database, workspace, id))
