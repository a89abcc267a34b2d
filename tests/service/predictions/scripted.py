"""A flow that says what a test tells it to."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from service.chatflows.run import Backing, Run
from service.chatflows.types import StepEvent


class Scripted:
    """Says its events one by one, then raises `error`, if any; stays silent for ever behind event number `hangs`."""

    session = ""
    memory_label: str | None = "Memory"
    searched: UUID | None = None
    named: frozenset[UUID] = frozenset()

    def __init__(
        self, events: Sequence[StepEvent], *, error: Exception | None = None, hangs: int | None = None
    ) -> None:
        """Nothing is said yet."""
        self.events = events
        self.error = error
        self.hangs = hangs
        self.reached = asyncio.Event()
        self.stopped = False

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Needs nothing."""

    async def run(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The events."""
        try:
            for number, event in enumerate(self.events):
                if number == self.hangs:
                    break
                yield event
                await asyncio.sleep(0)
            if self.hangs is not None:
                self.reached.set()
                await asyncio.Event().wait()
            if self.error is not None:
                raise self.error
        except asyncio.CancelledError:
            self.stopped = True
            raise

    async def close(self) -> None:
        """Holds nothing."""
