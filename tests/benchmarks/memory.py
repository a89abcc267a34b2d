"""The worker's memory over repeated upserts of changed files."""

from collections.abc import Iterator

from tests.benchmarks.harness import Service
from tests.benchmarks.measure import Measure
from tests.benchmarks.parsing import prose

UPSERTS, WARM = 40, 20
"""What is measured are the last twenty: caches (of stems, of prepared statements) fill before."""

FLAT = 0.25
"""Megabytes that the worker may gain with each upsert once it is warm."""


def run(service: Service) -> Iterator[Measure]:
    """The worker's growth by least squares once it is warm."""
    store = service.post("/document-store/store", {"name": "bench memory"})["id"]
    held: list[float] = []
    for number in range(UPSERTS):
        files = [(f"{part}.txt", f"{number}\n\n{prose(40, part * 1000 + number)}".encode()) for part in range(4)]
        service.upload(store, files)
        held.append(service.usage().worker_bytes / 1e6)
    late = held[WARM:]
    middle, mean = (len(late) - 1) / 2, sum(late) / len(late)
    slope = sum((at - middle) * (value - mean) for at, value in enumerate(late)) / sum(
        (at - middle) ** 2 for at in range(len(late))
    )
    yield Measure(
        "worker's growth with each of 20 upserts",
        slope,
        FLAT,
        "MB",
        "lower",
        {"first": held[0], "warm": late[0], "last": held[-1]},
    )
