"""The process that single-use parser children are forked from: `python -m loaders.nursery SOCKET_FD MODULES ROLES`.

It imports the modules once, then forks a child for each pair of sockets it is handed (`loaders.forks` is the other
side), which runs `main` of the module that its role names. One thread, no work of its own: a fork from it is quick and
safe. A child's `watch` socket gets its exit status and its peak memory; when the other side closes it first, the child
and all of its process group are killed. When the control socket closes, or this process ends in any way, all children
are killed.
"""

import gc
import json
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pkgutil import resolve_name

REPORT = struct.Struct("!iQ")
"""What `watch` carries once: wait status, peak resident bytes of the child."""

JOB, WATCH = 0, 1

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Nursery:
    """Forks a child for each job and reports how it ended."""

    def __init__(self, control: socket.socket, roles: Mapping[bytes, str]) -> None:
        """`roles`: what a child is for, by the byte that asks for it."""
        self._control = control
        self._roles = roles
        self._children: dict[int, socket.socket | None] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()

    def run(self) -> None:
        """Serves until the control socket closes."""
        self._wake.setblocking(False)
        self._waker.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is self._control:
                        if not self._accept():
                            return
                    elif key.fileobj is self._wake:
                        self._wake.recv(4096)
                        self._reap()
                    elif self._children.get(key.data) is key.fileobj:  # else it has been reaped in this round
                        self._kill(key.data)
        finally:
            for pid in list(self._children):
                self._kill(pid)

    def _accept(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self._control, 1, 2)
        if message not in self._roles or len(fds) != 2:
            return False
        job, watch = socket.socket(fileno=fds[JOB]), socket.socket(fileno=fds[WATCH])
        pid = os.fork()
        if pid == 0:
            self._child(job.detach(), self._roles[message])
        job.close()
        self._children[pid] = watch
        self._selector.register(watch, selectors.EVENT_READ, pid)
        return True

    def _child(self, job: int, role: str) -> None:
        """Never returns."""
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            os.dup2(job, 3)
            os.closerange(4, max(job, os.sysconf("SC_OPEN_MAX")) + 1)
            code = import_module(role).main(3)
        finally:
            error = sys.exc_info()[1]
            if error is not None and not isinstance(error, SystemExit):
                sys.excepthook(type(error), error, error.__traceback__)
                sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        while self._children:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            self._signal(os.killpg, pid)  # what the child may have left behind
            watch = self._children.pop(pid)
            if watch is None:
                continue
            self._selector.unregister(watch)
            with suppress(OSError):  # nobody may be waiting for this child any more
                watch.send(REPORT.pack(status, usage.ru_maxrss * _RSS_UNIT))
            watch.close()

    def _kill(self, pid: int) -> None:
        watch = self._children[pid]
        if watch is not None:
            self._selector.unregister(watch)
            watch.close()
            self._children[pid] = None
        self._signal(os.killpg, pid)  # fails while the child has not made its group yet
        self._signal(os.kill, pid)

    @staticmethod
    def _signal(send: Callable[[int, int], None], pid: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            send(pid, signal.SIGKILL)


def main() -> None:
    """Imports what children need, says so with one byte, serves."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    for name in json.loads(sys.argv[2]):
        found = resolve_name(name)
        if ":" in name:
            found()
    gc.collect()
    gc.freeze()
    control.send(b"!")
    Nursery(control, {sign.encode(): name for sign, name in json.loads(sys.argv[3]).items()}).run()


if __name__ == "__main__":
    main()
