"""What a check says over HTTP, and that a run is refused for just that."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from service.credentials.components import COMPONENTS
from service.flow_checks.files import kind_of
from service.nodes.catalogue import everything
from tests.service.chatflows.flows import edge, graph, node, openai, rag

API = "/api/v1"


async def checked(client: httpx.AsyncClient, flow_data: str, **more: Any) -> dict[str, Any]:
    """The report of a flow that is not stored."""
    response = await client.post(f"{API}/flow-checks", json={"flowData": flow_data, **more})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def stored(client: httpx.AsyncClient, flow_data: str) -> str:
    """The id of a new chatflow."""
    body = {"name": "Mine", "type": kind_of(flow_data).value, "flowData": flow_data}
    return str((await client.post(f"{API}/chatflows", json=body)).json()["id"])


async def a_store(client: httpx.AsyncClient) -> str:
    """The id of a new document store."""
    return str((await client.post(f"{API}/document-store/store", json={"name": "Leave"})).json()["id"])


def by_id(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The nodes of a report."""
    return {item["id"]: item for item in report["nodes"]}


def reasons(report: dict[str, Any]) -> list[str]:
    """Everything that stands in the way."""
    found = [*report["problems"], *(problem for item in report["nodes"] for problem in item["problems"])]
    return [problem["text"] for problem in found]


def texts(report: dict[str, Any]) -> str:
    """All of it as one text."""
    return "; ".join(reasons(report))


async def test_a_flow_that_can_run_says_so(client: httpx.AsyncClient) -> None:
    report = await checked(client, rag(await a_store(client), memory={}))
    assert (report["verdict"], report["message"], report["type"]) == ("runs", "runs now", "CHATFLOW")
    assert {item["verdict"] for item in report["nodes"]} == {"runs"}
    assert report["problems"] == []


