"""The main flow over vector stores that do not join the transaction: upsert, query, edit, delete, doctor."""

from pathlib import Path
from typing import Any

import pytest

from service.document_stores.check.repair import repair
from service.document_stores.check.service import check
from service.providers.embedding.fake import FakeEmbedder
from service.resources import Resources
from service.settings import Settings
from stores.vector.base import UnknownCollection
from tests.service.document_stores.backends import ELSEWHERE, chroma_server, settings_with  # noqa: F401  # a fixture
from tests.service.document_stores.talk import API, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(params=ELSEWHERE)
def settings(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Settings:
    """With each of the vector stores that join no transaction."""
    return settings_with(request.param, request, tmp_path, database_url)


async def collection_of(talk: Talk, store: str) -> str:
    """The collection that a document store is searched in."""
    (row,) = await talk.rows("SELECT collection FROM document_stores WHERE id = %s", store)
    name: str = row["collection"]
    return name


def heads(docs: list[dict[str, Any]]) -> list[str]:
    """The first word of each chunk."""
    return [doc["pageContent"].split()[0] for doc in docs]


async def test_what_is_upserted_is_found_edited_and_deleted(talk: Talk, resources: Resources) -> None:
    store = await talk.store()
    made = await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma")), metadata={"lang": "de", "page": 3})
    assert made["numAdded"] == 3
    await talk.upsert(store, ("b.txt", passages("Delta", "Epsilon")), metadata={"lang": "en"})
    collection = await collection_of(talk, store)
    assert await resources.vectors.count(collection) == 5
    texts = {text.split()[0]: text for text in await talk.texts(store)}
    assert heads(await talk.query(store, texts["Beta"]))[0] == "Beta"

    again = await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Zeta")), metadata={"lang": "de", "page": 3})
    assert (again["numAdded"], again["numSkipped"], again["numDeleted"]) == (1, 2, 1)
    assert await resources.vectors.count(collection) == 5
    await talk.holds_together()

    chunk = next(one for one in (await talk.chunks(store))["chunks"] if one["pageContent"].startswith("Alpha"))
    path = f"{API}/chunks/{store}/{chunk['docId']}/{chunk['id']}"
    edited = await talk.client.put(path, json={"pageContent": "Eta is new.", "metadata": {"lang": "fr"}})
    assert edited.status_code == 200, edited.text
    best = (await talk.query(store, "Eta is new."))[0]
    assert (best["pageContent"], best["similarity"]) == ("Eta is new.", pytest.approx(1, abs=1e-5))
    assert (await talk.client.delete(path)).status_code == 200
    assert await resources.vectors.count(collection) == 4
    await talk.holds_together()

    gone = await talk.client.delete(f"{API}/store/{store}")
    assert gone.status_code == 200, gone.text
    await talk.settled()
    with pytest.raises(UnknownCollection):
        await resources.vectors.count(collection)


async def test_a_renamed_file_takes_its_vectors_along(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("old.txt", passages("Alpha", "Beta")))
    calls = len(embedder.calls)
    await talk.upsert(store, ("new.txt", passages("Alpha", "Beta")), docId=first["docId"], replaceExisting="true")
    assert len(embedder.calls) == calls
    for text in await talk.texts(store):
        found = (await talk.query(store, text))[0]
        assert (found["pageContent"], found["similarity"]) == (text, pytest.approx(1, abs=1e-5))
    await talk.holds_together()


async def test_filters_reach_the_engine(talk: Talk) -> None:
    store = await talk.store()
    for name, topics in {"de": ("Alpha", "Beta"), "en": ("Gamma", "Delta")}.items():
        await talk.upsert(store, (f"{name}.txt", passages(*topics)), metadata={"lang": name, "tags": [name, "all"]})
    for where, expected in [
        ({"lang": "de"}, {"Alpha", "Beta"}),
        ({"tags": {"$in": ["en"]}}, {"Gamma", "Delta"}),
        ({"lang": {"$ne": "en"}, "tags": "all"}, {"Alpha", "Beta"}),
    ]:
        assert set(heads(await talk.query(store, "stands", filter=where))) == expected


async def test_the_doctor_finds_and_mends_what_the_store_lost_or_has_too_many(talk: Talk, resources: Resources) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma")))
    collection = await collection_of(talk, store)
    kept, lost, *_ = await resources.vectors.ids(collection)
    (point,) = await resources.vectors.get(collection, [kept])
    await resources.vectors.upsert(collection, [type(point)("9999999999", point.vector, point.metadata)])
    await resources.vectors.delete(collection, [lost])
    assert await check(resources) != []
    done = [line async for line in repair(resources)]
    assert done != []
    await talk.holds_together()
    assert lost in await resources.vectors.ids(collection) or await resources.vectors.count(collection) == 3
