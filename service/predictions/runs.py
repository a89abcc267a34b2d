"""The predictions that run in this process: what they have said so far, how to stop them, how to come back to them."""

import asyncio
import json
import logging
import secrets
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from enum import Enum, auto
from typing import Any, TypeVar
from uuid import UUID

from service.chatflows.types import Thinking, Token
from service.predictions.events import Event

log = logging.getLogger("ragstone.predictions")

T = TypeVar("T")

LAG = 256
"""Events that may wait for a reader one by one; behind them, pieces of text grow together."""
PIECE = 4096
"""Characters to which they grow."""
AT_ONCE = 128
"""Events that a reader is given at a time: what it has not taken is not written yet."""

PATIENCE = 60.0
"""Seconds for which a run that can be come back to goes on without a reader."""
KEPT_SECONDS = 300.0
"""Seconds for which such a run is kept after its end."""
KEPT_BYTES = 32_000_000
"""About how much memory all such runs together hold; of more, those that ended first go."""

_OVERHEAD = 100
"""About the bytes of a Python object beside its text: most of what short pieces of text take."""


class Stop(Enum):
    """Why a run was stopped."""

    ABORTED = auto()
    """Someone asked for it."""
    GONE = auto()
    """Nobody waits for the answer any more, or the service ends."""


