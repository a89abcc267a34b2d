"""Work that is due by a clock: table `SCHEDULES`, a line a kind."""

import logging
from collections.abc import Awaitable, Callable

from service.plugins import resolve_aside
from service.resources import Resources
from service.worker.jobs import SCHEDULES

log = logging.getLogger("ragstone.worker")

Look = Callable[[Resources], Awaitable[int]]


async def queue_due(resources: Resources) -> None:
    """Queue what is due. Any number of workers may do so at the same time."""
    for name in SCHEDULES:
        look: Look = await resolve_aside(SCHEDULES, name, "schedule")
        if queued := await look(resources):
            log.info("Queued %d scheduled job(s): %s", queued, name)
