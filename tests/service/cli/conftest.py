"""A service as `ragstone up` runs it: real processes on a data folder of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.cli.folder import Running, running

PATIENCE = 90.0
"""Seconds until something must have happened; on a slow machine a start takes a while."""


def environment(**more: str) -> dict[str, str]:
    """Ours without RAGSTONE_*, so that a developer's settings change no test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAGSTONE_")} | more


def ragstone(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """One command line, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(**environ),
        check=False,
        timeout=PATIENCE,
    )


@dataclass(slots=True)
class Up:
    """A running `ragstone up`: its process, its data folder, the line it printed."""

    process: subprocess.Popen[str]
    data: Path
    line: str

    @property
    def note(self) -> Running:
        """What it says of itself in the data folder."""
        note = running(self.data)
        assert note is not None
        return note

    def pids(self) -> list[int]:
        """Its processes."""
        note = self.note
        return [pid for pid in (note.pid, note.api, note.worker, note.postgres) if pid is not None]


def alive(pid: int) -> bool:
    """True while a process has this number and is no zombie."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def eventually(what: Callable[[], Any]) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := what()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return answer


@contextmanager
def up(data: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Up]:
    """Start a service and wait for its Ready line; it is ended afterwards, should it still run."""
    data.parent.mkdir(parents=True, exist_ok=True)
    with (data.parent / f"{data.name}.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "up", "--data", str(data), "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment(**(environ or {})),
        )
    assert process.stdout is not None
    with process:
        try:
            line = process.stdout.readline()
            assert line, (data.parent / f"{data.name}.log").read_text()
            yield Up(process, data, line)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A service that the tests of this folder share; tests that harm one start their own."""
    with up(tmp_path_factory.mktemp("shared") / "data") as started:
        yield started


@pytest.fixture(autouse=True)
def settings_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that are run in this process see no RAGSTONE_* either."""
    for name in os.environ:
        if name.startswith("RAGSTONE_"):
            monkeypatch.delenv(name)
