"""The upsert history over HTTP (contract 2.2)."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from service.errors import BadRequest
from service.http.access import SIGNED_IN, CurrentCaller, CurrentWorkspace
from service.http.routing import Routes
from service.http.wire import Deleted, Page, date_in
from service.resources import CurrentResources
from service.upsert_history import service, wire
from service.upsert_history.wire import EntryIds, HistoryEntry
from service.viewers import believed

routes = Routes("Upserts")

Order = Annotated[str | None, Query(description="`DESC`: newest first; anything else: oldest first")]
Start = Annotated[str | None, Query(alias="startDate", description="ISO date; only from then on")]
End = Annotated[str | None, Query(alias="endDate", description="ISO date; only until then")]


@routes.get(
    "/upsert-history/{id}",
    SIGNED_IN,
    errors=(404, 412),
    summary="List the upserts of a chatflow",
    response_model=list[HistoryEntry],
)
async def list_upserts(
    id: UUID,
    resources: CurrentResources,
    caller: CurrentCaller,
    workspace: CurrentWorkspace,
    page: Page,
    order: Order = None,
    start: Start = None,
    end: End = None,
) -> list[HistoryEntry]:
    """What the upserts into a chatflow did, or, by its id, those into a document store. The newest five hundred are
    kept. Take pages with `page` and `limit`."""
    found = await service.page(
        resources.database,
        workspace,
        id,
        newest_first=order == "DESC",
        start=date_in("startDate", start),
        end=date_in("endDate", end),
        offset=page.offset,
        limit=page.size,
    )
    return [wire.entry(item, texts=believed(caller)) for item in found]


@routes.get(
    "/upsert-history",
    SIGNED_IN,
    errors=(400,),
    summary="List the upserts of a chatflow: without an id",
    response_model=list[HistoryEntry],
)
async def list_upserts_without_id() -> list[HistoryEntry]:
    """Always refused."""
    raise BadRequest("id not provided!")


@routes.patch(
    "/upsert-history",
    SIGNED_IN,
    errors=(400, 404),
    summary="Forget upserts",
    response_model=Deleted,
)
async def forget_upserts(body: EntryIds, resources: CurrentResources, workspace: CurrentWorkspace) -> Deleted:
    """Removes entries of the history, all that are named or none. What was upserted stays."""
    return Deleted(affected=await service.forget(resources.database, workspace, body.chosen()))


@routes.patch(
    "/upsert-history/{id}",
    SIGNED_IN,
    errors=(400, 404),
    summary="Forget upserts of a chatflow",
    response_model=Deleted,
)
async def forget_upserts_of(
    id: UUID, body: EntryIds, resources: CurrentResources, workspace: CurrentWorkspace
) -> Deleted:
    """As without the id of a chatflow or document store in the path, but only entries of that one."""
    return Deleted(affected=await service.forget(resources.database, workspace, body.chosen(), id))
