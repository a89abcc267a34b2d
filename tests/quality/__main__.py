"""Retrieval figures of data sets against a service that is started for them: `python -m tests.quality --help`."""

import argparse
import datetime
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from tests.benchmarks.harness import Service
from tests.quality.run import TOLERANCE, Figure, figures
from tests.quality.sets import RULES, data_sets

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "QUALITY.md"


def report(found: Sequence[Figure]) -> str:
    """The figures as a Markdown page."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    lines = [
        "# Retrieval quality",
        "",
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} at commit {commit.stdout.strip() or 'unknown'} by"
        " `make quality DATA=FOLDER`: every set in a document store with",
        "nothing configured, over HTTP. `best` is the best of all single rules known for the set (`sets.py`); a figure",
        f"passes that is at most {TOLERANCE} below it.",
        "",
        "| set | questions | metric | value | best | difference | |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for item in found:
        best = "" if item.best is None else f"{item.best:.3f}"
        difference = "" if item.best is None else f"{item.value - item.best:+.4f}"
        verdict = {None: "", True: "pass", False: "MISSED"}[item.passed]
        lines.append(
            f"| {item.set} | {item.questions} | {item.metric} | {item.value:.4f} | {best} | {difference} | {verdict} |"
        )
    return "\n".join([*lines, "", *_means(found), ""])


def _means(found: Sequence[Figure]) -> list[str]:
    """The mean over the sets beside that of every single rule."""
    ours = {item.set: item.value for item in found if item.metric == "nDCG@10" and item.set in RULES}
    if not ours:
        return []
    names = next(iter(RULES.values()))
    means = {name: mean(RULES[each][name] for each in ours) for name in names}
    own = mean(ours.values())
    told = ", ".join(f"{name} {value:.4f}" for name, value in sorted(means.items(), key=lambda item: -item[1]))
    verdict = "pass" if own > max(means.values()) else "MISSED"
    return [f"Mean nDCG@10 over {len(ours)} sets: **{own:.4f}** ({verdict}); of single rules: {told}."]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when a figure was missed."""
    parser = argparse.ArgumentParser(prog="make quality")
    parser.add_argument("--data", type=Path, default=ROOT / "datasets", help="folder of the sets")
    parser.add_argument("--only", action="append", default=[], help="a set's name; may be repeated")
    parser.add_argument("--write", type=Path, nargs="?", const=RESULTS, help=f"keep the page; in {RESULTS.name}")
    given = parser.parse_args(arguments)
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="ragstone-quality-") as folder, Service(Path(folder) / "data") as service:
        for data in data_sets(given.data, given.only):
            for item in figures(service, data):
                sys.stderr.write(f"{item.set} {item.metric}: {item.value:.4f} (best {item.best})\n")
                found.append(item)
    page = report(found)
    sys.stdout.write(page)
    if given.write:
        given.write.write_text(page, "utf-8")
    return 0 if all(item.passed is not False for item in found) else 1


if __name__ == "__main__":
    sys.exit(main())
