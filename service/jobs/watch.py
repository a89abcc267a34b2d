"""Waiting for jobs and following them, woken by signals between processes instead of polling."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID
from weakref import WeakSet

from service.errors import TooManyRequests
from service.jobs.service import get
from service.jobs.types import FINAL, Job
from stores.records.database import Database

LOOK_SECONDS = 2.0
"""How often a waiter looks for himself, should a signal be lost."""

FOLLOW_SECONDS = 15.0
"""How often a follower looks for himself, and says that he is there."""

PACE_SECONDS = 0.25
"""A follower is told of progress no more often than this."""

MOST_FOLLOWERS = 200
"""Streams that a workspace holds at the same time in one process."""

Events = defaultdict[str, set[asyncio.Event]]


class Following:
    """One who follows a job to its end, or until `leave`."""

    def __init__(self, database: Database, workspace: UUID, job: Job, events: Events, followers: Counter[UUID]) -> None:
        """`job` is where it stands; `events` are those that signals set, by the job's id; `followers` are counted by
        workspace while they follow."""
        self._database = database
        self._workspace = workspace
        self._job = job
        self._events = events
        self._followers = followers
        self._woken: asyncio.Event | None = None
        self._left = False

    def leave(self) -> None:
        """Follow no longer."""
        self._left = True
        if self._woken is not None:
            self._woken.set()

    async def states(self) -> AsyncGenerator[Job | None, None]:
        """The job as it stands, again when it has changed, at last as it ended; None where nothing changed for
        `FOLLOW_SECONDS`. Raises `NotFound` when the job is removed meanwhile."""
        job, last = self._job, None
        with _counted(self._followers, self._workspace), _listening(self._events, str(job.id)) as self._woken:
            while not self._left:
                yield job if job != last else None
                if job.state in FINAL:
                    return
                last = job
                await asyncio.sleep(PACE_SECONDS)
                await _either(self._woken, FOLLOW_SECONDS)
                job = await get(self._database, self._workspace, job.id)


class JobWatch:
    """Wakes waiters when a job ends, and followers whenever it got further. `notify` is the callback for the signals
    channel `records.CHANNEL`."""

    def __init__(self, database: Database) -> None:
        """`database` is where waiters look for the job's row."""
        self._database = database
        self._waiting: Events = defaultdict(set)
        self._following: Events = defaultdict(set)
        self._followers: Counter[UUID] = Counter()
        self._present: WeakSet[Following] = WeakSet()
        self._ended = False

    def end(self) -> None:
        """The process ends: who waits is told where the job stands, who follows is let go. The jobs go on elsewhere."""
        self._ended = True
        for job in list(self._waiting):
            _wake(self._waiting, job)
        for following in list(self._present):
            following.leave()

    def notify(self, payload: str) -> None:
        """A job, named by its id, has ended; with a `+` behind it: got further, or changed its state."""
        job, further, _ = payload.partition("+")
        if not further:
            _wake(self._waiting, job)
        _wake(self._following, job)

    async def wait(self, workspace: UUID, job_id: UUID, seconds: float) -> Job:
        """The job when it has ended, or as it stands after `seconds`, or when the process ends."""
        deadline = asyncio.get_running_loop().time() + seconds
        with _listening(self._waiting, str(job_id)) as event:
            while True:
                job = await get(self._database, workspace, job_id)
                left = deadline - asyncio.get_running_loop().time()
                if job.state in FINAL or left <= 0 or self._ended:
                    return job
                await _either(event, min(left, LOOK_SECONDS))

    async def follow(self, workspace: UUID, job_id: UUID) -> Following:
        """Follow a job of the workspace. Raises `NotFound`, `TooManyRequests`."""
        job = await get(self._database, workspace, job_id)
        if self._followers[workspace] >= MOST_FOLLOWERS:
            raise TooManyRequests(
                f"job_streams: {MOST_FOLLOWERS} streams of this workspace are open; close some, or ask with `wait`",
                headers={"Retry-After": "5"},
            )
        following = Following(self._database, workspace, job, self._following, self._followers)
        self._present.add(following)
        return following


def _wake(events: Events, job: str) -> None:
    for event in events.get(job, ()):
        event.set()


@contextmanager
def _counted(followers: Counter[UUID], workspace: UUID) -> Iterator[None]:
    followers[workspace] += 1
    try:
        yield
    finally:
        followers[workspace] -= 1
        if not followers[workspace]:
            del followers[workspace]


@contextmanager
def _listening(events: Events, job: str) -> Iterator[asyncio.Event]:
    """An event that is set when there is news of a job."""
    event = asyncio.Event()
    events[job].add(event)
    try:
        yield event
    finally:
        events[job].discard(event)
        if not events[job]:
            del events[job]


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Until the event, which is cleared, or for `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
