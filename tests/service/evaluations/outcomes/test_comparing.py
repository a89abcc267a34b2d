"""Comparisons over kept scores: pairs, reasons why there are none, corrected verdicts, and many rows."""

from uuid import UUID, uuid4

import pytest

from service.datasets import service as datasets
from service.datasets.types import RowDraft
from service.errors import NotFound, Unprocessable
from service.evaluations import comparing
from service.evaluations.comparing import Choice, Why
from service.metrics.base import Score, failed, not_applicable, scored
from service.metrics.resampling import holm
from service.metrics.stats import Verdict, compared
from service.resources import Resources
from tests.service.evaluations.outcomes.bench import LABELS, Bench


@pytest.fixture
def bench(resources: Resources, workspace: UUID) -> Bench:
    """Without anything on it."""
    return Bench(resources, workspace)


def alike(value: float) -> dict[str, list[Score]]:
    """A row with this score by every measure."""
    return {label: [scored(value)] for label in LABELS}


async def test_figures_are_those_of_the_statistics_over_the_pairs(bench: Bench) -> None:
    await bench.settle(40)
    one = [{label: [scored((row * 7 % 10) / 10), scored((row * 3 % 10) / 10)] for label in LABELS} for row in range(40)]
    other = [{label: [scored((row * 7 % 10) / 10 + 0.3)] * 2 for label in LABELS} for row in range(40)]
    first, second = await bench.evaluation(one), await bench.evaluation(other)
    found = await bench.compare(first, second)
    expected = compared(
        {row: values["recall@5"] for row, values in enumerate(one)},
        {row: values["recall@5"] for row, values in enumerate(other)},
    )
    assert [item.label for item in found] == list(LABELS)
    assert found[0].comparison == expected
    assert found[0].unpaired == {}
    p_values = [float(item.comparison.p or 0) for item in found]
    assert [item.corrected for item in found] == holm(p_values)
    assert [item.verdict for item in found] == [
        Verdict.BETTER,
        Verdict.BETTER,
        Verdict.WORSE,
    ]  # of latency less is more
    assert found[2].improved[0].by < 0 < found[2].worsened[0].by
    assert found[0].improved[0].by == max(item.by for item in found[0].improved)


async def test_a_difference_that_is_real_alone_may_be_chance_among_many(bench: Bench) -> None:
    await bench.settle(9)
    rise, still = [0, 1, 1, 1, 1, 1, 1, 0, 0], [0, 1, 0, 1, 0, 1, 0, 1, 1]
    one = [alike(0) for _ in range(9)]
    other = [
        {"recall@5": [scored(rise[row])], "mrr@10": [scored(still[row] - still[8 - row])], "latency": [scored(0)]}
        for row in range(9)
    ]
    found = await bench.compare(await bench.evaluation(one), await bench.evaluation(other))
    assert found[0].comparison.verdict is Verdict.BETTER
    assert (found[0].verdict, float(found[0].corrected or 0) > 0.05) == (Verdict.UNCLEAR, True)
    (alone,) = await bench.compare(
        await bench.evaluation(one), await bench.evaluation(other), Choice(labels=["recall@5"])
    )
    assert (alone.verdict, alone.corrected) == (Verdict.BETTER, alone.comparison.p)


async def test_every_row_that_is_not_paired_has_its_reason(bench: Bench) -> None:
    await bench.settle(6)
    rows = (await datasets.row_page(bench.resources.database, bench.workspace, bench.dataset, 0, 10))[1]
    one = [alike(0.5) for _ in range(6)]
    first = await bench.evaluation(one)
    database, workspace = bench.resources.database, bench.workspace
    await datasets.update_row(database, workspace, rows[0].id, {"output": "another"})
    await datasets.delete_row(database, workspace, rows[1].id)
    await datasets.add_row(database, workspace, bench.dataset, RowDraft("new"))
    other: list[dict[str, list[Score]]] = [
        alike(1),
        {label: [failed("the search broke")] for label in LABELS},
        {label: [not_applicable("no gold sources")] for label in LABELS},
        {},
        alike(1),
        alike(1),
    ]
    found = (await bench.compare(first, await bench.evaluation(other)))[0]
    assert found.unpaired == {
        Why.CHANGED: 1, Why.FIRST_ONLY: 1, Why.ERROR: 1, Why.NOT_APPLICABLE: 1, Why.UNASKED: 1, Why.SECOND_ONLY: 1,
    }  # fmt: skip
    told = {item.question: (item.why, item.side, item.reason) for item in found.examples}
    assert told == {
        "question 0": (Why.CHANGED, 2, ""),
        "question 1": (Why.FIRST_ONLY, 1, ""),
        "question 2": (Why.ERROR, 2, "the search broke"),
        "question 3": (Why.NOT_APPLICABLE, 2, "no gold sources"),
        "question 4": (Why.UNASKED, 2, ""),
        "new": (Why.SECOND_ONLY, 2, ""),
    }
    assert (found.comparison.pairs, found.comparison.errors) == (1, (0, 1))


async def test_targets_are_paired_by_their_labels(bench: Bench) -> None:
    await bench.settle(2)
    first = await bench.evaluation([alike(0), alike(0)], [alike(1), alike(1)])
    second = await bench.evaluation([alike(0), alike(0)], [alike(1), alike(1)], [alike(1), alike(1)])
    database, workspace = bench.resources.database, bench.workspace
    told = await comparing.compare(database, workspace, first.id, second.id)
    assert [(pair.first, pair.second) for pair in told.targets] == [(0, 0), (1, 1)]
    assert (told.unmatched, told.complete) == (([], ["target 2"]), False)
    told = await comparing.compare(database, workspace, first.id, second.id, Choice(0, 2))
    assert [(pair.first, pair.second) for pair in told.targets] == [(0, 2)]
    with pytest.raises(Unprocessable, match="otherTarget"):
        await comparing.compare(database, workspace, first.id, second.id, Choice(0, 3))
    with pytest.raises(NotFound):
        await comparing.compare(database, workspace, first.id, uuid4())


async def test_a_call_compares_so_much_and_no_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.settle(2)
    first = await bench.evaluation([alike(0), alike(0)])
    monkeypatch.setattr(comparing, "MOST_COMPARISONS", 2)
    with pytest.raises(Unprocessable, match="comparisons: 1 pairs of targets with 3 measures"):
        await comparing.compare(
            bench.resources.database, bench.workspace, first.id, (await bench.evaluation([alike(0)])).id
        )


async def test_many_rows_are_compared_and_few_are_shown(bench: Bench) -> None:
    await bench.settle(2_000)
    one = [{"recall@5": [scored(float(row % 3 == 0))]} for row in range(2_000)]
    other = [{"recall@5": [scored(float(row % 2 == 0))]} for row in range(2_000)]
    first, second = await bench.evaluation(one), await bench.evaluation(other)
    (found,) = await bench.compare(first, second, Choice(labels=["recall@5"]))
    assert (found.comparison.pairs, found.verdict, found.comparison.means) == (2_000, Verdict.BETTER, (0.3335, 0.5))
    assert (len(found.improved), len(found.worsened)) == (10, 10)
