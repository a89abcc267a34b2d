"""The single-use process that loads one file: it reads a request, binds itself, answers in JSON, ends.

Request and answer are JSON, never pickle: what comes out of a parser is not trusted.
"""

import json
import os
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

from loaders import DETECT, canonical, detect, isolation, loader
from loaders.base import Failure, LoaderError, Source
from loaders.ocr import Picture

LENGTH = struct.Struct("!I")
"""Before a request: its length in bytes."""

PICTURE = struct.Struct("!BIII")
"""Before the pixels of a picture that is to be read: `PICTURE_MARK`, width, height, dpi. The reply is JSON behind its
length; an answer never begins with the mark."""

PICTURE_MARK = b"\x01"

_NO_MEMORY = "The file needs more memory than a parser may use."


class ChannelReader:
    """Has pictures read on the other side of the channel."""

    def __init__(self, channel: int, most_pixels: int) -> None:
        self._channel = channel
        self.most_pixels = most_pixels

    def read(self, picture: Picture) -> str:
        """The table of words. Raises `LoaderError`."""
        head = PICTURE.pack(PICTURE_MARK[0], picture.width, picture.height, picture.dpi)
        _write(self._channel, head)
        _write(self._channel, picture.grey)
        reply = json.loads(read_exactly(self._channel, LENGTH.unpack(read_exactly(self._channel, LENGTH.size))[0]))
        if "failure" in reply:
            raise LoaderError(Failure(reply["failure"]), reply["message"])
        return str(reply["table"])


def main(channel: int) -> int:
    """Serves the one request on the file descriptor `channel`; the exit code of the process."""
    isolation.die_with(os.getppid())
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    request = json.loads(read_exactly(channel, LENGTH.unpack(read_exactly(channel, LENGTH.size))[0]))
    isolation.bound(memory_bytes=request["memory_bytes"], cpu_seconds=request["cpu_seconds"])
    isolation.cut_network()
    try:
        answer = _answer(request, channel)
    except LoaderError as error:
        # Native parsers tell a refused allocation as damage of the file.
        starved = error.failure is Failure.CORRUPT and isolation.is_starved()
        answer = _failure(Failure.MEMORY, _NO_MEMORY) if starved else _failure(error.failure, error.message)
    except MemoryError:
        answer = _failure(Failure.MEMORY, _NO_MEMORY)
    except RecursionError:
        answer = _failure(Failure.CORRUPT, "The file is nested too deeply.")
    _write(channel, answer)
    return 0


def _answer(request: dict[str, Any], channel: int) -> bytes:
    pixels = request["ocr_pixels"]
    reader = None if pixels is None else ChannelReader(channel, pixels)
    source = Source(Path(request["path"]), request["name"], request["mime"], ocr=reader)
    chosen = canonical(request["loader"])
    if chosen == DETECT:
        return _loaded(source, detect.detect(source), request)
    try:
        return _loaded(source, chosen, request)
    except LoaderError as error:
        if isolation.is_starved():
            raise
        raise detect.misfit(source, chosen, error) from error


def _loaded(source: Source, chosen: str, request: dict[str, Any]) -> bytes:
    left = int(request["output_bytes"])
    parts: list[bytes] = []
    for made in loader(chosen).load(source, request["options"]):
        part = json.dumps([made.page_content, made.metadata], ensure_ascii=False).encode()
        left -= len(part) + 1
        if left < 0:
            raise LoaderError(
                Failure.TOO_LARGE, f"The file's text is larger than the limit of {request['output_bytes']} bytes."
            )
        parts.append(part)
    return b'{"loader":' + json.dumps(chosen).encode() + b',"documents":[' + b",".join(parts) + b"]}"


def _failure(failure: Failure, message: str) -> bytes:
    return json.dumps({"failure": failure.value, "message": message}).encode()


def read_exactly(channel: int, length: int) -> bytes:
    """The next `length` bytes of the channel; ends the process when the other side has gone."""
    data = bytearray()
    while len(data) < length:
        block = os.read(channel, length - len(data))
        if not block:
            os._exit(72)
        data += block
    return bytes(data)


def _write(channel: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(channel, view) :]
