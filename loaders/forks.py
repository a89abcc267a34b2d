"""Single-use child processes, forked from a helper that has imported what they need: some milliseconds each.

`loaders.nursery` is the helper. Its environment has none of this process's variables but the search paths; children end
when they are done, when the one who watches them closes, and when this process or the helper dies, in whatever way.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TESSDATA_PREFIX")
_START_SECONDS = 60.0


class HelperFailed(Exception):
    """The helper that children are forked from did not come up."""


class Forks:
    """Starts the helper with the first child, and again should it have died. One event loop only; close it."""

    def __init__(self, preloaded: Sequence[str], roles: Mapping[str, str]) -> None:
        """`preloaded`: modules that the helper imports, once, and functions (`module:function`) that it calls; `roles`:
        by one ASCII character, the modules that children may be for: its `main` is given the job socket's file
        descriptor in the child, and gives its exit code."""
        self._preloaded = list(preloaded)
        self._roles = dict(roles)
        self._starting = asyncio.Lock()
        self._started: asyncio.Task[tuple[subprocess.Popen[bytes], socket.socket]] | None = None

    @property
    def helper(self) -> int | None:
        """The helper's process id; None while it is not up."""
        if self._started is None or not self._started.done() or self._started.exception() is not None:
            return None
        return self._started.result()[0].pid

    async def fork(self, role: str) -> tuple[socket.socket, socket.socket]:
        """Our ends of a new child's sockets: for the job, and to watch it (`channels.report`); closing the second kills
        the child. Raises `HelperFailed`."""
        for attempt in (1, 2):
            control = await self._control()
            job, child_job = socket.socketpair()
            watch, child_watch = socket.socketpair()
            with child_job, child_watch:
                try:
                    socket.send_fds(control, [role.encode()], [child_job.fileno(), child_watch.fileno()])
                except OSError as error:
                    job.close()
                    watch.close()
                    if attempt == 2 or not isinstance(error, ConnectionError):
                        raise
                    await self._drop(control)
                    continue  # the helper has died, the next round starts another
            job.setblocking(False)
            watch.setblocking(False)
            return job, watch
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Ends the helper and every child. Safe to call twice; a later `fork` starts anew."""
        async with self._starting:
            await self._stop()

    async def _stop(self) -> None:
        started, self._started = self._started, None
        if started is None:
            return
        try:
            process, control = await started
        except (HelperFailed, OSError):
            return  # it never came up
        control.close()
        await asyncio.to_thread(_wait, process)

    async def _drop(self, control: socket.socket) -> None:
        """Stops the helper behind a socket that it has closed, which it does a moment before it ends."""
        async with self._starting:
            if self.helper is not None and self._started is not None and self._started.result()[1] is control:
                await self._stop()

    async def _control(self) -> socket.socket:
        """The socket to a running helper."""
        async with self._starting:
            if self._started is not None and self._started.done():
                failed = self._started.exception() is not None
                if failed or self._started.result()[0].poll() is not None:
                    await self._stop()
            if self._started is None:
                self._started = asyncio.create_task(asyncio.to_thread(_start, self._preloaded, self._roles))
            # A cancelled caller leaves the start to the next one, or to `close`.
            return (await asyncio.shield(self._started))[1]


def _start(preloaded: list[str], roles: dict[str, str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Starts the helper and waits until it has imported what children need."""
    ours, theirs = socket.socketpair()
    room = str(Path(__file__).resolve().parent.parent)
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (room, os.environ.get("PYTHONPATH", ""))))
    arguments = [str(theirs.fileno()), json.dumps(preloaded), json.dumps(roles)]
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "loaders.nursery", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            pass_fds=(theirs.fileno(),),
        )
    ours.settimeout(_START_SECONDS)
    try:
        ready = ours.recv(1)
    except OSError:  # a timeout among them
        ready = b""
    if ready != b"!":
        ours.close()
        process.kill()
        process.wait()
        raise HelperFailed
    ours.settimeout(None)
    return process, ours


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Waits for a helper whose control socket is closed; it ends at once or is killed."""
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
