"""A service of a command's own: `ragstone up` on a folder, until the command has done its work.

It ends with the command however that ends: in order, or by its lifeline when the command is killed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from service.cli.client import Client, connect_here
from service.cli.exits import CommandError, Exit, InUse, UsageProblem
from service.cli.parts import LIFELINE
from service.cli.supervisor import GRACE

LOG = "up.log"
SHOWN_LINES = 10
_KINDS = {Exit.IN_USE: InUse, Exit.USAGE: UsageProblem}


@contextmanager
def own_service(data: Path | None) -> Iterator[Client]:
    """A service on this folder, or on one that is removed afterwards, and a client for it. The settings are those of
    the environment.

    Raises `InUse` for a folder on which another service runs, `UsageProblem` for settings that cannot be used,
    `CommandError` when it does not start.
    """
    with ExitStack() as stack:
        if data is None:
            data = Path(tempfile.mkdtemp(prefix="ragstone-"))
            stack.callback(shutil.rmtree, data, ignore_errors=True)
        logs = Path(tempfile.mkdtemp(prefix="ragstone-log-"))
        stack.callback(shutil.rmtree, logs, ignore_errors=True)
        stack.enter_context(_started(data.absolute(), logs / LOG))
        yield stack.enter_context(connect_here(data.absolute()))


@contextmanager
def _started(data: Path, log: Path) -> Iterator[None]:
    alive, lifeline = os.pipe()
    try:
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "service.cli", "up", "--data", str(data), "--port", "0", "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stream,
                env={**os.environ, LIFELINE: str(alive)},
                pass_fds=(alive,),
                start_new_session=True,  # Ctrl-C reaches the command, which ends this in order
            )
        try:
            _await_ready(process, log)
            yield
        finally:
            _end(process)
    finally:
        os.close(lifeline)
        os.close(alive)


def _await_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait for its line. The service gives up by itself when it does not get ready in time."""
    assert process.stdout is not None
    line = process.stdout.readline()
    with suppress(ValueError):
        if json.loads(line)["ready"]:
            return
    code = process.wait()
    said = log.read_text("utf-8", "replace").strip().splitlines()
    known = _KINDS.get(Exit(code)) if code in set(Exit) else None
    if known is not None and said:
        raise known(said[-1].removeprefix("ragstone: "))
    raise CommandError("\n".join(["the service did not start; it said", *said[-SHOWN_LINES:]]))


def _end(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(2 * GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
