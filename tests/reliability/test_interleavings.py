"""Two things at once, in many orders: deletes of what is being ingested (15), questions during a re-index (18)."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.providers.embedding.fake import FakeEmbedder
from tests.reliability.bench import ASYNC, Bench, embedding
from tests.reliability.faults import Faults
from tests.reliability.writes import the_loaders, the_store
from tests.service.document_stores.talk import API, passages

TOPICS = ["Alpha", "Beta", "Gamma", "Delta", "Eta", "Theta", "Iota"]


class Scheduler:
    """Lets others go first, at random, before each side effect and each call of an embedder."""

    def __init__(self, chance: random.Random, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
        self.chance = chance
        transaction = faults.database.transaction
        monkeypatch.setattr(faults.database, "transaction", lambda: _Waiting(self, transaction()))
        make = FakeEmbedder._vectors

        async def vectors(embedder: FakeEmbedder, *arguments: Any) -> Any:
            await self.turn()
            return await make(embedder, *arguments)

        monkeypatch.setattr(FakeEmbedder, "_vectors", vectors)

    async def turn(self) -> None:
        """Give way, for nothing, a moment or some moments."""
        await asyncio.sleep(self.chance.choice((0, 0, 0.001, 0.004)))


class _Waiting:
    def __init__(self, scheduler: Scheduler, inner: Any) -> None:
        self._scheduler, self._inner = scheduler, inner

    async def __aenter__(self) -> Any:
        await self._scheduler.turn()
        return await self._inner.__aenter__()

    async def __aexit__(self, *exc: Any) -> Any:
        if exc[0] is None:
            await self._scheduler.turn()
        return await self._inner.__aexit__(*exc)


async def delete_the_document(bench: Bench, store: str) -> int:
    """By its id."""
    (row,) = await bench.talk.rows("SELECT id FROM documents WHERE name = 'a.txt'")
    return (await bench.client.delete(f"{API}/documents/{store}/{row['id']}")).status_code


async def delete_its_loader(bench: Bench, store: str) -> int:
    """By the loader that holds it."""
    loader = (await the_loaders(bench))["a.txt"]
    return (await bench.client.delete(f"{API}/loader/{store}/{loader}")).status_code


async def delete_the_store(bench: Bench, store: str) -> int:
    """With everything in it."""
    return (await bench.client.delete(f"{API}/store/{store}")).status_code


KINDS: list[tuple[Callable[[Bench, str], Awaitable[int]], int]] = [
    (delete_the_document, 100),
    (delete_its_loader, 70),
    (delete_the_store, 40),
]


@pytest.mark.parametrize("vector_store", ["pgvector://", "memory://"], ids=["joins", "apart"])
@pytest.mark.parametrize(
    ("delete", "times"),
    [pytest.param(delete, times // 2, id=delete.__name__) for delete, times in KINDS]
    + [
        pytest.param(
            delete, 5 * times, id=f"{delete.__name__} often", marks=[pytest.mark.bench, pytest.mark.timeout(900)]
        )
        for delete, times in KINDS
    ],
)
async def test_what_is_deleted_while_it_is_ingested_ends_deleted(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    delete: Callable[[Bench, str], Awaitable[int]],
    times: int,
    seed: int,
) -> None:
    monkeypatch.setattr("service.document_stores.ingest.BATCH", 2)
    chance = random.Random(seed)
    scheduler = Scheduler(chance, bench.faults, monkeypatch)
    store = await bench.talk.store()
    await bench.talk.start(store, ("b.txt", passages("Omega")))
    await bench.drain()
    meanwhile = 0
    try:
        for number in range(times):
            if delete is delete_the_store and number:
                store = await bench.talk.store()
            held = chance.random() < 0.5
            if held:  # it was there before, and changes
                await bench.talk.start(store, ("a.txt", passages(*TOPICS[:3])))
                await bench.drain()
            await bench.talk.start(store, ("a.txt", passages(*chance.sample(TOPICS, 5))))
            ingesting = asyncio.create_task(bench.drain())
            for _ in range(chance.randint(0, 40)):
                await scheduler.turn()
            assert await delete(bench, store) == 200, number
            meanwhile += not ingesting.done()
            if delete is not delete_the_store:
                found = {doc["metadata"]["source"] for doc in await bench.talk.query(store, "stands here", topK=50)}
                assert found == {"b.txt"}, (number, found)  # from the moment of the answer
            await ingesting
            await bench.drain()
            rows = await bench.talk.rows("SELECT name FROM documents WHERE name = 'a.txt'")
            assert rows == [], number
            if number % 10 == 9 or number == times - 1:
                await bench.sound()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    assert meanwhile > times / 3  # truly at the same time
    await bench.nothing_is_left()


@pytest.mark.parametrize("vector_store", ["pgvector://", "memory://"], ids=["joins", "apart"])
async def test_questions_during_a_reindex_are_answered_whole_from_one_space(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("service.document_stores.indexing.fill.BATCH", 2)
    scheduler = Scheduler(random.Random(seed), bench.faults, monkeypatch)
    topics = [f"Topic{number}" for number in range(24)]
    store = await bench.talk.store()
    await bench.talk.start(store, ("a.txt", passages(*topics)))
    await bench.drain()
    asked = 0
    for dimension in (24, 40, 16):
        body = {"storeId": store, **embedding(dimension)}
        await bench.call("POST", f"{API}/vectorstore/reindex", 202, json=body, headers=ASYNC)
        reindexing = asyncio.create_task(bench.drain())
        while not reindexing.done():
            topic = scheduler.chance.choice(topics)
            found = await bench.talk.query(store, f"{topic} {topic}1 stands here", topK=50)
            texts = [doc["pageContent"].split()[0] for doc in found]
            assert sorted(texts) == sorted(topics), (seed, dimension, texts)  # the recall of the old space
            assert topic in texts[:3], (seed, topic, texts)
            asked += 1
        await reindexing
        await bench.sound()
        assert (await bench.talk.read(store))["embeddingConfig"]["config"] == {"dimension": dimension}
    assert asked > 3
    assert await the_store(bench) == store
