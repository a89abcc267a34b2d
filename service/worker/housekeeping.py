"""What has had its time goes: table `HOUSEKEEPING`, a line a kind of row."""

import logging
from collections.abc import Awaitable, Callable

from service.jobs import service as jobs
from service.plugins import resolve_aside
from service.resources import Resources
from service.worker.jobs import HOUSEKEEPING

log = logging.getLogger("ragstone.worker")

Chore = Callable[[Resources], Awaitable[int]]


async def keep_house(resources: Resources) -> None:
    """Do every chore once. Any number of workers may do so at the same time."""
    for name in HOUSEKEEPING:
        chore: Chore = await resolve_aside(HOUSEKEEPING, name, "chore")
        if gone := await chore(resources):
            log.info("Housekeeping: %s, %d rows", name, gone)


async def forget_jobs(resources: Resources) -> int:
    """Remove jobs that ended long ago."""
    return await jobs.forget_old(resources.database, resources.settings.job_days)
