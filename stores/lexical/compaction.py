"""Keeps an index fast: merges its segments and forgets removed chunks, without changing what a search finds.

Segments are merged when many have gathered: a run of the newest ones, reaching back as long as the next older segment
is not larger than the run, so that each posting is rewritten about log(n) times. When there is a removed chunk for
every five live ones, everything is rewritten without them. Searches and writers go on meanwhile.
"""

from collections.abc import Sequence
from uuid import UUID

import numpy as np

from stores.lexical.base import POSTING
from stores.records.database import Scope

MOST_SEGMENTS = 32
"""Segments after which they are merged."""
REMOVED_SHARE = 0.2
"""Removed chunks for each live one after which the whole index is rewritten."""
FEWEST_REMOVED = 256
"""Removed chunks below which that is not worth it."""
_BATCH = 2000


async def needs_compaction(scope: Scope, store_id: UUID) -> bool:
    """Whether `compact` would do something; one quick look-up."""
    row = await scope.one(_STATE, store=store_id)
    return row is not None and (
        len(row["segments"]) >= MOST_SEGMENTS or _many_removed(row["removed"], row["documents"])
    )


async def compact(scope: Scope, store_id: UUID) -> bool:
    """Merge segments where it is worth it; says whether anything was done. Wants a transaction of its own."""
    # One compaction at a time; a second one finds nothing left to do. Only the last statement locks out writers.
    await scope.run(ALONE, store=store_id)
    row = await scope.one(_STATE, store=store_id)
    if row is None:
        return False
    segments: list[int] = row["segments"]
    if _many_removed(row["removed"], row["documents"]):
        await _rewrite(scope, store_id, segments, row["removed"])
        return True
    if len(segments) < MOST_SEGMENTS:
        return False
    run = _newest_run(segments, row["sizes"])
    await scope.run(_MERGE, store=store_id, first=run[0], last=run[-1])
    await scope.run(_DELETE_MERGED, store=store_id, first=run[0], last=run[-1])
    await scope.run(_MERGE_SEGMENTS, store=store_id, first=run[0], last=run[-1], removed=0)
    return True


async def rewrite(scope: Scope, store_id: UUID, surplus: Sequence[int]) -> None:
    """Put everything into one segment, without the removed chunks and without the entries of other numbers, those of
    no chunk. Wants a transaction of its own."""
    await scope.run(ALONE, store=store_id)
    row = await scope.one(_STATE, store=store_id)
    if row is not None:
        await _rewrite(scope, store_id, row["segments"], row["removed"], surplus)


def _many_removed(removed: bytes, documents: int) -> bool:
    count = len(removed) // 4
    return count >= FEWEST_REMOVED and count > REMOVED_SHARE * documents


def _newest_run(segments: Sequence[int], sizes: Sequence[int]) -> Sequence[int]:
    """The segments to merge, of all in ascending order: from the newest back while the next one is not larger."""
    start, total = len(segments) - 1, sizes[-1]
    while start > 0 and (sizes[start - 1] <= total or len(segments) - start < MOST_SEGMENTS // 2):
        start -= 1
        total += sizes[start]
    return segments[start:]


async def _rewrite(
    scope: Scope, store_id: UUID, segments: Sequence[int], removed: bytes, surplus: Sequence[int] = ()
) -> None:
    """All segments in one, without the removed chunks; segments and removals that came meanwhile stay as they are."""
    gone = np.unique(np.frombuffer(removed, ">i4").astype(np.int32))
    left_out = np.union1d(gone, np.array(surplus, np.int32))
    first, last = (segments[0], segments[-1]) if segments else (0, 0)
    after = ""
    while True:
        rows = await scope.all(_LISTS, store=store_id, first=first, last=last, after=after, limit=_BATCH)
        if not rows:
            break
        after = rows[-1]["term"]
        kept: dict[str, bytes] = {}
        for row in rows:
            entries = np.frombuffer(row["postings"], POSTING)
            live = entries[~np.isin(entries["number"], left_out)]
            if len(live):
                kept[row["term"]] = live.tobytes()
        await scope.run(_DELETE_LISTS, store=store_id, first=first, last=last, low=rows[0]["term"], high=after)
        await scope.run(_INSERT_LISTS, store=store_id, first=first, terms=list(kept), lists=list(kept.values()))
    await scope.run(_MERGE_SEGMENTS, store=store_id, first=first, last=last, removed=len(gone))
    latest = await scope.one(
        "SELECT removed FROM lexical_indexes WHERE store_id = %(store)s FOR UPDATE", store=store_id
    )
    assert latest is not None
    # Removals are appended, so what was applied is the beginning.
    await scope.run(
        "UPDATE lexical_indexes SET removed = %(rest)s WHERE store_id = %(store)s",
        store=store_id,
        rest=latest["removed"][len(removed) :],
    )


ALONE = "SELECT pg_advisory_xact_lock(hashtext('compact lexical index'), hashtext(%(store)s::text))"

_STATE = """
    SELECT documents, removed,
        ARRAY(SELECT segment FROM lexical_segments WHERE store_id = %(store)s ORDER BY segment) AS segments,
        ARRAY(SELECT documents FROM lexical_segments WHERE store_id = %(store)s ORDER BY segment) AS sizes
    FROM lexical_indexes WHERE store_id = %(store)s
"""

# Merged lists go into the oldest segment of the run; the others are deleted next, in the same transaction.
_MERGE = """
    INSERT INTO lexical_postings (store_id, term, segment, postings)
    SELECT store_id, term, %(first)s, string_agg(postings, '' ORDER BY segment)
    FROM lexical_postings
    WHERE store_id = %(store)s AND segment BETWEEN %(first)s AND %(last)s
    GROUP BY store_id, term
    HAVING max(segment) > %(first)s
    ON CONFLICT (store_id, term, segment) DO UPDATE SET postings = excluded.postings
"""

_DELETE_MERGED = """
    DELETE FROM lexical_postings WHERE store_id = %(store)s AND segment > %(first)s AND segment <= %(last)s
"""

_MERGE_SEGMENTS = """
    WITH gone AS (
        DELETE FROM lexical_segments WHERE store_id = %(store)s AND segment > %(first)s AND segment <= %(last)s
        RETURNING documents)
    UPDATE lexical_segments
    SET documents = documents - %(removed)s::integer + coalesce((SELECT sum(documents) FROM gone), 0)
    WHERE store_id = %(store)s AND segment = %(first)s
"""

_LISTS = """
    SELECT term, string_agg(postings, '' ORDER BY segment) AS postings
    FROM lexical_postings
    WHERE store_id = %(store)s AND term > %(after)s AND segment BETWEEN %(first)s AND %(last)s
    GROUP BY term ORDER BY term LIMIT %(limit)s
"""

_DELETE_LISTS = """
    DELETE FROM lexical_postings
    WHERE store_id = %(store)s AND term BETWEEN %(low)s AND %(high)s AND segment BETWEEN %(first)s AND %(last)s
"""

_INSERT_LISTS = """
    INSERT INTO lexical_postings (store_id, term, segment, postings)
    SELECT %(store)s, term, %(first)s, list FROM unnest(%(terms)s::text[], %(lists)s::bytea[]) AS kept (term, list)
"""
