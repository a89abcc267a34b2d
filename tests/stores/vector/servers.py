"""Servers that tests start for themselves."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from service.cli.parts import LIFELINE
from tests.ports import held_ports


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a Chroma server of this session's own, as `chroma run` starts it. It ends with the session, also
    when pytest is killed."""
    if not _program().exists():
        pytest.skip("the Chroma server is not installed: pip install 'ragstone[chroma]'")
    with running_chroma(tmp_path_factory.mktemp("chroma")) as place:
        yield place


@contextmanager
def running_chroma(folder: Path) -> Iterator[str]:
    """A Chroma server on this folder: its host and port. A guard ends it when this process is gone, however it went."""
    with held_ports(1) as (port,):
        yield from _running(folder, port)


def _running(folder: Path, port: int) -> Iterator[str]:
    alive, lifeline = os.pipe()
    program = [str(_program()), "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "service.cli.guard", str(folder), *program]
    try:
        with subprocess.Popen(
            command,
            env={**os.environ, LIFELINE: str(alive)},
            pass_fds=(alive,),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as guard:
            try:
                _wait_for(port, guard)
                yield f"127.0.0.1:{port}"
            finally:
                guard.terminate()
    finally:
        os.close(alive)
        os.close(lifeline)


def _program() -> Path:
    return Path(sys.executable).with_name("chroma")


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        assert server.poll() is None, "chroma run ended by itself"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError("chroma run does not listen")
