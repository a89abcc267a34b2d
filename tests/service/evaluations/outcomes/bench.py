"""Evaluations whose results the test gives: nobody asks anything."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID, uuid4

from service.datasets import service as datasets
from service.datasets.types import RowDraft
from service.document_stores import service as document_stores
from service.evaluations import comparing, service
from service.evaluations.cases import records as cases
from service.evaluations.comparing import Choice
from service.evaluations.types import EvaluatedRow, Evaluation, MetricWish, Result, TargetKind, TargetWish, Wish
from service.metrics.base import Score
from service.resources import Resources

LABELS = ("recall@5", "mrr@10", "latency")


class Bench:
    """A dataset, and evaluations of it."""

    def __init__(self, resources: Resources, workspace: UUID) -> None:
        """Without a dataset yet."""
        self.resources, self.workspace = resources, workspace
        self.dataset: UUID = uuid4()
        self.store: UUID = uuid4()

    async def settle(self, rows: int) -> None:
        """A dataset of so many rows, and a document store without anything."""
        drafts = [RowDraft(f"question {place}", f"answer {place}") for place in range(rows)]
        made = await datasets.create(self.resources.database, self.workspace, "Bench", rows=drafts)
        self.dataset = made.id
        self.store = (await document_stores.create(self.resources, self.workspace, "Empty", "", {})).id

    async def evaluation(self, *scores: Sequence[Mapping[str, Sequence[Score]]], name: str = "Run") -> Evaluation:
        """An evaluation with a target for each list: of each row the scores of its repeats by label."""
        repeats = max((len(values) for target in scores for row in target for values in row.values()), default=1)
        wish = Wish(
            name,
            self.dataset,
            [TargetWish(TargetKind.STORE, self.store, f"target {place}") for place in range(len(scores))],
            metrics=[MetricWish("recall", {"k": 5}), MetricWish("mrr"), MetricWish("latency")],
            repeats=repeats,
        )
        made = await service.create(self.resources, self.workspace, wish)
        await self.keep(
            made,
            [
                Result(place, target, repeat, scores={label: values[repeat] for label, values in row.items()})
                for target, rows in enumerate(scores)
                for place, row in enumerate(rows)
                for repeat in range(repeats)
                if row
            ],
        )
        return made

    async def keep(self, made: Evaluation, results: Sequence[Result]) -> None:
        """Results of an evaluation."""
        for start in range(0, len(results), 1000):
            async with self.resources.database.write(self.workspace) as scope:
                await cases.add(scope, made.id, results[start : start + 1000])

    async def compare(
        self, first: Evaluation, second: Evaluation, choice: Choice = comparing.NO_CHOICE
    ) -> list[comparing.MeasureComparison]:
        """The measures of their first pair of targets."""
        told = await comparing.compare(self.resources.database, self.workspace, first.id, second.id, choice)
        return list(told.targets[0].measures)

    def batches(self, made: Evaluation) -> AsyncIterator[list[tuple[EvaluatedRow, list[Result]]]]:
        """All that came of an evaluation, as files are made of it."""
        return service.batches(self.resources.database, self.workspace, made.id)
