"""How broad a search through a server's HNSW index is: recall is a matter of breadth, and breadth of the collection's
size."""

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

POINTS_PER_STEP = 250
"""A search is as broad as one of so many points at least, as a narrower one finds too few of the nearest ten: of a
million points in Chroma, .74 with a breadth of 200, .83 with 1,000, .94 with 3,000."""
WIDEST = 4_096
"""The broadest search through an index; one that needs more compares all points."""
MEASURED_AGAIN = 60.0
"""Seconds after which a collection is asked for its size again."""


@dataclass(slots=True)
class Breadth:
    """What one collection wants."""

    _points: int = 0
    _measured: float = -math.inf

    async def at_least(self, count: Callable[[], Awaitable[int]]) -> int:
        """The least breadth; `count` asks the server for the number of points."""
        if time.monotonic() >= self._measured + MEASURED_AGAIN:
            self._points = await count()
            self._measured = time.monotonic()
        return min(self._points // POINTS_PER_STEP, WIDEST)
