"""Queries with stages, filters and explanations, over HTTP and a real Postgres."""

import json
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.document_stores.ledger.chunks.records import numbers_where
from stores.vector.base import Match, Refused
from stores.vector.filters import matches, parse
from stores.vector.pgvector import PgVectorStore
from tests.service.document_stores.talk import API, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")

QUERY = f"{API}/vectorstore/query"


async def ask(client: httpx.AsyncClient, store: str, query: str = "Alpha1 Beta2", **fields: Any) -> dict[str, Any]:
    """A query that must succeed: its answer."""
    response = await client.post(QUERY, json={"storeId": store, "query": query, **fields})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def refusal(client: httpx.AsyncClient, store: str, **fields: Any) -> str:
    """What is said of a query that cannot be answered."""
    response = await client.post(QUERY, json={"storeId": store, "query": "Alpha", **fields})
    assert response.status_code == 422, response.text
    told: str = response.json()["error"]
    return told


def heads(answer: dict[str, Any]) -> list[str]:
    """The first word of each chunk."""
    return [doc["pageContent"].split()[0] for doc in answer["docs"]]


async def filled(talk: Talk) -> str:
    """A document store of three documents of four chunks each."""
    store = await talk.store()
    topics = ("Alpha", "Beta", "Gamma", "Delta")
    for number in range(3):
        names = [f"{topic}{number}" for topic in topics]
        await talk.upsert(
            store,
            (f"{number}.txt", passages(*names)),
            metadata={
                "number": number,
                "even": number % 2 == 0,
                "date": f"2026-0{number + 1}-15",
                "tags": ["all", names[0]],
            },
        )
    return store


async def test_stages_come_with_the_body_or_with_its_inputs(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await filled(talk)
    stages = [{"name": "similarity"}, {"name": "neighbours", "before": 0, "after": 1}]
    beside = await ask(client, store, topK=2, retrieval=stages, filter={"number": 1})
    inside = await ask(client, store, inputs={"topK": "2", "retrieval": stages, "filter": {"number": 1}})
    assert beside["docs"] == inside["docs"]
    assert len(beside["docs"]) <= 2
    merged = next(doc for doc in beside["docs"] if "merged" in doc["metadata"])
    assert len(merged["metadata"]["merged"]["positions"]) >= 2
    assert {doc["metadata"]["number"] for doc in beside["docs"]} == {1}
    assert "trace" not in beside
    assert heads(await ask(client, store, strategy="similarity")) == heads(
        await ask(client, store, retrieval=[{"name": "similarity"}])
    )
    near = await ask(client, store, retrieval=[{"name": "threshold", "minScore": 0.99}])
    assert near["docs"] == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"topK": 2, "inputs": {"topK": 2}}, "inputs.topK"),
        ({"strategy": "mmr", "retrieval": []}, "strategy"),
        ({"retrieval": [{"name": "similarity"}, {"name": "mmr", "lambda": 7}]}, "retrieval[1].lambda"),
        ({"retrieval": {"name": "mmr"}}, "retrieval"),
        ({"inputs": {"retrieval": "mmr"}}, "retrieval"),
        ({"inputs": {"strategy": 7}}, "strategy"),
        ({"inputs": {"explain": "perhaps"}}, "explain"),
        ({"history": [{"role": "stranger", "content": "x"}]}, "history[0]"),
        ({"history": [{"role": ["userMessage"], "content": "x"}]}, "history[0]"),
        ({"inputs": {"history": "x"}}, "history"),
        ({"inputs": {"filter": "x"}}, "filter"),
        ({"inputs": {"pgMetadataFilter": "{"}}, "inputs.pgMetadataFilter"),
        ({"inputs": {"chromaMetadataFilter": {"a": {"$near": 1}}}}, "inputs.chromaMetadataFilter"),
        ({"inputs": {"searchType": "nearest"}}, "inputs.searchType"),
        ({"inputs": {"searchType": "mmr", "lambda": 2}}, "inputs.lambda"),
        ({"filter": {"number": {"$regex": "1"}}}, "filter.number.$regex"),
        ({"filter": {"number": {"$gt": True}}}, "filter.number.$gt"),
        ({"filter": {"number": {"$in": 1}}}, "filter.number.$in"),
        ({"filter": {"number": {"$exists": 1}}}, "filter.number.$exists"),
        ({"filter": {"$and": {}}}, "filter.$and"),
        ({"filter": {"$nor": [{}]}}, "filter.$nor"),
    ],
)
async def test_a_fault_is_named_by_its_field(client: httpx.AsyncClient, talk: Talk, fields: Any, told: str) -> None:
    assert told in await refusal(client, await talk.store(), **fields)


