"""The parsers of a process: files are read in children of a helper that starts on first use and ends when idle."""

import asyncio
from collections.abc import Mapping
from typing import Any

from loaders.base import Source
from loaders.sandbox import Limits, Loaded, Sandbox
from loaders.tesseract import Ocr
from service.errors import Unavailable
from service.settings import Settings

IDLE_SECONDS = 300.0
"""Without a file for so long the helper ends and gives its memory back."""

RETRY_SECONDS = 5
"""When a caller that was turned away should ask again."""


class Parsers:
    """Loads files in the sandbox, a few at once; others wait in turn, and no more than fit in the line.

    Costs nothing until the first `load`. Close it. One event loop only.
    """

    def __init__(
        self,
        limits: Limits,
        ocr: Ocr | None = None,
        *,
        at_once: int,
        line: int,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """`at_once` children run at most, `line` loads wait for one of them. Without `ocr` no picture is read."""
        self._sandbox = Sandbox(limits, ocr)
        self._free = asyncio.Semaphore(at_once)
        self._most = at_once + line
        self._idle_seconds = idle_seconds
        self._loads = 0
        self._idle: asyncio.TimerHandle | None = None
        self._resting: asyncio.Task[None] | None = None

    async def load(
        self,
        source: Source,
        loader: str | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        limits: Limits | None = None,
    ) -> Loaded:
        """As `Sandbox.load`, which says what `LoaderError` it raises. Raises `Unavailable` when the line is full."""
        if self._loads >= self._most:
            raise Unavailable(
                "Too many files are being read at this moment; try again in a few seconds, or let an upsert's job"
                " read the file in its turn.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        self._loads += 1
        if self._idle is not None:
            self._idle.cancel()
        try:
            async with self._free:
                return await self._sandbox.load(source, loader, options, limits=limits)
        finally:
            self._loads -= 1
            if self._loads == 0:
                self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._rest)

    async def close(self) -> None:
        """End the helper and every child. Safe to call twice."""
        if self._idle is not None:
            self._idle.cancel()
        await self._sandbox.close()
        if self._resting is not None:
            await self._resting

    @property
    def helper(self) -> int | None:
        """The helper's process id; None while it is not up."""
        return self._sandbox.helper

    def _rest(self) -> None:
        # A load that comes while the helper ends starts another one.
        if self._loads == 0:
            self._resting = asyncio.create_task(self._sandbox.close())


def open_parsers(settings: Settings) -> Parsers:
    """The parsers as the settings bound them. The line holds more than a worker's jobs, so none is turned away."""
    ocr = Ocr(
        settings.tesseract,
        settings.ocr_languages,
        settings.ocr_pages,
        settings.ocr_pixels,
        settings.ocr_page_seconds,
        settings.ocr_seconds,
        settings.parser_memory,
    )
    return Parsers(
        Limits(settings.parser_memory, settings.parser_cpu, settings.parser_wall),
        ocr,
        at_once=settings.parser_processes or settings.worker_concurrency,
        line=settings.worker_concurrency + settings.parser_line,
    )
