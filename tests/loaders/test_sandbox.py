import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from loaders import nursery, sandbox
from loaders.base import Failure, LoaderError, Source
from loaders.isolation import NetworkCut
from loaders.sandbox import Limits, Loaded, Sandbox

HOSTILE = """
import ctypes, os, signal, socket, subprocess, time
from pathlib import Path
from langchain_core.documents import Document
from loaders.base import Loader

class HostileLoader(Loader):
    def load(self, source, options):
        yield Document(page_content=str(getattr(self, options["do"])(source)), metadata={"source": source.name})
    def pid(self, source):
        return os.getpid()
    def sleep(self, source):
        source.path.with_suffix(".pid").exists()
        time.sleep(600)
    def spin(self, source):
        while True: pass
    def grow(self, source):
        return len(bytearray(1 << 40))
    def grow_natively(self, source):
        data = []
        while True: data.append(b"x" * (1 << 20))
    def crash(self, source):
        ctypes.string_at(0)
    def abort(self, source):
        os.abort()
    def leave(self, source):
        os._exit(3)
    def bug(self, source):
        raise ZeroDivisionError("a bug")
    def deep(self, source):
        return self.deep(source)
    def large(self, source):
        return "x" * 10_000_000
    def write(self, source):
        try:
            source.path.with_suffix(".out").write_bytes(b"x" * 10)
        except OSError as error:
            return error.strerror
    def connect(self, source):
        try:
            socket.create_connection(("127.0.0.1", int(source.path.read_text())), 5)
        except OSError as error:
            return type(error).__name__
        return "connected"
    def program(self, source):
        try:
            return subprocess.run(["/bin/echo", "hello"], capture_output=True).returncode
        except OSError as error:
            return type(error).__name__
    def environment(self, source):
        return sorted(os.environ)
    def files(self, source):
        return sorted(os.listdir("/proc/self/fd"))
    def lie(self, source):
        os.write(3, b"this is not json")
        os._exit(0)
    def lie_well(self, source):
        os.write(3, b'{"loader":"text","documents":[["a\\\\ud800",{}]]}')
        os._exit(0)
    def lie_in_numbers(self, source):
        os.write(3, b'{"loader":"text","documents":[["a",{"page":NaN}]]}')
        os._exit(0)
    def flood(self, source):
        while True: os.write(3, b"x" * 65536)
    def offspring(self, source):
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
        return pid
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of the Linux kernel")


@pytest.fixture
async def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """A sandbox whose `text` loader does what the option `do` says."""
    (tmp_path / "hostile.py").write_text(HOSTILE)
    (tmp_path / "sitecustomize.py").write_text(
        "from types import MappingProxyType\nimport loaders\n"
        "row = loaders.LoaderRow('hostile:HostileLoader', 'x', ('.x',), ())\n"
        "loaders.LOADERS = MappingProxyType({**loaders.LOADERS, 'text': row})\n"
    )
    room = str(Path(sandbox.__file__).parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), room]))
    (tmp_path / "file").write_text("x")
    async with Sandbox(Limits(memory_bytes=200 << 20, cpu_seconds=2, wall_seconds=30)) as made:
        yield made


async def do(made: Sandbox, tmp_path: Path, what: str, limits: Limits | None = None) -> str:
    loaded = await made.load(Source(tmp_path / "file", "file"), "text", {"do": what}, limits=limits)
    return loaded.documents[0].page_content


async def failure(made: Sandbox, tmp_path: Path, what: str, limits: Limits | None = None) -> Failure:
    with pytest.raises(LoaderError) as caught:
        await do(made, tmp_path, what, limits)
    return caught.value.failure


def runs(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until_gone(pid: int) -> None:
    def wait() -> None:
        while runs(pid):
            time.sleep(0.01)

    await asyncio.to_thread(wait)


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


async def first_child(pid: int) -> int:
    def wait() -> int:
        while not (found := children(pid)):
            time.sleep(0.01)
        return found[0]

    return await asyncio.to_thread(wait)


@LINUX
@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("spin", Failure.TIMEOUT),
        ("grow", Failure.MEMORY),
        ("grow_natively", Failure.MEMORY),
        ("crash", Failure.CRASHED),
        ("abort", Failure.CRASHED),
        ("leave", Failure.CRASHED),
        ("bug", Failure.CRASHED),
        ("deep", Failure.CORRUPT),
        ("lie", Failure.CRASHED),
        ("lie_well", Failure.CRASHED),
        ("lie_in_numbers", Failure.CRASHED),
    ],
)
async def test_a_parser_that_goes_wrong_fails_alone(
    hostile: Sandbox, tmp_path: Path, what: str, expected: Failure
) -> None:
    limits = Limits(memory_bytes=200 << 20, cpu_seconds=1 if what == "spin" else 20, wall_seconds=60)
    bad, good = await asyncio.gather(failure(hostile, tmp_path, what, limits), do(hostile, tmp_path, "pid"))
    assert bad is expected
    assert int(good) != os.getpid()


async def test_a_sleeping_parser_hits_the_wall_time(hostile: Sandbox, tmp_path: Path) -> None:
    assert await failure(hostile, tmp_path, "sleep", Limits(wall_seconds=0.3)) is Failure.TIMEOUT


async def test_too_much_output_is_too_large_also_from_a_liar(hostile: Sandbox, tmp_path: Path) -> None:
    for what in ("large", "flood"):
        assert await failure(hostile, tmp_path, what, Limits(output_bytes=1 << 20)) is Failure.TOO_LARGE


async def test_every_file_has_a_process_of_its_own(hostile: Sandbox, tmp_path: Path) -> None:
    pids = await asyncio.gather(*(do(hostile, tmp_path, "pid") for _ in range(20)))
    assert len(set(pids)) == 20


@LINUX
async def test_a_child_has_no_network_no_programs_no_secrets_and_cannot_write(
    hostile: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSTONE_SECRET", "x")
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        (tmp_path / "file").write_text(str(server.sockets[0].getsockname()[1]))
        assert await do(hostile, tmp_path, "connect") == "PermissionError"
    assert await do(hostile, tmp_path, "program") == "PermissionError"
    assert "File too large" in await do(hostile, tmp_path, "write")
    assert "RAGSTONE_SECRET" not in await do(hostile, tmp_path, "environment")
    assert len(json.loads((await do(hostile, tmp_path, "files")).replace("'", '"'))) <= 5


@LINUX
async def test_cancelling_kills_the_child(hostile: Sandbox, tmp_path: Path) -> None:
    await do(hostile, tmp_path, "pid")
    assert hostile.helper is not None
    task = asyncio.create_task(do(hostile, tmp_path, "sleep"))
    child = await first_child(hostile.helper)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_gone(child)
    assert int(await do(hostile, tmp_path, "pid")) > 0


@LINUX
async def test_loads_cancelled_as_their_children_end_harm_no_other(hostile: Sandbox, tmp_path: Path, seed: int) -> None:
    clock, choice = asyncio.get_running_loop().time, random.Random(seed)
    await do(hostile, tmp_path, "pid")
    helper, began = hostile.helper, clock()
    await do(hostile, tmp_path, "pid")
    usual = clock() - began

    async def cancelled() -> None:
        await asyncio.sleep(usual * choice.random())
        with suppress(TimeoutError):
            async with asyncio.timeout(usual * choice.uniform(0.3, 2)):
                await do(hostile, tmp_path, "pid")

    for _ in range(70):
        await asyncio.gather(*(cancelled() for _ in range(4)))
    assert hostile.helper == helper


@LINUX
async def test_a_helper_that_has_hung_up_but_not_ended_is_replaced(hostile: Sandbox, tmp_path: Path) -> None:
    await do(hostile, tmp_path, "pid")
    assert hostile.helper is not None
    helper = hostile.helper
    _, control = await hostile._forks._started  # type: ignore[misc]
    control.shutdown(socket.SHUT_WR)  # as if the other side had closed it
    assert int(await do(hostile, tmp_path, "pid")) > 0
    assert hostile.helper != helper


@LINUX
async def test_what_a_child_leaves_behind_is_killed(hostile: Sandbox, tmp_path: Path) -> None:
    await until_gone(int(await do(hostile, tmp_path, "offspring")))


@LINUX
async def test_closing_kills_helper_and_children(hostile: Sandbox, tmp_path: Path) -> None:
    await do(hostile, tmp_path, "pid")
    assert hostile.helper is not None
    helper = hostile.helper
    task = asyncio.create_task(do(hostile, tmp_path, "sleep"))
    child = await first_child(helper)
    await hostile.close()
    with pytest.raises(LoaderError):
        await task
    await until_gone(child)
    await until_gone(helper)
    await hostile.close()
    assert int(await do(hostile, tmp_path, "pid")) > 0


@LINUX
async def test_a_killed_helper_takes_its_children_along_and_is_replaced(hostile: Sandbox, tmp_path: Path) -> None:
    await do(hostile, tmp_path, "pid")
    assert hostile.helper is not None
    helper = hostile.helper
    task = asyncio.create_task(do(hostile, tmp_path, "sleep"))
    child = await first_child(helper)
    os.kill(helper, signal.SIGKILL)
    with pytest.raises(LoaderError):
        await task
    await until_gone(child)
    assert int(await do(hostile, tmp_path, "pid")) > 0
    assert hostile.helper != helper


PARENT = """
import asyncio, sys
from pathlib import Path
from loaders.base import Source
from loaders.sandbox import Sandbox

