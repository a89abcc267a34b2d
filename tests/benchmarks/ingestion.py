"""Upserts beside the bare embedder on the same chunks, and upserts of what is there already.

An upsert and the bare embedder take turns, so that what else the machine does meets both. A turn is a part of the text,
or the whole collection of documents in a document store of its own: a user brings all of them at once.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from service.document_stores.ledger.types import indexed
from service.document_stores.recipe import head_of
from tests.benchmarks.bare_embedder import BareEmbedder
from tests.benchmarks.corpus import files
from tests.benchmarks.harness import ModelStub, Service
from tests.benchmarks.measure import Measure

PARTS = 5
"""Turns for the text."""

TURNS = 3
"""Turns for each of the others."""

UNCHANGED = 10_000

OWN = Path(__file__).parents[2]
DOCUMENTS = (OWN / "tests" / "samples" / "documents", OWN / "datasets" / "handbook" / "files")
"""The collection that is measured when no other folder is named."""

SKIPPED = (".jsonl", ".tsv", ".md")
"""Gold answers and notes that lie beside the documents."""

TARGET, SAMPLES_TARGET = 0.9, 0.6
"""Of the bare embedder; our own samples are a page each, one of them a picture, so that reading them shows."""


def run(service: Service, size: int, documents: Path | None = None) -> Iterator[Measure]:
    """`size` bytes of text, a folder of documents, and chunks that did not change."""
    corpus = files(size)
    yield _beside_bare(service, "text", _parts(corpus), TARGET)
    folders = (documents,) if documents else DOCUMENTS
    found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    kept = [(path.name, path.read_bytes()) for path in found if path.suffix not in SKIPPED]
    yield _beside_bare(service, "documents", [kept] * TURNS, TARGET if documents else SAMPLES_TARGET)
    yield _unchanged(service)


def _beside_bare(service: Service, name: str, turns: Sequence[Sequence[tuple[str, bytes]]], target: float) -> Measure:
    ours, bare = _Sum(), _Sum()
    failed = 0
    service.upload(_store(service, "warm"), [("warm.txt", b"The worker loads its model.")])
    with BareEmbedder(service.worker().nice()) as floor:
        for number, turn in enumerate(turns, 1):
            store = _store(service, f"{name} {number}")
            cpu, begun = service.usage().cpu_seconds, time.perf_counter()
            answer = service.upload(store, turn)
            ours.add(answer["numAdded"], time.perf_counter() - begun, service.usage().cpu_seconds - cpu)
            failed += len(answer.get("failed", ()))
            texts = _chunks(service, store, answer["docId"])
            bare.add(len(texts), *floor.embed(texts))
    return Measure(
        f"upsert of {name}, chunks a second over the bare embedder's",
        ours.rate / bare.rate,
        target,
        details={
            "chunks": ours.chunks,
            "chunks/s": ours.rate,
            "bare chunks/s": bare.rate,
            "CPU ms a chunk": ours.cost,
            "bare CPU ms a chunk": bare.cost,
            **({"files that failed": failed} if failed else {}),
        },
    )


def _store(service: Service, name: str) -> str:
    made: str = service.post("/document-store/store", {"name": f"bench {name}"})["id"]
    return made


def _unchanged(service: Service) -> Measure:
    """The provider of the embedding is gone by the second upsert: one call would fail it."""
    store = _store(service, "unchanged")
    chunks = [{"pageContent": f"Passage {n} of the ledger.", "metadata": {"n": n}} for n in range(UNCHANGED + TURNS)]
    with ModelStub() as stub:
        embedding = {"name": "openAIEmbeddings", "config": {"basepath": stub.url, "modelName": "stub-embedding"}}
        given = {"source": "bench", "chunks": chunks, "embedding": embedding}
        first = service.post(f"/document-store/upsert/{store}", given)
    rates, spent, again = [], 0.0, first
    for number in range(1, TURNS + 1):
        # one chunk fewer each time, or the upload would be known by its digest and no chunk be looked at
        given = {"source": "bench", "chunks": chunks[:-number], "docId": first["docId"]}
        cpu, begun = service.usage().cpu_seconds, time.perf_counter()
        again = service.post(f"/document-store/upsert/{store}", given)
        rates.append(again["numSkipped"] / (time.perf_counter() - begun))
        spent = service.usage().cpu_seconds - cpu
    return Measure(
        "upsert of 10,000 unchanged chunks without a call for an embedding, chunks a second",
        max(rates),
        5000.0,
        details={
            "added at first": first["numAdded"],
            "skipped": again["numSkipped"],
            "added": again["numAdded"],
            "deleted": again["numDeleted"],
            "CPU s": spent,
        },
    )


class _Sum:
    """What the turns of one side came to."""

    def __init__(self) -> None:
        self.chunks, self._seconds, self._cpu = 0, 0.0, 0.0

    def add(self, chunks: int, seconds: float, cpu: float) -> None:
        """Another turn."""
        self.chunks, self._seconds, self._cpu = self.chunks + chunks, self._seconds + seconds, self._cpu + cpu

    @property
    def rate(self) -> float:
        """Chunks a second."""
        return self.chunks / self._seconds

    @property
    def cost(self) -> float:
        """Milliseconds of CPU a chunk."""
        return self._cpu / self.chunks * 1000


def _parts(found: Sequence[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
    """The files dealt out to parts of about the same make."""
    return [part for number in range(PARTS) if (part := list(found[number::PARTS]))]


def _chunks(service: Service, store: str, loader: str) -> list[str]:
    """The texts that were embedded for the chunks of a loader."""
    texts: list[str] = []
    page = 1
    while True:
        answer = service.http.get(f"/api/v1/document-store/chunks/{store}/{loader}/{page}")
        answer.raise_for_status()
        chunks: list[dict[str, Any]] = answer.json()["chunks"]
        if not chunks:
            return texts
        for chunk in chunks:
            metadata, text = json.loads(chunk["metadata"]), chunk["pageContent"]
            texts.append(indexed(head_of(text, metadata), text))
        page += 1