@pytest.mark.parametrize(
    "inputs",
    [
        {"pgMetadataFilter": {"number": 1}},
        {"pgMetadataFilter": '{"number": 1}'},
        {"chromaMetadataFilter": {"number": 1}, "pineconeMetadataFilter": ""},
        {"qdrantFilter": {"must": [{"key": "metadata.number", "match": {"value": 1}}]}},
        {"pgMetadataFilter": {"number": {"$gt": 0}}, "filter": {"even": False}},
    ],
)
async def test_a_vector_stores_own_filter_counts_among_the_inputs(
    talk: Talk, client: httpx.AsyncClient, inputs: dict[str, Any]
) -> None:
    store = await filled(talk)
    found = await ask(client, store, inputs={"topK": 10, **inputs})
    assert {doc["metadata"]["number"] for doc in found["docs"]} == {1}


async def test_a_vector_stores_own_search_type_counts_where_no_stages_are_named(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    async def picked(store: str, **inputs: Any) -> list[str]:
        trace = (await ask(client, store, explain=True, inputs=inputs))["trace"]
        return [stage["name"] for stage in trace["stages"]]

    plain = await filled(talk)
    assert await picked(plain) == ["hybrid", "ledger"]
    assert await picked(plain, searchType="mmr", fetchK="", **{"lambda": "0.2"}) == ["hybrid", "ledger", "mmr"]
    assert await picked(plain, searchType="mmr", strategy="similarity") == ["similarity", "ledger"]
    config = {"name": "postgres", "config": {"searchType": "mmr", "fetchK": 30}}
    varied = await talk.store("Varied", vectorStoreConfig=json.dumps(config))
    await talk.upsert(varied, ("a.txt", passages("Alpha", "Beta")))
    assert await picked(varied) == ["hybrid", "ledger", "mmr"]
    assert await picked(varied, searchType="similarity") == ["hybrid", "ledger"]
    bad = {"name": "postgres", "config": {"searchType": "mmr", "fetchK": 0}}
    refused = await talk.send(varied, ("b.txt", "Gamma"), vectorStore=bad)
    assert (refused.status_code, "vectorStore.config.fetchK" in refused.text) == (422, True)


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ({"number": {"$eq": 1}}, {1}),
        ({"number": {"$ne": 1}}, {0, 2}),
        ({"number": {"$gt": 0, "$lte": 1}}, {1}),
        ({"number": {"$gte": 1}}, {1, 2}),
        ({"number": {"$lt": 1}}, {0}),
        ({"number": {"$in": [0, 2, 9]}}, {0, 2}),
        ({"number": {"$nin": [0, 2]}}, {1}),
        ({"number": "1"}, set()),
        ({"even": True}, {0, 2}),
        ({"even": 1}, set()),
        ({"missing": {"$exists": False}}, {0, 1, 2}),
        ({"date": {"$gte": "2026-02-01", "$lt": "2026-03-01"}}, {1}),
        ({"tags": "Alpha2"}, {2}),
        ({"$or": [{"number": 0}, {"date": {"$gt": "2026-03-01"}}]}, {0, 2}),
        ({"$and": [{"even": True}, {"$not": {"number": 0}}]}, {2}),
    ],
)
async def test_the_filter_grammar_counts_in_queries(
    talk: Talk, client: httpx.AsyncClient, where: Any, numbers: set[int]
) -> None:
    store = await filled(talk)
    for stages in ([{"name": "similarity"}], [{"name": "hybrid"}, {"name": "parents", "of": "document"}]):
        answer = await ask(client, store, topK=12, filter=where, retrieval=stages)
        assert {doc["metadata"]["number"] for doc in answer["docs"]} == numbers


