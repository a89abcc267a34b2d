"""Is a keyword index whole, for those who compare it with the ledger; and what mends it where it is not.

Each chunk that the index holds has a row with its length, and as many words in the lists. Numbers that only the lists
have are no fault while the index remembers that they were removed: `compact` forgets them in its time.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from stores.lexical.analysis import analyse
from stores.lexical.base import MOST, POSTING
from stores.lexical.compaction import rewrite
from stores.records.database import Scope

WINDOW = 1 << 22
"""Numbers that are looked at in one pass over the lists, at about 30 bytes of memory each."""

_LISTS = 500
"""Posting lists that are read at a time."""

_ROWS = 10_000
"""Chunks whose lengths are read at a time."""

_NO_INDEX: DictRow = {
    "documents": 0,
    "total_length": 0,
    "languages": {},
    "next_number": 1,
    "next_segment": 1,
    "removed": b"",
}

Texts = Callable[[int], Awaitable[Mapping[int, str]]]
"""The next chunks of the ledger above a number, ascending: by their numbers, what they are indexed by; none at the
end."""


@dataclass(slots=True)
class Faults:
    """What is wrong with an index."""

    wrong: list[int] = field(default_factory=list)
    """Chunks whose words in the lists are not as many as they have, or not those of their texts."""
    surplus: set[int] = field(default_factory=set)
    """Numbers in the lists that are neither of chunks nor of removed ones."""
    miscounted: bool = False
    """Chunks, words or languages are counted wrongly, or the next number or segment would be one that there is."""


async def numbers(scope: Scope, store_id: UUID, *, after: int, limit: int) -> list[int]:
    """Up to `limit` numbers of live chunks above `after`, ascending; none when there is no index."""
    rows = await scope.all(
        "SELECT number FROM lexical_documents WHERE store_id = %(store)s AND number > %(after)s"
        " ORDER BY number LIMIT %(limit)s",
        store=store_id,
        after=after,
        limit=limit,
    )
    return [row["number"] for row in rows]


async def faults(scope: Scope, store_id: UUID, highest: int, texts: Texts | None = None) -> Faults:
    """Everything that is wrong with an index at one moment; `highest` is the highest number in the ledger. With
    `texts`, which costs reading and analysing them all, every chunk's words are compared with its text.

    Wants a connection that is in no transaction. Reads every list, a few hundred at a time.
    """
    found = Faults()
    async with scope.connection.transaction():
        await scope.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        counts, segments = await _counted(scope, store_id, highest)
        head = await scope.one(_HEAD, store=store_id) or _NO_INDEX
        found.miscounted = (
            any(head[each] != counts[each] for each in ("documents", "total_length", "languages"))
            or head["next_number"] <= counts["highest"]
            or head["next_segment"] <= segments["highest"]
            or segments["unknown"]
        )
        removed = np.frombuffer(head["removed"], ">i4")
        end = max(head["next_number"], counts["highest"] + 1)
        for low in range(1, max(end, 2), WINDOW):  # without numbers too: there may be lists
            await _look(scope, store_id, range(low, min(low + WINDOW, end)), end, removed, texts, found)
    return found


async def mend(scope: Scope, store_id: UUID, surplus: Sequence[int], highest: int) -> None:
    """Count anew what an index counts, and take the `surplus` out of its lists; `highest` as for `faults`. Wants a
    transaction in which nobody else changes the index."""
    counts, segments = await _counted(scope, store_id, highest)
    counts["languages"] = Jsonb(counts["languages"])
    await scope.run(_RECOUNT, store=store_id, segment=segments["highest"], **counts)
    await scope.run(_KNOWN_SEGMENTS, store=store_id)
    rows = await scope.all(_LIVE, store=store_id, numbers=list(surplus))
    gone = set(surplus) - {row["number"] for row in rows}
    if gone:
        await rewrite(scope, store_id, sorted(gone))


async def _counted(scope: Scope, store_id: UUID, highest: int) -> tuple[DictRow, DictRow]:
    """What an index is to count, with the highest number that was given, and what segments its lists have."""
    counts = await scope.one(_COUNTS, store=store_id)
    segments = await scope.one(_SEGMENTS, store=store_id)
    assert counts is not None
    assert segments is not None
    return {**counts, "highest": max(highest, counts["highest"])}, segments


async def _look(
    scope: Scope,
    store_id: UUID,
    window: range,
    end: int,
    removed: NDArray[np.int32],
    texts: Texts | None,
    found: Faults,
) -> None:
    """Add the faults of the chunks whose numbers are in a window. `end` is above every number that was given."""
    low, size = window.start, len(window)
    lengths = np.full(size, -1, np.int32)
    gone, amiss = np.zeros(size, bool), np.zeros(size, bool)
    words, marks = np.zeros(size, np.int64), np.zeros(size, np.uint64)
    gone[removed[(removed >= low) & (removed < window.stop)] - low] = True
    async for rows in _pages(scope, _LENGTHS, _ROWS, store=store_id, low=low, end=window.stop):
        lengths[np.array([row["number"] for row in rows]) - low] = [row["length"] for row in rows]
    async for rows in _pages(scope, _POSTINGS, _LISTS, store=store_id):
        entries = np.frombuffer(b"".join(row["postings"] for row in rows), POSTING)
        given = entries["number"]
        found.surplus.update(given[(given < 1) | (given >= end)].tolist())
        within = (given >= low) & (given < window.stop)
        at, count = given[within] - low, entries["count"][within]
        np.add.at(words, at, count)
        if texts is not None:
            times = [len(row["postings"]) // POSTING.itemsize for row in rows]
            weights = np.repeat(np.array([_mark(row["term"]) for row in rows], np.uint64), times)[within]
            np.add.at(marks, at, weights * count)
        amiss[at[entries["length"][within] != lengths[at]]] = True
    live = lengths >= 0
    amiss |= gone | (np.minimum(words, MOST) != lengths)
    found.surplus.update((np.flatnonzero(~live & ~gone & (words > 0)) + low).tolist())
    if texts is not None:
        async for number, mark in _expected(texts, window):
            amiss[number - low] |= marks[number - low] != mark
    found.wrong += (np.flatnonzero(live & amiss) + low).tolist()


async def _expected(texts: Texts, window: range) -> AsyncIterator[tuple[int, int]]:
    """What the words of each chunk in the ledger add up to."""
    after = window.start - 1
    while page := {number: text for number, text in (await texts(after)).items() if number in window}:
        for number, text in page.items():
            terms = analyse(text).terms.items()
            yield number, sum(_mark(term) * min(count, MOST) for term, count in terms) % (1 << 64)
        after = max(page)


def _mark(term: str) -> int:
    """A number of 64 bits for a term: sums of them tell one chunk's words from another's."""
    return int.from_bytes(blake2b(term.encode(), digest_size=8).digest())


async def _pages(scope: Scope, statement: LiteralString, size: int, **params: Any) -> AsyncIterator[list[DictRow]]:
    """The rows of a statement, a page at a time."""
    async with scope.connection.cursor("pages") as cursor:
        await cursor.execute(statement, params, binary=True)
        while rows := await cursor.fetchmany(size):
            yield rows


_COUNTS = """
    SELECT coalesce(sum(documents), 0)::bigint AS documents, coalesce(sum(total_length), 0)::bigint AS total_length,
        coalesce(jsonb_object_agg(language, documents), '{}') AS languages, coalesce(max(highest), 0) AS highest
    FROM (
        SELECT language, count(*) AS documents, sum(length) AS total_length, max(number) AS highest
        FROM lexical_documents WHERE store_id = %(store)s GROUP BY language) AS each
