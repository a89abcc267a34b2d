"""A thousand rows: each is asked once, read page by page, and summed up; two evaluations share the places."""

from service.evaluations import service
from service.evaluations.types import EvaluationState, MetricWish, ResultFilter
from service.worker.runner import Runner
from tests.service.evaluations.lab import Lab, store_target


async def test_a_thousand_rows_are_asked_and_read_page_by_page(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf("Leave", "Pension"), await lab.dataset(1000)
    made = await lab.make(dataset, store_target(store, topK=2), metrics=[MetricWish("recall@2"), MetricWish("latency")])
    assert made.total == 1000
    ended = await lab.end(made, seconds=240)
    assert (ended.state, ended.done, ended.failed) == (EvaluationState.COMPLETED, 1000, 0)
    database, seen = lab.resources.database, []
    async for batch in service.batches(database, lab.workspace, made.id, size=150):
        assert len(batch) <= 150
        seen += [row.place for row, results in batch if len(results) == 1]
    assert seen == list(range(1000))
    found, total = await service.results(database, lab.workspace, made.id, ResultFilter(), 990, 100)
    assert (len(found), total) == (10, 1000)
    (target,) = (await service.summary(database, lab.workspace, made.id)).targets
    assert target.measures["recall@2"].rows == 1000
    assert len(await service.scores(database, lab.workspace, made.id, 0, "recall@2")) == 1000


async def test_two_evaluations_go_on_side_by_side(lab: Lab, worker: Runner) -> None:
    store = await lab.shelf("Leave")
    large = await lab.make(await lab.dataset(400, "Large"), store_target(store))
    small = await lab.make(await lab.dataset(20, "Small"), store_target(store), name="Small")
    ended = await lab.end(small, seconds=120)
    assert ended.done == 20
    other = await lab.get(large)
    assert other.done < 400, "the small one did not wait for the large one"
    await service.cancel(lab.resources, lab.workspace, large.id)
