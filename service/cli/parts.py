"""The processes of `ragstone up`: started, restarted when they die, ended together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

LIFELINE = "RAGSTONE_LIFELINE"
"""Names the descriptor of a pipe that ends with the supervisor: how a part learns that it was left alone."""

SETTLED = 60.0
"""Seconds after which a part counts as settled: its next death is a first one again."""

MAX_DEATHS = 5
"""Deaths in a row that are answered with a restart."""

_LONGEST_PAUSE = 15.0


class Part:
    """One child process, by its command `ragstone VERB ...`, and what happened to it so far."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        fds: Sequence[int],
        *,
        module: str = "service.cli",
    ) -> None:
        """`name` is how people call it; `fds` are inherited, the first of them is the lifeline; `module` is what Python
        runs with the arguments."""
        self.name = name
        self.deaths = 0
        self._arguments = (module, *arguments)
        self._environ = {**environ, LIFELINE: str(fds[0])}
        self._fds = tuple(fds)
        self._child: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._due: float | None = None

    @property
    def pid(self) -> int | None:
        """Process id; None while it does not run."""
        return self._child.pid if self._child is not None else None

    def start(self) -> None:
        """Start the process. Its stdout goes to our stderr; Ctrl-C reaches us alone, who end it in order."""
        self._started, self._due = time.monotonic(), None
        self._child = subprocess.Popen(
            [sys.executable, "-m", *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            env=self._environ,
            pass_fds=self._fds,
            start_new_session=True,
        )

    def look(self) -> int | None:
        """Note a death: its status once (a negative one is a signal), else None. The next start gets its time."""
        if self._child is None or (status := self._child.poll()) is None:
            return None
        self._child = None
        now = time.monotonic()
        self.deaths = 1 if now - self._started > SETTLED else self.deaths + 1
        self._due = now + min(_LONGEST_PAUSE, 0.25 * 2 ** (self.deaths - 1))
        return status

    @property
    def pause(self) -> float | None:
        """Seconds until the restart is due; None when it runs."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal, if it runs."""
        if self._child is not None:
            self._child.send_signal(number)

    def wait(self, deadline: float) -> bool:
        """Wait for its end until `deadline` (monotonic); False when it still runs."""
        if self._child is None:
            return True
        try:
            self._child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        self._child = None
        return True


def follow_lifeline(patience: float = 4.0) -> bool:
    """In a part: end when the supervisor is gone, however it went, within `patience` seconds. Does nothing without a
    supervisor. Whether there is one."""
    descriptor = os.environ.pop(LIFELINE, "")
    if not descriptor:
        return False
    import threading

    def watch() -> None:
        os.read(int(descriptor), 1)  # nobody writes: this returns when the other end closes
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(patience)
        os._exit(1)

    os.set_inheritable(int(descriptor), False)
    threading.Thread(target=watch, name="lifeline", daemon=True).start()
    return True


def give_way(niceness: int) -> None:
    """In a part: let others have the processors first, in the steps of `nice`; what it starts does so too."""
    if niceness <= 0:
        return
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        # Linux shares time among sessions first, and this process is a session of its own: its niceness counts here.
        with suppress(OSError):  # another system, or this is switched off
            Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")
