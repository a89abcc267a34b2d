"""The items of an iteration, side by side."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from service.agentflows.state import Items
from service.agentflows.types import FlowTimeout, TooManySteps
from service.chatflows.types import StepEvent
from service.errors import ServiceError


class Passing(Protocol):
    """The run of one item."""

    last: str
    """What was said last in it."""

    def go(self) -> AsyncGenerator[StepEvent, None]:
        """Its events. Raises `ServiceError`."""
        ...


class Iterating:
    """The items of one iteration, as they run."""

    def __init__(self, passing: Callable[[int, Any], Passing], items: Sequence[Any]) -> None:
        """`passing` makes the run of one item. Nothing runs yet."""
        self._passing, self._items = passing, items
        self._texts: list[str] = [""] * len(items)
        self._failures: list[ServiceError] = []

    async def go(self, at_once: int) -> AsyncGenerator[StepEvent, None]:
        """Run the items, so many at once, in their order; their events as they come."""
        heard: asyncio.Queue[StepEvent | None] = asyncio.Queue()
        room = asyncio.Semaphore(at_once)

        async def run(index: int, item: Any) -> None:
            async with room:
                passing = self._passing(index, item)
                try:
                    async with aclosing(passing.go()) as events:
                        async for event in events:
                            heard.put_nowait(event)
                    self._texts[index] = passing.last
                except ServiceError as error:
                    self._failures.append(error)
                    self._texts[index] = f"Error in iteration {index + 1}: {error.withheld()}"

        tasks = [asyncio.create_task(run(index, item)) for index, item in enumerate(self._items)]
        ended = asyncio.gather(*tasks)
        ended.add_done_callback(lambda _: heard.put_nowait(None))
        try:
            while (event := await heard.get()) is not None:
                yield event
            await ended
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(ended, *tasks, return_exceptions=True)

    def outcome(self) -> Items:
        """What came of the items. Raises the first failure where there is nothing else, and what ends a whole run."""
        for error in self._failures:
            if isinstance(error, TooManySteps | FlowTimeout) or len(self._failures) == len(self._items):
                raise error
        return Items(tuple(self._texts), len(self._failures))
