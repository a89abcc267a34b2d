"""Predictions while documents are ingested, beside predictions while nothing is, in turns."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.benchmarks.corpus import files
from tests.benchmarks.harness import ModelStub, Service, drive
from tests.benchmarks.measure import Measure, percentile
from tests.benchmarks.predictions import asked, prepared

TURNS = 2
CORPUS = 20_000_000
"""Bytes of text to ingest: more than is done by the end of a turn."""

FINAL = ("done", "failed", "cancelled")
SETTLE_SECONDS = 2.0


def run(service: Service, requests: int) -> Iterator[Measure]:
    """The 99th percentile of a prediction's latency, one caller, while a worker ingests, over that of an idle one."""
    with ModelStub() as stub:
        _, path = prepared(service, stub.url)
        bodies = asked(requests)
        drive(service.url, path, bodies[:64], 1)
        idle: list[float] = []
        busy: list[float] = []
        done = 0
        share = max(1, len(bodies) // TURNS)
        for turn in range(TURNS):
            part = bodies[turn * share : (turn + 1) * share]
            idle += drive(service.url, path, part, 1)[1]
            with _ingesting(service, turn) as job:
                before = _read(service, job)["done"]
                busy += drive(service.url, path, part, 1)[1]
                after = _read(service, job)
                if after["state"] in FINAL:
                    raise RuntimeError("the corpus was ingested before the predictions were answered")
                done += after["done"] - before
        for percent, target in ((50, 4.0), (99, 2.0)):
            quiet, loud = (percentile(seconds, percent / 100) * 1000 for seconds in (idle, busy))
            yield Measure(
                f"latency of a prediction while a worker ingests over idle, p{percent}",
                loud / quiet,
                target,
                better="lower",
                details={"ms": loud, "idle ms": quiet, "chunks ingested": done, "requests": len(busy)},
            )


@contextmanager
def _ingesting(service: Service, turn: int) -> Iterator[str]:
    """A job at work on a large corpus; cancelled at the end."""
    store = service.post("/document-store/store", {"name": f"bench during {turn}"})["id"]
    parts = [("files", (f"{turn}-{name}", data, "text/plain")) for name, data in files(CORPUS)]
    answer = service.http.post(
        f"/api/v1/document-store/upsert/{store}", files=parts, headers={"Prefer": "respond-async"}
    )
    answer.raise_for_status()
    job: str = answer.json()["id"]
    while not _read(service, job)["done"]:
        time.sleep(0.1)
    yield job
    service.http.delete(f"/api/v1/jobs/{job}").raise_for_status()
    while _read(service, job)["state"] not in FINAL:
        time.sleep(0.1)
    time.sleep(SETTLE_SECONDS)


def _read(service: Service, job: str) -> dict[str, Any]:
    answer = service.http.get(f"/api/v1/jobs/{job}")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
