"""Trying a provider again: transient failures only, pauses by `Retry-After`, and never a long wait."""

import asyncio
import email.utils
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.providers.errors import ProviderError, RateLimited

T = TypeVar("T")

LONGEST_PAUSE = 20.0
"""Seconds a retry waits at most; a provider that asks for more is surfaced at once as `RateLimited`."""

FIRST_PAUSE = 0.5


async def patiently(
    call: Callable[[], Awaitable[T]], retries: int, *, silent: Callable[[ProviderError], bool] = lambda error: False
) -> T:
    """The result of `call`, which raises our errors; transient ones are tried again up to `retries` times.

    `silent` tells a provider that said nothing for the whole timeout: it is not asked again, so that nobody waits
    several times as long as the setting says.
    """
    pause = FIRST_PAUSE
    for left in range(retries, -1, -1):
        try:
            return await call()
        except ProviderError as error:
            wait = error.retry_after if isinstance(error, RateLimited) and error.retry_after is not None else pause
            if not error.transient or silent(error) or left == 0 or wait > LONGEST_PAUSE:
                raise
        await asyncio.sleep(wait)
        pause *= 2
    raise AssertionError("unreachable")


def retry_after(value: str) -> float | None:
    """Seconds that a `Retry-After` header asks for, as a number or a date; None for anything else."""
    value = value.strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        moment = email.utils.parsedate_tz(value) if value else None
        return max(0.0, email.utils.mktime_tz(moment) - time.time()) if moment else None