async def test_a_credential_that_is_missing_is_named_with_those_that_would_do(client: httpx.AsyncClient) -> None:
    flow = rag(await a_store(client), model=openai(""))
    report = await checked(client, flow)
    model = by_id(report)["chatOpenAI_0"]
    assert (report["verdict"], model["verdict"]) == ("needs_credential", "needs_credential")
    assert model["problems"][0]["credentials"] == ["openAIApi"]
    assert model["fitting"] == []
    body = {"name": "Team", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": "sk-one"}}
    made = (await client.post(f"{API}/credentials", json=body)).json()["id"]
    model = by_id(await checked(client, flow))["chatOpenAI_0"]
    assert model["fitting"] == [{"id": made, "name": "Team", "credentialName": "openAIApi"}]
    data = json.loads(flow)
    data["nodes"][1]["data"]["credential"] = made
    assert (await checked(client, json.dumps(data)))["verdict"] == "runs"


async def test_a_credential_that_may_not_be_sent_there_is_one_that_is_missing(client: httpx.AsyncClient) -> None:
    body = {"name": "Team", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": "sk-one"}}
    made = (await client.post(f"{API}/credentials", json=body)).json()["id"]
    model = openai("http://127.0.0.1:9/v1")
    model["data"]["credential"] = made
    report = await checked(client, rag(await a_store(client), model=model))
    assert report["verdict"] == "needs_credential"
    assert "127.0.0.1" in texts(report)


async def test_a_document_store_that_is_not_here_is_a_setting(client: httpx.AsyncClient) -> None:
    gone = str(uuid4())
    report = await checked(client, rag(gone))
    assert report["verdict"] == "needs_setting"
    assert f"there is no document store {gone} here" in texts(report)
    nothing = rag(gone).replace(gone, "")
    assert "selectedStore" in texts(await checked(client, nothing))


async def test_an_unsupported_node_says_what_to_use_and_others_are_looked_at_all_the_same(
    client: httpx.AsyncClient,
) -> None:
    nodes = [
        node("a", "csvAgent", "Agents"),
        openai(""),
        node("u", "qdrant", "Vector Stores"),
    ]
    report = await checked(client, graph(nodes, [edge("chatOpenAI_0", "a", "model")]))
    assert report["verdict"] == "not_supported"
    assert "retrieverTool" in by_id(report)["a"]["problems"][0]["text"]
    assert by_id(report)["chatOpenAI_0"]["verdict"] == "needs_credential"
    assert by_id(report)["u"]["part"] == "none"


async def test_what_only_upserts_need_is_said_of_its_nodes_and_not_of_the_flow(client: httpx.AsyncClient) -> None:
    nodes = [
        node("s", "faiss", "Vector Stores", {"basePath": "index"}),
        node("f", "textFile", "Document Loaders"),
        node("n", "notionPage", "Document Loaders"),
        node("e", "openAIEmbeddings", "Embeddings"),
        node("c", "conversationalRetrievalQAChain", "Chains"),
    ]
    links = [
        edge("f", "s", "document"), edge("n", "s", "document"), edge("e", "s", "embeddings"),
        edge("s", "c", "vectorStoreRetriever"),
    ]  # fmt: skip
    report = await checked(client, graph(nodes, links))
    found = by_id(report)
    assert report["verdict"] == "runs"
    assert {name for name, item in found.items() if item["part"] == "upsert"} == {"f", "n", "e"}
    assert found["e"]["problems"][0]["credentials"] == ["openAIApi"]
    assert "fileLoader" in found["n"]["problems"][0]["text"]
    assert any("takes files" in remark for remark in report["remarks"])
    assert any("basePath" in remark for remark in report["remarks"])


async def test_a_wrong_link_that_only_upserts_follow_is_said_and_keeps_nothing_from_answering(
    client: httpx.AsyncClient,
) -> None:
    nodes = [
        node("s", "faiss", "Vector Stores"),
        node("f", "plainText", "Document Loaders", {"text": "Alpha."}),
        node("t", "recursiveCharacterTextSplitter", "Text Splitters"),
        node("c", "conversationalRetrievalQAChain", "Chains"),
    ]
    links = [
        edge("f", "s", "document"), edge("s", "c", "vectorStoreRetriever"), edge("gone", "s", "embeddings"),
        edge("t", "f", "textSplitter"), edge("f", "t", "none"),
    ]  # fmt: skip
    flow = graph(nodes, links)
    report = await checked(client, flow)
    assert report["verdict"] == "runs", report
    assert any("a link comes from 'gone'" in remark for remark in report["remarks"])
    assert "cycle" in texts(report)
    answer = await client.post(f"{API}/internal-prediction/{await stored(client, flow)}", json={"question": "A?"})
    assert answer.status_code == 200, answer.text


async def test_caches_are_left_out_and_what_stands_behind_them_is_checked(client: httpx.AsyncClient) -> None:
    nodes = [
        node("s", "faiss", "Vector Stores"),
        node("f", "plainText", "Document Loaders", {"text": "Alpha."}),
        node("e", "openAIEmbeddings", "Embeddings"),
        node("n", "inMemoryEmbeddingCache", "Cache"),
        node("i", "inMemoryCache", "Cache"),
        node("m", "chatLocal", "Chat Models"),
        node("c", "conversationalRetrievalQAChain", "Chains"),
    ]
    links = [
        edge("f", "s", "document"), edge("e", "n", "embeddings"), edge("n", "s", "embeddings"),
        edge("s", "c", "vectorStoreRetriever"), edge("m", "c", "model"), edge("i", "m", "cache"),
    ]  # fmt: skip
    report = await checked(client, graph(nodes, links))
    found = by_id(report)
    assert {found[name]["part"] for name in "ni"} == {"none"}
    assert not [*found["n"]["problems"], *found["i"]["problems"]]
    assert (found["e"]["part"], found["e"]["verdict"]) == ("upsert", "needs_credential")
    assert report["verdict"] == "runs"
    assert len([text for text in report["remarks"] if "the cache is left out" in text]) == 2


async def test_an_agentflow_is_checked_by_its_nodes_and_what_they_use(client: httpx.AsyncClient) -> None:
    agent = {
        "agentModel": "chatOpenAI",
        "agentModelConfig": {"modelName": "m"},
        "agentTools": [{"agentSelectedTool": "gmail", "agentSelectedToolConfig": {}}],
        "agentKnowledgeDocumentStores": [{"documentStore": f"{uuid4()}:Gone", "docStoreDescription": "All"}],
    }
    nodes = [node("start_0", "startAgentflow", "Agent Flows"), node("agent_0", "agentAgentflow", "Agent Flows", agent)]
    report = await checked(client, graph(nodes, [edge("start_0", "agent_0", "agent_0")]))
    assert report["type"] == "AGENTFLOW"
    found = texts(report)
    assert report["verdict"] == "not_supported"
    assert "'gmail'" in found
    assert "agentAgentflow (agent_0), chatOpenAI: no credential is chosen" in found
    assert "there is no document store" in found
    assert "agent_0_2" not in found


async def test_a_node_that_nothing_leads_to_is_no_obstacle_and_is_told(client: httpx.AsyncClient) -> None:
    nodes = [node("start_0", "startAgentflow", "Agent Flows"), node("reply_0", "directReplyAgentflow", "Agent Flows")]
    lying = node("tool_0", "toolAgentflow", "Agent Flows", {"toolAgentflowSelectedTool": "gmail"})
    report = await checked(client, graph([*nodes, lying], [edge("start_0", "reply_0", "reply_0")]))
    assert report["verdict"] == "runs"
    assert [item["part"] for item in report["nodes"]] == ["answer", "answer", "none"]
    assert report["remarks"] == ["toolAgentflow (tool_0): nothing leads to it; it is left out"]


async def test_links_that_lead_nowhere_are_named(client: httpx.AsyncClient) -> None:
    flow = graph([node("c", "conversationChain", "Chains")], [edge("gone", "c", "memory")])
    report = await checked(client, flow)
    assert report["verdict"] == "broken"
    assert "'gone', which is not there" in texts(report)
    assert (await client.post(f"{API}/flow-checks", json={"flowData": "{"})).status_code == 400
    assert (await client.post(f"{API}/flow-checks", json={"flowData": flow, "type": "X"})).status_code == 400


@pytest.mark.parametrize(
    "flow",
    [
        rag(uuid4(), model=openai("")),
        rag(uuid4(), model=node("m", "chatMystery", "Chat Models")),
        graph([node("a", "openAIAssistant", "Agents")], []),
        graph([node("s", "seqStart", "Sequential Agents")], []),
        graph([], []),
    ],
    ids=["credential", "mystery", "assistant", "team", "empty"],
)
async def test_a_run_is_refused_with_what_the_check_said(client: httpx.AsyncClient, flow: str) -> None:
    made = await stored(client, flow)
    report = (await client.get(f"{API}/chatflows/{made}/check")).json()
    assert report["verdict"] != "runs"
    refused = await client.post(f"{API}/internal-prediction/{made}", json={"question": "Leave?"})
    assert refused.status_code == 422
    said = [text for text in reasons(report) if "there is no document store" not in text]
    assert said[0] in refused.json()["message"]
    issues = (await client.get(f"{API}/validation/{made}")).json()
    assert issues
    for item in issues:
        assert item.keys() == {"id", "label", "name", "issues"}
        assert all(isinstance(text, str) for text in item["issues"])


async def test_a_flow_that_runs_has_no_issues(client: httpx.AsyncClient) -> None:
    made = await stored(client, rag(await a_store(client)))
    assert (await client.get(f"{API}/validation/{made}")).json() == []
    assert (await client.get(f"{API}/validation/{uuid4()}")).status_code == 404


async def test_a_check_stores_and_calls_nothing(client: httpx.AsyncClient) -> None:
    await checked(client, rag(await a_store(client), model=openai("http://127.0.0.1:9/v1")))
    assert (await client.get(f"{API}/chatflows")).json() == []


def test_every_kind_of_credential_that_a_node_names_can_be_saved() -> None:
    named = {name for item in everything() if item.credential for name in item.credential.credential_names or ()}
    assert named <= set(COMPONENTS)
