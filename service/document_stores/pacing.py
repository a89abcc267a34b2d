"""Waiting for an embedding provider that limits its rate or fails for a while."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.providers.errors import ProviderError, RateLimited
from service.providers.pace import Pace

log = logging.getLogger("ragstone.ingest")

T = TypeVar("T")

PATIENCE_SECONDS = 900.0
"""How long one call waits for a provider, in all: pauses, and attempts that were not answered."""


async def paced(
    call: Callable[[], Awaitable[T]], waiting: Callable[[], Awaitable[None]], pace: Pace | None = None
) -> T:
    """The result of `call`, tried again while the provider's failures are passing ones; `waiting` is called before
    each pause, and may end the wait by raising. Calls with one `pace` wait together, as `Pace` says. Raises the
    provider's error when patience is at its end."""
    clock = asyncio.get_running_loop().time
    entered, pace = clock(), pace or Pace()
    while True:
        if (refusal := pace.refusal) is not None:
            if clock() - entered + pace.left > PATIENCE_SECONDS:
                raise refusal
            await waiting()
        async with pace.turn():
            begun = clock()
            try:
                result = await call()
            except ProviderError as error:
                wait = pace.pause_after(begun, error.retry_after if isinstance(error, RateLimited) else None)
                if not error.transient or clock() - entered + wait > PATIENCE_SECONDS:
                    raise
                log.info("Embedding provider: %s; trying again in %.1f s", error.message, wait)
                pace.refused(error, begun, wait)
            else:
                pace.answered()
                return result
