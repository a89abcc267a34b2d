"""Rows that come from elsewhere and go elsewhere, and drafts that somebody accepts: what Flowise has not."""

import asyncio
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from service.chatflows.routes import VIEW as READ_FLOWS
from service.datasets import drafting, files, service, taking, wire
from service.datasets.routes import CREATE, EDIT, VIEW, Draft, added, csv_rows
from service.datasets.types import RowDraft
from service.errors import BadRequest, Forbidden, MissingPart
from service.http.access import FULL, Caller, CurrentCaller, CurrentWorkspace, Rule, needs
from service.http.asked import asked
from service.http.forms import MULTIPART, is_file, media_type, upload_form
from service.http.routing import Routes
from service.resources import CurrentResources, Resources
from service.viewers import believed

routes = Routes("Datasets")

READ_STORES = needs("documentStores:view")

CSV, JSONL = "text/csv", "application/jsonl"
PLAIN = {CSV, "application/csv", JSONL, "application/x-ndjson", "application/x-jsonlines", "application/json-lines"}
TEXT = {"schema": {"type": "string", "format": "binary"}}

IMPORT_REQUEST: dict[str, Any] = {
    "requestBody": {
        "content": {
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "firstRowHeaders": {"type": "boolean"},
                    },
                }
            },
            CSV: TEXT,
            JSONL: TEXT,
        }
    }
}


