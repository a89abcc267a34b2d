"""Retrieval figures of data sets against a service that is started for them: `python -m tests.quality --help`."""

import argparse
import datetime
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from tests.benchmarks.harness import Service
from tests.quality.run import Figure, figures
from tests.quality.sets import RULES, data_sets

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "QUALITY.md"


HEAD = """# Retrieval quality

Written by `make quality DATA=FOLDER`: every set in a document store with nothing configured, over HTTP, as measured
last, with date and commit. `best` is the best of all single rules known for the set (`sets.py`); a figure passes that
is at most 0.005 below it.

| set | questions | metric | value | best | difference | | measured |
|---|---:|---|---:|---:|---:|---|---|
"""
_ROW = re.compile(r"\| ([\w.-]+) \| \d+ \| ([^|]+) \| (\d\.\d+) \|")


def rows(found: Sequence[Figure]) -> list[str]:
    """The figures as rows of the page."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    when = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d} {commit.stdout.strip()}".strip()
    lines = []
    for item in found:
        best = "" if item.best is None else f"{item.best:.3f}"
        difference = "" if item.best is None else f"{item.value - item.best:+.4f}"
        verdict = {None: "", True: "pass", False: "MISSED"}[item.passed]
        cells = (item.set, item.questions, item.metric, f"{item.value:.4f}", best, difference, verdict, when)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def page(new: Sequence[str], former: str = "") -> str:
    """The page with new rows; of the former one, the rows of sets that are not among them stay."""
    measured = {_read(row)[0] for row in new}
    old = [row for row in former.splitlines() if _ROW.match(row) and _read(row)[0] not in measured]
    found = sorted([*old, *new], key=lambda row: _read(row)[0])
    return HEAD + "".join(f"{row}\n" for row in found) + _means(found)


def _read(row: str) -> tuple[str, str, float]:
    """Set, metric and value of a row."""
    match = _ROW.match(row)
    assert match is not None, row
    return match[1], match[2], float(match[3])


def _means(found: Sequence[str]) -> str:
    """The mean over the sets beside that of every single rule, once all of them are there."""
    values = {name: value for name, metric, value in map(_read, found) if metric == "nDCG@10" and name in RULES}
    if values.keys() != RULES.keys():
        return ""
    means = {rule: mean(RULES[name][rule] for name in values) for rule in next(iter(RULES.values()))}
    own = mean(values.values())
    told = ", ".join(f"{name} {value:.4f}" for name, value in sorted(means.items(), key=lambda item: -item[1]))
    verdict = "pass" if own > max(means.values()) else "MISSED"
    return f"\nMean nDCG@10 over {len(values)} sets: **{own:.4f}** ({verdict}); of single rules: {told}.\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when a figure was missed."""
    parser = argparse.ArgumentParser(prog="make quality")
    parser.add_argument("--data", type=Path, default=ROOT / "datasets", help="folder of the sets")
    parser.add_argument("--only", action="append", default=[], help="a set's name; may be repeated")
    parser.add_argument("--write", type=Path, nargs="?", const=RESULTS, help=f"keep the figures; in {RESULTS.name}")
    given = parser.parse_args(arguments)
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="ragstone-quality-") as folder, Service(Path(folder) / "data") as service:
        for data in data_sets(given.data, given.only):
            for item in figures(service, data):
                sys.stderr.write(f"{item.set} {item.metric}: {item.value:.4f} (best {item.best})\n")
                found.append(item)
    told = rows(found)
    sys.stdout.write(page(told))
    if given.write:
        former = given.write.read_text("utf-8") if given.write.is_file() else ""
        given.write.write_text(page(told, former), "utf-8")
    return 0 if all(item.passed is not False for item in found) else 1


if __name__ == "__main__":
    sys.exit(main())
