"""Watching and cancelling background jobs. An upsert answers with the URL of its job when it does not wait."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query

from service.http.access import SIGNED_IN, CurrentWorkspace, needs
from service.http.routing import Routes
from service.http.wire import Page, page_or_list
from service.jobs import service, wire
from service.jobs.types import JobState
from service.jobs.wire import JobPage, JobStatus
from service.resources import CurrentResources

routes = Routes("Jobs")

UPSERT = ("documentStores:add-loader", "documentStores:upsert-config")
WATCH = SIGNED_IN  # as whoever may upsert, which takes no permission (contract 3.6), must be able to follow his job
LIST = needs("documentStores:view")
CANCEL = needs(*UPSERT)


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
async def get_job(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> JobStatus:
    """Where a job stands: its stage, how far it got, how fast, and in the end its result or its error."""
    return wire.status(await service.get(resources.database, workspace, id))


@routes.delete("/jobs/{id}", CANCEL, errors=(404,), summary="Cancel a job", response_model=JobStatus)
async def cancel_job(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> JobStatus:
    """A queued job never starts; a running one ends at its next batch. A job that has ended stays as it is."""
    return wire.status(await service.cancel(resources.database, workspace, id))
