"""Results in files: JSON Lines with everything, CSV for spreadsheets; written batch by batch, whatever their number.

A line of JSON Lines is a case as `GET /evaluations/{id}/results` shows it (`shown`). A row of CSV is a case too: the
columns of `COLUMNS`, then one for each measure, named by its label, with its value; empty where it has none, and why in
`problems`. A text that a spreadsheet would take for a formula has an apostrophe before it.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from service.evaluations.types import GOLD_KINDS, EvaluatedRow, Evaluation, Passage, Result
from service.http.wire import date
from service.metrics.base import Taken
from service.spreadsheets import harmless

COLUMNS = (
    "place",
    "rowId",
    "target",
    "repeat",
    "question",
    "expected",
    "answer",
    "error",
    "attempts",
    "latencyMs",
    "firstTokenMs",
    "inputTokens",
    "outputTokens",
    "cost",
    "sources",
    "passages",
    "problems",
    "finishedDate",
)
"""Of a CSV: the row's place from 0 and its id in the dataset; the target's label; sources that should have been found,
passages that were found and measures without a value as JSON; how often the case was tried."""

NAMED = {kind: named.value for named, kind in GOLD_KINDS.items()}

Batches = AsyncIterator[list[tuple[EvaluatedRow, list[Result]]]]


def shown(evaluation: Evaluation, row: EvaluatedRow, case: Result) -> dict[str, Any]:
    """A case as JSON."""
    return {
        "place": row.place,
        "rowId": str(row.row),
        "target": case.target,
        "targetLabel": evaluation.plan.targets[case.target].label,
        "repeat": case.repeat,
        "question": row.question,
        "expected": row.expected,
        "sources": sources_of(row),
        "metadata": dict(row.metadata),
        "answer": case.answer,
        "error": case.error,
        "passages": None if case.found is None else [passage(item) for item in case.found],
        "scores": {label: score.as_json() for label, score in case.scores.items()},
        "taken": taken(case.taken),
        "details": dict(case.details),
        "attempts": [
            {"error": item.error, "status": item.status, "waitedSeconds": item.waited} for item in case.attempts
        ],
        "finishedDate": date(case.finished_at) if case.finished_at else None,
    }


def sources_of(row: EvaluatedRow) -> list[dict[str, Any]]:
    """The sources that must be found, named as in datasets; `grade` where it is not 1."""
    return [{NAMED[item.kind]: item.value, **({} if item.grade == 1 else {"grade": item.grade})} for item in row.gold]


def passage(item: Passage) -> dict[str, Any]:
    """What was found."""
    return {
        "id": item.chunk_id,
        "documentId": item.document_id,
        "sources": list(item.sources),
        "score": item.score,
        "number": item.number,
        "text": item.text,
    }


def taken(item: Taken) -> dict[str, Any]:
    """What a case took; what nobody measured is null."""
    return {
        "latencyMs": item.latency,
        "firstTokenMs": item.first_token,
        "modelMs": item.model,
        "inputTokens": item.input_tokens,
        "outputTokens": item.output_tokens,
        "cost": item.cost,
    }


async def as_jsonl(evaluation: Evaluation, batches: Batches) -> AsyncIterator[bytes]:
    """All cases as JSON Lines in UTF-8."""
    async for batch in batches:
        lines = [_json(shown(evaluation, row, case)) for row, cases in batch for case in cases]
        if lines:
            yield "".join(f"{line}\n" for line in lines).encode()


async def as_csv(evaluation: Evaluation, batches: Batches) -> AsyncIterator[bytes]:
    """All cases as CSV (RFC 4180) in UTF-8 with headers."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_MINIMAL)
    labels = [item.label for item in evaluation.plan.measures]
    writer.writerow([harmless(name) for name in (*COLUMNS, *labels)])
    async for batch in batches:
        for row, cases in batch:
            for case in cases:
                writer.writerow(_cells(evaluation, row, case, labels))
        yield _emptied(buffer)
    if rest := _emptied(buffer):
        yield rest


def _cells(evaluation: Evaluation, row: EvaluatedRow, case: Result, labels: Sequence[str]) -> list[Any]:
    found = None if case.found is None else [{**passage(item), "text": item.text[:200]} for item in case.found]
    problems = {label: item.reason for label, item in case.scores.items() if item.value is None}
    took = taken(case.taken)
    plain: Mapping[str, Any] = {
        "place": row.place,
        "rowId": row.row,
        "target": harmless(evaluation.plan.targets[case.target].label),
        "repeat": case.repeat,
        "question": harmless(row.question),
        "expected": harmless(row.expected),
        "answer": harmless(case.answer or ""),
        "error": harmless(case.error),
        "attempts": len(case.attempts) + 1,
        **{name: took[name] for name in ("latencyMs", "firstTokenMs", "inputTokens", "outputTokens", "cost")},
        "sources": _json(sources_of(row)),
        "passages": "" if found is None else _json(found),
        "problems": _json(problems) if problems else "",
        "finishedDate": date(case.finished_at) if case.finished_at else "",
    }
    values = [case.scores[label].value if label in case.scores else None for label in labels]
    return [*(plain[name] for name in COLUMNS), *values]


def _emptied(buffer: io.StringIO) -> bytes:
    content = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return content


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
