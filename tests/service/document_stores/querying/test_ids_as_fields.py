"""`docId` and `chunkId`, which results show beside a chunk's own metadata, are fields of filters as the others are."""

from typing import Any

import httpx
import pytest

from service.retrieval import narrowing
from tests.service.document_stores.backends import chroma_server, settings  # noqa: F401  # fixtures
from tests.service.document_stores.querying.test_querying import ask, refusal
from tests.service.document_stores.talk import API, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")

STAGES: tuple[list[dict[str, Any]], ...] = (
    [{"name": "similarity"}],
    [{"name": "hybrid"}, {"name": "neighbours"}],
)


@pytest.fixture(params=[narrowing.FEW, 0], ids=["few", "many"])
def most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many chunks are compared one by one: all of them here, or none, as with very many."""
    monkeypatch.setattr(narrowing, "FEW", request.param)
    return int(request.param)


@pytest.mark.usefixtures("most")
async def test_what_a_result_shows_can_be_filtered_by(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")), metadata={"lang": "de"})
    second = await talk.upsert(store, ("b.txt", passages("Gamma", "Delta")), metadata={"lang": "en", "docId": "own"})
    one, other = first["docId"], second["docId"]
    chunks = {chunk["pageContent"].split()[0]: chunk["id"] for chunk in (await talk.chunks(store))["chunks"]}

    async def found(where: dict[str, Any], stages: list[dict[str, Any]]) -> set[str]:
        docs = (await ask(client, store, topK=10, filter=where, retrieval=stages))["docs"]
        heads = {word for doc in docs for word in doc["pageContent"].split() if word in chunks}
        assert all(doc["metadata"]["docId"] in (one, other) for doc in docs)
        return heads

    a, b, everything = {"Alpha", "Beta"}, {"Gamma", "Delta"}, {"Alpha", "Beta", "Gamma", "Delta"}
    for stages in STAGES:
        for where, expected in (
            ({"docId": one}, a),
            ({"docId": {"$eq": other}}, b),
            ({"docId": {"$ne": one}}, b),
            ({"docId": {"$in": [one, other, "else"]}}, everything),
            ({"docId": {"$in": []}}, set()),
            ({"docId": {"$nin": [one]}}, b),
            ({"docId": {"$gte": min(one, other), "$lt": max(one, other)}}, a if one < other else b),
            ({"docId": {"$exists": True}}, everything),
            ({"docId": {"$exists": False}}, set()),
            ({"docId": "own"}, b),
            ({"docId": one.upper()}, set()),
            ({"docId": one.replace("-", "")}, set()),
            ({"docId": 7}, set()),
            ({"docId": {"$gt": 7}}, set()),
            ({"docId": None}, set()),
            ({"docId.x": one}, set()),
            ({"docId": one, "lang": "en"}, set()),
            ({"$or": [{"docId": one}, {"lang": "en"}]}, everything),
            ({"$not": {"docId": other}}, a),
            ({"chunkId": chunks["Beta"]}, {"Beta"}),
            ({"chunkId": {"$nin": [chunks["Beta"], chunks["Gamma"]]}}, {"Alpha", "Delta"}),
            ({"chunkId": chunks["Beta"], "docId": other}, set()),
        ):
            assert await found(where, stages) == expected, where
    assert "filter.docId.$regex" in await refusal(client, store, filter={"docId": {"$regex": one}})


@pytest.mark.usefixtures("most")
async def test_an_id_opens_nothing_that_may_not_be_found(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    shown = await talk.upsert(store, ("a.txt", passages("Alpha")))
    hidden = await talk.upsert(store, ("b.txt", passages("Beta")), principals=["group:hr"])
    for where in ({"docId": hidden["docId"]}, {"docId": {"$ne": shown["docId"]}}, {"chunkId": {"$exists": True}}):
        for stages in STAGES:
            for viewer, expected in (("user:bob", set()), ("group:hr", {hidden["docId"]})):
                answer = await ask(client, store, filter=where, retrieval=stages, principals=[viewer])
                found = {doc["metadata"]["docId"] for doc in answer["docs"]}
                assert found - {shown["docId"]} == expected, where


async def test_the_ids_of_own_chunks_count_beside_those_that_the_service_gave_them(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    store = await talk.store()
    own = [{"id": "mine", "text": "Alpha stands here."}, {"text": "Beta stands here."}]
    made = await client.post(f"{API}/upsert/{store}", json={"source": "own", "chunks": own})
    assert made.status_code == 200, made.text
    chunks = {chunk["pageContent"].split()[0]: chunk["id"] for chunk in (await talk.chunks(store))["chunks"]}
    for where, expected in (
        ({"chunkId": "mine"}, ["Alpha"]),
        ({"chunkId": chunks["Alpha"]}, ["Alpha"]),
        ({"chunkId": {"$ne": "mine"}}, ["Beta"]),
    ):
        docs = (await ask(client, store, filter=where))["docs"]
        assert [doc["pageContent"].split()[0] for doc in docs] == expected, where
