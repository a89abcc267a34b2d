"""What the runs of a compiled flow share: opened once, before the first of them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from uuid import UUID

from service.chatflows.types import FlowNotRunnable


class Preparation:
    """A flow's preparation. Runs that come while it works wait for it; a failure is not kept."""

    def __init__(self) -> None:
        """Nothing is prepared."""
        self._task: asyncio.Task[None] | None = None

    async def once(self, prepare: Callable[[], Coroutine[object, object, None]]) -> None:
        """Prepare, unless that is done. Raises what `prepare` raises."""
        if self._task is None or (self._task.done() and _failed(self._task)):
            self._task = asyncio.create_task(prepare())
        if not self._task.done():
            await asyncio.shield(self._task)
        self._task.result()

    def forget(self) -> None:
        """What was opened was closed again."""
        self._task = None


def _failed(task: asyncio.Task[None]) -> bool:
    return task.cancelled() or task.exception() is not None


async def together(opening: Iterable[Awaitable[None]]) -> None:
    """Wait for all of it. Raises the first failure; where all that failed only lacks something, one refusal that names
    everything."""
    found = await asyncio.gather(*opening, return_exceptions=True)
    errors = [error for error in found if isinstance(error, BaseException)]
    lacking = [error for error in errors if isinstance(error, FlowNotRunnable)]
    if len(errors) > 1 and len(lacking) == len(errors):
        texts = dict.fromkeys(error.message for error in lacking)
        problems = dict.fromkeys(problem for error in lacking for problem in error.problems)
        raise type(lacking[0])("; ".join(texts), tuple(problems)) from lacking[0]
    if errors:
        raise errors[0]


def credentials_in(names: Iterable[str]) -> frozenset[UUID]:
    """The credentials that these fields of nodes name; what is no id names none."""
    return frozenset(found for name in names if (found := _uuid(name)) is not None)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
