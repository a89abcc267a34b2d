"""Loads a file in a process of its own that can be killed, with bounded memory, time and output and no network.

A helper (`loaders.nursery`) imports the loaders once; each file costs a fork from it, some milliseconds. What holds:

- memory (Linux), CPU and wall time, open files, output bytes, no file writing, no core files: limits of the kernel or
  of this side, everywhere but for memory on macOS;
- no network: a kernel filter on Linux, see `isolation.cut_network` for what holds elsewhere;
- the helper's environment has none of this process's variables but the search paths;
- children end when they are done, when the awaiting task is cancelled, and when this process or the helper dies,
  in whatever way.

It does not hide files: a child reads what its user may read, so a service should have a user of its own.
"""

import asyncio
import json
import math
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from langchain_core.documents import Document

from loaders import LOADERS
from loaders.base import Failure, LoaderError, Source
from loaders.channels import Channel, report
from loaders.child import LENGTH, PICTURE, PICTURE_MARK
from loaders.forks import Forks, HelperFailed
from loaders.tesseract import PROGRAM, Ocr, Tesseract, Turn
from loaders.unicode import clean

_PRELOADED = (
    "loaders.child", "loaders.program", "charset_normalizer", "bs4.builder._lxml", "docx", "encodings.idna",
    "PIL.ImageFont", "PIL.PngImagePlugin", "PIL.JpegImagePlugin", "PIL.TiffImagePlugin", "PIL.WebPImagePlugin",
    "PIL.GifImagePlugin", "PIL.BmpImagePlugin", "PIL.PpmImagePlugin", "email.parser", "olefile", "pptx",
    "python_calamine", "striprtf.striprtf", "xlrd",
)  # fmt: skip
PARSER = "+"
"""The role of a child that reads a file."""

_SCALARS = (str, int, float, bool, type(None))
_SMALL_ANSWER = 1 << 20
_NEAR_LIMIT = 1 / 3
"""Of the memory limit: a buffer that grows asks for twice what it has, so that no more may be in use when that is
refused."""
_LONGEST_MESSAGE = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost: memory beyond the idle parser's, CPU and wall time, bytes of text and metadata."""

    memory_bytes: int = 512 * 1024 * 1024
    cpu_seconds: int = 120
    wall_seconds: float = 180.0
    output_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """The documents of a file, in order, the row of `LOADERS` that made them, and the resident bytes that it took."""

    documents: tuple[Document, ...]
    loader: str
    peak_bytes: int = 0


class Sandbox:
    """Loads files in child processes, any number at once; the caller bounds how many.

    Starts its helper on the first `load`, and again should it have died. Use as an async context manager, or `close`
    it. One event loop only.
    """

    def __init__(self, limits: Limits | None = None, ocr: Ocr | None = None) -> None:
        """Without `ocr` no picture is read."""
        self._limits = limits or Limits()
        self._tesseract = None if ocr is None else Tesseract(ocr, self._fork)
        modules = {row.target.partition(":")[0] for row in LOADERS.values()}
        self._forks = Forks([*_PRELOADED, *sorted(modules)], {PARSER: "loaders.child", PROGRAM: "loaders.program"})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def load(
        self,
        source: Source,
        loader: str | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        limits: Limits | None = None,
    ) -> Loaded:
        """The documents of `source`, by `loader` (one of our names or Flowise's) or by what `detect` finds.

        `options` are the loader's, JSON values; `ocrLanguages` among them (`eng+deu`, or a list) are those of pictures.
        `limits` replace the sandbox's own for this file; wall time stands still while tesseract reads a picture of it.
        Cancelling kills the child.

        Raises `LoaderError`: the loader's failure, or TIMEOUT, MEMORY, CRASHED, TOO_LARGE when a limit was hit.
        """
        limits = limits or self._limits
        request = json.dumps(
            {
                "path": str(source.path.absolute()),
                "name": source.name,
                "mime": source.mime,
                "loader": loader,
                "options": dict(options or {}),
                "memory_bytes": limits.memory_bytes,
                "cpu_seconds": limits.cpu_seconds,
                "output_bytes": limits.output_bytes,
                "ocr_pixels": self._tesseract.settings.pixels if self._tesseract and self._tesseract.path else None,
            }
        ).encode()
        turn = Turn(self._tesseract, _languages(options)) if self._tesseract else None
        job, watch = await self._fork()
        try:
            async with asyncio.timeout(limits.wall_seconds) as clock:
                answer = await _exchange(job, request, limits.output_bytes, turn, clock)
                status, peak = await report(watch)
        except TimeoutError:
            raise LoaderError(
                Failure.TIMEOUT, f"Reading the file took longer than {limits.wall_seconds:g} seconds."
            ) from None
        finally:
            job.close()
            watch.close()  # which kills a child that still runs
        if status != 0:
            raise _ended(status, peak, limits)
        if len(answer) > _SMALL_ANSWER:
            return await asyncio.to_thread(_loaded, answer, peak)
        return _loaded(answer, peak)

    async def close(self) -> None:
        """Ends the helper and every child. Safe to call twice; a later `load` starts anew."""
        await self._forks.close()

    @property
    def helper(self) -> int | None:
        """The helper's process id; None while it is not up."""
        return self._forks.helper

    async def _fork(self, role: str = PARSER) -> tuple[socket.socket, socket.socket]:
        """Our ends of a new child's sockets: for the job, and to watch it."""
        try:
            return await self._forks.fork(role)
        except HelperFailed:
            raise LoaderError(Failure.CRASHED, "The helper that starts parsers did not come up.") from None


