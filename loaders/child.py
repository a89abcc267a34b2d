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

LENGTH = struct.Struct("!I")
"""Before a request: its length in bytes."""


def main(channel: int) -> int:
    """Serves the one request on the file descriptor `channel`; the exit code of the process."""
    isolation.die_with(os.getppid())
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    request = json.loads(_read(channel, LENGTH.unpack(_read(channel, LENGTH.size))[0]))
    isolation.bound(memory_bytes=request["memory_bytes"], cpu_seconds=request["cpu_seconds"])
    isolation.cut_network()
    try:
        answer = _answer(request)
    except LoaderError as error:
        answer = _failure(error.failure, error.message)
    except MemoryError:
        answer = _failure(Failure.MEMORY, "The file needs more memory than a parser may use.")
    except RecursionError:
        answer = _failure(Failure.CORRUPT, "The file is nested too deeply.")
    _write(channel, answer)
    return 0


def _answer(request: dict[str, Any]) -> bytes:
    source = Source(Path(request["path"]), request["name"], request["mime"])
    chosen = canonical(request["loader"])
    if chosen == DETECT:
        chosen = detect.detect(source)
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


def _read(channel: int, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        block = os.read(channel, length - len(data))
        if not block:
            os._exit(72)  # the other side has gone
        data += block
    return bytes(data)


def _write(channel: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(channel, view) :]