async def main():
    made = Sandbox()
    first = await made.load(Source(Path(sys.argv[1]), "file"), "text", {"do": "pid"})
    print(made.helper, flush=True)
    await made.load(Source(Path(sys.argv[1]), "file"), "text", {"do": "sleep"})

asyncio.run(main())
"""


@LINUX
@pytest.mark.usefixtures("hostile")
async def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path / "file"), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    helper = int(await parent.stdout.readline())
    child = await first_child(helper)
    parent.kill()
    await parent.wait()
    await until_gone(child)
    await until_gone(helper)


async def test_cancelling_while_the_helper_starts_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("Hello.")
    async with Sandbox() as made:
        task = asyncio.create_task(made.load(Source(tmp_path / "a", "a")))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await made.load(Source(tmp_path / "a", "a"))).documents[0].page_content == "Hello."


def test_it_works_on_uvloop(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("Hello, loop.")

    async def main() -> Loaded:
        async with Sandbox() as made:
            with pytest.raises(LoaderError):
                await made.load(Source(tmp_path / "a", "a"), "pdf", limits=Limits(wall_seconds=20))
            return await made.load(Source(tmp_path / "a", "a.txt"))

    assert uvloop.run(main()).documents[0].page_content == "Hello, loop."


WITHOUT_RIGHTS = """
import asyncio, ctypes, sys
from pathlib import Path
from loaders.base import Source
from loaders.sandbox import Sandbox

