"""Datasets over HTTP (contract 5.1), open to everyone (Annex 2 no. 19); `transfers` holds what Flowise has not."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request

from service.datasets import files, service, wire
from service.datasets.types import RowDraft
from service.errors import MissingPart
from service.http.access import CurrentWorkspace, needs
from service.http.asked import asked
from service.http.routing import Routes
from service.http.wire import Deleted, Page, page_or_list
from service.resources import CurrentResources

routes = Routes("Datasets")

VIEW = needs("datasets:view")
CREATE = needs("datasets:create")
EDIT = needs("datasets:create", "datasets:update")
DELETE = needs("datasets:delete")

Draft = Annotated[bool | None, Query(description="`true`: only drafts; `false`: only what was accepted")]


@routes.get(
    "/datasets",
    VIEW,
    errors=(412, 422),
    summary="List datasets",
    response_model=list[wire.ListedDataset] | wire.DatasetPage,
)
async def list_datasets(resources: CurrentResources, workspace: CurrentWorkspace, page: Page) -> Any:
    """The workspace's datasets, last changed first: a list, or a page with its total for `page` and `limit`."""
    found, total = await service.page(resources.database, workspace, page.offset, page.size)
    return page_or_list([wire.listed(item) for item in found], total, page)


@routes.get(
    "/datasets/set/{id}",
    VIEW,
    errors=(404, 412, 422),
    summary="Read a dataset with its rows",
    response_model=wire.DatasetWithRows,
)
async def get_dataset(
    id: UUID, resources: CurrentResources, workspace: CurrentWorkspace, page: Page, draft: Draft = None
) -> wire.DatasetWithRows:
    """A dataset with its rows in order, or a page of them; `total` counts them all. Without `page` and `limit` ten
    thousand rows are shown at most."""
    found = await service.row_page(resources.database, workspace, id, page.offset, page.size, draft)
    return wire.with_rows(*found)


@routes.post(
    "/datasets/set",
    CREATE,
    errors=(400, 409, 412, 413, 422),
    summary="Make a dataset",
    body=wire.NewDataset,
    response_model=wire.DatasetEntity,
)
async def create_dataset(
    request: Request, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.DatasetEntity:
    """Makes a dataset, with the rows of CSV files where some come along. If a row cannot be read, nothing is made."""
    body = await asked(request, wire.NewDataset)
    rows = await csv_rows(body.csv_file, headers=body.first_row_headers) if body.csv_file else []
    made = await service.create(resources.database, workspace, body.name, body.description or "", rows)
    return wire.entity(made)


@routes.put(
    "/datasets/set/{id}",
    EDIT,
    errors=(400, 404, 412, 422),
    summary="Change a dataset",
    body=wire.DatasetChange,
    response_model=wire.DatasetEntity,
)
async def update_dataset(
    id: UUID, request: Request, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.DatasetEntity:
    """Changes name and description; what is left out stays."""
    body = await asked(request, wire.DatasetChange)
    return wire.entity(await service.update(resources.database, workspace, id, body.changes()))


@routes.delete("/datasets/set/{id}", DELETE, errors=(404,), summary="Remove a dataset", response_model=Deleted)
async def delete_dataset(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> Deleted:
    """Removes a dataset with all of its rows."""
    return Deleted(affected=await service.delete(resources.database, workspace, id))


@routes.post(
    "/datasets/rows",
    CREATE,
    errors=(400, 404, 412, 413, 422),
    summary="Add a row, or the rows of CSV files",
    body=wire.NewRows,
    response_model=wire.RowEntity | wire.Message,
)
async def add_dataset_row(
    request: Request, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.RowEntity | wire.Message:
    """Adds a row behind all others and answers with it; of `csvFile` all rows or none. Numbers count from 0 in each
    dataset."""
    body = await asked(request, wire.NewRows)
    if body.dataset_id is None:
        raise MissingPart("datasetId not provided!")
    if not body.csv_file:
        return wire.row_entity(await service.add_row(resources.database, workspace, body.dataset_id, body.row()))
    rows = await csv_rows(body.csv_file, headers=body.first_row_headers)
    await service.add_rows(resources.database, workspace, body.dataset_id, rows)
    return wire.Message(message=added(rows))


@routes.put(
    "/datasets/rows/{id}",
    EDIT,
    errors=(400, 404, 412, 422),
    summary="Change a row",
    body=wire.RowChange,
    response_model=wire.RowEntity,
)
async def update_dataset_row(
    id: UUID, request: Request, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.RowEntity:
    """Changes a row; what is left out stays."""
    body = await asked(request, wire.RowChange)
    return wire.row_entity(await service.update_row(resources.database, workspace, id, body.changes()))


@routes.delete("/datasets/rows/{id}", DELETE, errors=(404,), summary="Remove a row", response_model=Deleted)
async def delete_dataset_row(id: UUID, resources: CurrentResources, workspace: CurrentWorkspace) -> Deleted:
    """Removes a row; the others keep their numbers."""
    return Deleted(affected=await service.delete_row(resources.database, workspace, id))


@routes.patch(
    "/datasets/rows",
    DELETE,
    errors=(400, 412, 422),
    summary="Remove several rows",
    body=wire.RowIds,
    response_model=Deleted,
)
async def delete_dataset_rows(request: Request, resources: CurrentResources, workspace: CurrentWorkspace) -> Deleted:
    """Removes these rows, all in one; `affected` says how many there were."""
    body = await asked(request, wire.RowIds)
    return Deleted(affected=await service.delete_rows(resources.database, workspace, body.ids))


@routes.post(
    "/datasets/reorder",
    EDIT,
    errors=(400, 404, 412, 422),
    summary="Number rows anew",
    body=wire.NewOrder,
    response_model=wire.Message,
)
async def reorder_dataset(request: Request, resources: CurrentResources, workspace: CurrentWorkspace) -> wire.Message:
    """Gives rows of a dataset their numbers: all of them, or none when one is unknown. Rows that are not named keep
    theirs; of equal numbers the older row comes first."""
    body = await asked(request, wire.NewOrder)
    if body.dataset_id is None:
        raise MissingPart("datasetId not provided!")
    numbers = [(item.id, item.sequence_no) for item in body.rows]
    await service.reorder(resources.database, workspace, body.dataset_id, numbers)
    return wire.Message(message="The rows are in their new order")


async def csv_rows(text: str, *, headers: bool) -> list[RowDraft]:
    """The rows of CSV files, which come as data URLs."""

    def read() -> list[RowDraft]:
        return files.csv_rows(files.data_files(text), headers=headers)

    return await asyncio.to_thread(read)


def added(rows: list[RowDraft]) -> str:
    """What is said of new rows."""
    return f"{len(rows)} row{'' if len(rows) == 1 else 's'} added"


get_dataset_without_id = routes.refuse(
    "GET",
    "/datasets/set",
    VIEW,
    "get_dataset_without_id",
    "id",
    summary="Read a dataset",
    response_model=wire.DatasetWithRows,
)
update_dataset_without_id = routes.refuse(
    "PUT",
    "/datasets/set",
    EDIT,
    "update_dataset_without_id",
    "id",
    summary="Change a dataset",
    response_model=wire.DatasetEntity,
)
delete_dataset_without_id = routes.refuse(
    "DELETE",
    "/datasets/set",
    DELETE,
    "delete_dataset_without_id",
    "id",
    summary="Remove a dataset",
    response_model=Deleted,
)
