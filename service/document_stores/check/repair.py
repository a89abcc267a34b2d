"""Mends what the check finds: `ragstone doctor --fix`, and the part of it that workers do by themselves.

The ledger is the truth: indexes are brought into step with it, never the other way round. Every step may be repeated,
holds the locks that other writers hold, and leaves out document stores that a job works on.
"""

import secrets
import string
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from uuid import UUID

from service.document_stores.check import records
from service.document_stores.check.service import PAGE, differences, ledger_numbers, lexical_faults, lexical_numbers
from service.document_stores.collections import records as collections
from service.document_stores.compacting import compact_soon
from service.document_stores.indexing.fill import of_no_chunk, restore_vectors, vectors_of, without_chunks
from service.document_stores.indexing.lender import Lender
from service.document_stores.indexing.records import lock_numbered, numbered
from service.document_stores.indexing.reuse import Reuse
from service.document_stores.indexing.texts import BATCH, analysed
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.principals.service import mark_waiting
from service.document_stores.shelf import Indexed, Shelf, changing
from service.document_stores.space import Space, current_space, drop_soon
from service.errors import NotFound, ServiceError
from service.jobs import service as jobs
from service.resources import Resources
from stores.blobs.base import UnknownBlob
from stores.lexical.integrity import Faults, mend
from stores.records.database import Scope
from stores.vector.base import Unavailable, UnknownCollection

LOST_JOB = "The job that was to index this upload is gone; upload the file again."

SETTLED_SECONDS = 3600.0
"""Files without an owner that are younger are left alone: their upload may be under way."""

SWEPT_SECONDS = 24 * 3600.0
"""How old they are before workers remove them unasked."""


class _Busy(Exception):
    """A job works on the document store."""


class _Count:
    """Counts what is made anew."""

    def __init__(self) -> None:
        self.total = 0

    async def note(self, _scope: Scope, count: int) -> None:
        self.total += count

    async def waiting(self) -> None:
        """Nobody is told of pauses."""


async def repair(resources: Resources, *, deep: bool = False) -> AsyncIterator[str]:
    """Mend every document store that no job works on, and remove files that belong to nobody; yields what was mended,
    and what could not be. `deep` as for `check`."""
    async with resources.database.connection() as connection:
        workspaces = await records.workspaces(connection)
    for workspace in workspaces:
        async with resources.database.read(workspace) as scope:
            stores = await records.stores(scope)
        for store in stores:
            subject = f"document store {store.name!r} ({store.id})"
            try:
                async for done in _repair_store(resources, workspace, store, deep=deep):
                    yield f"{subject}: {done}"
            except _Busy:
                yield f"{subject}: left alone, a job works on it"
            except NotFound:
                continue  # deleted meanwhile
            except ServiceError as error:
                yield f"{subject}: not mended: {error.message}"
            except Unavailable as error:
                yield f"{subject}: not mended: {error}"
    if swept := await sweep(resources, SETTLED_SECONDS):
        yield f"uploads: removed {swept} files that belonged to nobody"


async def tidy(resources: Resources) -> int:
    """Remove old files that belong to nobody from a sixteenth of the data folder, another one each time."""
    return await sweep(resources, SWEPT_SECONDS, secrets.choice(string.hexdigits[:16]))


async def sweep(resources: Resources, age: float, digit: str = "") -> int:
    """Remove files in the data folder that belong to nobody and are older than `age` seconds; says how many. `digit`:
    only those whose keys begin with it."""
    swept = await resources.blobs.forget_unfinished(age, digit)
    old: list[str] = []
    async for key in resources.blobs.keys(digit):
        with suppress(UnknownBlob):  # removed meanwhile
            if await resources.blobs.age(key) >= age:
                old.append(key)
        if len(old) == PAGE:
            swept += await _remove_unowned(resources, old)
            old = []
    return swept + await _remove_unowned(resources, old)


async def _remove_unowned(resources: Resources, keys: Sequence[str]) -> int:
    async with resources.database.connection() as connection:
        owned = await records.blobs(connection, keys)
    for key in set(keys) - owned:
        await resources.blobs.delete(key)
    return len(set(keys) - owned)


@asynccontextmanager
async def _idle(resources: Resources, workspace: UUID, store_id: UUID) -> AsyncIterator[Shelf]:
    """`changing` while nobody else does. Raises `_Busy` when a job began since the document stores were listed."""
    async with changing(resources, workspace, store_id, alone=True) as shelf:
        if await jobs.open_jobs(shelf.scope, store_id):
            raise _Busy
        yield shelf


async def _repair_store(
    resources: Resources, workspace: UUID, store: records.StoreRow, *, deep: bool
) -> AsyncIterator[str]:
    async with resources.database.read(workspace) as scope:
        words = await lexical_faults(scope, store.id, deep=deep)
    if words.miscounted or words.surplus:
        await _mend_words(resources, workspace, store.id, words)
        yield f"counted the keyword index anew, and removed the words of {len(words.surplus)} chunks that are not there"
    async with _idle(resources, workspace, store.id) as shelf:
        lost = await records.give_up_waiting(shelf.scope, store.id, LOST_JOB)
        hidden = await records.unfinished_chunks(shelf.scope, store.id)
        await shelf.remove(hidden)
        recounted, poorer = await records.recount(shelf.scope, store.id)
        leftover = await records.leftover_collections(shelf.scope, store.id)
    if leftover:
        await drop_soon(resources, workspace, leftover)
        yield f"dropped {len(leftover)} collections of vectors that were not searched"
    if lost:
        yield f"{lost} documents waited for a job that is gone: they say so now"
    if hidden:
        yield f"removed {len(hidden)} chunks of uploads that never ended"
    if recounted:
        yield f"counted the chunks of {recounted} documents anew"
    if poorer:
        yield f"{poorer} documents had lost chunks: upload them again, or refresh their loaders, to have all of them"
    if marked := await mark_waiting(resources, workspace, store.id):
        yield f"let the vectors of {marked} documents say who may find them"
    space = await current_space(resources, workspace, store.id)
    if space is not None:
        async for done in _repair_indexes(resources, workspace, space, words.wrong):
            yield done


