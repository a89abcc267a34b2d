"""Reports on ten thousand rows: what is held of a row is a number for each measure, whatever was asked and answered."""

import tracemalloc
from uuid import UUID

import numpy as np
import pytest

from service.datasets.types import Gold, GoldKind, RowDraft
from service.evaluations.cases import records
from service.evaluations.types import MetricWish, Passage, Result, Taken
from service.metrics.base import failed, not_applicable, scored
from service.reports import service
from service.reports.charts import GROUPS
from tests.service.evaluations.lab import Lab, store_target
from tests.service.reports.test_page import read

BATCH = 1000
MOST_MEMORY = 80 * 1024**2
"""Bytes while a page is made; what ten thousand rows were answered takes more than 100 MB."""
TEXT = "A chunk with many words. " * 40


def result(place: int, target: int, chances: np.random.Generator) -> Result:
    """What came of a case."""
    latency = float(chances.lognormal(5, 1))
    found = tuple(Passage(TEXT, f"{place}-{number}", "d", ("a.md",), score=0.5) for number in range(5))
    scores = {
        "recall@4": scored(float(chances.random() < 0.6 + target * 0.2)),
        "mrr@4": scored(float(chances.random())) if place % 10 else not_applicable("no gold sources"),
        "latency": scored(latency) if place % 100 else failed("the store did not answer"),
    }
    return Result(place, target, 0, answer=TEXT, found=found, taken=Taken(latency=latency), scores=scores)


@pytest.mark.parametrize("rows", [1000, pytest.param(10_000, marks=[pytest.mark.bench, pytest.mark.timeout(900)])])
async def test_many_rows_are_read_as_numbers(lab: Lab, rows: int) -> None:
    store = UUID(await lab.talk.store())
    gold = (Gold(GoldKind.SOURCE, "a.md"),)
    dataset = await lab.dataset([RowDraft(f"{TEXT}{number}", TEXT, gold) for number in range(rows)])
    metrics = [MetricWish("recall@4"), MetricWish("mrr@4"), MetricWish("latency")]
    made = await lab.make(dataset, store_target(store, "one"), store_target(store, "two"), metrics=metrics)
    chances = np.random.default_rng(5)
    for start in range(0, rows, BATCH):
        given = [result(place, target, chances) for place in range(start, start + BATCH) for target in range(2)]
        async with lab.resources.database.write(lab.workspace) as scope:
            await records.add(scope, made.id, given)
    tracemalloc.start()
    html = await service.page(lab.resources, lab.workspace, made.id)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_MEMORY
    assert len(html) < 1_000_000
    told = "".join(read(html).text)
    assert f"{rows:,}" in told
    assert f"Means of about {max(round(rows / GROUPS), 1):,} neighbouring rows each" in told
    assert "the store did not answer" in told
    assert "two against one" in told