class Running:
    """One prediction. It keeps all that it has said, so that a reader may come late or come back.

    However slow a reader is, what waits for it is bounded: texts grow together behind `LAG` events, and the answer is
    limited (`MAX_ANSWER`)."""

    def __init__(self, flow: UUID, chat: str, *, caller: str = "", resumable: bool = False) -> None:
        """Nothing is said yet. `caller`: who alone may come back, when it is `resumable`."""
        self.id = secrets.token_urlsafe(12)
        self.flow = flow
        self.chat = chat
        self.caller = caller
        self.resumable = resumable
        self.events: list[Event] = []
        self.size = 0
        """About the bytes that its events hold, once it has ended and is kept."""
        self.stopped: Stop | None = None
        self.done = False
        self._given = 0
        self._readers = 0
        self._said = asyncio.Event()
        self._stoppable = True
        self._task: asyncio.Task[None] | None = None
        self._aside: asyncio.Future[Any] | None = None
        self._patience: asyncio.TimerHandle | None = None

    def say(self, *events: Event) -> None:
        """Add events; readers wake."""
        for event in events:
            if not self._grown(event):
                self.events.append(event)
        if events:
            self._said.set()

    def _grown(self, event: Event) -> bool:
        """Whether the event became a part of the last one, which nobody has read."""
        if len(self.events) - self._given <= LAG:
            return False
        last = self.events[-1]
        if isinstance(event, Token) and isinstance(last, Token) and len(last.text) + len(event.text) <= PIECE:
            self.events[-1] = Token(last.text + event.text)
            return True
        if isinstance(event, Thinking) and isinstance(last, Thinking) and last.seconds is None:
            if len(last.text) + len(event.text) > PIECE:
                return False
            self.events[-1] = Thinking(last.text + event.text, event.seconds)
            return True
        return False

    async def read(self, start: int, seconds: float) -> Sequence[Event]:
        """The events from number `start` on, as soon as there is one, `AT_ONCE` at most; none after `seconds`, or when
        all is said."""
        if len(self.events) <= start and not self.done:
            self._said.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._said.wait()
            except TimeoutError:
                return ()
        events = self.events[start : start + AT_ONCE]
        self._given = max(self._given, start + len(events))
        return events

    def attend(self) -> Callable[[], None]:
        """A reader has come. It calls what it gets when it goes before the end; the last one stops the run then: at
        once, or when none has come back for `PATIENCE`."""
        self._readers += 1
        here = True
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

        def leave() -> None:
            nonlocal here
            if here:
                here = False
                self._left()

        return leave

    def _left(self) -> None:
        self._readers -= 1
        if self._readers > 0 or self.done:
            return
        if not self.resumable:
            self.stop(Stop.GONE)
        elif self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(PATIENCE, self.stop, Stop.GONE)

    async def wait(self) -> None:
        """Until the run has ended, however it did."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def stop(self, why: Stop) -> None:
        """Stop the model and every other call of the run. Once the answer is complete, only what is done `aside`."""
        if self._stoppable and self.stopped is None and self._task is not None:
            self.stopped = why
            # Not at once: a task that is cancelled before its first step never begins, and leaves everything open.
            asyncio.get_running_loop().call_soon(self._cancel)
        elif self._aside is not None:
            self._aside.cancel()

    def _cancel(self) -> None:
        if self._stoppable and self._task is not None:
            self._task.cancel()

    def complete(self) -> None:
        """From now on the run is stored and cannot be stopped."""
        self._stoppable = False

    async def aside(self, work: Awaitable[T]) -> T | None:
        """The result of work that the answer can do without, for a run that is complete; None when it was stopped."""
        aside = asyncio.ensure_future(work)
        self._aside = aside
        try:
            await asyncio.wait([aside])
        finally:
            self._aside = None
            aside.cancel()
        return None if aside.cancelled() else aside.result()

    def begin(self, work: Callable[["Running"], Awaitable[None]]) -> None:
        """Run `work`, which says all events."""
        self._task = asyncio.ensure_future(self._run(work))

    async def _run(self, work: Callable[["Running"], Awaitable[None]]) -> None:
        try:
            await work(self)
        finally:
            self.done = True
            if self._patience is not None:
                self._patience.cancel()
            self._said.set()


class Runs:
    """The runs of this process by flow and chat. `notify` is the callback for the signals channel `records.CHANNEL`."""

    def __init__(self) -> None:
        """None runs."""
        self._running: defaultdict[tuple[UUID, str], set[Running]] = defaultdict(set)
        self._resumable: dict[str, Running] = {}
        self._ended: OrderedDict[str, asyncio.TimerHandle] = OrderedDict()
        self._held = 0

    def start(
        self,
        flow: UUID,
        chat: str,
        work: Callable[[Running], Awaitable[None]],
        *,
        caller: str = "",
        resumable: bool = False,
    ) -> Running:
        """Begin a run; `work` says its events, the last one `End`. One that is `resumable` is found by its id from now
        until `KEPT_SECONDS` after its end."""
        running = Running(flow, chat, caller=caller, resumable=resumable)

        async def registered(self_: Running) -> None:
            try:
                await work(self_)
            finally:
                self._drop(running)

        self._running[flow, chat].add(running)
        if resumable:
            self._resumable[running.id] = running
        running.begin(registered)
        return running

    def find(self, run: str) -> Running | None:
        """The run of this id, if it is one that can be come back to."""
        return self._resumable.get(run)

    def abort(self, flow: UUID, chat: str) -> None:
        """Stop the runs of this chat."""
        for running in list(self._running.get((flow, chat), ())):
            running.stop(Stop.ABORTED)

    def dismiss(self, caller: str) -> None:
        """Stop the runs of a caller, whomever it asks for."""
        for running in [running for runs in self._running.values() for running in runs]:
            if running.caller.partition("/")[0] == caller:
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
        while self._ended:
            self._forget(next(iter(self._ended)))

    def _drop(self, running: Running) -> None:
        place = running.flow, running.chat
        self._running[place].discard(running)
        if not self._running[place]:
            del self._running[place]
        if running.resumable:
            running.size = _size(running.events, set())
            self._held += running.size
            self._ended[running.id] = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._forget, running.id)
            while self._held > KEPT_BYTES:
                self._forget(next(iter(self._ended)))

    def _forget(self, run: str) -> None:
        running = self._resumable.pop(run, None)
        if timer := self._ended.pop(run, None):
            timer.cancel()
            self._held -= running.size if running else 0


def _size(value: Any, seen: set[int]) -> int:
    """About the bytes that a value holds in memory; what it holds twice counts once, as `seen` says."""
    if isinstance(value, str | bytes):
        return _OVERHEAD + len(value)
    if value is None or isinstance(value, bool | int | float | Enum) or id(value) in seen:
        return 0
    seen.add(id(value))
    parts: Iterable[Any] = ()
    if isinstance(value, Mapping):
        parts = (*value.keys(), *value.values())
    elif isinstance(value, Sequence | Set):
        parts = value
    elif is_dataclass(value):
        parts = (getattr(value, field.name) for field in fields(value))
    return _OVERHEAD + sum(_size(part, seen) for part in parts)


def signal(flow: UUID, chat: str) -> str:
    """What `Runs.notify` reads."""
    return json.dumps([str(flow), chat])
