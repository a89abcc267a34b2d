"""Texts to measure with: the documents and questions of the sets in `datasets/`."""

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

DATASETS = Path(__file__).parents[2] / "datasets"


def rows(name: str, file: str) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file of a set."""
    with (DATASETS / name / file).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def questions(name: str) -> list[str]:
    """The questions of a set."""
    return [row["text"] for row in rows(name, "queries.jsonl")]


def qrels(name: str) -> dict[str, dict[str, int]]:
    """Question id -> document id -> grade."""
    found: dict[str, dict[str, int]] = {}
    for line in (DATASETS / name / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        question, document, grade = line.split("\t")
        found.setdefault(question, {})[document] = int(grade)
    return found


def files(size: int) -> list[tuple[str, bytes]]:
    """Text files of real abstracts and passages, `size` bytes in all, about 100 kB each."""
    # no line stands alone, so no chunk is embedded with a title that the bare embedder would not see
    texts = [f"{row['title']} {row['text']}" for name in ("scifact", "clapnq") for row in rows(name, "corpus.jsonl")]
    found = []
    total, number, part = 0, 0, ""
    for text in _endless(texts):
        part += text + "\n\n"
        total += len(text.encode()) + 2
        if len(part) >= 100_000 or total >= size:
            found.append((f"part-{number:03d}.txt", part.encode()))
            number, part = number + 1, ""
        if total >= size:
            return found
    return found


def _endless(texts: list[str]) -> Iterator[str]:
    for number, text in enumerate(cycle(texts)):
        yield text if number < len(texts) else f"Copy {number}. {text}"
