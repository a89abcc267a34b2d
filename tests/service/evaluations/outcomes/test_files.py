"""Results of ten thousand rows, and texts that files must bear: written piece by piece, read back as they were."""

import csv
import io
import json
from uuid import UUID

import httpx

from service.evaluations import files, service
from service.evaluations.types import Attempt, Evaluation, Passage, Result
from service.metrics.base import Taken, failed, scored
from service.resources import Resources
from service.spreadsheets import FORMULA
from tests.service.evaluations.outcomes.bench import Bench

MANY = 10_000
PASSAGE = Passage("thirty days of leave", "c", "d", ("handbook.md",), score=0.5)


async def evaluated(bench: Bench) -> Evaluation:
    """An evaluation of many rows with a passage each."""
    await bench.settle(MANY)
    made = await bench.evaluation([])
    await bench.keep(
        made,
        [
            Result(place, 0, 0, f"answer {place}", (PASSAGE,), Taken(float(place)), scores={"recall@5": scored(1.0)})
            for place in range(MANY)
        ],
    )
    return made


async def test_ten_thousand_rows_are_read_in_pieces_and_pages(
    resources: Resources, workspace: UUID, client: httpx.AsyncClient
) -> None:
    bench = Bench(resources, workspace)
    made = await evaluated(bench)
    whole = (await client.get(f"/api/v1/evaluations/{made.id}")).json()
    assert [row["input"] for row in whole["rows"]] == [f"question {place}" for place in range(MANY)]
    last = (await client.get(f"/api/v1/evaluations/{made.id}?page=1000&limit=10")).json()
    assert last["rows"] == whole["rows"][-10:]
    page = (await client.get(f"/api/v1/evaluations/{made.id}/results?page=100&limit=100")).json()
    assert (page["total"], page["data"][-1]["answer"]) == (MANY, f"answer {MANY - 1}")
    for write in (files.as_csv, files.as_jsonl):
        pieces = [piece async for piece in write(made, bench.batches(made))]
        assert sum(piece.count(b"\n") for piece in pieces) == MANY + (write is files.as_csv)
        assert len(pieces) >= MANY // service.BATCH  # no piece holds more than a batch


TEXTS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "=cmd|' /C calc'!A0", "plain", " =1")


async def test_no_text_of_a_csv_is_a_formula(resources: Resources, workspace: UUID) -> None:
    bench = Bench(resources, workspace)
    await bench.settle(len(TEXTS))
    made = await bench.evaluation([])
    results = []
    for place, text in enumerate(TEXTS):
        scores = {"recall@5": scored(-1.5), "mrr@10": failed(text)}
        attempts = [Attempt(text, 429, 1.0)]
        results.append(Result(place, 0, 0, text, None, scores=scores, error=text, attempts=attempts))
    await bench.keep(made, results)
    table = b"".join([piece async for piece in files.as_csv(made, bench.batches(made))]).decode()
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    lines = b"".join([piece async for piece in files.as_jsonl(made, bench.batches(made))]).decode()
    told = [json.loads(line) for line in lines.splitlines()]
    for text, row, line in zip(TEXTS, rows, told, strict=True):
        expected = text if text in ("plain", " =1") else f"'{text}"
        assert (row["answer"], row["error"], row["recall@5"], row["attempts"]) == (expected, expected, "-1.5", "2")
        assert json.loads(row["problems"])["mrr@10"] == text.strip()
        assert [name for name, value in row.items() if value.startswith(FORMULA)] == ["recall@5"]  # a number
        assert line["answer"] == text
