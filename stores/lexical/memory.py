"""Posting lists as searches score them, kept in memory: the words of most questions are few, and their lists long.

A version of an index is a number that no other state of any index ever has: a trigger gives a new one with every change
of the index's row, which every change of what a search finds comes with. So what was read of a version holds for it
whenever it is met again, and every search asks for the version, in the round trip that brings the lists that are not
known.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from stores.lexical.base import POSTING, Scored, Statistics, scored
from stores.records.database import Scope
from stores.records.memory import memory_bytes

REAL_SHARE = 0.01
"""The part of an index that must be in a language for queries to be read in it."""
MOST_LANGUAGES = 6
"""Languages that a query is read in at most: the most frequent ones."""
INDEXES = 4096
"""Indexes of which something is remembered."""
LEAST, SHARE = 64 << 20, 64
"""Bytes that are remembered: a sixty-fourth of the memory, no less than so many. The lists of a million chunks are some
five hundred million bytes, and those of the words that questions share a good part of them."""
OVERHEAD = 300
"""Bytes that a remembered list takes besides its arrays, about."""


def usual_size() -> int:
    """The bytes that suit this machine."""
    return max(memory_bytes() // SHARE, LEAST)


@dataclass(frozen=True, slots=True)
class State:
    """A version of an index."""

    version: int
    statistics: Statistics
    languages: tuple[str, ...]
    """Those that queries are read in, the most frequent first."""
    live: NDArray[np.bool_] | None
    """Which numbers are not removed; None: all."""

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return OVERHEAD + (0 if self.live is None else self.live.nbytes)


@dataclass(frozen=True, slots=True)
class Known:
    """What a search needs: an index, and the lists of the terms that its chunks hold."""

    state: State
    lists: Mapping[str, Scored]


class Memory:
    """Lists of the versions that were searched last, up to `size` bytes; the longest unused go first."""

    def __init__(self, size: int) -> None:
        """`size` 0: every list is read anew."""
        self._size = size
        self._held = 0
        self._states: OrderedDict[UUID, State] = OrderedDict()
        self._terms: defaultdict[UUID, set[str]] = defaultdict(set)
        self._lists: OrderedDict[tuple[UUID, str], Scored] = OrderedDict()

    def languages(self, store_id: UUID) -> tuple[str, ...]:
        """The languages of an index when it was last searched."""
        state = self._states.get(store_id)
        return state.languages if state else ()

    async def lists(self, scope: Scope, store_id: UUID, terms: Sequence[str]) -> Known | None:
        """The lists of these terms as they are now, in one round trip; None when there is no such index."""
        state = self._states.get(store_id)
        lists = {term: each for term in terms if (each := self._lists.get((store_id, term))) is not None}
        params = {
            "store": store_id,
            "terms": list(terms),
            "version": state.version if state else None,
            "unknown": [term for term in terms if term not in lists],
        }
        # In text form, every byte of a list would travel as two digits.
        cursor = await scope.connection.execute(_SEARCH, params, binary=True)
        rows = await cursor.fetchall()
        if not rows:
            self._forget(store_id)
            return None
        if state is None or state.version != rows[0]["version"]:
            state, lists = self._met(store_id, rows[0]), {}
        for row in rows:
            if row["term"] is not None:
                lists[row["term"]] = _list(row["postings"], state)
        for term in terms:
            lists.setdefault(term, _NO_LIST)  # that no chunk holds a term is worth knowing as well
        if self._states.get(store_id) is state:  # else another search has met a later version meanwhile
            self._keep(store_id, lists)
        return Known(state, {term: each for term, each in lists.items() if len(each.numbers)})

    def _met(self, store_id: UUID, row: Mapping[str, Any]) -> State:
        """A version that was not known."""
        self._forget(store_id)
        state = self._states[store_id] = _state(row)
        self._held += state.size
        if len(self._states) > INDEXES:
            self._forget(next(iter(self._states)))
        return state

    def _keep(self, store_id: UUID, lists: Mapping[str, Scored]) -> None:
        for term, each in lists.items():
            key = (store_id, term)
            if key not in self._lists:
                self._held += each.size + OVERHEAD
                self._terms[store_id].add(term)
            self._lists[key] = each
            self._lists.move_to_end(key)
        self._states.move_to_end(store_id)
        while self._held > self._size:
            if self._lists:
                self._drop(*next(iter(self._lists)))
            else:
                self._forget(next(iter(self._states)))

    def _forget(self, store_id: UUID) -> None:
        state = self._states.pop(store_id, None)
        if state is not None:
            self._held -= state.size
            for term in list(self._terms.pop(store_id, ())):
                self._drop(store_id, term)

    def _drop(self, store_id: UUID, term: str) -> None:
        self._held -= self._lists.pop((store_id, term)).size + OVERHEAD
        if store_id in self._terms:
            self._terms[store_id].discard(term)


def _state(row: Mapping[str, Any]) -> State:
    statistics = Statistics(row["documents"], row["total_length"], row["next_number"])
    removed = np.frombuffer(row["removed"], ">i4")
    live = None
    if len(removed):
        live = np.ones(statistics.next_number, bool)
        live[removed] = False
    return State(row["version"], statistics, _spoken(row["languages"], statistics.documents), live)


def _list(postings: bytes, state: State) -> Scored:
    entries = np.frombuffer(postings, POSTING)
    return scored(entries if state.live is None else entries[state.live[entries["number"]]], state.statistics)


def _spoken(counts: Mapping[str, int], documents: int) -> tuple[str, ...]:
    """The languages with a real share, the most frequent first."""
    ordered = sorted(counts, key=lambda language: (-counts[language], language))
    return tuple(each for each in ordered if counts[each] >= max(1, REAL_SHARE * documents))[:MOST_LANGUAGES]


_NO_LIST = Scored(np.empty(0, np.int32), np.empty(0, np.float32), 0.0)

# Of a known version only its number comes back, and lists that are not known.
_SEARCH = """
    SELECT version, documents, total_length, next_number, term, postings,
        CASE WHEN version IS DISTINCT FROM %(version)s THEN languages END AS languages,
        CASE WHEN version IS DISTINCT FROM %(version)s THEN removed END AS removed
    FROM lexical_indexes AS index LEFT JOIN LATERAL (
        SELECT term, string_agg(postings, '' ORDER BY segment) AS postings
        FROM lexical_postings
        WHERE store_id = index.store_id AND term = ANY(CASE WHEN index.version IS NOT DISTINCT FROM %(version)s
            THEN %(unknown)s::text[] ELSE %(terms)s::text[] END)
        GROUP BY term
    ) AS list ON true
    WHERE store_id = %(store)s
"""
