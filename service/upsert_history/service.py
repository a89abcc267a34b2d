"""Keep what upserts did, show it, forget it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from service.errors import NotFound
from service.jobs.types import Job
from service.upsert_history import records
from service.upsert_history.types import Entry
from stores.records.database import Database, Scope

KEPT = 500
"""Entries kept of a chatflow or document store: the oldest goes when a new one comes."""

COUNTS = ("numAdded", "numDeleted", "numUpdated", "numSkipped")

MOST_FAILURES = 20
"""Documents that failed which an entry names."""


async def conclude(scope: Scope, job: Job, result: Mapping[str, Any]) -> None:
    """Note an upsert or an insert in the transaction that ends its job: once, however often the job was started."""
    told: Mapping[str, Any] = job.payload.get("history") or {}
    target = UUID(told["target"]) if "target" in told else job.store_id
    if target is None or job.payload.get("chunkOnly"):  # the document store went meanwhile, or nothing is indexed yet
        return
    counts: dict[str, Any] = {name: result.get(name, 0) for name in COUNTS}
    if failed := result.get("failed"):
        counts["failed"] = failed[:MOST_FAILURES]
    await records.insert(scope, uuid4(), target, counts, told.get("flowData") or [], kept=KEPT)


async def page(
    database: Database,
    workspace: UUID,
    target: UUID,
    *,
    newest_first: bool,
    start: datetime | None,
    end: datetime | None,
    offset: int,
    limit: int,
) -> list[Entry]:
    """The upserts into a chatflow or document store of the workspace, in order of time. Raises `NotFound`."""
    async with database.read(workspace) as scope:
        await _check(scope, target)
        return await records.page(
            scope,
            target,
            newest_first=newest_first,
            start=start,
            end=end,
            offset=offset,
            limit=min(limit, KEPT),
        )


async def forget(database: Database, workspace: UUID, entries: Sequence[UUID], target: UUID | None = None) -> int:
    """Remove entries, all of them or none. Raises `NotFound` naming one that is not there."""
    async with database.write(workspace) as scope:
        if target is not None:
            await _check(scope, target)
        gone = await records.delete(scope, entries, target)
        if missing := set(entries) - set(gone):
            raise NotFound(f"Upsert history {min(missing)} not found")
    return len(gone)


async def drop(scope: Scope, target: UUID) -> None:
    """Forget the upserts of a chatflow, in the transaction that deletes it and after its jobs were cancelled there."""
    await records.drop(scope, target)


async def _check(scope: Scope, target: UUID) -> None:
    if not await records.exists(scope, target):
        raise NotFound(f"Chatflow {target} not found, and no document store of this id either")