@routes.patch(
    "/datasets/rows/{id}",
    EDIT,
    errors=(400, 404, 412, 422),
    summary="Change a part of a row",
    body=wire.RowChange,
    response_model=wire.RowEntity,
)
async def patch_dataset_row(
    id: UUID, request: Request, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.RowEntity:
    """As `PUT`. `draft: false` accepts a draft, with an output or sources or without."""
    body = await asked(request, wire.RowChange)
    return wire.row_entity(await service.update_row(resources.database, workspace, id, body.changes()))


@routes.post(
    "/datasets/set/{id}/import",
    CREATE,
    errors=(400, 404, 412, 413, 422, 507),
    summary="Import rows",
    body=wire.ImportFields,
    openapi_extra=IMPORT_REQUEST,
    response_model=wire.Imported,
)
async def import_rows(
    id: UUID, request: Request, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.Imported:
    """Adds rows of CSV and JSON Lines, with the sources that must be found: files of a form, a file as the body, or
    JSON. All rows or none; what cannot be read is named with its file and row."""
    await service.get(resources.database, workspace, id)
    rows = await _imported(request, resources)
    await service.add_rows(resources.database, workspace, id, rows)
    return wire.Imported(message=added(rows), created=len(rows))


async def _imported(request: Request, resources: Resources) -> list[RowDraft]:
    kind = media_type(request)
    if kind == MULTIPART:
        async with upload_form(request, resources) as form:
            parts = [part for name, part in form.multi_items() if name in ("files", "files[]", "file")]
            given = [files.File(part.filename or "file", await part.read()) for part in parts if is_file(part)]
            headers = str(form.get("firstRowHeaders", "")).casefold() in ("true", "1", "on", "yes")
        if not given:
            raise BadRequest("files: the rows must come as files in parts named 'files'")
        return await asyncio.to_thread(files.file_rows, given, headers=headers)
    if kind in PLAIN:
        name = "body.csv" if kind.endswith("csv") else "body.jsonl"
        headers = request.query_params.get("firstRowHeaders", "").casefold() in ("true", "1")
        return await asyncio.to_thread(files.file_rows, [files.File(name, await request.body())], headers=headers)
    body = await asked(request, wire.ImportFields)
    found = [item.row() for item in body.rows or ()]
    if body.csv_file:
        found += await csv_rows(body.csv_file, headers=body.first_row_headers)
    if body.jsonl_file:
        text = body.jsonl_file
        lines = files.data_files(text, "jsonlFile") if text.startswith(("data:", "[")) else None
        plain = lines or [files.File("jsonlFile", text.encode())]
        found += await asyncio.to_thread(files.jsonl_rows, plain)
    if not found:
        raise MissingPart("rows, csvFile or jsonlFile not provided!")
    return found


@routes.get(
    "/datasets/set/{id}/export",
    VIEW,
    errors=(404, 422),
    summary="Export a dataset",
    response_class=StreamingResponse,
    responses={200: {"description": "The rows", "content": {CSV: TEXT, JSONL: TEXT}}},
)
async def export_dataset(
    id: UUID,
    resources: CurrentResources,
    workspace: CurrentWorkspace,
    format: Annotated[Literal["csv", "jsonl"], Query(description="CSV with headers, or JSON Lines")] = "jsonl",
    spreadsheet: Annotated[bool, Query(description="In CSV, mark texts that spreadsheets take for formulas")] = False,
    draft: Draft = None,
) -> Response:
    """All rows in order, in a file that an import reads back as they were."""
    await service.get(resources.database, workspace, id)
    batches = service.batches(resources.database, workspace, id, draft=draft)
    return StreamingResponse(
        files.as_csv(batches, spreadsheet=spreadsheet) if format == "csv" else files.as_jsonl(batches),
        media_type="text/csv; charset=utf-8" if format == "csv" else JSONL,
        headers={"Content-Disposition": f'attachment; filename="dataset-{id}.{format}"'},
    )


@routes.post(
    "/datasets/set/{id}/accept",
    EDIT,
    errors=(400, 404, 412, 422),
    summary="Accept drafts",
    body=wire.Accepted,
    response_model=wire.AcceptedRows,
)
async def accept_drafts(
    id: UUID, request: Request, resources: CurrentResources, workspace: CurrentWorkspace
) -> wire.AcceptedRows:
    """Makes drafts rows that evaluations use: all of them (`{}`), or those of `ids`. Drafts that have neither an output
    nor sources stay drafts: nothing could be measured by them."""
    body = await asked(request, wire.Accepted)
    done, left = await service.accept(resources.database, workspace, id, body.ids)
    return wire.AcceptedRows(accepted=done, left=left)


@routes.post(
    "/datasets/set/{id}/messages",
    CREATE,
    errors=(400, 404, 412, 413, 422),
    summary="Make rows of rated answers",
    body=wire.FromMessages,
    response_model=wire.TakenRows,
)
async def take_messages(
    id: UUID, request: Request, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> wire.TakenRows:
    """Makes rows of a chatflow's rated answers: a good one is expected, and its sources must be found; of a bad one the
    question becomes a draft without an output. An answer becomes one row, however often this is called. Needs the
    permission to read chatflows too; what was said to somebody with principals is left out unless the key may read
    every document."""
    _demand(caller, READ_FLOWS)
    body = await asked(request, wire.FromMessages)
    taken = await taking.take(resources.database, workspace, id, body.wanted(everything=believed(caller)))
    return wire.TakenRows(created=taken.created, known=taken.known)


@routes.post(
    "/datasets/set/{id}/questions",
    CREATE,
    errors=(400, 404, 412, 413, 422),
    summary="Draft questions from a document store",
    body=wire.FromStore,
    response_model=wire.DraftedRows,
)
async def draft_questions(
    id: UUID, request: Request, resources: CurrentResources, caller: CurrentCaller, workspace: CurrentWorkspace
) -> wire.DraftedRows:
    """Adds drafts of questions about chunks of a document store, with the answer and the chunk as the source that must
    be found. The service's own chat model writes them, where there is one; else they are made of headings and
    sentences, and `fallback` says why. Needs the permission to read document stores too."""
    _demand(caller, READ_STORES)
    body = await asked(request, wire.FromStore)
    done = await drafting.draft(resources, workspace, id, body.wish())
    return wire.DraftedRows(created=done.created, by_model=done.by_model, fallback=done.fallback)


def _demand(caller: Caller, rule: Rule) -> None:
    """A second permission. Raises `Forbidden`."""
    if FULL not in caller.scopes and not rule.scopes & caller.scopes:
        raise Forbidden(f"This key lacks the permission {' or '.join(sorted(rule.scopes))}.")
