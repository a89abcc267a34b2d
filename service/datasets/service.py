"""Keep datasets and their rows: every change is one transaction under the dataset's lock, and moves its date on."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any
from uuid import UUID, uuid4

from service.datasets import records
from service.datasets.types import Dataset, GoldKind, Row, RowDraft
from service.errors import Conflict, NotFound, TooLarge, Unprocessable
from stores.records.database import Database, Scope

MAX_DATASETS = 1000
MAX_ROWS = 100_000
MAX_NAME = 200
MAX_CELL = 100_000
"""Characters of a question, or of an expected answer."""
MAX_SOURCES = 100
MAX_SOURCE = 5_000
"""Characters of what names a source, or of a quote."""
MAX_METADATA = 64 * 1024
"""Bytes of a row's metadata, as JSON."""
MAX_GOLD = 64 * 1024
"""Bytes of a row's sources, as JSON: what a CSV can hold in one column."""
MOST_NUMBER = 2**31 - 1

BATCH = 500
"""Rows that are in memory at once where all are gone through."""


async def create(
    database: Database, workspace: UUID, name: str, description: str = "", rows: Sequence[RowDraft] = ()
) -> Dataset:
    """A new dataset with these rows, or nothing. Raises `Unprocessable`, naming the field, `Conflict`, `TooLarge`."""
    async with database.write(workspace) as scope:
        if await records.count(scope) >= MAX_DATASETS:
            raise Conflict(f"datasets: a workspace may have {MAX_DATASETS}")
        made = await records.insert(scope, uuid4(), _named(name), description)
        return await _added(scope, made, rows) if rows else made


async def page(database: Database, workspace: UUID, offset: int, size: int) -> tuple[Sequence[Dataset], int]:
    """Datasets, last changed first, and how many there are in all."""
    async with database.read(workspace) as scope:
        return await records.page(scope, offset, size)


async def get(database: Database, workspace: UUID, dataset_id: UUID) -> Dataset:
    """A dataset of the workspace. Raises `NotFound`."""
    async with database.read(workspace) as scope:
        found = await records.get(scope, dataset_id)
    if found is None:
        raise missing(dataset_id)
    return found


async def row_page(
    database: Database, workspace: UUID, dataset_id: UUID, offset: int, size: int, draft: bool | None = None
) -> tuple[Dataset, list[Row], int]:
    """A dataset with a page of its rows in order, and how many rows there are; `draft` chooses drafts or the others.
    Raises `NotFound`."""
    found = await get(database, workspace, dataset_id)
    async with database.read(workspace) as scope:
        rows, total = await records.row_page(scope, dataset_id, offset, size, draft)
    return found, rows, total


async def batches(
    database: Database, workspace: UUID, dataset_id: UUID, *, draft: bool | None = None, size: int = BATCH
) -> AsyncIterator[list[Row]]:
    """All rows in order, `size` at a time: no more are in memory. `draft=False`: what evaluations use."""
    after = (-1, -1)
    while True:
        async with database.read(workspace) as scope:
            rows = await records.rows_after(scope, dataset_id, after, size, draft)
        if rows:
            yield rows
        if len(rows) < size:
            return
        after = (rows[-1].sequence_no, rows[-1].ordinal)


async def update(database: Database, workspace: UUID, dataset_id: UUID, changes: Mapping[str, Any]) -> Dataset:
    """Change what `changes` names (`name`, `description`). Raises `NotFound`, `Unprocessable`."""
    async with database.write(workspace) as scope:
        held = await locked(scope, dataset_id)
        name = _named(changes.get("name", held.name))
        await records.update(scope, dataset_id, name, changes.get("description", held.description))
        return await records.touch(scope, dataset_id)


async def delete(database: Database, workspace: UUID, dataset_id: UUID) -> int:
    """Remove a dataset with its rows. Raises `NotFound`."""
    async with database.write(workspace) as scope:
        affected = await records.delete(scope, dataset_id)
    if not affected:
        raise missing(dataset_id)
    return affected


async def add_row(database: Database, workspace: UUID, dataset_id: UUID, row: RowDraft) -> Row:
    """One more row, behind all others. Raises `NotFound`, `Unprocessable`, `TooLarge`."""
    async with database.write(workspace) as scope:
        held = await locked(scope, dataset_id)
        (row_id,) = await insert(scope, held, [row])
        await records.touch(scope, dataset_id, 1)
        found = await records.get_row(scope, row_id)
    assert found is not None
    return found


async def add_rows(database: Database, workspace: UUID, dataset_id: UUID, rows: Sequence[RowDraft]) -> Dataset:
    """Rows behind all others: all of them, or none. Raises `NotFound`, `Unprocessable`, `TooLarge`."""
    async with database.write(workspace) as scope:
        return await _added(scope, await locked(scope, dataset_id), rows)


async def update_row(database: Database, workspace: UUID, row_id: UUID, changes: Mapping[str, Any]) -> Row:
    """Change what `changes` names (fields of `RowDraft`). Raises `NotFound`, `Unprocessable`."""
    async with database.write(workspace) as scope:
        dataset_id = await _dataset_of(scope, row_id)
        held = await records.get_row(scope, row_id)
        if held is None:
            raise missing_row(row_id)
        before = RowDraft(**{item.name: getattr(held, item.name) for item in fields(RowDraft)})
        draft = replace(before, **changes)
        check(draft)
        changed = await records.update_row(scope, row_id, draft)
        await records.touch(scope, dataset_id)
    assert changed is not None
    return changed


