"""NOTIFY between processes: one listening connection a process, callbacks by channel.

A signal is a hint to look, never the only word: it is lost while the connection is down, so whoever waits for one also
looks for himself now and then.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import LiteralString

from psycopg import AsyncConnection, OperationalError, sql

log = logging.getLogger("ragstone.signals")

Callback = Callable[[str], None]

RECONNECT_SECONDS = 1.0


class Signals:
    """Listens on the given channels. `async with Signals(url, {"ragstone_jobs": callback}): ...`"""

    def __init__(self, url: str, callbacks: dict[LiteralString, Callback]) -> None:
        """`callbacks` get the payload of each notification of their channel, on the event loop; they must not block."""
        self._url = url
        self._callbacks = callbacks
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Signals":
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        while True:
            try:
                connection = await AsyncConnection.connect(self._url, autocommit=True)
                async with connection:
                    for channel in self._callbacks:
                        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    async for note in connection.notifies():
                        self._callbacks[note.channel](note.payload)
            except OperationalError as error:
                log.warning("Listening for signals was interrupted: %s", error)
            await asyncio.sleep(RECONNECT_SECONDS)
