"""How far a search goes through pgvector's HNSW index: the settings that it wants of its connection.

Recall is a matter of breadth, and breadth of the collection's size. Settings stay with a connection, as nearly all
searches want the same ones: to make them within each search took a tenth of it.
"""

import math
from dataclasses import dataclass

MAX_EF_SEARCH = 1000
"""pgvector's largest `hnsw.ef_search`; a query for half as many points or more is answered by a scan."""
MIN_EF_SEARCH = 200
"""Breadth of a search at least, and four times as much for a point asked for until `GOOD_EF_SEARCH`."""
GOOD_EF_SEARCH = 400
"""Of 100,000 points of 384 dimensions, close to each other, the first ten were found with .88 at 200, .95 at 300, .99
at 400. The least with a filter, of whose matches few may lie near."""
POINTS_PER_STEP = 200
"""The breadth grows with the collection, by one for so many of its points up to `MAX_EF_SEARCH`: of 120,000 points, .94
were found at 400, .98 at 600."""
POINTS_PER_FOUND = 300
"""In a collection of over `MAX_EF_SEARCH` times so many, the search goes on until it has found one for so many of its
points, in steps of `FOUND_STEP`, up to `MOST_FOUND`: of a million, .81 of the nearest ten were among the first
thousand, .90 among 2,000, .96 among 3,500."""
FOUND_STEP = 500
MOST_FOUND = 8000
LOOKED_AT = 3
"""Points that are looked at in such a search for each one that a filter is to let through."""
SCANNED_QUICKLY = 20_000
"""Points that are compared one by one in some milliseconds, where a search through the index found too few."""
MEMORY = "16"
"""`hnsw.scan_mem_multiplier`: what a long scan remembers to have seen takes more than `work_mem` alone."""
RANDOM = "1.1"
"""`random_page_cost`: by the usual 4, which is that of turning disks, all of 10,000 points are compared in place of a
search through the index, in four times its time."""
BROADER = 2
"""How many times broader than it need be a search may run, where to say so would cost a round trip."""


def found_first(points: float) -> int:
    """How many of a collection's points a search finds before it takes the nearest of them; 0: as many as are wanted.

    pgvector's breadth ends at 1000, and in a large collection too few of the nearest are found with it: but a scan that
    goes on takes up what it had passed over.
    """
    if points <= POINTS_PER_FOUND * MAX_EF_SEARCH:
        return 0
    return min(math.ceil(points / POINTS_PER_FOUND / FOUND_STEP) * FOUND_STEP, MOST_FOUND)


@dataclass(frozen=True, slots=True)
class Tuning:
    """Settings of a connection for searches."""

    breadth: int
    """`hnsw.ef_search`."""
    goes_on: bool
    """`hnsw.iterative_scan`: until enough pass the filter, or live, as deleted points stay in the index until a vacuum.
    Order is relaxed, as what comes is sorted later: in strict order, a point that is found late is left out for good
    (.86 in place of .98 where 10 % passed). To be ready to go on is a tenth of a search: of few points without a
    filter, it ends, and where that is short, all are compared."""
    most: int = SCANNED_QUICKLY
    """`hnsw.max_scan_tuples`, which bounds a scan that goes on."""

    @classmethod
    def of(cls, points: float, limit: int, *, filtered: bool) -> "Tuning":
        """Those for the `limit` nearest in a collection of so many points."""
        least = GOOD_EF_SEARCH if filtered else MIN_EF_SEARCH
        wanted = max(least, min(GOOD_EF_SEARCH, 4 * limit), 2 * limit)
        breadth = max(wanted, min(MAX_EF_SEARCH, math.ceil(points / POINTS_PER_STEP)))
        first = found_first(points)
        most = LOOKED_AT * first if first else SCANNED_QUICKLY
        return cls(breadth, filtered or points > SCANNED_QUICKLY, most)

    def serves(self, wanted: "Tuning") -> bool:
        """Whether a connection with these settings finds what it would find with those, in not much more time."""
        return (
            wanted.breadth <= self.breadth <= BROADER * wanted.breadth
            and self.goes_on >= wanted.goes_on
            and self.most == wanted.most
        )

    @property
    def params(self) -> dict[str, str]:
        """The values that Postgres takes, by what they are for."""
        scan = "relaxed_order" if self.goes_on else "off"
        return {"scan": scan, "breadth": str(self.breadth), "most": str(self.most), "memory": MEMORY, "random": RANDOM}
