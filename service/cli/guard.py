"""Runs a program that knows of no supervisor, and ends it with him: `python -m service.cli.guard FOLDER PROGRAM ...`.

The program holds a lock in the folder for as long as it lives, as it alone may write there. One that a killed guard
left behind is known by that lock, and ended before another is started.
"""

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from service.cli.parts import LIFELINE

LOCK = "ragstone.lock"
GRACE = 10.0
"""Seconds that the program gets to end before it is killed."""


def main(arguments: Sequence[str]) -> int:
    """Run the program until it ends, a signal comes or the lifeline is cut; returns its exit status."""
    folder, command = Path(arguments[0]), arguments[1:]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(folder / LOCK)
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writer)
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: ended.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # What it says of itself on stdout is for people who start it by hand.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(lock,))
    os.pwrite(lock, str(child.pid).encode(), 0)
    lifeline = os.environ.get(LIFELINE)
    watched = [reader, int(lifeline)] if lifeline else [reader]
    while child.poll() is None and not ended:
        readable, _, _ = select.select(watched, [], [])
        if readable != [reader]:
            break  # nobody writes to the lifeline: it is cut
        with suppress(BlockingIOError):
            os.read(reader, 4096)
    return _end(child)


def _end(child: "subprocess.Popen[bytes]") -> int:
    """End the program, if it runs; its status, 0 when it was ended by this."""
    if (status := child.poll()) is not None:
        return status if status >= 0 else 128 - status
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    return 0


def _lock(path: Path) -> int:
    """The lock, held: by a new program soon. Ends one that was left behind."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + GRACE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            left = os.pread(lock, 32, 0)
            late = time.monotonic() > deadline
            if left.isdigit():
                with suppress(ProcessLookupError):
                    os.kill(int(left), signal.SIGKILL if late else signal.SIGTERM)
            if time.monotonic() > deadline + GRACE:
                sys.exit(f"the folder {path.parent} is in use by process {left.decode('ascii', 'replace')}")
            time.sleep(0.1)
        else:
            os.truncate(lock, 0)
            return lock


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
