"""Evaluations without a model: rows a second of a run over a document store, against a bare loop of the same searches.

The floor is a process of its own, as nice as a worker, which opens the service's resources and calls the search for
the same questions, as many at a time, and does nothing with what it finds. It runs before and after the evaluation.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

from service.document_stores.search import search
from service.resources import open_resources
from service.settings import load
from service.workspaces import DEFAULT_WORKSPACE
from tests.benchmarks.corpus import qrels, rows
from tests.benchmarks.harness import Service
from tests.benchmarks.measure import Measure

TARGET = 0.8
NAME = "squad-en"
DEPTH = 10
AT_ONCE = 4
NICE = 5
"""As RAGSTONE_WORKER_NICE."""
WARM = 32
"""Questions that are not counted."""
METRICS = ("recall@10", "precision@10", "mrr@10", "ndcg@10", "sourceHit@10")


def run(service: Service, requests: int) -> Iterator[Measure]:
    """Upsert a set, and evaluate the document store with its questions."""
    store = service.post("/document-store/store", {"name": "bench evaluation"})["id"]
    documents = [
        (f"{row['_id']}.txt", f"{row['title']}\n\n{row['text']}".encode()) for row in rows(NAME, "corpus.jsonl")
    ]
    for start in range(0, len(documents), 500):
        service.upload(store, documents[start : start + 500])
    dataset, count = _dataset(service, requests)
    _evaluate(service, store, dataset, "warm")
    before = _bare(service, store, count)
    seconds, progress = _evaluate(service, store, dataset, "measured")
    after = _bare(service, store, count)
    bare = 2 / (1 / before + 1 / after)
    rate = progress["total"] / seconds
    details = {"rows/s": rate, "bare rows/s": bare, "rows": progress["total"], "failed": progress["failed"]}
    yield Measure("retrieval-only evaluation", rate / bare, TARGET, "of the bare loop", details=details)


def _dataset(service: Service, requests: int) -> tuple[str, int]:
    """A dataset of so many questions with what must be found, as JSON Lines."""
    grades = qrels(NAME)
    asked = [row for row in rows(NAME, "queries.jsonl") if grades.get(row["_id"])]
    asked = (asked * (requests // len(asked) + 1))[:requests]
    lines = [
        json.dumps({"input": row["text"], "sources": [{"source": f"{name}.txt"} for name in grades[row["_id"]]]})
        for row in asked
    ]
    dataset: str = service.post("/datasets/set", {"name": f"bench {requests}"})["id"]
    files = {"files": ("questions.jsonl", "\n".join(lines).encode(), "application/x-ndjson")}
    answer = service.http.post(f"/api/v1/datasets/set/{dataset}/import", files=files)
    answer.raise_for_status()
    return dataset, len(lines)


def _evaluate(service: Service, store: str, dataset: str, name: str) -> tuple[float, dict[str, int]]:
    """Run an evaluation: its seconds from the first case to the last result, and how it went."""
    body = {
        "name": name,
        "datasetId": dataset,
        "targets": [{"storeId": store, "options": {"topK": DEPTH}}],
        "metrics": [{"name": metric} for metric in METRICS],
    }
    answer = service.http.post("/api/v1/evaluations", json=body, headers={"Prefer": "respond-async"})
    answer.raise_for_status()
    place = f"/api/v1/evaluations/{answer.json()['id']}"
    while (progress := service.http.get(f"{place}/progress").json())["state"] in ("queued", "running"):
        time.sleep(0.5)
    assert progress["state"] == "completed", progress
    found = service.http.get(place, params={"limit": 1, "page": 1}).json()
    begun, ended = (datetime.fromisoformat(found[field]) for field in ("startedDate", "finishedDate"))
    return (ended - begun).total_seconds(), progress


def _bare(service: Service, store: str, count: int) -> float:
    """Searches a second of the floor."""
    command = [sys.executable, "-m", "tests.benchmarks.evaluation", "--store", store, "--count", str(count)]
    place = ["--data", str(service.data), "--url", service.database_url()]
    done = subprocess.run([*command, *place], capture_output=True, text=True, check=True)
    return float(done.stdout)


async def bare(data: Path, url: str, store: UUID, count: int) -> float:
    """Search for as many questions, `AT_ONCE` at a time: how many a second."""
    asked = [row["text"] for row in rows(NAME, "queries.jsonl")]
    asked = (asked * (count // len(asked) + 1))[:count]
    async with open_resources(load({}, {"data": data, "database_url": url})) as resources:

        async def all_of(questions: list[str]) -> None:
            waiting = iter(questions)

            async def caller() -> None:
                for question in waiting:
                    await search(resources, DEFAULT_WORKSPACE, store, question, k=DEPTH)

            await asyncio.gather(*(caller() for _ in range(AT_ONCE)))

        await all_of(asked[:WARM])
        begun = time.perf_counter()
        await all_of(asked)
        return len(asked) / (time.perf_counter() - begun)


def main() -> None:
    """Print the floor."""
    parser = argparse.ArgumentParser()
    for name in ("data", "url", "store"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--count", type=int, required=True)
    given = parser.parse_args()
    os.nice(NICE)
    print(asyncio.run(bare(Path(given.data), given.url, UUID(given.store), given.count)))


if __name__ == "__main__":
    main()
