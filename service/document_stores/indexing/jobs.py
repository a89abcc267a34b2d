"""The background work of indexing: the fill as a job, and as the end of an upsert."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from service.document_stores.indexing import records
from service.document_stores.indexing.fill import Note, SpaceChanged, fill
from service.document_stores.indexing.types import Which
from service.document_stores.ledger import records as ledger
from service.document_stores.pacing import paced
from service.document_stores.space import Space, current_space, open_space
from service.resources import Resources
from service.worker.work import Work
from stores.records.database import Scope

FindSpace = Callable[[Resources, UUID, UUID], Awaitable[Space | None]]


async def index(work: Work) -> Mapping[str, Any]:
    """Index what is not indexed of a document store, or of one of its loaders: the contract's insert. With `addedBy`,
    only chunks that this job added: those of an import that were indexed where they come from."""
    job, resources = work.job, work.resources
    store_id, loader, adder = UUID(work.payload["storeId"]), work.payload.get("docId"), work.payload.get("addedBy")
    which = Which(loader_id=UUID(loader) if loader else None, added_by=UUID(adder) if adder else None)
    async with resources.database.read(job.workspace) as scope:
        total = await records.count(scope, store_id, which, indexed=False)
        skipped = await records.count(scope, store_id, which, indexed=True)
    # An attempt that died left its counts: what it added is indexed by now.
    added = int((job.result or {}).get("numAdded", 0))
    skipped, total = skipped - added, total + added

    def result() -> dict[str, Any]:
        return {"numAdded": added, "numUpdated": 0, "numSkipped": skipped, "numDeleted": 0, "failed": []}

    async def note(scope: Scope, count: int) -> None:
        nonlocal added
        added += count
        await work.note(scope, "indexing", added, total, result())

    await fill_in(work, store_id, which, open_space, note)
    async with resources.database.write(job.workspace) as scope:
        done = {**result(), "totalKeys": await ledger.count_live(scope, store_id)}
        await work.note(scope, "indexing", added, total, done)
    return done


async def fill_in(work: Work, store_id: UUID, which: Which, find: FindSpace, note: Note) -> None:
    """`fill` for a job, into the space that `find` gives, anew whenever the document store changes it; nothing while it
    has none. Waits for the provider, the space's first vector included, as `paced` does."""
    job, resources = work.job, work.resources

    async def waiting() -> None:
        async with resources.database.write(job.workspace) as scope:
            await work.note(scope, "waiting", job.done, job.total)

    while True:
        space = await paced(lambda: find(resources, job.workspace, store_id), waiting)
        if space is None:
            return
        try:
            await fill(resources, job.workspace, space, which, job.id, note, waiting)
        except SpaceChanged:
            continue
        return


async def index_rest(work: Work, store_id: UUID, note: Note) -> None:
    """Index what an upsert's documents hold that is not indexed: chunks that were there before the document store had
    vectors, or that were added while these were taken from it. One that only makes chunks gives it none."""
    which = Which(job_id=work.job.id)
    async with work.resources.database.read(work.job.workspace) as scope:
        left = bool(await records.next_unindexed(scope, store_id, which, None, 1))
    if left:
        find: FindSpace = current_space if work.payload.get("chunkOnly") else open_space
        await fill_in(work, store_id, which, find, note)
