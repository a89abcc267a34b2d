"""Run benchmarks: `python -m tests.benchmarks --help`."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service.cli.bench import NAMES
from tests.benchmarks import (
    concurrency,
    deletion,
    during,
    engines,
    evaluation,
    footprint,
    ingestion,
    memory,
    parsing,
    predictions,
    retrieval,
    streams,
)
from tests.benchmarks.harness import Service
from tests.benchmarks.measure import Measure


def measures(given: argparse.Namespace) -> Iterator[Measure]:
    """The measures, as they come."""
    wanted = (given.only,) if given.only else NAMES
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
        data = Path(folder) / "data"
        if "parse" in wanted:
            yield from parsing.run()
        if "engines" in wanted:
            yield from engines.run(Path(folder), given.engine_chunks, given.vector_store or engines.STORES)
        if wanted in (("parse",), ("engines",)):
            return
        with Service(data) as service:
            if "predictions" in wanted:
                yield from predictions.run(service, given.requests)
            if "streams" in wanted:
                yield from streams.run(service, given.requests)
            if "concurrency" in wanted:
                yield from concurrency.run(service, given.requests)
            if "ingestion" in wanted:
                yield from ingestion.run(service, int(given.size * 1_000_000), given.documents)
            if "during" in wanted:
                yield from during.run(service, given.requests)
            if "deletion" in wanted:
                yield from deletion.run(service, given.chunks)
            if "memory" in wanted:
                yield from memory.run(service)
            if "retrieval" in wanted:
                yield from retrieval.run(service)
            if "evaluation" in wanted:
                yield from evaluation.run(service, given.requests)
        if "footprint" in wanted:
            yield from footprint.run(data)


def table(found: list[Measure]) -> Table:
    """The report as people read it."""
    view = Table("measure", "value", "target", "", "made of")
    for item in found:
        sign = "≥" if item.better == "higher" else "≤"
        made = ", ".join(f"{name} {value:.4g}" for name, value in item.details.items())
        verdict = "reached" if item.reached else "missed"
        view.add_row(item.name, f"{item.value:.3f} {item.unit}", f"{sign} {item.target:g} {item.unit}", verdict, made)
    return view


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="ragstone bench")
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--size", type=float, default=5.0, help="megabytes of text to upsert")
    parser.add_argument("--documents", type=Path, help="folder of documents to upsert; the samples when left out")
    parser.add_argument("--requests", type=int, default=1000, help="predictions to send")
    parser.add_argument("--chunks", type=int, default=100_000, help="chunks to delete")
    parser.add_argument("--engine-chunks", type=int, default=10_000, help="chunks to search in each vector store")
    parser.add_argument("--vector-store", action="append", help="URL of a vector store to measure, once for each")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    # Where containers keep no compiled modules, every process of a service compiles all of it: half a second each.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    found = []
    for item in measures(given):
        print(f"{item.name}: {item.value:.3f} {item.unit}", file=sys.stderr)
        found.append(item)
    if given.json:
        print(json.dumps([asdict(item) | {"reached": item.reached} for item in found], indent=2))
    else:
        Console().print(table(found))
    return 0 if all(item.reached for item in found) else 1


if __name__ == "__main__":
    sys.exit(main())
