"""Searching with a filter, exactly where it lets few chunks through and quickly where it lets many (ADR 0039).

One rule for every backend. The ledger names the chunks that pass, up to `FEW` of them. When these are all, the vectors
are compared with them alone, and so are the words: nothing that an index might miss, whatever the backend makes of
filters. When there are more, the backend narrows its search itself; one whose filters are slow searches without, as
many pass, and the ledger says which of those it found do; one that knows no filters compares all that pass where these
are too few. The words are always narrowed by the ledger. So are the vectors where a filter asks for an id that the
ledger alone keeps.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from service.document_stores.ledger.types import IDS
from service.retrieval.base import Call, point_id
from stores.lexical.base import Hits, Numbers
from stores.vector.base import Vector
from stores.vector.filters import fields

FEW = 10_000
"""Chunks that are compared one by one: a backend takes as long for them as for a search in a large index."""
SPARE = 4
"""What is looked for at first for each chunk that is wanted, when many pass."""
WIDER = 8
"""By how much more when too few of these pass."""
WIDEST = 8_192
"""Hits of the words that are looked up by number; beyond, the numbers of all that pass are read."""


async def few_of(call: Call) -> Numbers | None:
    """The chunks that the query may find, when they are few; None: they are many, or all."""
    if call.query.where is None and not call.sources.ledger.narrowed:
        return None
    with call.notes.timed("filter"):
        few = await call.sources.ledger.few(call.query.where, FEW)
    call.notes.fact("passing", f"over {FEW}" if few is None else len(few))
    return few


async def nearest(
    vector: Vector, limit: int, call: Call, few: Numbers | None, *, whole: bool = False
) -> Mapping[str, float]:
    """The scores of the nearest chunks that the query may find, by the ids of their points, best first; for the `whole`
    in any order and with all that the search came by.
    """
    sources, where = call.sources, call.query.where
    if few is not None:
        return dict(await sources.vectors.among(sources.collection, vector, limit, _ids(few))) if len(few) else {}
    kept = where is None or fields(where).isdisjoint((name,) for name in IDS)
    if where is not None and not sources.ledger.narrowed and not (kept and sources.vectors.narrows):
        around = dict(await sources.vectors.query(sources.collection, vector, SPARE * limit))
        passing = _ids(await sources.ledger.among(numbers_of(around), where))
        if len(passing) >= limit:
            return {key: around[key] for key in passing[: None if whole else limit]}
    if (where is not None or sources.ledger.narrowed) and not (kept and sources.vectors.filters):
        allowed = await sources.ledger.allowed(where)
        return dict(await sources.vectors.among(sources.collection, vector, limit, _ids(allowed)))
    if whole and where is None:
        return await sources.vectors.around(sources.collection, vector, limit)
    return dict(await sources.vectors.query(sources.collection, vector, limit, where=where))


async def worded(text: str, limit: int, call: Call, few: Numbers | None) -> Hits:
    """The chunks with the words of a text that the query may find."""
    sources, where = call.sources, call.query.where
    if few is not None or where is None:
        return await sources.lexical(text, limit, allowed=few)
    wanted = SPARE * limit
    while wanted <= WIDEST:
        hits = await sources.lexical(text, wanted)
        kept = await sources.ledger.among(hits.numbers, where)
        if len(kept) >= limit or len(hits.numbers) < wanted:
            return hits.only(kept[:limit])
        wanted *= WIDER
    return await sources.lexical(text, limit, allowed=await sources.ledger.allowed(where))


def _ids(numbers: Numbers) -> list[str]:
    return [point_id(number) for number in numbers.tolist()]


def numbers_of(points: Iterable[str]) -> Numbers:
    """The numbers of the chunks of these points."""
    return np.fromiter(map(int, points), np.int32)
