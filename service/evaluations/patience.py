"""Calling what may refuse for a while: flows and judges whose providers limit them, or are out of reach.

A provider that limits its rate holds up everybody who calls it (`Pace`): the pause is the one that it asks for, and one
call is tried before the rest follow. Any other passing failure is the matter of the one call, which waits by itself,
twice as long each time; when several fail in a row and none gets through, all wait together as well. Nobody holds a
place while he waits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from service.errors import ServiceError
from service.evaluations.turns import Turns
from service.evaluations.types import Attempt
from service.providers.errors import ProviderError, ProviderUnavailable, RateLimited
from service.providers.pace import Pace
from service.providers.retries import retry_after

T = TypeVar("T")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
"""Seconds that a call waits by itself at most."""
LONGEST_WAIT = 900.0
"""Seconds that a provider may ask for; who asks for more fails the case at once."""
LONGEST_CALL = 900.0
"""Seconds that one call may take."""
IN_A_ROW = 3
"""Failures without any success between them, after which all calls wait."""


class TookTooLong(ServiceError):
    """The call took too long; it is not made again."""

    status, code = 504, "took_too_long"


class Patience:
    """The patience with one target, or with the judge. `turns` gives a call its place."""

    def __init__(self, turns: Turns, evaluation: UUID, retries: int) -> None:
        """Nothing has failed so far."""
        self._turns = turns
        self._evaluation = evaluation
        self._retries = retries
        self._pace = Pace()
        self._failures = 0

    async def call(self, work: Callable[[], Awaitable[T]], attempts: list[Attempt], who: str = "") -> T:
        """The result of `work`, tried again while its failures are passing ones; each is added to `attempts`, `who`
        before it. Raises the last failure, and at once what would fail again."""
        clock, pause = asyncio.get_running_loop().time, FIRST_PAUSE
        for left in range(self._retries, -1, -1):
            async with self._pace.turn():
                begun = clock()
                try:
                    result = await self._once(work)
                except ServiceError as error:
                    if not is_passing(error):
                        raise
                    wait = self._wait(error, begun, pause)
                    if not left or wait > LONGEST_WAIT:
                        raise
                    attempts.append(Attempt(f"{who}{error.message}", error.status, round(wait, 3)))
                else:
                    self._failures = 0
                    self._pace.answered()
                    return result
            await asyncio.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)
        raise AssertionError("unreachable")

    async def _once(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._turns.place(self._evaluation):
            try:
                async with asyncio.timeout(LONGEST_CALL):
                    return await work()
            except TimeoutError as error:
                raise TookTooLong(f"There was no answer within {LONGEST_CALL:g} seconds") from error

    def _wait(self, error: ServiceError, begun: float, pause: float) -> float:
        """How long this call waits; the others wait too, where it is the provider that limits or is away."""
        told = told_by(error)
        self._failures += 1
        if isinstance(error, RateLimited) or self._failures >= IN_A_ROW:
            shared = self._pace.pause_after(begun, told)
            if shared <= LONGEST_WAIT:
                self._pace.refused(_of_provider(error), begun, shared)
            return shared
        return pause if told is None else told


def is_passing(error: ServiceError) -> bool:
    """Whether the same call may succeed later."""
    if isinstance(error, ProviderError):
        return error.transient
    return error.status in (429, 503, 504) and not isinstance(error, TookTooLong)


def told_by(error: ServiceError) -> float | None:
    """The seconds that whoever failed asks for; None where it does not say."""
    if isinstance(error, RateLimited):
        return error.retry_after
    return retry_after(error.headers.get("Retry-After", ""))


def _of_provider(error: ServiceError) -> ProviderError:
    return error if isinstance(error, ProviderError) else ProviderUnavailable(error.message)
