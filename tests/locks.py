"""Two sessions that meet over a lock, one of them held up for certain."""

import asyncio
from typing import Any

from stores.records.database import Database

WAITING = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def held_up(database: Database, *others: asyncio.Task[Any], sessions: int = 1) -> None:
    """Returns as soon as so many sessions of the test's own database wait for a lock, or one of `others` has ended."""
    while not any(task.done() for task in others):
        async with database.connection() as connection:
            cursor = await connection.execute(WAITING)
            row = await cursor.fetchone()
        if row is not None and row["n"] >= sessions:
            return
        await asyncio.sleep(0.01)
