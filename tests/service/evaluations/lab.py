"""What evaluations are made of in tests: datasets, flows, document stores; and waiting for their ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from service.datasets import service as datasets
from service.datasets.types import Gold, GoldKind, RowDraft
from service.evaluations import service
from service.evaluations.types import OPEN, Evaluation, MetricWish, Result, TargetKind, TargetWish, Wish
from service.resources import Resources
from tests.service.chatflows.flows import openai, rag
from tests.service.document_stores.talk import Talk, passages

TOPICS = ("Leave", "Pension", "Travel", "Parking", "Canteen", "Laptops")


@dataclass(slots=True)
class Lab:
    """One workspace."""

    client: httpx.AsyncClient
    resources: Resources
    workspace: UUID
    talk: Talk

    async def shelf(self, *topics: str) -> UUID:
        """A document store with a chunk for each topic."""
        store = await self.talk.store()
        await self.talk.upsert(store, ("handbook.txt", passages(*(topics or TOPICS))))
        return UUID(store)

    async def dataset(self, rows: Sequence[RowDraft] | int = 6, name: str = "Questions") -> UUID:
        """A dataset of these rows; of a number: so many questions about the topics, with what must be found."""
        if isinstance(rows, int):
            rows = [question(number) for number in range(rows)]
        made = await datasets.create(self.resources.database, self.workspace, name, "", rows)
        return made.id

    async def flow(self, flow_data: str, name: str = "Flow", **columns: Any) -> UUID:
        """A new chatflow."""
        body = {"name": name, "type": "CHATFLOW", "flowData": flow_data, **columns}
        response = await self.client.post("/api/v1/chatflows", json=body)
        assert response.status_code == 200, response.text
        return UUID(response.json()["id"])

    async def writing(self, store: UUID, url: str, name: str = "Flow", **parts: Any) -> UUID:
        """A flow whose model is the stub."""
        return await self.flow(rag(store, model=openai(url, **parts.pop("model", {})), **parts), name)

    async def make(self, dataset: UUID, *targets: TargetWish, **fields: Any) -> Evaluation:
        """A new evaluation."""
        fields.setdefault("name", "Nightly")
        fields.setdefault("metrics", [MetricWish("recall@4"), MetricWish("mrr@4")])
        wish = Wish(dataset=dataset, targets=targets, **fields)
        return await service.create(self.resources, self.workspace, wish)

    async def end(self, evaluation: Evaluation, *, seconds: float = 60) -> Evaluation:
        """The evaluation, when it has ended."""
        async with asyncio.timeout(seconds):
            while (found := await self.get(evaluation)).state in OPEN:  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.02)
        return found

    async def get(self, evaluation: Evaluation) -> Evaluation:
        """The evaluation as it is now."""
        return await service.get(self.resources.database, self.workspace, evaluation.id)

    async def results(self, evaluation: Evaluation) -> list[Result]:
        """All of its results, by row, target and repeat."""
        batches = service.batches(self.resources.database, self.workspace, evaluation.id, size=50)
        return [result async for batch in batches for _, results in batch for result in results]


def question(number: int) -> RowDraft:
    """A question that the passage of a topic answers."""
    topic = TOPICS[number % len(TOPICS)]
    return RowDraft(
        f"What does {topic}{number % 7} say? ({number})",
        f"{topic} stands here.",
        (Gold(GoldKind.QUOTE, f"{topic} stands here."),),
    )


def store_target(store: UUID, label: str = "", **options: Any) -> TargetWish:
    """A document store to be asked."""
    return TargetWish(TargetKind.STORE, store, label, options)


def flow_target(flow: UUID, label: str = "", **options: Any) -> TargetWish:
    """A flow to be asked."""
    return TargetWish(TargetKind.CHATFLOW, flow, label, options)
