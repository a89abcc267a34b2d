"""The step that reads pictures for parsers: tesseract as a bounded process, fed with plain grey pixels.

A parser that meets a page without text sends its pixels; they pass through here, block by block, to a tesseract that
the sandbox's helper starts. The program gets a PNG of ours, so none of its decoders for images ever meets what a file
could have made for them; it takes a third longer over bare pixels (PGM), which it reads one by one.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from loaders import ocr
from loaders.base import Failure, LoaderError
from loaders.channels import Channel, report
from loaders.child import LENGTH, PICTURE
from loaders.png import Png
from loaders.program import NOT_RUN

_LOCAL_THRESHOLD = ("-c", "thresholding_method=2")
"""Paper and ink are told apart by their surroundings: letters on a tinted ground and photos of paper stay readable."""

_BLOCK = 1 << 18
"""Bytes of pixels that are packed at once."""
_MOST_OUTPUT = 16 * 1024 * 1024
_LIST_SECONDS = 20
_WALL_PER_CPU = 3
"""Wall seconds for each CPU second that tesseract may take, as other processes run too."""

Fork = Callable[[str], Awaitable[tuple[socket.socket, socket.socket]]]
"""Starts a child of the helper: our ends of its sockets, for the job and to watch it."""

PROGRAM = "x"
"""Asks the helper for a child that becomes a program."""


@dataclass(frozen=True, slots=True)
class Ocr:
    """How pictures are read: the program (empty: not at all), languages by tesseract's codes joined by `+`, and bounds.

    `pages` and `seconds` are for one file, `page_seconds` is CPU time, `pixels` is what a picture may have before it is
    decoded, `memory_bytes` the address space of tesseract.
    """

    program: str = "tesseract"
    languages: str = "eng"
    pages: int = 500
    pixels: int = 100_000_000
    page_seconds: int = 60
    seconds: float = 3600.0
    memory_bytes: int = 1024 * 1024 * 1024


class Tesseract:
    """Runs tesseract for the files of one sandbox."""

    def __init__(self, settings: Ocr, fork: Fork) -> None:
        self.settings = settings
        self._fork = fork
        self._known: dict[str, frozenset[str]] = {}

    @property
    def path(self) -> str | None:
        """Where the program lies; None when it cannot be found. Looked up each time: it may be installed meanwhile."""
        found = shutil.which(self.settings.program) if self.settings.program else None
        return os.path.abspath(found) if found else None

    async def languages(self, wanted: str) -> str:
        """Those of `wanted` (`eng+deu`) that are installed. Raises `LoaderError(OCR_UNAVAILABLE)` when none is."""
        path = self.path
        if path is None:
            raise LoaderError(Failure.OCR_UNAVAILABLE, ocr.UNAVAILABLE)
        if path not in self._known:
            told = await self._run(path, ["--list-langs"], None, _LIST_SECONDS)
            self._known[path] = frozenset(line.strip() for line in told.decode("utf-8", "replace").splitlines()[1:])
        names = [name.strip() for name in wanted.replace(",", "+").split("+") if name.strip()]
        there = [name for name in dict.fromkeys(names) if name in self._known[path]]
        if not there:
            raise LoaderError(
                Failure.OCR_UNAVAILABLE,
                f"Tesseract lacks the language {' and '.join(names) or '(none named)'};"
                f" installed are {', '.join(sorted(self._known[path])) or 'none'}."
                " Install it (Debian, Ubuntu: apt install tesseract-ocr-LANGUAGE) or set RAGSTONE_OCR_LANGUAGES.",
            )
        return "+".join(there)

    async def table(self, languages: str, dpi: int, pixels: "Pixels") -> bytes:
        """Tesseract's TSV of a picture, whose dpi is 0 where it is not known. Raises `LoaderError`."""
        path = self.path
        if path is None:
            raise LoaderError(Failure.OCR_UNAVAILABLE, ocr.UNAVAILABLE)
        arguments = ["stdin", "stdout", "-l", await self.languages(languages), *_LOCAL_THRESHOLD]
        arguments += ["--dpi", str(dpi)] if dpi else []
        return await self._run(path, [*arguments, "tsv"], pixels, self.settings.page_seconds)

    async def _run(self, path: str, arguments: Sequence[str], pixels: "Pixels | None", seconds: int) -> bytes:
        request = json.dumps(
            {
                "program": path,
                "arguments": arguments,
                # More threads than one make it slower, and count against the one file.
                "variables": {"OMP_THREAD_LIMIT": "1"},
                "memory_bytes": self.settings.memory_bytes,
                "cpu_seconds": seconds,
            }
        ).encode()
        job, watch = await self._fork(PROGRAM)
        try:
            async with asyncio.timeout(seconds * _WALL_PER_CPU):
                channel = Channel(job)
                await channel.send(LENGTH.pack(len(request)) + request)
                feeding = asyncio.create_task(_feed(channel, job, pixels))
                try:
                    output = await _output(channel)
                    status, _ = await report(watch)
                finally:
                    feeding.cancel()
                    await asyncio.gather(feeding, return_exceptions=True)
        except TimeoutError:
            raise LoaderError(Failure.TIMEOUT, f"Reading a picture took longer than {seconds} seconds.") from None
        except ConnectionError:
            raise LoaderError(Failure.CRASHED, "Tesseract ended before it was asked.") from None
        finally:
            job.close()
            watch.close()
        if status != 0:
            raise _ended(status, seconds)
        return output


