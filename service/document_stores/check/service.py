"""Do ledger, vectors, keyword index and uploads agree? The part of `ragstone doctor` that looks at document stores."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar
from uuid import UUID

from service.document_stores.check import records
from service.document_stores.indexing.records import next_indexed, numbered
from service.document_stores.principals import records as principals
from service.document_stores.vectors import vectors_at
from service.errors import ServiceError
from service.resources import Resources
from service.retrieval.base import point_id
from stores.blobs.base import UnknownBlob
from stores.lexical.integrity import Faults, faults, numbers
from stores.records.database import Scope
from stores.vector.base import Unavailable, UnknownCollection, VectorStore

PAGE = 2_000
"""Rows that are compared at a time: memory does not grow with the document store."""

TEXTS = 200
"""Chunks whose texts are read at a time."""

FIX = "run `ragstone doctor --fix`"

DEEP_FIX = "run `ragstone doctor --deep --fix`"

RESTORE = "restore them from a backup of the data folder, or upload these documents again"

Key = TypeVar("Key", str, int)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: where, what, and how to mend it."""

    subject: str
    problem: str
    remedy: str


@dataclass(slots=True)
class _Difference:
    """How many keys only one side has, and one of them each."""

    missing: int = 0
    extra: int = 0
    examples: dict[str, object] = field(default_factory=dict)


async def check(resources: Resources, *, deep: bool = False) -> list[Finding]:
    """Every disagreement between ledger, vectors, keyword index and uploads, over all workspaces. `deep` reads the
    bytes of every upload and the words of every chunk's text too.

    A document store that a job works on is left out: its parts differ until the job has ended.
    """
    findings: list[Finding] = []
    busy = False
    kept = {key async for key in resources.blobs.keys()}  # noqa: SIM118 - no mapping
    async with resources.database.connection() as connection:
        workspaces = await records.workspaces(connection)
        wanted = await records.blobs(connection)
    for workspace in workspaces:
        async with resources.database.read(workspace) as scope:
            for store in await records.stores(scope):
                busy = busy or store.busy
                if not store.busy:
                    findings += await _check_store(resources, scope, store, deep=deep)
    findings += _check_blobs(kept, wanted, busy=busy)
    findings += await _check_bytes(resources, deep=deep)
    return findings


async def _check_store(resources: Resources, scope: Scope, store: records.StoreRow, *, deep: bool) -> list[Finding]:
    subject = f"document store {store.name!r} ({store.id})"
    findings = []
    if wrong := await records.miscounted(scope, store.id):
        findings.append(Finding(subject, f"{wrong} documents hold another number of chunks than they say", FIX))
    if unfinished := await records.unfinished(scope, store.id):
        findings.append(Finding(subject, f"{unfinished} chunks belong to uploads that never ended", FIX))
    if waiting := await records.waiting(scope, store.id):
        findings.append(Finding(subject, f"{waiting} documents wait for a job that is gone", FIX))
    if leftover := await records.leftover_collections(scope, store.id):
        problem = f"{len(leftover)} collections of vectors are not searched (such as {leftover[0]})"
        findings.append(Finding(subject, problem, FIX))
    if unmarked := await principals.count_unmarked(scope, store.id):
        problem = f"{unmarked} documents have vectors that do not say who may find them"
        findings.append(Finding(subject, problem, FIX))
    try:
        if orphans := await _vectors(resources, scope, store):
            findings += _described(orphans, subject, "vectors")
    except (Unavailable, ServiceError) as error:
        remedy = "see to the vector store, and check again"
        findings.append(Finding(subject, f"its vectors cannot be looked at: {error}", remedy))
    lexical = await _compare(ledger_numbers(scope, store.id), lexical_numbers(scope, store.id))
    words = await lexical_faults(scope, store.id, deep=deep)
    if words.surplus:
        lexical.extra += len(words.surplus)
        lexical.examples.setdefault("extra", min(words.surplus))
    findings += _described(lexical, subject, "the keyword index")
    if words.wrong:
        problem = f"{len(words.wrong)} chunks have not their own words in the keyword index (such as {words.wrong[0]})"
        findings.append(Finding(subject, problem, DEEP_FIX if deep else FIX))
    if words.miscounted:
        findings.append(Finding(subject, "the keyword index counts what it holds wrongly", FIX))
    return findings


async def _vectors(resources: Resources, scope: Scope, store: records.StoreRow) -> _Difference | None:
    if store.collection is None:
        return None
    vectors = await vectors_at(resources, scope, store.backend)
    try:
        return await _compare(_ledger_points(scope, store.id), _vector_ids(vectors, store.collection))
    except UnknownCollection:
        return _Difference(missing=await records.count(scope, store.id), examples={"missing": "all"})


