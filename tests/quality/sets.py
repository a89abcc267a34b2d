"""Data sets on disk, and the best figures that are known for the ones that Ragstone is developed with.

A set is a folder: `queries.jsonl` (`_id`, `text`, perhaps `history`, `answers`, `all`), `qrels.tsv` (query, what
answers it, score), and what is searched: `corpus.jsonl` (`_id`, `title`, `text`), `files/`, or `corpora/` whose
queries name `references` by characters.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Kind(StrEnum):
    """What a set asks for."""

    PASSAGES = "passages"
    ANSWERS = "answers"
    EXCERPTS = "excerpts"


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a set. `relevant`: what answers it, with its grade; `history`: the turns before, as they are."""

    id: str
    text: str
    relevant: Mapping[str, float]
    history: Sequence[Mapping[str, str]]
    answers: Sequence[str]
    all_answers: bool
    corpus: str
    spans: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class DataSet:
    """A set: its questions that have an answer, and the files to put in (by the name that `relevant` uses)."""

    name: str
    kind: Kind
    files: Mapping[str, tuple[str, bytes]]
    questions: Sequence[Question]


RULES: Mapping[str, Mapping[str, float]] = {
    "squad-en": {"dense": 0.973, "bm25": 0.968, "rrf": 0.973, "w30": 0.974, "w50": 0.977, "w70": 0.981, "a50": 0.982,
                 "a100": 0.982, "a200": 0.976},
    "squad-de": {"dense": 0.949, "bm25": 0.943, "rrf": 0.961, "w30": 0.959, "w50": 0.969, "w70": 0.976, "a50": 0.887,
                 "a100": 0.932, "a200": 0.952},
    "squad-zh": {"dense": 0.948, "bm25": 0.962, "rrf": 0.966, "w30": 0.967, "w50": 0.973, "w70": 0.973, "a50": 0.680,
                 "a100": 0.862, "a200": 0.942},
    "clapnq": {"dense": 0.993, "bm25": 0.950, "rrf": 0.983, "w30": 0.971, "w50": 0.987, "w70": 0.996, "a50": 0.996,
               "a100": 0.996, "a200": 0.988},
    "conversations": {"dense": 0.820, "bm25": 0.854, "rrf": 0.892, "w30": 0.885, "w50": 0.900, "w70": 0.891,
                      "a50": 0.887, "a100": 0.901, "a200": 0.895},
    "scifact": {"dense": 0.722, "bm25": 0.743, "rrf": 0.763, "w30": 0.763, "w50": 0.778, "w70": 0.780, "a50": 0.765,
                "a100": 0.783, "a200": 0.789},
}  # fmt: skip
"""nDCG@10 of single rules in exact search outside the service, each with the better of two embedders (all-MiniLM-L6-v2,
multilingual-e5-small): cosines alone, BM25 alone, their rank fusion, wN = N % scaled cosines and the rest BM25,
aN = cosine and N/100 x BM25 over its bound. Conversations with one earlier turn."""

BEST_RECALL: Mapping[str, float] = {
    "squad-en": 0.998, "squad-de": 0.994, "squad-zh": 0.998, "clapnq": 1.0, "conversations": 0.874, "scifact": 0.846,
    "chunking": 0.930,
}  # fmt: skip
"""The best recall@5 of those rules."""

BEST_ANSWERS: Mapping[str, float] = {"tables": 0.966, "documents": 0.870}
"""The best share of questions whose answer stands in the first five chunks."""


def data_sets(folder: Path, only: Sequence[str] = ()) -> Iterator[DataSet]:
    """The sets in a folder, by name; those named `only`."""
    for path in sorted(folder.iterdir()):
        if (path / "queries.jsonl").is_file() and (not only or path.name in only):
            yield read(path)


def read(path: Path) -> DataSet:
    """The set in a folder."""
    kind = Kind.PASSAGES
    if (path / "corpora").is_dir():
        kind = Kind.EXCERPTS
    elif (path / "files").is_dir():
        kind = Kind.ANSWERS
    relevant = _relevant(path / "qrels.tsv")
    questions = [_question(row, relevant.get(row["_id"], {})) for row in _rows(path / "queries.jsonl")]
    answered = [item for item in questions if item.relevant or item.spans]
    return DataSet(path.name, kind, dict(_files(path, kind)), answered)


def _files(path: Path, kind: Kind) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """Id -> name and content of the file to upload."""
    if kind is Kind.PASSAGES:
        for number, row in enumerate(_rows(path / "corpus.jsonl")):
            text = f"{row.get('title') or ''}\n\n{row['text']}".strip()
            yield row["_id"], (f"{number:06}.txt", text.encode())
    else:
        for file in sorted((path / ("files" if kind is Kind.ANSWERS else "corpora")).iterdir()):
            yield file.name, (file.name, file.read_bytes())


def _question(row: Mapping[str, Any], relevant: Mapping[str, float]) -> Question:
    return Question(
        id=row["_id"],
        text=row["text"],
        relevant=relevant,
        history=row.get("history") or (),
        answers=row.get("answers") or (),
        all_answers=bool(row.get("all")),
        corpus=row.get("corpus", ""),
        spans=[(each["start_index"], each["end_index"]) for each in row.get("references") or ()],
    )


def _relevant(path: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for line in path.read_text("utf-8").splitlines()[1:] if path.is_file() else ():
        query, *_, document, score = line.split("\t")
        if float(score) > 0:
            found.setdefault(query, {})[document] = float(score)
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
