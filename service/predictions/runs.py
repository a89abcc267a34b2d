"""The predictions that run in this process: what they have said so far, and how to stop them."""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from uuid import UUID

from service.predictions.events import Event

log = logging.getLogger("ragstone.predictions")


class Stop(Enum):
    """Why a run was stopped."""

    ABORTED = auto()
    """Someone asked for it."""
    GONE = auto()
    """Nobody waits for the answer any more, or the service ends."""


class Running:
    """One prediction. It keeps all that it has said, so that a reader may come late or come back."""

    def __init__(self, flow: UUID, chat: str) -> None:
        """Nothing is said yet."""
        self.flow = flow
        self.chat = chat
        self.events: list[Event] = []
        self.stopped: Stop | None = None
        self.done = False
        self._said = asyncio.Event()
        self._stoppable = True
        self._task: asyncio.Task[None] | None = None

    def say(self, *events: Event) -> None:
        """Add events; readers wake."""
        self.events.extend(events)
        self._said.set()

    async def read(self, start: int, seconds: float) -> Sequence[Event]:
        """The events from number `start` on, as soon as there is one; none after `seconds`, or when all is said."""
        if len(self.events) <= start and not self.done:
            self._said.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._said.wait()
            except TimeoutError:
                return ()
        return self.events[start:]

    async def wait(self) -> None:
        """Until the run has ended, however it did."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def stop(self, why: Stop) -> None:
        """Stop the model and every other call of the run. Without effect once the answer is complete."""
        if self._stoppable and self.stopped is None and self._task is not None:
            self.stopped = why
            self._task.cancel()

    def complete(self) -> None:
        """From now on the run is stored and cannot be stopped."""
        self._stoppable = False

    def begin(self, work: Callable[["Running"], Awaitable[None]]) -> None:
        """Run `work`, which says all events."""
        self._task = asyncio.ensure_future(self._run(work))

    async def _run(self, work: Callable[["Running"], Awaitable[None]]) -> None:
        try:
            await work(self)
        finally:
            self.done = True
            self._said.set()


class Runs:
    """The runs of this process by flow and chat. `notify` is the callback for the signals channel `records.CHANNEL`."""

    def __init__(self) -> None:
        """None runs."""
        self._running: defaultdict[tuple[UUID, str], set[Running]] = defaultdict(set)

    def start(self, flow: UUID, chat: str, work: Callable[[Running], Awaitable[None]]) -> Running:
        """Begin a run; `work` says its events, the last one `End`."""
        running = Running(flow, chat)

        async def registered(self_: Running) -> None:
            try:
                await work(self_)
            finally:
                self._drop(running)

        self._running[flow, chat].add(running)
        running.begin(registered)
        return running

    def abort(self, flow: UUID, chat: str) -> None:
        """Stop the runs of this chat."""
        for running in list(self._running.get((flow, chat), ())):
            running.stop(Stop.ABORTED)

    def notify(self, payload: str) -> None:
        """A chat, named as by `signal`, is to be stopped in whatever process it runs."""
        try:
            flow, chat = json.loads(payload)
            self.abort(UUID(flow), str(chat))
        except (ValueError, TypeError):
            log.warning("A signal about a run that names none: %r", payload[:100])

    async def close(self) -> None:
        """Stop every run; what they wrote is stored."""
        while self._running:
            every = [running for runs in self._running.values() for running in runs]
            for running in every:
                running.stop(Stop.GONE)
            await asyncio.gather(*(running.wait() for running in every))

    def _drop(self, running: Running) -> None:
        place = running.flow, running.chat
        self._running[place].discard(running)
        if not self._running[place]:
            del self._running[place]


def signal(flow: UUID, chat: str) -> str:
    """What `Runs.notify` reads."""
    return json.dumps([str(flow), chat])