for right in range(64):  # what root may do beyond others; the helper starts without
    ctypes.CDLL(None).prctl(24, right, 0, 0, 0)

async def main():
    async with Sandbox() as made:
        loaded = await made.load(Source(Path(sys.argv[1]), "file"), "text", {"do": "connect"})
        print(loaded.documents[0].page_content)

asyncio.run(main())
"""


@LINUX
@pytest.mark.usefixtures("hostile")
async def test_it_needs_no_rights(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("9")
    command = [sys.executable, "-c", WITHOUT_RIGHTS, str(tmp_path / "file")]
    told = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert told.stdout.split() == ["PermissionError"], told.stderr


@LINUX
@pytest.mark.parametrize("way", list(NetworkCut))
def test_each_way_of_cutting_the_network_cuts_it(way: NetworkCut) -> None:
    program = f"""
import ctypes, socket
from loaders import isolation
way = isolation.NetworkCut({way.value!r})
if way is not isolation.NetworkCut.FILTER:
    isolation._filter = lambda libc, programs: False
if way is isolation.NetworkCut.PYTHON:
    isolation.sys = type("sys", (), {{"platform": "elsewhere"}})
server = socket.create_server(("127.0.0.1", 0))
cut = isolation.cut_network()
try:
    socket.create_connection(server.getsockname(), 5)
except OSError as error:
    print(cut.value, type(error).__name__)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    if way is NetworkCut.NAMESPACE and told.startswith(NetworkCut.PYTHON.value):
        pytest.skip("this machine allows no namespaces")
    assert told.startswith(way.value)


async def test_descriptors_and_zombies_do_not_pile_up(hostile: Sandbox, tmp_path: Path) -> None:
    await do(hostile, tmp_path, "pid")
    before = len(os.listdir("/dev/fd"))
    for _ in range(30):
        await do(hostile, tmp_path, "pid")
        await failure(hostile, tmp_path, "leave")
    assert len(os.listdir("/dev/fd")) <= before
    assert hostile.helper is not None
    assert [pid for pid in children(hostile.helper) if not runs(pid)] == []


def test_the_helper_reports_in_a_fixed_shape() -> None:
    assert nursery.REPORT.unpack(nursery.REPORT.pack(-9, time.time_ns()))[0] == -9
