"""Deletes of much at once: how long the call takes, and that nothing is found right after it."""

import random
import time
from collections.abc import Iterator

from tests.benchmarks.harness import Service
from tests.benchmarks.measure import Measure

DIMENSION = 16
AT_ONCE = 25_000
"""Chunks in one request."""

STORE_MS, LOADER_MS = 500.0, 3000.0
"""What counts as at once for a whole document store, and for half of one, whose chunks go row by row in the call."""


def run(service: Service, chunks: int) -> Iterator[Measure]:
    """Delete a loader with half of the chunks of a document store, then all of another one with `chunks`."""
    store, loaders = _filled(service, chunks, 2)
    yield _deleted(
        service, store, f"loader/{store}/{loaders[0]}", f"delete of a loader with {chunks // 2:,} chunks", LOADER_MS, 0
    )
    # what is left of the first one is added up again
    _give(service, store, 0, chunks // 2)
    yield _deleted(service, store, f"store/{store}", f"delete of a document store with {chunks:,} chunks", STORE_MS, 0)


def _filled(service: Service, chunks: int, loaders: int) -> tuple[str, list[str]]:
    """A document store of own chunks with vectors, dealt out to loaders; its id and theirs."""
    store = service.post("/document-store/store", {"name": "bench deletion"})["id"]
    share = chunks // loaders
    return store, [_give(service, store, number, share) for number in range(loaders)]


def _give(service: Service, store: str, number: int, share: int) -> str:
    chance = random.Random(number)
    loader = ""
    for start in range(0, share, AT_ONCE):
        given = [
            {
                "pageContent": f"Entry {n} of book {number}.",
                "metadata": {"n": n},
                "vector": [round(chance.gauss(0, 1), 4) for _ in range(DIMENSION)],
            }
            for n in range(start, min(start + AT_ONCE, share))
        ]
        body = {
            "source": f"book-{number}-{start}",
            "chunks": given,
            "embedding": {"name": "fake", "config": {"dimension": DIMENSION}},
            **({"docId": loader} if loader else {}),
        }
        loader = service.post(f"/document-store/upsert/{store}", body)["docId"]
    return loader


def _deleted(service: Service, store: str, path: str, name: str, most: float, book: int) -> Measure:
    query = {"storeId": store, "query": f"Entry 7 of book {book}.", "inputs": {"topK": 50}}
    begun = time.perf_counter()
    answer = service.http.delete(f"/api/v1/document-store/{path}")
    milliseconds = (time.perf_counter() - begun) * 1000
    answer.raise_for_status()
    found = service.http.post("/api/v1/document-store/vectorstore/query", json=query)
    if found.status_code == 200:
        left = [doc for doc in found.json()["docs"] if doc["pageContent"].endswith(f"of book {book}.")]
    else:
        left = []
    if left:
        raise RuntimeError(f"{len(left)} chunks are found right after they were deleted")
    return Measure(name, milliseconds, most, "ms", "lower", {"answer of a query right after": found.status_code})