def _described(difference: _Difference, subject: str, part: str) -> list[Finding]:
    found = []
    if difference.missing:
        example = difference.examples["missing"]
        found.append(Finding(subject, f"{difference.missing} chunks are missing from {part} (such as {example})", FIX))
    if difference.extra:
        example = difference.examples["extra"]
        found.append(
            Finding(subject, f"{part}: {difference.extra} entries belong to no chunk (such as {example})", FIX)
        )
    return found


def _check_blobs(kept: set[str], wanted: set[str], *, busy: bool) -> list[Finding]:
    findings = []
    if lost := wanted - kept:
        findings.append(
            Finding(
                "uploads",
                f"{len(lost)} uploaded files are gone from the data folder (such as {min(lost)})",
                RESTORE,
            )
        )
    if not busy and (orphans := kept - wanted):
        findings.append(
            Finding(
                "uploads",
                f"{len(orphans)} files in the data folder belong to no document (such as {min(orphans)})",
                "they do no harm, and workers remove them after a day; `ragstone doctor --fix` does after an hour",
            )
        )
    return findings


async def _check_bytes(resources: Resources, *, deep: bool) -> list[Finding]:
    """The finding about files that are not what was uploaded, if there are any."""
    changed, example, after = 0, "", ""
    while True:
        async with resources.database.connection() as connection:
            page = await records.uploads(connection, after, PAGE)
        if not page:
            break
        for upload in page:
            if await _changed(resources, upload, deep=deep):
                changed, example = changed + 1, example or upload.blob
        after = page[-1].blob
    problem = f"{changed} uploaded files hold other bytes than were uploaded, or cannot be read (such as {example})"
    return [Finding("uploads", problem, RESTORE)] if changed else []


async def _changed(resources: Resources, upload: records.UploadRow, *, deep: bool) -> bool:
    """Whether a file has another size than was uploaded, or, `deep`, other bytes; one that is gone has not."""
    try:
        async with resources.blobs.path(upload.blob) as path:
            if path.stat().st_size != upload.size:
                return True
            return deep and upload.sha256 is not None and await asyncio.to_thread(_digest, path) != upload.sha256
    except (UnknownBlob, FileNotFoundError):  # told of by `_check_blobs`, or removed meanwhile
        return False
    except OSError:  # what the disk cannot give back is as lost
        return True


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


async def lexical_faults(scope: Scope, store_id: UUID, *, deep: bool) -> Faults:
    """What is wrong inside the keyword index; `deep` compares its words with the texts of the ledger."""

    async def texts(after: int) -> Mapping[int, str]:
        chunks = await numbered(scope, store_id, await next_indexed(scope, store_id, after, TEXTS))
        return {chunk.number: chunk.index_text for chunk in chunks if chunk.number is not None}

    return await faults(scope, store_id, await records.highest(scope, store_id), texts if deep else None)


async def differences(
    ledger: AsyncIterator[Key], other: AsyncIterator[Key]
) -> AsyncIterator[tuple[Literal["missing", "extra"], Key]]:
    """The keys that only one of two ascending sequences has."""
    left, right = await anext(ledger, None), await anext(other, None)
    while left is not None or right is not None:
        if left is not None and left == right:
            left, right = await anext(ledger, None), await anext(other, None)
        elif left is not None and (right is None or left < right):
            yield "missing", left
            left = await anext(ledger, None)
        elif right is not None:
            yield "extra", right
            right = await anext(other, None)


async def _compare(ledger: AsyncIterator[Key], other: AsyncIterator[Key]) -> _Difference:
    difference = _Difference()
    async for side, key in differences(ledger, other):
        if side == "missing":
            difference.missing += 1
        else:
            difference.extra += 1
        difference.examples.setdefault(side, key)
    return difference


async def _ledger_points(scope: Scope, store_id: UUID) -> AsyncIterator[str]:
    async for number in ledger_numbers(scope, store_id):
        yield point_id(number)


async def ledger_numbers(scope: Scope, store_id: UUID) -> AsyncIterator[int]:
    """The numbers of the chunks that are indexed, as the ledger has them, ascending."""
    after = -1
    while page := await next_indexed(scope, store_id, after, PAGE):
        for number in page:
            yield number
        after = page[-1]


async def lexical_numbers(scope: Scope, store_id: UUID) -> AsyncIterator[int]:
    """The numbers in the keyword index, ascending."""
    after = -1
    while page := await numbers(scope, store_id, after=after, limit=PAGE):
        for number in page:
            yield number
        after = page[-1]


async def _vector_ids(vectors: VectorStore, collection: str) -> AsyncIterator[str]:
    after = ""
    while page := await vectors.ids(collection, after=after, limit=PAGE):
        for chunk in page:
            yield chunk
        after = page[-1]
