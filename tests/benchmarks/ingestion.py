"""Upserts beside the bare embedder on the same chunks, and beside themselves the second time."""

import asyncio
import time
from collections.abc import Iterator

from service.providers.defaults import Defaults
from service.providers.embedding.onnx import OnnxEmbedder
from tests.benchmarks.corpus import files
from tests.benchmarks.harness import Service
from tests.benchmarks.measure import Measure


def run(service: Service, size: int) -> Iterator[Measure]:
    """Upsert `size` bytes of text, embed the same chunks bare, upsert again."""
    corpus = files(size)
    store = service.post("/document-store/store", {"name": "bench ingestion"})["id"]
    begun = time.perf_counter()
    first = service.upload(store, corpus)
    seconds = time.perf_counter() - begun
    rate = first["numAdded"] / seconds
    bare = asyncio.run(_bare(_chunks(service, store)))
    yield Measure(
        "upsert, chunks a second over the bare embedder's",
        rate / bare,
        0.9,
        details={"chunks": first["numAdded"], "chunks/s": rate, "bare chunks/s": bare},
    )
    begun = time.perf_counter()
    second = service.upload(store, corpus)
    again = second["numSkipped"] / (time.perf_counter() - begun)
    yield Measure(
        "upsert of the unchanged corpus over the first",
        again / rate,
        50.0,
        details={"chunks/s": again, "skipped": second["numSkipped"], "added": second["numAdded"]},
    )


def _chunks(service: Service, store: str) -> list[str]:
    texts: list[str] = []
    page = 1
    while True:
        answer = service.http.get(f"/api/v1/document-store/chunks/{store}/all/{page}")
        answer.raise_for_status()
        chunks = answer.json()["chunks"]
        if not chunks:
            return texts
        texts += [chunk["pageContent"] for chunk in chunks]
        page += 1


async def _bare(texts: list[str]) -> float:
    embedder = OnnxEmbedder.configured({}, {}, Defaults())
    await embedder.embed_array(texts[:16])
    begun = time.perf_counter()
    for start in range(0, len(texts), 64):
        await embedder.embed_array(texts[start : start + 64])
    seconds = time.perf_counter() - begun
    await embedder.aclose()
    return len(texts) / seconds
