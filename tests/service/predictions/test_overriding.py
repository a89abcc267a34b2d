"""What one call may change of a flow: filters, stages and numbers of passages, over a real document store."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from service.chatflows import graph as graphs
from service.chatflows.engine import compile_flow
from service.worker.runner import Runner
from tests.service.chatflows.flows import openai, rag
from tests.service.document_stores.conftest import settings, worker  # noqa: F401  # fixtures
from tests.stubs.openai_server import OpenAIStub

API = "/api/v1"
NODE = "documentStoreVS"
"""The label of the node that searches."""
MODEL = "chatOpenAI"


@pytest.fixture(scope="module")
def stub() -> Iterator[OpenAIStub]:
    """A chat model."""
    with OpenAIStub() as server:
        yield server


@dataclass(frozen=True, slots=True)
class Desk:
    """A flow over a document store of three files, in two languages and of three years."""

    client: httpx.AsyncClient
    store: str
    flow: str

    async def open(self, *inputs: str, label: str = NODE, status: bool = True) -> None:
        """Let callers change these inputs."""
        nodes = {label: [{"name": name, "enabled": True} for name in inputs]}
        body = {"apiConfig": json.dumps({"overrideConfig": {"status": status, "nodes": nodes}})}
        response = await self.client.put(f"{API}/chatflows/{self.flow}", json=body)
        assert response.status_code == 200, response.text

    async def ask(self, status: int = 200, **overrides: Any) -> dict[str, Any]:
        """The answer, or the error."""
        body = {"question": "When does the office open?", "overrideConfig": overrides}
        response = await self.client.post(f"{API}/prediction/{self.flow}", json=body, timeout=60)
        assert response.status_code == status, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def found(self, **overrides: Any) -> set[str]:
        """The files that the answer rests on."""
        answer = await self.ask(**overrides)
        return {item["metadata"]["source"] for item in answer["sourceDocuments"]}


FILES: Mapping[str, Mapping[str, Any]] = {
    "old.txt": {"lang": "en", "year": 2024, "date": "2024-05-01"},
    "new.txt": {"lang": "en", "year": 2026, "date": "2026-05-01"},
    "neu.txt": {"lang": "de", "year": 2026, "date": "2026-06-01"},
}


@pytest.fixture
async def desk(client: httpx.AsyncClient, worker: Runner, stub: OpenAIStub) -> Desk:  # noqa: F811
    """The flow, closed to overrides, and its document store."""
    embedding = json.dumps({"name": "fake", "config": {"dimension": 16}})
    store = (await client.post(f"{API}/document-store/store", json={"name": "S", "embeddingConfig": embedding})).json()
    for name, metadata in FILES.items():
        body = {
            "loader": {"name": "plainText", "config": {"text": f"The office opens at eight, says {name}."}},
            "metadata": {**metadata, "source": name},
        }
        response = await client.post(f"{API}/document-store/upsert/{store['id']}", json=body)
        assert response.status_code == 200, response.text
    flow_data = rag(store["id"], model=openai(stub.url))
    flow = await client.post(f"{API}/chatflows", json={"name": "F", "type": "CHATFLOW", "flowData": flow_data})
    return Desk(client, store["id"], flow.json()["id"])


async def test_a_filter_counts_once_the_owner_has_opened_it(desk: Desk) -> None:
    where = {"lang": "de"}
    assert await desk.found(filter=where) == set(FILES), "closed: it changes nothing"
    await desk.open("filter", status=False)
    assert await desk.found(filter=where) == set(FILES)
    await desk.open("filter")
    assert await desk.found(filter=where) == {"neu.txt"}
    assert await desk.found(filter=json.dumps(where)) == {"neu.txt"}, "or as JSON text"
    assert await desk.found(filter={"store_0": where}) == {"neu.txt"}, "for one node by its id"
    assert await desk.found() == set(FILES), "for this call alone"


@pytest.mark.parametrize(
    ("where", "files"),
    [
        ({"year": {"$gte": 2025}, "lang": {"$ne": "de"}}, {"new.txt"}),
        ({"$or": [{"lang": {"$eq": "de"}}, {"year": {"$lt": 2025}}]}, {"old.txt", "neu.txt"}),
        ({"date": {"$gt": "2026-01-01", "$lte": "2026-05-31"}}, {"new.txt"}),
        ({"$not": {"year": {"$in": [2026]}}}, {"old.txt"}),
        ({"lang": {"$nin": ["de"]}, "region": {"$exists": False}}, {"old.txt", "new.txt"}),
        ({"$and": [{"year": "2026"}]}, set()),
    ],
)
async def test_the_whole_grammar_counts_in_overrides(desk: Desk, where: Any, files: set[str]) -> None:
    await desk.open("filter")
    assert await desk.found(filter=where) == files


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"filter": {"year": {"$regex": "2"}}}, "filter.year.$regex"),
        ({"filter": {"year": {"$gt": True}}}, "filter.year.$gt"),
        ({"filter": "{"}, "filter"),
        ({"filter": [1]}, "filter"),
        ({"retrieval": [{"name": "mmr", "lambda": 3}]}, "retrieval[0].lambda"),
        ({"retrieval": [{"name": "astrology"}]}, "retrieval[0].name"),
        ({"topK": 0}, "topK"),
    ],
)
async def test_a_value_that_cannot_be_used_is_named_with_its_node(desk: Desk, overrides: Any, told: str) -> None:
    await desk.open("filter", "retrieval", "topK")
    error = (await desk.ask(422, **overrides))["error"]
    assert told in error
    assert "store_0" in error


async def test_stages_and_numbers_can_be_opened_too(desk: Desk) -> None:
    await desk.open("retrieval", "topK")
    assert len(await desk.found(topK="1")) == 1
    near = [{"name": "similarity"}, {"name": "threshold", "minScore": 1}]
    assert await desk.found(retrieval=near) == set()
    assert await desk.found(retrieval=[{"name": "similarity"}, {"name": "mmr"}]) == set(FILES)


async def test_a_filter_of_the_node_is_laid_over_by_key(desk: Desk, stub: OpenAIStub) -> None:
    flow = json.loads(rag(desk.store, model=openai(stub.url)))
    flow["nodes"][0]["data"]["inputs"]["filter"] = {"lang": "en"}
    await desk.client.put(f"{API}/chatflows/{desk.flow}", json={"flowData": json.dumps(flow)})
    assert await desk.found() == {"old.txt", "new.txt"}
    await desk.open("filter")
    assert await desk.found(filter={"year": 2026}) == {"new.txt"}


async def test_the_model_can_be_changed_for_a_call(desk: Desk, stub: OpenAIStub) -> None:
    await desk.open("modelName", label=MODEL)
    stub.requests.clear()
    await desk.ask(modelName="another")
    await desk.ask()
    assert [request.body["model"] for request in stub.requests] == ["another", "stub-model"]


def test_steps_that_stay_as_they_are_are_lent(stub: OpenAIStub) -> None:
    store = "00000000-0000-4000-8000-000000000001"
    graph = graphs.parse(rag(store, model=openai(stub.url)))
    known = compile_flow(graph)
    changed = graphs.parse(rag(store, model=openai(stub.url)).replace('"selectedStore"', '"topK": 9, "selectedStore"'))
    own = compile_flow(changed, lender=known)
    lent = {step.node.id for step in own.steps} - {step.node.id for step in own.own}
    assert lent == {"chatOpenAI_0"}
    assert compile_flow(graph, lender=known).own == ()
