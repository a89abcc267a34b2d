"""The single-use process that runs one script: it makes an isolate, gives up all else, reads the script, answers, ends.

Frames go both ways over one socket: their length in four bytes, then JSON. In: the request, then answers to calls. Out:
calls to other hosts, which the service makes, and the result. What comes out is not trusted.
"""

import asyncio
import ctypes
import json
import os
import resource
import socket
import struct
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import py_mini_racer
from py_mini_racer import JSFunction, JSPromise

from loaders import isolation

LENGTH = struct.Struct("!I")
"""Before each frame: its length in bytes."""

FLAGS = ("--single-threaded", "--jitless")
"""Of V8: no compiler, and so no memory that is both written and run, and no WebAssembly."""

_RESERVE = 24 * 1024 * 1024
"""Bytes beyond those of scripts that are left to this process itself."""


def preload() -> None:
    """Map V8's library, so that forked children need not."""
    ctypes.CDLL(str(files("py_mini_racer") / "libmini_racer.so"))


def main(channel: int) -> int:
    """Serves the one request on the file descriptor `channel`; the exit code of the process."""
    isolation.die_with(os.getppid())
    sys.dont_write_bytecode = True
    quiet = os.open(os.devnull, os.O_RDWR)
    for target in (0, 1, 2):
        os.dup2(quiet, target)
    with socket.socket(fileno=channel) as sock:
        settings = json.loads(_receive(sock))
        heap = max(16, settings["memory_bytes"] >> 20)
        py_mini_racer.init_mini_racer(flags=(*FLAGS, f"--max-old-space-size={heap}"))
        sock.setblocking(False)
        asyncio.run(_serve(sock, settings))
    return 0


def _receive(sock: socket.socket) -> bytes:
    length = LENGTH.unpack(_exactly(sock, LENGTH.size))[0]
    return _exactly(sock, length)


def _exactly(sock: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        block = sock.recv(length - len(data))
        if not block:
            os._exit(72)
        data += block
    return bytes(data)


async def _serve(sock: socket.socket, settings: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    wire = _Wire(sock)
    with py_mini_racer.mini_racer() as isolate:
        prelude = (Path(__file__).parent / "prelude.js").read_text("utf-8")
        setup = cast("JSFunction", isolate.eval(prelude))
        async with isolate.wrap_py_function(cast("Callable[..., Any]", wire.call)) as bridge:
            run = cast("JSFunction", setup(bridge))
            _confine(settings)
            request = json.loads(await wire.read())
            reading = loop.create_task(wire.answers())
            made = await cast("JSPromise", run(request["values"], request["code"]))
            await wire.write(json.dumps({"result": made if isinstance(made, str) else "null"}).encode())
            reading.cancel()
            os._exit(0)  # taking the isolate apart costs time, and the script may have left work behind


def _confine(settings: dict[str, Any]) -> None:
    """For good: memory, CPU time, and all ways out of this process but the socket."""
    memory = int(settings["memory_bytes"])
    isolation.bound(memory_bytes=memory + _RESERVE, cpu_seconds=int(settings["cpu_seconds"]))
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text("ascii", errors="replace")
        held = int(status.partition("VmData:")[2].split()[0]) * 1024
        # V8 reserves its address space beforehand and only then puts it to use: what counts is what can be written
        resource.setrlimit(resource.RLIMIT_DATA, (held + memory + _RESERVE,) * 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    if not isolation.only_compute():
        isolation.cut_network()


class _Wire:
    """Frames over the socket, and the calls that wait for their answers."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waiting: dict[int, asyncio.Future[str]] = {}
        self._writing = asyncio.Lock()
        self._calls = 0

    async def call(self, request: object) -> str:
        """Have the service make a call; its answer as JSON."""
        self._calls += 1
        number = self._calls
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        await self.write(json.dumps({"call": number, "request": str(request)}).encode())
        return str(await future)

    async def answers(self) -> None:
        """Hand answers to whom they are for, for ever."""
        while True:
            number, _, answer = (await self.read()).partition(b" ")
            if (future := self._waiting.pop(int(number), None)) is not None:
                future.set_result(answer.decode())

    async def read(self) -> bytes:
        """The next frame; ends the process when the other side has gone."""
        return await self._exactly(LENGTH.unpack(await self._exactly(LENGTH.size))[0])

    async def write(self, data: bytes) -> None:
        """A frame."""
        async with self._writing:
            await asyncio.get_running_loop().sock_sendall(self._sock, LENGTH.pack(len(data)) + data)

    async def _exactly(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            block = await asyncio.get_running_loop().sock_recv(self._sock, length - len(data))
            if not block:
                os._exit(72)
            data += block
        return bytes(data)
