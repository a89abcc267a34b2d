"""Waiting for an embedding provider that limits its rate or fails for a while."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.providers.errors import ProviderError, RateLimited

log = logging.getLogger("ragstone.ingest")

T = TypeVar("T")

PATIENCE_SECONDS = 900.0
"""How long one call waits for a provider, in all: pauses, and attempts that were not answered."""

LONGEST_PAUSE = 60.0
"""Longest pause that we choose ourselves; a provider's own `Retry-After` is kept to as long as patience lasts."""


async def paced(call: Callable[[], Awaitable[T]], waiting: Callable[[], Awaitable[None]]) -> T:
    """The result of `call`, tried again while the provider's failures are passing ones; `waiting` is called before
    each pause, and may end the wait by raising. Raises the provider's error when patience is at its end."""
    clock = asyncio.get_running_loop().time
    begun, pause = clock(), 1.0
    while True:
        try:
            return await call()
        except ProviderError as error:
            told = error.retry_after if isinstance(error, RateLimited) else None
            wait = pause if told is None else told
            if not error.transient or clock() - begun + wait > PATIENCE_SECONDS:
                raise
            log.info("Embedding provider: %s; trying again in %.1f s", error.message, wait)
        await waiting()
        await asyncio.sleep(wait)
        pause = min(pause * 2, LONGEST_PAUSE)
