"""Real processes to measure: a service on a data folder of its own, a stub of a model provider, a lean HTTP client."""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import psutil

from service.cli.folder import running
from stores.records.embedded import EmbeddedPostgres

START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a service's processes took: CPU seconds of all of them, resident bytes of the API process and the worker."""

    cpu_seconds: float
    api_bytes: int
    worker_bytes: int


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """In a child: a benchmark that is killed takes its service along (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Service:
    """`ragstone up` on a folder, until the block ends."""

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        """`data` is kept, so that a second start can be measured; `settings` are variables of its environment."""
        self.data = data
        self._settings = dict(settings or {})
        self.url = ""
        self._process: subprocess.Popen[str] | None = None
        self._http: httpx.Client | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "up", "--data", str(self.data), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "RAGSTONE_LOG_LEVEL": "warning", "RAGSTONE_EGRESS_ALLOW": "127.0.0.1"} | self._settings,
            text=True,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # no threads here yet, and it takes no locks
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the service did not start; its logs are in {self.data}")
        self.url = json.loads(line)["url"]
        key = json.loads(self.command("key", "new", "--name", "bench"))["apiKey"]
        self._http = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=3600)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._http:
            self._http.close()
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    def command(self, *arguments: str) -> str:
        """The standard output of a `ragstone` verb on this folder."""
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *arguments, "--data", str(self.data), "--json"],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    @property
    def http(self) -> httpx.Client:
        """A client with a key for everything."""
        assert self._http is not None
        return self._http

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST JSON below /api/v1 and return the answer's JSON."""
        answer = self.http.post(f"/api/v1{path}", json=dict(body))
        answer.raise_for_status()
        return answer.json()

    def settle(self) -> None:
        """Wait until no job is left: the last ones of an upsert put the indexes in order."""
        while any(self.http.get(f"/api/v1/jobs?state={state}").json() for state in ("queued", "running")):
            time.sleep(0.1)

    def upload(self, store: str, files: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
        """Upsert files into a document store and wait for it."""
        parts = [("files", (name, data, "text/plain")) for name, data in files]
        answer = self.http.post(f"/api/v1/document-store/upsert/{store}", files=parts)
        answer.raise_for_status()
        result: dict[str, Any] = answer.json()
        return result

    def database_url(self) -> str:
        """The URL of its embedded Postgres."""
        url = EmbeddedPostgres(self.data / "postgres").running_url()
        assert url is not None
        return url

    @property
    def vector_store(self) -> str | None:
        """The URL of the vector store's own server, where it has one."""
        note = running(self.data)
        return note.vector_store if note is not None else None

    def disk(self) -> int:
        """Bytes of the data folder but for Postgres' log of changes, whose size follows from its settings."""
        files = (path for path in self.data.rglob("*") if path.is_file() and "pg_wal" not in path.parts)
        return sum(path.stat().st_size for path in files)

    def engine_bytes(self) -> int:
        """Memory of the processes that hold the vectors: Postgres, with what they share counted once, or Chroma."""
        assert self._process is not None
        found = 0
        for process in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                name = " ".join(process.cmdline()[:3])
                if "run" in process.cmdline() if self.vector_store else "postgres" in name:
                    found += int(process.memory_full_info().pss)
        return found

    def api(self) -> psutil.Process:
        """Its API process."""
        return self._part("serve")

    def worker(self) -> psutil.Process:
        """Its worker process."""
        return self._part("worker")

    def _part(self, verb: str) -> psutil.Process:
        assert self._process is not None
        family = psutil.Process(self._process.pid).children(recursive=True)
        return next(process for process in family if verb in process.cmdline())

    def usage(self) -> Usage:
        """CPU seconds so far of parent, API, worker and Postgres, and the memory of API process and worker."""
        assert self._process is not None
        root = psutil.Process(self._process.pid)
        family = [root, *root.children(recursive=True)]
        seconds, api, worker = 0.0, 0, 0
        for process in family:
            times = process.cpu_times()
            # children of Postgres that came and went are in its own children's times
            seconds += times.user + times.system + times.children_user + times.children_system
            if "serve" in process.cmdline():
                api = process.memory_info().rss
            elif "worker" in process.cmdline():
                worker = process.memory_info().rss
        return Usage(seconds, api, worker)


class ModelStub:
    """The OpenAI-compatible stub as a process of its own, answering at once."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stubs.openai_server", "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(10)


class LeanClient:
    """One keep-alive HTTP/1.1 connection that costs little CPU, so that the load does not starve what is measured."""

    def __init__(self, url: str, authorization: str = "") -> None:
        """`url` is the service's root; `authorization` the value of that header."""
        parts = urlsplit(url)
        self._more = f"Authorization: {authorization}\r\n" if authorization else ""
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of a POST of JSON."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{self._more}"
        head += f"Content-Length: {len(body)}"
        writer.write(head.encode() + b"\r\n\r\n" + body)
        raw = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in raw.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return int(raw.split(b" ", 2)[1]), await reader.readexactly(length)

    def close(self) -> None:
        """Close the connection."""
        if self._streams:
            self._streams[1].close()


def drive(
    url: str, path: str, bodies: Sequence[bytes], concurrency: int, authorization: str = ""
) -> tuple[float, list[float]]:
    """Send every body once over `concurrency` connections: requests a second, and the seconds each one took."""

    async def run() -> tuple[float, list[float]]:
        waiting = iter(bodies)
        seconds: list[float] = []

        async def caller() -> None:
            client = LeanClient(url, authorization)
            for body in waiting:
                begun = time.perf_counter()
                status, answer = await client.post(path, body)
                seconds.append(time.perf_counter() - begun)
                if status != 200:
                    raise RuntimeError(f"{path} answered {status}: {answer[:300]!r}")
            client.close()

        begun = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(concurrency)))
        return len(bodies) / (time.perf_counter() - begun), seconds

    return asyncio.run(run())
