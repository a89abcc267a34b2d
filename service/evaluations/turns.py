"""The places for calls of evaluations in one process, and who gets the next one."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID


class Turns:
    """So many calls at a time. A place that gets free goes to the evaluation that holds the fewest, among equals to the
    one that was not served for longest: so a short evaluation does not wait for a long one to end."""

    def __init__(self, places: int) -> None:
        """All places are free."""
        self._free = places
        self._held: Counter[UUID] = Counter()
        self._waiting: dict[UUID, deque[asyncio.Future[None]]] = {}
        """In the order in which they were served last."""

    @asynccontextmanager
    async def place(self, evaluation: UUID) -> AsyncIterator[None]:
        """A place for the length of the block."""
        await self._taken(evaluation)
        try:
            yield
        finally:
            self._give_back(evaluation)

    async def _taken(self, evaluation: UUID) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            self._held[evaluation] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(evaluation, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(evaluation)  # it was served as it was cancelled
            raise

    def _give_back(self, evaluation: UUID) -> None:
        self._free += 1
        self._held[evaluation] -= 1
        if not self._held[evaluation]:
            del self._held[evaluation]
        self._serve()

    def _serve(self) -> None:
        while self._free and self._waiting:
            chosen = min(self._waiting, key=lambda each: self._held[each])  # the first of equals
            line = self._waiting.pop(chosen)
            turn = line.popleft()
            if line:
                self._waiting[chosen] = line
            if turn.cancelled():
                continue
            self._free -= 1
            self._held[chosen] += 1
            turn.set_result(None)
