"""Sync sources over HTTP: document stores kept in step with where their documents come from."""

from uuid import UUID

from fastapi import Response

from service.http.access import CurrentCaller, CurrentWorkspace, needs
from service.http.routing import Routes
from service.jobs.wire import JobStatus, status
from service.resources import CurrentResources
from service.sync import service, wire
from service.viewers import restricting

routes = Routes("Sync sources")

VIEW = needs("documentStores:view")
WRITE = needs("documentStores:add-loader")
DELETE = needs("documentStores:delete-loader")


@routes.post(
    "/document-store/store/{id}/sources",
    WRITE,
    errors=(404, 409, 413, 422),
    summary="Make a sync source",
    response_model=wire.Source,
    openapi_extra={"requestBody": {"content": {"application/json": {"example": wire.EXAMPLE}}}},
)
async def create_source(
    id: UUID, body: wire.SourceBody, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> wire.Source:
    """Keep a loader of a document store in step with a folder, pages, a bucket or a repository.

    An interval begins with a run at once, a cron expression waits for its time; without a schedule it runs on demand.
    """
    restricting(caller, body.principals)
    return wire.source(await service.create(resources, workspace, id, body.asked()))


@routes.get(
    "/document-store/store/{id}/sources",
    VIEW,
    errors=(404,),
    summary="List the sync sources of a document store",
    response_model=list[wire.Source],
)
async def list_sources(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> list[wire.Source]:
    """Every sync source with its next time and its newest run, oldest first."""
    return [wire.source(shown) for shown in await service.of_store(resources, workspace, id)]


@routes.get(
    "/document-store/sources/{id}", VIEW, errors=(404,), summary="Read a sync source", response_model=wire.Source
)
async def get_source(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> wire.Source:
    """A sync source with its next time and its newest run."""
    return wire.source(await service.get(resources, workspace, id))


@routes.put(
    "/document-store/sources/{id}",
    WRITE,
    errors=(404, 413, 422),
    summary="Change a sync source",
    response_model=wire.Source,
)
async def update_source(
    id: UUID, body: wire.SourceChanges, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.Source:
    """Change what is given. Another configuration takes effect with the next run, another schedule counts from now."""
    return wire.source(await service.update(resources, workspace, id, body.asked()))


@routes.delete(
    "/document-store/sources/{id}", DELETE, errors=(404,), summary="Remove a sync source", response_model=wire.Removed
)
async def delete_source(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> wire.Removed:
    """Stop keeping the loader in step. Its documents stay; a run under way is cancelled."""
    await service.delete(resources, workspace, id)
    return wire.Removed(deleted=1)


@routes.post(
    "/document-store/sources/{id}/run",
    WRITE,
    errors=(404, 409, 422, 429),
    summary="Run a sync source now",
    status_code=202,
    response_model=JobStatus,
)
async def run_source(
    id: UUID,
    response: Response,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    body: wire.RunBody | None = None,
) -> JobStatus:
    """Queue a run; one that is under way is the answer. The job's result says what was listed, fetched and indexed.

    When a source lists nothing, or not everything, no document leaves the document store; `force` lets them leave when
    it lists nothing.
    """
    job = await service.run(resources, workspace, id, force=body.force if body else False)
    answer = status(job)
    response.headers["Location"] = answer.url
    return answer
