"""The rows of a dataset's file, as the service takes them: its fields named, rows left out, what is wrong told."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from service.cli.exits import UsageProblem
from service.cli.suites.suite import Dataset, Fields

JSON_LINES = (".jsonl", ".ndjson", ".jl")
SOURCES = ("source", "documentId", "chunkId", "quote")

Row = dict[str, Any]
"""A row as an export of the service has it: `input`, `output`, `sources`, `metadata`, `draft`."""


def read_rows(file: Path, dataset: Dataset) -> list[Row]:
    """The rows of a file, in their order, but those that are left out. Raises `UsageProblem`, naming file and row."""
    records = _json_lines(file) if file.suffix.casefold() in JSON_LINES else _csv(file)
    rows = []
    for number, record in records:
        if _has(record, dataset.leave_out):
            continue
        row = _row(f"{file}: row {number}", record, dataset.fields)
        if _has(record, dataset.unanswerable):
            row["metadata"] = {**row["metadata"], "answerable": False}
        rows.append(row)
    if not rows:
        raise UsageProblem(f"{file}: holds no rows" + (" but those that are left out" if dataset.leave_out else ""))
    return rows


def key_of(question: str, expected: str, sources: Sequence[Mapping[str, Any]], seen: dict[str, int]) -> str:
    """What a row is known by in any run, on any service: its question, its answer and its sources, and which one of
    several equal ones it is (`seen` counts them)."""
    named = sorted(json.dumps(dict(source), sort_keys=True, ensure_ascii=False) for source in sources)
    text = json.dumps([question, expected, named], ensure_ascii=False)
    key = hashlib.sha256(text.encode()).hexdigest()[:20]
    seen[key] = seen.get(key, 0) + 1
    return key if seen[key] == 1 else f"{key}-{seen[key]}"


def _has(record: Mapping[str, Any], wanted: Mapping[str, Sequence[str]]) -> bool:
    return any(str(record.get(field)) in values for field, values in wanted.items())


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{file}: the rows of the dataset cannot be read: {error}") from None


def _json_lines(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(_text(file).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageProblem(f"{file}: row {number}: is no JSON: {error}") from None
        if not isinstance(record, dict):
            raise UsageProblem(f"{file}: row {number}: must be an object")
        yield number, record


def _csv(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Records by the names of the first row; columns of sources, metadata and draft are JSON where they look so."""
    reader = csv.reader(io.StringIO(_text(file), newline=""), strict=True)
    header: list[str] = []
    number = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UsageProblem(f"{file}: row {number + 1}: {error}") from None
        number += 1
        if not any(cells):
            continue
        if not header:
            header = [cell.strip() for cell in cells]
            continue
        if len(cells) > len(header):
            raise UsageProblem(f"{file}: row {number}: has {len(cells)} columns, and the first row names {len(header)}")
        yield number, dict(zip(header, cells, strict=False))


def _row(where: str, record: Mapping[str, Any], fields: Fields) -> Row:
    question = record.get(fields.input)
    if not isinstance(question, str) or not question.strip():
        known = ", ".join(map(str, record))
        raise UsageProblem(
            f"{where}: {fields.input}: holds no question; the row has {known or 'nothing'}: name the field with"
            " dataset.fields.input"
        )
    expected = record.get(fields.output)
    if expected is not None and not isinstance(expected, str | int | float):
        raise UsageProblem(f"{where}: {fields.output}: must be a text")
    return {
        "input": question,
        "output": "" if expected is None else str(expected),
        "sources": _sources(f"{where}: {fields.sources}", record.get(fields.sources)),
        "metadata": _metadata(where, record, fields.metadata),
        "draft": _flag(f"{where}: {fields.draft}", record.get(fields.draft)),
    }


def _sources(where: str, value: Any) -> list[dict[str, str]]:
    value = _parsed(value)
    if value is None or value == "":
        return []
    found = []
    for item in value if isinstance(value, list) else [value]:
        named = {"source": item} if isinstance(item, str) else item
        if not isinstance(named, dict) or len(named) != 1 or next(iter(named)) not in SOURCES:
            raise UsageProblem(f"{where}: a source is a text, or an object with one of {', '.join(SOURCES)}")
        found.append({name: str(text) for name, text in named.items()})
    return found


def _metadata(where: str, record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """One field that holds an object gives it as it is; of others each is kept under its name."""
    found: dict[str, Any] = {}
    for name in names:
        value = _parsed(record.get(name))
        if value is None or value == "":
            continue
        if name == "metadata":
            if not isinstance(value, dict):
                raise UsageProblem(
                    f"{where}: metadata: must be an object; name other fields with dataset.fields.metadata"
                )
            found |= value
        else:
            found[name] = value
    return found


def _flag(where: str, value: Any) -> bool:
    if value is None or value == "":
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().casefold() in ("true", "false"):
        return value.strip().casefold() == "true"
    raise UsageProblem(f"{where}: must be true or false")


def _parsed(value: Any) -> Any:
    """A text that is a JSON list or object, as a cell of a CSV may be; anything else as it is."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