class Pixels:
    """The pixels that a parser sends: they must be read to their end, whatever becomes of tesseract."""

    def __init__(self, channel: Channel, width: int, height: int) -> None:
        self._channel = channel
        self._width, self._height = width, height
        self._left = width * height

    async def feed(self, to: Channel) -> None:
        """Hands all to tesseract, or as much as it takes and the parser gives."""
        png, rows = Png(self._width, self._height), max(1, _BLOCK // self._width)
        try:
            await to.send(png.begin())
            while self._left:
                await to.send(await asyncio.to_thread(png.add, await self._next(rows * self._width)))
            await to.send(png.end())
        except ConnectionError:
            return  # whoever has ended, its report says how

    async def drop(self) -> None:
        """Reads what nobody took."""
        while self._left:
            await self._next(_BLOCK)

    async def _next(self, most: int) -> bytes:
        block = bytearray()
        async for piece in self._channel.pieces(min(self._left, most)):
            self._left -= len(piece)
            block += piece
        return bytes(block)


class Turn:
    """Reads the pictures of one file, within what a file may have."""

    def __init__(self, tesseract: Tesseract, languages: str) -> None:
        self._tesseract = tesseract
        self._languages = languages or tesseract.settings.languages
        self._pages = 0
        self._seconds = 0.0

    async def answer(self, channel: Channel, header: bytes, clock: asyncio.Timeout) -> None:
        """Reads the picture behind `header` and answers the parser; its `clock` stands still meanwhile."""
        _, width, height, dpi = PICTURE.unpack(header)
        pixels = Pixels(channel, width, height)
        try:
            self._check(width, height)
            self._pages += 1
            with self._paused(clock):
                table = await self._tesseract.table(self._languages, dpi, pixels)
            reply = {"table": table.decode("utf-8", "replace")}
        except LoaderError as error:
            reply = {"failure": error.failure.value, "message": error.message}
        await pixels.drop()
        data = json.dumps(reply).encode()
        await channel.send(LENGTH.pack(len(data)) + data)

    @contextmanager
    def _paused(self, clock: asyncio.Timeout) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        begun, due = loop.time(), clock.when()
        clock.reschedule(None)
        try:
            yield
        finally:
            took = loop.time() - begun
            self._seconds += took
            clock.reschedule(None if due is None else due + took)

    def _check(self, width: int, height: int) -> None:
        settings = self._tesseract.settings
        if not width or not height or width * height > ocr.MOST_SENT:
            raise LoaderError(Failure.TOO_LARGE, f"A picture of {width} x {height} pixels is not read.")
        if self._pages >= settings.pages:
            raise LoaderError(
                Failure.TOO_LARGE, f"ocr_pages: the file has more than {settings.pages} pages that are pictures."
            )
        if self._seconds > settings.seconds:
            raise LoaderError(
                Failure.TOO_LARGE, f"ocr_seconds: reading the file's pictures took longer than {settings.seconds:g} s."
            )


async def _output(channel: Channel) -> bytes:
    found = bytearray()
    try:
        while block := await channel.some():
            found += block
            if len(found) > _MOST_OUTPUT:
                raise LoaderError(Failure.TOO_LARGE, "A picture has more text than can be.")
    except ConnectionError:
        return b""
    return bytes(found)


async def _feed(channel: Channel, job: socket.socket, pixels: Pixels | None) -> None:
    if pixels is not None:
        await pixels.feed(channel)
    try:
        job.shutdown(socket.SHUT_WR)
    except OSError:
        return  # it has ended


def _ended(status: int, seconds: int) -> LoaderError:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGXCPU:
        return LoaderError(Failure.TIMEOUT, f"Reading a picture took more than {seconds} seconds of CPU time.")
    if number in (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV):
        return LoaderError(Failure.MEMORY, "Reading a picture needs more memory than tesseract may use.")
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == NOT_RUN:
        return LoaderError(Failure.OCR_UNAVAILABLE, "Tesseract is there, but cannot be run.")
    return LoaderError(Failure.CRASHED, "Tesseract failed on a picture.")
