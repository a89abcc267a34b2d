"""Watching and steering background jobs. An upsert answers with the URL of its job when it does not wait."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response

from service.http.access import SIGNED_IN, CurrentWorkspace, needs
from service.http.routing import Routes
from service.http.streams import EventStream
from service.http.wire import Page, page_or_list
from service.jobs import service, wire
from service.jobs.types import JobState
from service.jobs.wire import JobPage, JobStatus
from service.resources import CurrentResources

routes = Routes("Jobs")

UPSERT = ("documentStores:add-loader", "documentStores:upsert-config")
WATCH = SIGNED_IN  # as whoever may upsert, which takes no permission (contract 3.6), must be able to follow his job
LIST = needs("documentStores:view")
STEER = needs(*UPSERT)

LONGEST_WAIT = 60.0
"""Seconds that a call may wait for a job's end; proxies close connections that are silent much longer."""

EXAMPLE = 'id: 2\nevent: progress\ndata: {"state":"running","stage":"indexing","done":640,"total":1280}\n\n'


@routes.get("/jobs", LIST, errors=(412,), summary="List jobs", response_model=list[JobStatus] | JobPage)
async def list_jobs(
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    page: Page,
    store_id: Annotated[UUID | None, Query(alias="storeId", description="Only of this document store")] = None,
    state: Annotated[JobState | None, Query(description="Only in this state")] = None,
) -> Any:
    """The workspace's jobs, newest first: a list, or a page with its total when `page` and `limit` are given."""
    jobs, total = await service.everything(
        resources.database, workspace, store_id=store_id, state=state, offset=page.offset, limit=page.size
    )
    return page_or_list([wire.status(job) for job in jobs], total, page)


@routes.get("/jobs/{id}", WATCH, errors=(404,), summary="Read a job", response_model=JobStatus)
async def get_job(
    id: UUID,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the job's end before this answers")
    ] = 0.0,
) -> JobStatus:
    """Where a job stands: its stage, how far it got, how fast, and in the end its result or its error."""
    return wire.status(await resources.watch.wait(workspace, id, wait))


@routes.get(
    "/jobs/{id}/events",
    WATCH,
    errors=(404, 429),
    summary="Follow a job",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}}}},
)
async def follow_job(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> Response:
    """Events, each with the job as `GET /jobs/{id}` shows it: `progress` at once and whenever it got further (at most
    four a second), at the end `done`, `failed` or `cancelled`, with which the stream closes. While a job does not
    move, a comment comes every 15 seconds. A client that connects again gets the present state first, whatever
    `Last-Event-ID` it sends: no event builds on an earlier one."""
    following = await resources.watch.follow(workspace, id)
    return EventStream(wire.frames(following.states()), following.leave, wire.STREAM_HEADERS)


@routes.post("/jobs/{id}/pause", STEER, errors=(404, 409), summary="Pause a job", response_model=JobStatus)
async def pause_job(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> JobStatus:
    """A queued job does not start; a running one stops at its next commit and keeps what it did. 409 when it has
    ended."""
    return wire.status(await service.pause(resources.database, workspace, id))


@routes.post("/jobs/{id}/resume", STEER, errors=(404, 409), summary="Resume a paused job", response_model=JobStatus)
async def resume_job(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> JobStatus:
    """The job waits for a worker again and goes on after what it has committed. 409 when it has ended."""
    return wire.status(await service.resume(resources.database, resources.queue, workspace, id))


@routes.post(
    "/jobs/{id}/retry",
    STEER,
    errors=(404, 409),
    summary="Retry what failed of a job",
    status_code=202,
    response_model=JobStatus,
)
async def retry_job(
    id: UUID, resources: CurrentResources, workspace: CurrentWorkspace, response: Response
) -> JobStatus:
    """A new job, whose URL is in `Location`. Of an upsert it takes the documents that failed, from their uploads, and
    no others, also when the upsert as a whole was done. 409 when the job is still open, or nothing of it failed."""
    again = wire.status(await service.retry(resources.database, resources.queue, workspace, id))
    response.headers["Location"] = again.url
    return again


@routes.delete("/jobs/{id}", STEER, errors=(404,), summary="Cancel a job", response_model=JobStatus)
async def cancel_job(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> JobStatus:
    """A queued or paused job never starts; a running one ends at its next commit. A job that has ended stays as it
    is."""
    return wire.status(await service.cancel(resources.database, resources.queue, workspace, id))