"""

_HEAD = """
    SELECT documents, total_length, languages, next_number, next_segment, removed
    FROM lexical_indexes WHERE store_id = %(store)s
"""

_SEGMENTS = """
    SELECT coalesce(max(segment), 0) AS highest,
        coalesce(bool_or(NOT EXISTS (
            SELECT FROM lexical_segments AS known WHERE known.store_id = %(store)s AND known.segment = held.segment)),
            false) AS unknown
    FROM (SELECT DISTINCT segment FROM lexical_postings WHERE store_id = %(store)s) AS held
"""

_RECOUNT = """
    INSERT INTO lexical_indexes AS index (store_id, documents, total_length, languages, next_number, next_segment)
    VALUES (%(store)s, %(documents)s, %(total_length)s, %(languages)s, 1 + %(highest)s::integer, 1 + %(segment)s)
    ON CONFLICT (store_id) DO UPDATE SET
        documents = excluded.documents,
        total_length = excluded.total_length,
        languages = excluded.languages,
        next_number = greatest(index.next_number, excluded.next_number),
        next_segment = greatest(index.next_segment, excluded.next_segment)
"""

_KNOWN_SEGMENTS = """
    INSERT INTO lexical_segments (store_id, segment, documents)
    SELECT DISTINCT store_id, segment, 0 FROM lexical_postings WHERE store_id = %(store)s
    ON CONFLICT DO NOTHING
"""

_LIVE = "SELECT number FROM lexical_documents WHERE store_id = %(store)s AND number = ANY(%(numbers)s::integer[])"

_LENGTHS = """
    SELECT number, length FROM lexical_documents
    WHERE store_id = %(store)s AND number >= %(low)s AND number < %(end)s
"""

_POSTINGS = "SELECT term, postings FROM lexical_postings WHERE store_id = %(store)s"
