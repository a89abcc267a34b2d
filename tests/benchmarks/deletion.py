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
"""What counts as at once for a whole document store, and for a loader, whose chunks go row by row in the call."""


def run(service: Service, chunks: int) -> Iterator[Measure]:
    """Delete a loader of a document store with `chunks`, as large as one request makes it, then all of it."""
    store = service.post("/document-store/store", {"name": "bench deletion"})["id"]
    share = min(chunks // 2, AT_ONCE)
    loader = _give(service, store, 0, share)
    for start in range(share, chunks, AT_ONCE):
        _give(service, store, start, min(AT_ONCE, chunks - start))
    yield _deleted(
        service, store, f"loader/{store}/{loader}", f"delete of a loader with {share:,} chunks", LOADER_MS, 0
    )
    _give(service, store, 0, share)
    yield _deleted(service, store, f"store/{store}", f"delete of a document store with {chunks:,} chunks", STORE_MS, 0)


def _give(service: Service, store: str, book: int, chunks: int) -> str:
    """A loader of own chunks with vectors; its id."""
    chance = random.Random(book)
    given = [
        {
            "pageContent": f"Entry {n} of book {book}.",
            "metadata": {"n": n},
            "vector": [round(chance.gauss(0, 1), 4) for _ in range(DIMENSION)],
        }
        for n in range(chunks)
    ]
    body = {
        "source": f"book-{book}",
        "chunks": given,
        "embedding": {"name": "fake", "config": {"dimension": DIMENSION}},
    }
    loader: str = service.post(f"/document-store/upsert/{store}", body)["docId"]
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
