"""Queries at once: how their rate grows with their number, and what a query takes of the thread that all of them share.

The API answers on one thread and embeds on others, without the interpreter's lock. What cannot go on at once is the
time of the first: it is compared with that of the others, per query, as the system counts them thread by thread.
"""

import json
from collections.abc import Iterator, Sequence

import psutil

from tests.benchmarks.corpus import questions, rows
from tests.benchmarks.harness import Service, drive
from tests.benchmarks.measure import Measure, percentile

LEVELS = (1, 2, 4, 8, 16)
DOCUMENTS = 400
LEAST_KEPT = 0.9
"""Of the best rate, at the highest level."""


def run(service: Service, requests: int) -> Iterator[Measure]:
    """Fill a document store and ask it, one query at a time and up to sixteen."""
    store = service.post("/document-store/store", {"name": "bench concurrency"})["id"]
    texts = [row["text"] for row in rows("clapnq", "corpus.jsonl")[:DOCUMENTS]]
    service.upload(store, [(f"{number}.txt", text.encode()) for number, text in enumerate(texts)])
    asked = (questions("clapnq") * (requests // 50 + 1))[:requests]
    bodies = [json.dumps({"storeId": store, "query": question}).encode() for question in asked]
    path, key = "/api/v1/document-store/vectorstore/query", service.http.headers["Authorization"]
    drive(service.url, path, bodies[:50], 4, key)
    process = service.api()
    rates: dict[int, float] = {}
    details: dict[str, float] = {}
    before = _seconds(process)
    for level in LEVELS:
        rates[level], seconds = drive(service.url, path, bodies, level, key)
        details |= {f"at {level}": rates[level], f"p50 ms at {level}": percentile(seconds, 0.5) * 1000}
    shared, others = (
        1000 * (now - then) / (len(LEVELS) * len(bodies)) for now, then in zip(_seconds(process), before, strict=True)
    )
    kept = rates[LEVELS[-1]] / max(rates.values())
    yield Measure("rate of queries at 16 at once, of the best", kept, LEAST_KEPT, details=details)
    yield Measure(
        "shared thread beside embedding, a query",
        shared / others,
        1.0,
        "",
        "lower",
        {"shared ms": shared, "embedding ms": others},
    )


def _seconds(process: psutil.Process) -> Sequence[float]:
    """CPU seconds of the thread that answers, and of all others of the process."""
    threads = process.threads()
    first = sum(each.user_time + each.system_time for each in threads if each.id == process.pid)
    return first, sum(each.user_time + each.system_time for each in threads) - first
