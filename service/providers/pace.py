"""What the jobs of this process know together of a provider that limits them.

Each embedder has one pace, shared by all jobs that use its configuration (`EmbedderPool`): when a provider asks one of
them for a pause, the others do not ask it meanwhile, and after the pause one call is tried before the rest follow. So
many jobs meet as many refusals as one. Worker processes do not know of each other: of several workers, each finds out
for itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.providers.errors import ProviderError

FIRST_PAUSE = 1.0

LONGEST_PAUSE = 60.0
"""Longest pause, in seconds, that we choose ourselves."""


class Pace:
    """When the next call may be made, by the clock of the event loop."""

    def __init__(self) -> None:
        """Nothing limits so far."""
        self._refusal: ProviderError | None = None
        self._refused_at = 0.0
        self._until = 0.0
        self._pause = FIRST_PAUSE
        self._line = asyncio.Lock()

    @property
    def refusal(self) -> ProviderError | None:
        """What the provider answered last, while it limits."""
        return self._refusal

    @property
    def left(self) -> float:
        """Seconds of the pause that are left."""
        return max(0.0, self._until - asyncio.get_running_loop().time()) if self._refusal else 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A call's turn: at once, or while the provider limits, after the pause and one call at a time."""
        if self._refusal is None:
            yield
            return
        async with self._line:
            while (left := self.left) > 0:  # noqa: ASYNC110 - the time is known, and may only grow
                await asyncio.sleep(left)
            if self._refusal is not None:
                yield
                return
        yield  # those before us got through: the rest follows side by side

    def pause_after(self, begun: float, told: float | None) -> float:
        """How long the pause is to be after a call, begun at this time, that was refused: what the provider told, else
        twice the last one; none of its own for a call that was under way as the last one was refused."""
        if told is not None:
            return told
        return self._pause if self._is_next(begun) else self.left

    def refused(self, error: ProviderError, begun: float, pause: float) -> None:
        """A call that was begun at this time was refused: nobody calls for so many seconds."""
        now = asyncio.get_running_loop().time()
        if self._is_next(begun):
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._refusal, self._refused_at = error, now
        self._until = max(self._until, now + pause)

    def _is_next(self, begun: float) -> bool:
        return self._refusal is None or begun >= self._refused_at

    def answered(self) -> None:
        """A call got through: nothing limits any more."""
        self._refusal, self._until, self._pause = None, 0.0, FIRST_PAUSE