def _languages(options: Mapping[str, Any] | None) -> str:
    wanted = (options or {}).get("ocrLanguages") or ""
    return "+".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)


async def _exchange(job: socket.socket, request: bytes, most: int, turn: Turn | None, clock: asyncio.Timeout) -> bytes:
    """Sends the request, has pictures read that come first, and reads the answer to its end."""
    answer = bytearray()
    channel = Channel(job)
    try:
        await channel.send(LENGTH.pack(len(request)) + request)
        if turn is not None:
            while (mark := await channel.some(1)) == PICTURE_MARK:
                await turn.answer(channel, mark + await channel.exactly(PICTURE.size - 1), clock)
            answer += mark
        while block := await channel.some():
            answer += block
            if len(answer) > most + 4096:
                raise LoaderError(Failure.TOO_LARGE, f"The file's text is larger than the limit of {most} bytes.")
    except ConnectionError:
        return b""  # the child has died; its report says how
    return bytes(answer)


def _ended(status: int, peak: int, limits: Limits) -> LoaderError:
    """Why a child that gave no answer has ended."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGXCPU:
        return LoaderError(
            Failure.TIMEOUT, f"Reading the file took more than {limits.cpu_seconds} seconds of CPU time."
        )
    # Native parsers do not survive a refused allocation, and the kernel's own killer sends SIGKILL.
    if number == signal.SIGKILL or (number and peak > limits.memory_bytes * _NEAR_LIMIT):
        return LoaderError(Failure.MEMORY, "The file needs more memory than a parser may use.")
    how = signal.Signals(number).name if number else f"exit code {os.waitstatus_to_exitcode(status)}"
    return LoaderError(Failure.CRASHED, f"The parser crashed on this file ({how}).")


def _loaded(answer: bytes, peak: int) -> Loaded:
    """The answer of a child, checked as the untrusted input it is."""
    try:
        made = json.loads(answer)
        if "failure" in made:
            raise LoaderError(Failure(made["failure"]), clean(str(made["message"]))[:_LONGEST_MESSAGE])
        name = made["loader"]
        documents = tuple(_document(text, metadata) for text, metadata in made["documents"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LoaderError(Failure.CRASHED, "The parser gave an answer that cannot be read.") from error
    if name not in LOADERS or not documents:
        raise LoaderError(Failure.CRASHED, "The parser gave an answer that cannot be right.")
    return Loaded(documents, name, peak)


def _document(text: Any, metadata: Any) -> Document:
    if not isinstance(text, str) or not isinstance(metadata, dict):
        raise TypeError("a document is a text and its metadata")
    if not all(isinstance(value, _SCALARS) for value in metadata.values()):
        raise TypeError("metadata values are scalars")
    if not all(math.isfinite(value) for value in metadata.values() if isinstance(value, float)):
        raise ValueError("numbers are finite")
    for value in (text, *(value for value in metadata.values() if isinstance(value, str))):
        value.encode()  # a lone surrogate is a ValueError
        if "\0" in value:
            raise ValueError("text has no NUL")
    return Document(page_content=text, metadata=metadata)
