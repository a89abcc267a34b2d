"""The index of vectors: built once these are many, over all of them, and growing with them from then on."""

import pytest

from service.document_stores import jobs, shelf
from service.document_stores.check.repair import repair
from service.document_stores.collections import records as collections
from tests.service.document_stores.talk import Talk, passages

pytestmark = pytest.mark.usefixtures("worker")

VALID = "SELECT 1 AS one FROM pg_index WHERE indisvalid AND indexrelid::regclass::text LIKE 'vectors\\_%%\\_hnsw'"
MADE = "SELECT state FROM jobs WHERE kind = 'compact'"


async def test_few_vectors_are_compared_and_an_index_is_built_over_many(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collections, "MANY_NUMBERS", 3 * 16)
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch")))
    await talk.settled()
    assert (await talk.rows(VALID), await talk.rows(MADE)) == ([], [])
    assert (await talk.query(store, "birch3", topK=1))[0]["pageContent"].startswith("birch")

    await talk.upsert(store, ("b.txt", passages("cedar")))
    await talk.settled()
    assert len(await talk.rows(VALID)) == 1
    assert await talk.rows(MADE) == [{"state": "done"}]

    await talk.upsert(store, ("c.txt", passages("dogwood")))
    await talk.settled()
    assert len(await talk.rows(MADE)) == 1
    assert (await talk.query(store, "dogwood3", topK=1))[0]["pageContent"].startswith("dogwood")
    await talk.holds_together()


async def test_an_index_does_not_wait_for_the_end_of_a_long_upsert(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        """At the end of the upsert."""

    monkeypatch.setattr(collections, "MANY_NUMBERS", 3 * 16)
    monkeypatch.setattr(shelf, "LOOKED_AFTER", 40)
    monkeypatch.setattr(jobs, "compact_soon", nothing)
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages(*(f"tree{number}" for number in range(10)))))
    await talk.settled()
    assert await talk.rows(VALID) == []
    await talk.upsert(store, ("b.txt", passages(*(f"bush{number}" for number in range(40)))))
    await talk.settled()
    assert len(await talk.rows(VALID)) == 1
    await talk.holds_together()


async def test_an_index_that_is_lost_with_its_collection_is_built_again(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collections, "MANY_NUMBERS", 3 * 16)
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("alder", "birch", "cedar")))
    await talk.settled()
    (row,) = await talk.rows("SELECT collection FROM document_stores")
    await talk.resources.vectors.drop(row["collection"])
    assert [line async for line in repair(talk.resources)] != []
    await talk.settled()
    assert len(await talk.rows(VALID)) == 1
    await talk.holds_together()
