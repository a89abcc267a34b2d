"""Streams: how soon the model's first token is on the wire, and hundreds of them at once without a failed one."""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.benchmarks.harness import Service
from tests.benchmarks.measure import Measure, percentile
from tests.benchmarks.predictions import flow

AT_ONCE = 500
TOKENS = 8
PAUSE = 1000
"""Milliseconds between the tokens of the many: all are open before the first ends."""
PASSAGES = [(f"{number}.txt", f"Section {number} says that rule {number} holds.".encode()) for number in range(40)]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as its client read it. `late`: seconds from the model's first token to ours."""

    late: float
    text: str
    ended: bool
    begun_at: float
    ended_at: float


class ClockModel:
    """The model of clock_model.py as a process of its own."""

    def __enter__(self) -> "ClockModel":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.clock_model"], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


async def read(url: str, path: str, question: str) -> Stream:
    """Ask once and read the stream on a connection of its own."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=1024 * 1024)
    body = json.dumps({"question": question, "streaming": True}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    begun = time.monotonic()
    writer.write(head.encode() + b"\r\n\r\n" + body)
    late, ended = float("nan"), False
    texts: list[str] = []
    while not ended and (line := await reader.readline()):
        if not line.startswith(b"data:"):
            continue
        now = time.monotonic_ns()
        event = json.loads(line.removeprefix(b"data:"))
        if event["event"] == "token":
            if not texts:
                late = (now - int(event["data"])) / 1e9 if event["data"].strip().isdecimal() else late
            texts.append(event["data"])
        ended = event["event"] == "end"
        if event["event"] == "error":
            texts.append(f"error: {event['data']}")
    writer.close()
    return Stream(late, "".join(texts), ended, begun, time.monotonic())


async def many(url: str, path: str, count: int) -> list[Stream | BaseException]:
    """So many at once."""
    asked = (read(url, path, f"What does section {number % 40} say?") for number in range(count))
    return await asyncio.gather(*asked, return_exceptions=True)


def prepared(service: Service, model: str) -> str:
    """The path of predictions by a flow over a small document store."""
    store = service.post("/document-store/store", {"name": f"bench streams {model[-16:]}"})["id"]
    service.upload(store, PASSAGES)
    values = {"openAIApiKey": "sk-bench", "allowedHosts": "127.0.0.1"}
    secret = {"name": "clock", "credentialName": "openAIApi", "plainDataObj": values}
    credential = service.post("/credentials", secret)["id"]
    made = {"name": "bench streams", "type": "CHATFLOW", "flowData": flow(store, credential, model)}
    return f"/api/v1/prediction/{service.post('/chatflows', made)['id']}"


def run(service: Service, requests: int) -> Iterator[Measure]:
    """Measure one stream at a time, then all at once."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with ClockModel() as model:
        path = prepared(service, f"{model.url}/{2}/{5}")

        async def one_by_one(count: int) -> list[Stream]:
            return [await read(service.url, path, f"What does section {number % 40} say?") for number in range(count)]

        asyncio.run(one_by_one(20))
        late = [stream.late * 1000 for stream in asyncio.run(one_by_one(max(100, requests // 4)))]
        yield Measure(
            "the model's first token to ours on the wire, p99, concurrency 1",
            percentile(late, 0.99),
            5.0,
            "ms",
            "lower",
            {"p50 ms": percentile(late, 0.5)},
        )
        path = prepared(service, f"{model.url}/{TOKENS}/{PAUSE}")
        asyncio.run(many(service.url, path, 8))
        found = asyncio.run(many(service.url, path, AT_ONCE))
        whole = [item for item in found if isinstance(item, Stream) and item.ended and item.text.count("word ") == 7]
        open_at_once = min(item.ended_at for item in whole) > max(item.begun_at for item in whole) if whole else False
        slowest = max(item.ended_at - item.begun_at for item in whole) if whole else float("nan")
        yield Measure(
            f"failed of {AT_ONCE} streams at once",
            float(AT_ONCE - len(whole)),
            0.0,
            "",
            "lower",
            {"all open at once": float(open_at_once), "slowest s": slowest},
        )