async def delete_row(database: Database, workspace: UUID, row_id: UUID) -> int:
    """Remove a row; the others keep their numbers. Raises `NotFound`."""
    affected = await delete_rows(database, workspace, [row_id])
    if not affected:
        raise missing_row(row_id)
    return affected


async def delete_rows(database: Database, workspace: UUID, row_ids: Sequence[UUID]) -> int:
    """Remove those of the rows that there are, of whatever datasets of the workspace; says how many."""
    affected = 0
    async with database.write(workspace) as scope:
        for dataset_id in await records.datasets_of(scope, row_ids):
            if await records.lock(scope, dataset_id) is None:
                continue  # it was removed meanwhile
            gone = await records.delete_rows(scope, dataset_id, row_ids)
            if gone:
                await records.touch(scope, dataset_id, -gone)
            affected += gone
    return affected


async def reorder(database: Database, workspace: UUID, dataset_id: UUID, numbers: Sequence[tuple[UUID, int]]) -> None:
    """Give rows their numbers, all of them or none. Rows that are not named keep theirs; of equal numbers the older row
    comes first.

    Raises `NotFound` for a row that the dataset lacks, `Unprocessable` for a row or a number that comes twice.
    """
    for name, values in (("id", [item for item, _ in numbers]), ("sequenceNo", [number for _, number in numbers])):
        seen: set[object] = set()
        for place, value in enumerate(values):
            if value in seen:
                raise Unprocessable(f"rows[{place}].{name}: {value} comes twice")
            seen.add(value)
    async with database.write(workspace) as scope:
        await locked(scope, dataset_id)
        done = await records.renumber(scope, dataset_id, numbers)
        for row_id, _ in numbers:
            if row_id not in done:
                raise missing_row(row_id)
        if numbers:
            await records.touch(scope, dataset_id)


async def accept(
    database: Database, workspace: UUID, dataset_id: UUID, row_ids: Sequence[UUID] | None
) -> tuple[int, int]:
    """Make drafts rows, all or these: how many, and how many stay drafts because they have neither an output nor
    sources. Raises `NotFound`."""
    async with database.write(workspace) as scope:
        await locked(scope, dataset_id)
        done, left = await records.accept(scope, dataset_id, row_ids)
        if done:
            await records.touch(scope, dataset_id)
    return done, left


async def locked(scope: Scope, dataset_id: UUID) -> Dataset:
    """The dataset, held until the transaction ends. Raises `NotFound`."""
    held = await records.lock(scope, dataset_id)
    if held is None:
        raise missing(dataset_id)
    return held


async def insert(scope: Scope, held: Dataset, rows: Sequence[RowDraft]) -> list[UUID]:
    """Add rows to a dataset that is held; `records.touch` is the caller's. Raises `Unprocessable`, `TooLarge`."""
    if held.rows + len(rows) > MAX_ROWS:
        raise TooLarge(f"dataset_rows: a dataset has at most {MAX_ROWS} rows; this would be {held.rows + len(rows)}")
    for row in rows:
        check(row)
    first = await records.next_number(scope, held.id)
    return await records.add(scope, held.id, first, rows)


async def _added(scope: Scope, held: Dataset, rows: Sequence[RowDraft]) -> Dataset:
    await insert(scope, held, rows)
    return await records.touch(scope, held.id, len(rows))


async def _dataset_of(scope: Scope, row_id: UUID) -> UUID:
    """The dataset of a row, held. Raises `NotFound`."""
    of = await records.datasets_of(scope, [row_id])
    if not of or await records.lock(scope, of[0]) is None:
        raise missing_row(row_id)
    return of[0]


def check(row: RowDraft) -> None:
    """Refuse what cannot be kept. Raises `Unprocessable`, naming the field."""
    if not row.input.strip():
        raise Unprocessable("input: must not be empty")
    for name, text in (("input", row.input), ("output", row.output)):
        if len(text) > MAX_CELL:
            raise Unprocessable(f"{name}: has {len(text)} characters; dataset_cell: at most {MAX_CELL}")
    if len(row.sources) > MAX_SOURCES:
        raise Unprocessable(f"sources: {len(row.sources)} of them; a row has at most {MAX_SOURCES}")
    if len(json.dumps([{gold.kind: gold.value} for gold in row.sources], ensure_ascii=False).encode()) > MAX_GOLD:
        raise Unprocessable(f"sources: have more than {MAX_GOLD} bytes as JSON")
    for place, gold in enumerate(row.sources):
        if not gold.value.strip() or len(gold.value) > MAX_SOURCE:
            raise Unprocessable(f"sources[{place}]: must have 1 to {MAX_SOURCE} characters")
        if gold.kind in (GoldKind.CHUNK, GoldKind.DOCUMENT) and not is_id(gold.value):
            raise Unprocessable(f"sources[{place}].{gold.kind}: '{gold.value[:40]}' is no id")


def is_id(value: str) -> bool:
    """Whether a text is a UUID."""
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def _named(name: str) -> str:
    if not name.strip() or len(name) > MAX_NAME:
        raise Unprocessable(f"name: must have 1 to {MAX_NAME} characters")
    return name


def missing(dataset_id: object) -> NotFound:
    """There is no such dataset: the message names it."""
    return NotFound(f"Dataset {dataset_id} not found")


def missing_row(row_id: object) -> NotFound:
    """There is no such row: the message names it."""
    return NotFound(f"Dataset row {row_id} not found")