async def _repair_indexes(
    resources: Resources, workspace: UUID, space: Space, wrong: Sequence[int]
) -> AsyncIterator[str]:
    """Bring vectors and words into step with the chunks that the ledger says are indexed; those of the numbers `wrong`
    have not their own words."""
    await _made(resources, workspace, space)
    missing, extra = await _words(resources, workspace, space.store_id)
    missing = sorted({*missing, *wrong})
    again = 0
    for start in range(0, len(missing), BATCH):
        again += await _index_again(resources, workspace, space, missing[start : start + BATCH])
    if again:
        yield f"indexed {again} chunks anew"
    if removed := await _forget_words(resources, workspace, space.store_id, extra):
        yield f"removed the words of {removed} chunks that are not there"
    restored = _Count()
    await restore_vectors(resources, workspace, space, restored.note, restored.waiting)
    if restored.total:
        yield f"made {restored.total} vectors anew"
    surplus = 0
    async for points in without_chunks(partial(resources.database.read, workspace), space):
        surplus += await _delete_points(resources, workspace, space, points)
    if surplus:
        yield f"removed {surplus} vectors that belonged to no chunk"
    async with resources.database.write(workspace) as scope:
        await compact_soon(scope, resources.queue, space.store_id)


async def _mend_words(resources: Resources, workspace: UUID, store_id: UUID, words: Faults) -> None:
    """Mend of the keyword index what needs no text."""
    async with _idle(resources, workspace, store_id) as shelf:
        await mend(shelf.scope, store_id, sorted(words.surplus), await records.highest(shelf.scope, store_id))


async def _words(resources: Resources, workspace: UUID, store_id: UUID) -> tuple[list[int], list[int]]:
    """The numbers that only the ledger has, and those that only the keyword index has."""
    found: dict[str, list[int]] = {"missing": [], "extra": []}
    async with resources.database.read(workspace) as scope:
        async for side, number in differences(ledger_numbers(scope, store_id), lexical_numbers(scope, store_id)):
            found[side].append(number)
    return found["missing"], found["extra"]


async def _index_again(resources: Resources, workspace: UUID, space: Space, numbers: Sequence[int]) -> int:
    """Give chunks whose words are lost new numbers, in both indexes, with the vectors that they have; says how many."""
    async with resources.database.read(workspace) as scope:
        chunks = await numbered(scope, space.store_id, numbers)
    reuse, lender = Reuse(resources, workspace, space, _Count().waiting), Lender(space.vectors, space.collection)
    vectors = await vectors_of(reuse, chunks, lender)
    words = await analysed([chunk.index_text for chunk in chunks])
    found = [Indexed(vector, each) for vector, each in zip(vectors, words, strict=True)]
    async with changing(resources, workspace, space.store_id, alone=True) as shelf:
        if shelf.collection != space.collection:
            return 0  # re-indexed meanwhile
        present = await lock_numbered(shelf.scope, space.store_id, chunks)
        lost = [
            (chunk.number, indexed)
            for chunk, indexed in zip(chunks, found, strict=True)
            if chunk.number is not None and chunk.number in present  # an edited chunk has another number
        ]
        await shelf.forget([number for number, _ in lost])
        made = await shelf.index([(present[number].document_id, present[number].metadata, one) for number, one in lost])
        renumbered = {present[number].id: new for (number, _), new in zip(lost, made, strict=True)}
        await chunk_rows.renumber(shelf.scope, space.store_id, renumbered)
    return len(lost)


async def _forget_words(resources: Resources, workspace: UUID, store_id: UUID, extra: Sequence[int]) -> int:
    """Remove words of chunks that are not there; says how many. Some may have come since they were looked for."""
    removed = 0
    for start in range(0, len(extra), PAGE):
        numbers = extra[start : start + PAGE]
        async with changing(resources, workspace, store_id, alone=True) as shelf:
            known = {chunk.number for chunk in await numbered(shelf.scope, store_id, numbers)}
            gone = [number for number in numbers if number not in known]
            await shelf.forget(gone)
        removed += len(gone)
    return removed


async def _delete_points(resources: Resources, workspace: UUID, space: Space, points: Sequence[str]) -> int:
    """Remove vectors of no chunk; says how many. While nobody else writes, none waits for its chunk's commit."""
    async with changing(resources, workspace, space.store_id, alone=True) as shelf:
        if shelf.collection != space.collection:
            return 0  # re-indexed meanwhile
        gone = await of_no_chunk(shelf.scope, space.store_id, points)
        await shelf.at(space.collection).delete(space.collection, gone)
    return len(gone)


async def _made(resources: Resources, workspace: UUID, space: Space) -> None:
    """Make the collection again if it is gone."""
    try:
        await space.vectors.ids(space.collection, limit=1)
    except UnknownCollection:
        await space.vectors.create(space.collection, (await space.embedder.fingerprint()).dimension)
        async with resources.database.write(workspace) as scope:
            await collections.note_complete(scope, space.collection, complete=False)
