"""Document stores say which flows name them (contract 3: whereUsed)."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.chatflows import graph as graphs
from service.chatflows import service, uses
from service.chatflows.types import FlowType
from service.resources import Resources
from tests.service.agentflows.flows import chain
from tests.service.agentflows.flows import node as agentnode
from tests.service.chatflows.flows import graph, node, rag

API = "/api/v1"


async def store(client: httpx.AsyncClient, name: str = "Handbook") -> str:
    """A new document store: its id."""
    made = (await client.post(f"{API}/document-store/store", json={"name": name})).json()
    assert made["whereUsed"] == "[]"
    return str(made["id"])


async def flow(client: httpx.AsyncClient, name: str, flow_data: str, kind: str = "CHATFLOW") -> str:
    """A new flow: its id."""
    response = await client.post(f"{API}/chatflows", json={"name": name, "type": kind, "flowData": flow_data})
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


async def used(client: httpx.AsyncClient, of: str) -> list[str]:
    """The names of the flows that name a document store."""
    read = (await client.get(f"{API}/document-store/store/{of}")).json()["whereUsed"]
    listed = (await client.get(f"{API}/document-store/store")).json()
    (ids,) = [item["whereUsed"] for item in listed if item["id"] == of]
    assert [item["id"] for item in read] == ids, "the list says the ids alone"
    return [item["name"] for item in read]


def loading(of: str) -> str:
    """A flow whose vector store is filled from a document store."""
    loader = node("loader_0", "documentStore", "Document Loaders", {"selectedStore": of})
    return graph([loader, node("faiss_0", "faiss", "Vector Stores", {"document": ["{{loader_0.data.instance}}"]})], [])


def choosing(kind: str, rows: Any) -> str:
    """An agentflow with an agent or a retriever that has these rows."""
    return chain(agentnode("chooses", kind, **{f"{kind}KnowledgeDocumentStores": rows}))


async def test_a_document_store_says_which_flows_name_it(client: httpx.AsyncClient) -> None:
    one, other = await store(client), await store(client, "Other")
    reads, _ = await flow(client, "Reads", rag(one)), await flow(client, "Loads", loading(one))
    row = [{"documentStore": f"{one}:Handbook", "docStoreDescription": "About us"}]
    agents = choosing("agent", row)
    retrievers = choosing("retriever", json.dumps(row))
    await flow(client, "Asks", agents, "AGENTFLOW")
    await flow(client, "Retrieves", retrievers, "AGENTFLOW")
    assert await used(client, one) == ["Asks", "Loads", "Reads", "Retrieves"]
    assert await used(client, other) == []

    await client.put(f"{API}/chatflows/{reads}", json={"name": "Renamed"})
    assert await used(client, one) == ["Asks", "Loads", "Renamed", "Retrieves"]
    await client.put(f"{API}/chatflows/{reads}", json={"flowData": rag(other)})
    assert (await used(client, one), await used(client, other)) == (["Asks", "Loads", "Retrieves"], ["Renamed"])
    assert (await client.delete(f"{API}/chatflows/{reads}")).status_code == 200
    assert await used(client, other) == []


async def test_changed_document_stores_say_the_ids(client: httpx.AsyncClient) -> None:
    one = await store(client)
    reads = await flow(client, "Reads", rag(one))
    body = {"whereUsed": [], "loaders": [], "description": "New"}
    changed = (await client.put(f"{API}/document-store/store/{one}", json=body)).json()
    assert (changed["whereUsed"], changed["description"]) == ([reads], "New")
    config = {"storeId": one, "embeddingName": "fake", "embeddingConfig": {"dimension": 16}}
    saved = (await client.post(f"{API}/document-store/vectorstore/save", json=config)).json()
    assert json.loads(saved["whereUsed"]) == [reads]


async def test_flows_of_other_workspaces_are_not_told(client: httpx.AsyncClient, foreign: httpx.AsyncClient) -> None:
    one = await store(client)
    await flow(foreign, "Foreign", rag(one))
    assert await used(client, one) == []


async def test_fields_that_choose_nothing_yet_count_for_nothing(client: httpx.AsyncClient) -> None:
    one = await store(client)
    for text in ("", "{{store}}", "$vars.store", "none:such"):
        await flow(client, "Unset", rag(text))
    await flow(client, "Broken", choosing("agent", '[{"documentStore'))
    assert await used(client, one) == []


async def test_flows_that_were_kept_before_are_read_by_workers(client: httpx.AsyncClient, resources: Resources) -> None:
    one = await store(client)
    reads = await flow(client, "Reads", rag(one))
    broken = await flow(client, "Broken", rag(one))
    before = (await client.get(f"{API}/chatflows/{reads}")).json()
    async with resources.database.connection() as connection:
        await connection.execute("UPDATE chatflows SET document_stores = NULL")
        sealed = connection.sealer.seal_text("[]", UUID(before["workspaceId"]))
        await connection.execute("UPDATE chatflows SET flow_data = %s WHERE id = %s", [sealed, broken])
    assert await used(client, one) == []
    await client.put(f"{API}/chatflows/{reads}", json={"name": "Still unread"})
    assert await used(client, one) == []
    before = (await client.get(f"{API}/chatflows/{reads}")).json()
    assert await uses.note_rest(resources) == 2
    assert await used(client, one) == ["Still unread"]
    assert (await client.get(f"{API}/chatflows/{reads}")).json() == before
    assert await uses.note_rest(resources) == 0


@pytest.mark.parametrize("shape", ["chain", "agent", "retriever"])
def test_what_a_compiled_flow_names_is_found_in_its_graph(shape: str) -> None:
    one = uuid4()
    rows = [{"documentStore": f"{one}:Handbook", "docStoreDescription": "About us"}]
    parsed = graphs.parse(rag(one) if shape == "chain" else choosing(shape, rows))
    kind = FlowType.CHATFLOW if shape == "chain" else FlowType.AGENTFLOW
    assert service.compile_any(parsed, kind, chat_model="openai:m").named == {one}
    assert uses.document_stores_in(parsed) == [one]