async def test_filters_together_may_name_more_values_than_a_statement_has_parameters(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    store = await filled(talk)
    many = [{f"missing{number}": {"$in": [f"{value}" for value in range(64)]}} for number in range(250)]
    where = {"$or": [*many, {"number": {"$in": [1, 2]}}, {"number": 1}]}
    stages = [{"name": "similarity"}, {"name": "neighbours"}]
    more = {"pgMetadataFilter": where, "chromaMetadataFilter": where}
    answer = await ask(client, store, topK=12, filter=where, inputs=more, retrieval=stages)
    assert {doc["metadata"]["number"] for doc in answer["docs"]} == {1, 2}


async def test_a_filter_that_comes_again_is_planned_for_its_own_values(
    talk: Talk, client: httpx.AsyncClient, workspace: UUID
) -> None:
    store = UUID(await filled(talk))
    where = parse({"number": {"$in": [1, 2]}})
    async with talk.resources.database.read(workspace) as scope:
        for _ in range(8):
            assert len(await numbers_where(scope, store, where)) == 8
            assert await scope.one("SELECT count(*) AS n FROM chunks WHERE store_id = %(store)s", store=store)
        (row,) = await scope.all(
            "SELECT count(*) FILTER (WHERE statement LIKE '%%@>%%') AS filters, count(*) AS all"
            " FROM pg_prepared_statements"
        )
    assert (row["filters"], row["all"] > 0) == (0, True)


async def test_an_explanation_names_chunks_scores_cuts_and_times(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await filled(talk)
    stages = [{"name": "hybrid"}, {"name": "mmr", "lambda": 0.7}, {"name": "threshold", "minScore": 0}]
    plain = await ask(client, store, topK=2, retrieval=stages)
    answer = await ask(client, store, topK=2, retrieval=stages, explain=True)
    assert answer["docs"] == plain["docs"], "being explained changes nothing"
    trace = answer["trace"]
    assert [stage["name"] for stage in trace["stages"]] == ["hybrid", "ledger", "mmr", "threshold"]
    search, ledger, mmr, threshold = trace["stages"]
    assert search["questions"] == ["Alpha1 Beta2"]
    assert set(search["times"]) >= {"embedding", "vectors", "words"}
    assert set(search["candidates"][0]["parts"]) == {"cosine", "lexical"}
    assert search["facts"]["foundByVectors"] == 12
    assert len(ledger["candidates"]) == 12
    assert set(mmr["candidates"][0]["parts"]) == {"cosine", "lexical", "mmr"}
    assert {cut["reason"] for cut in mmr["cut"]} == {"adds less than those that were picked"}
    assert [item["id"] for item in threshold["candidates"]] == [doc["id"] for doc in answer["docs"]]
    assert [item["score"] for item in threshold["candidates"]] == [doc["score"] for doc in answer["docs"]]
    known = {chunk["id"]: chunk for chunk in trace["chunks"]}
    best = answer["docs"][0]
    assert known[best["id"]]["source"] == best["metadata"]["source"]
    assert known[best["id"]]["chunkNo"] == best["chunkNo"]
    assert best["pageContent"].startswith(known[best["id"]]["excerpt"].rstrip("…"))
    assert all(stage["milliseconds"] > 0 for stage in trace["stages"])
    empty = await ask(client, await talk.store("Empty"), explain=True)
    assert empty["trace"] == {"stages": [], "chunks": []}


async def test_a_document_store_keeps_a_pipeline_that_a_request_overrides(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    store = await filled(talk)
    kept = {"name": "postgres", "config": {"topK": "3", "retrieval": [{"name": "similarity"}, {"name": "mmr"}]}}
    response = await client.put(f"{API}/store/{store}", json={"vectorStoreConfig": json.dumps(kept)})
    assert response.status_code == 200, response.text
    assert response.json()["vectorStoreConfig"] == kept
    answer = await ask(client, store, explain=True)
    assert [stage["name"] for stage in answer["trace"]["stages"]] == ["similarity", "ledger", "mmr"]
    assert len(answer["docs"]) == 3
    other = await ask(client, store, topK=5, strategy="hybrid", explain=True)
    assert [stage["name"] for stage in other["trace"]["stages"]] == ["hybrid", "ledger"]
    assert len(other["docs"]) == 5

    for config, told in (
        ({"retrieval": [{"name": "mmr", "lambda": 2}]}, "vectorStore.config.retrieval[0].lambda"),
        ({"retrieval": "hybrid"}, "vectorStore.config.retrieval"),
        ({"topK": "many"}, "vectorStore.config.topK"),
    ):
        changed = {"vectorStoreConfig": {"name": "postgres", "config": config}}
        for response in (
            await client.put(f"{API}/store/{store}", json=changed),
            await client.post(f"{API}/store", json={"name": "Another", **changed}),
            await client.post(
                f"{API}/vectorstore/save",
                json={"storeId": store, "vectorStoreName": "postgres", "vectorStoreConfig": config},
            ),
        ):
            assert response.status_code == 422, response.text
            assert told in response.json()["error"]
    assert (await talk.read(store))["vectorStoreConfig"] == kept


async def test_what_is_not_live_comes_in_by_no_stage(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await filled(talk)
    async with talk.resources.database.connection() as connection:
        await connection.execute("UPDATE chunks SET live = false WHERE text LIKE 'Beta%%'")
    stages = [
        {"name": "hybrid"},
        {"name": "neighbours", "before": 2, "after": 2},
        {"name": "parents", "of": "document"},
    ]
    answer = await ask(client, store, "Beta1", topK=12, retrieval=stages, explain=True)
    assert answer["docs"]
    assert "Beta" not in json.dumps(answer["docs"])
    assert "Beta" not in json.dumps(answer["trace"]["chunks"])
    hidden = [cut for cut in answer["trace"]["stages"][1]["cut"] if cut["reason"].startswith("not live")]
    assert len(hidden) == 3
    assert {cut["id"] for cut in hidden} == {None}


def random_stages(random: Random) -> list[dict[str, Any]]:
    """Some stages of the kinds that ask no model."""
    kinds: list[dict[str, Any]] = [
        {"name": "threshold", "minScore": random.uniform(-0.5, 0.5)},
        {"name": "mmr", "lambda": random.random(), "fetchK": random.randint(1, 20)},
        {"name": "neighbours", "before": random.randint(0, 2), "after": random.randint(0, 2), "mode": "merge"},
        {"name": "neighbours", "before": random.randint(0, 2), "after": random.randint(0, 2), "mode": "beside"},
        {"name": "parents", "of": random.choice(["section", "document"]), "maxCharacters": random.randint(500, 2500)},
    ]
    searches: list[dict[str, Any]] = [{"name": "hybrid"}, {"name": "similarity"}, {"name": "hybrid", "weight": 2}]
    return [random.choice(searches), *random.sample(kinds, random.randint(0, 3))]


async def test_earlier_turns_help_to_find_unless_stages_are_named(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await filled(talk)
    turns = [
        {"role": "userMessage", "content": "Tell me of Gamma2"},
        {"role": "apiMessage", "content": "Delta0 stands here."},
    ]
    answer = await ask(client, store, "And there?", history=turns, explain=True)
    first, search, *_ = answer["trace"]["stages"]
    assert first["name"] == "rewrite"
    assert "Gamma2" in first["questions"][0]
    texts = {chunk["number"]: chunk["excerpt"] for chunk in answer["trace"]["chunks"]}
    nearest = max(search["candidates"], key=lambda item: float(item["parts"]["lexical"]))
    assert texts[nearest["number"]].startswith("Gamma2")
    plain = await ask(client, store, "And there?", history=turns, strategy="hybrid", explain=True)
    assert [stage["name"] for stage in plain["trace"]["stages"]] == ["hybrid", "ledger"]


async def test_random_stages_never_leave_the_filter_and_tell_what_they_did(
    talk: Talk, client: httpx.AsyncClient, seed: int
) -> None:
    await try_random_stages(talk, client, seed, 40)


async def try_random_stages(talk: Talk, client: httpx.AsyncClient, seed: int, rounds: int) -> None:
    """Ask with random stages, and look at what every answer must hold to."""
    store, random = await filled(talk), Random(seed)
    wheres = [None, {"number": 1}, {"even": True}, {"date": {"$gt": "2026-02-01"}}]
    for _ in range(rounds):
        where, stages, limit = random.choice(wheres), random_stages(random), random.randint(1, 8)
        query = " ".join(random.choices(["Alpha1", "Beta2", "Gamma0", "Delta1", "nothing"], k=2))
        answer = await ask(client, store, query, topK=limit, filter=where, retrieval=stages, explain=True)
        docs, trace = answer["docs"], answer["trace"]
        told = json.dumps([stages, where, limit, query])
        assert len(docs) <= limit, told
        assert len({doc["id"] for doc in docs}) == len(docs), told
        if where is not None:
            assert all(matches(parse(where), doc["metadata"]) for doc in docs), told
            assert all(
                f"{topic}{number}" not in doc["pageContent"].split()
                for doc in docs
                for topic in ("Alpha", "Beta", "Gamma", "Delta")
                for number in range(3)
                if not matches(
                    parse(where), {"number": number, "even": number % 2 == 0, "date": f"2026-0{number + 1}-15"}
                )
            ), told
        assert [stage["name"] for stage in trace["stages"]] == [
            stages[0]["name"], "ledger", *(stage["name"] for stage in stages[1:])
        ], told  # fmt: skip
        assert [item["id"] for item in trace["stages"][-1]["candidates"]] == [doc["id"] for doc in docs], told


async def test_a_vector_store_that_refuses_is_named_and_no_fault_of_the_service(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await filled(talk)

    async def refuse(*_: object, **__: object) -> list[Match]:
        raise Refused("no such key")

    monkeypatch.setattr(PgVectorStore, "query", refuse)
    answer = await talk.client.post(QUERY, json={"storeId": store, "query": "Alpha"})
    assert answer.status_code == 502
    assert (answer.json()["code"], answer.json()["error"]) == (
        "upstream_failed",
        "The vector store refuses what it is asked: no such key",
    )
