"""The nodes that editors and clients are told of: definitions, choices, what callers may change, templates."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from service.agentflows.nodes import NODES as AGENTFLOW_NODES
from service.api_keys import service as api_keys
from service.chatflows.graph import parse
from service.chatflows.steps import STEPS
from service.nodes.catalogue import everything, find_node
from service.nodes.choices import METHODS
from service.nodes.models import MODELS
from service.nodes.templates import templates
from service.nodes.wire import Input, NodeDefinition
from service.resources import Resources
from tests.application import speak
from tests.service.chatflows.flows import graph, node, rag

API = "/api/v1"


def known(name: str) -> NodeDefinition:
    """The definition of a node."""
    found = find_node(name)
    assert found is not None
    return found


def field(name: str, of: str) -> Input:
    """A field of a node."""
    return next(item for item in known(of).inputs if item.name == name)


def test_every_step_and_every_node_of_agentflows_is_described() -> None:
    names = [item.name for item in everything()]
    assert len(names) == len(set(names))
    assert set(STEPS) <= set(names)
    assert set(AGENTFLOW_NODES) | {"stickyNote", "stickyNoteAgentflow", "documentStore"} <= set(names)


def test_fields_have_one_name_each_and_lists_that_can_be_filled() -> None:
    for item in everything():
        assert item.description
        assert item.base_classes
        names = [each.name for each in item.inputs]
        assert len(names) == len(set(names)), item.name
        for each in item.inputs:
            assert (each.type == "asyncOptions") == (each.load_method is not None), (item.name, each.name)
            assert each.load_method is None or each.load_method in {*METHODS, "listToolInputArgs"}
            assert each.type != "options" or each.options


def test_a_form_says_what_a_step_reads() -> None:
    assert field("reasoningEffort", "chatOpenAI").type == "options"
    assert field("baseOptions", "chatOpenAI").type == "json"
    assert field("temperature", "chatOpenAI").default == 0.9
    assert field("model", "conversationalRetrievalQAChain").type == "BaseChatModel"
    assert field("selectedStore", "documentStoreVS").load_method == "listStores"
    assert [item.name for item in known("qdrant").outputs or ()] == ["retriever", "vectorStore"]
    rows = field("agentTools", "agentAgentflow").array
    assert rows is not None
    assert rows[0].load_method == "listTools"


def test_models_are_listed_of_nodes_that_there_are() -> None:
    assert set(MODELS) <= {item.name for item in everything()}
    for name in MODELS:
        assert field("modelName", name).load_method == "listModels"


async def test_an_editor_of_agentflows_is_offered_what_these_are_made_of(client: httpx.AsyncClient) -> None:
    every = (await client.get(f"{API}/nodes")).json()
    offered = (await client.get(f"{API}/nodes", params={"client": "agentflowsv2"})).json()
    assert {"agentAgentflow", "chatOpenAI", "calculator", "documentStoreVS"} <= {item["name"] for item in offered}
    assert "llmChain" not in {item["name"] for item in offered}
    assert len(offered) < len(every)
    assert all(item["icon"].startswith("/api/v1/node-icon/") and "filePath" not in item for item in every)


async def test_every_node_has_a_picture(anonymous: httpx.AsyncClient) -> None:
    for item in everything():
        response = await anonymous.get(item.icon)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("image/svg+xml")


async def listed(client: httpx.AsyncClient, name: str, method: str, **more: Any) -> list[dict[str, str]]:
    """What a field can be chosen from."""
    response = await client.post(f"{API}/node-load-method/{name}", json={"loadMethod": method, **more})
    assert response.status_code == 200, response.text
    found: list[dict[str, str]] = response.json()
    return found


async def test_fields_list_what_a_workspace_has(client: httpx.AsyncClient, foreign: httpx.AsyncClient) -> None:
    store = (await client.post(f"{API}/document-store/store", json={"name": "Leave", "description": "All"})).json()
    tool = {"name": "sum", "description": "Adds", "color": "#fff", "schema": "[]"}
    made = (await client.post(f"{API}/tools", json=tool)).json()
    flow = {"name": "Mine", "type": "CHATFLOW", "flowData": rag(store["id"])}
    chatflow = (await client.post(f"{API}/chatflows", json=flow)).json()
    assert await listed(client, "documentStoreVS", "listStores") == [
        {"label": "Leave", "name": store["id"], "description": "All"}
    ]
    assert (await listed(client, "agentAgentflow", "listStores"))[0]["name"] == f"{store['id']}:Leave"
    assert [item["name"] for item in await listed(client, "customTool", "listTools")] == [made["id"]]
    assert [item["name"] for item in await listed(client, "executeFlowAgentflow", "listFlows")] == [chatflow["id"]]
    assert await listed(client, "ChatflowTool", "listAgentflows") == []
    for method in ("listStores", "listFlows", "listChatflows"):
        assert await listed(foreign, "documentStoreVS", method) == []


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("chatflows:update", 200),
        ("agentflows:view", 200),
        ("documentStores:upsert-config", 200),
        ("tools:create", 200),
        ("assistants:view", 200),
        ("executions:view", 403),
        ("variables:create", 403),
    ],
)
async def test_what_a_workspace_has_is_listed_for_those_who_fill_in_forms(
    app: FastAPI, resources: Resources, workspace: UUID, scope: str, status: int
) -> None:
    _, secret = await api_keys.create(resources.database, workspace, "one", [scope])
    async with speak(app, secret) as caller:
        response = await caller.post(f"{API}/node-load-method/documentStoreVS", json={"loadMethod": "listStores"})
    assert response.status_code == status
    if status == 403:
        assert response.json()["message"].endswith(
            "permission agentflows:* or assistants:* or chatflows:* or documentStores:* or tools:*."
        )


async def test_fields_list_models_nodes_and_what_comes_before(client: httpx.AsyncClient) -> None:
    assert "gpt-4o-mini" in {item["name"] for item in await listed(client, "chatOpenAI", "listModels")}
    assert "chatOpenAI" in {item["name"] for item in await listed(client, "llmAgentflow", "listModels")}
    assert "calculator" in {item["name"] for item in await listed(client, "agentAgentflow", "listTools")}
    assert "qdrant" in {item["name"] for item in await listed(client, "agentAgentflow", "listVectorStores")}
    assert await listed(client, "agentAgentflow", "listEmbeddings")
    assert await listed(client, "s3Directory", "listRegions")
    start = {"id": "start_0", "label": "Start", "inputs": {"startState": [{"key": "next", "value": ""}]}}
    before = {"previousNodes": [start]}
    assert await listed(client, "loopAgentflow", "listPreviousNodes", **before) == [
        {"label": "Start", "name": "start_0-Start"}
    ]
    assert await listed(client, "llmAgentflow", "listRuntimeStateKeys", **before) == [{"label": "next", "name": "next"}]
    assert await listed(client, "chatOpenAI", "listNothing") == []
    assert (await client.post(f"{API}/node-load-method/nothing", json={"loadMethod": "x"})).status_code == 404


async def test_what_callers_could_change_is_read_from_a_nodes_own_form_else_from_ours(
    client: httpx.AsyncClient,
) -> None:
    params = [
        {"label": "Txt File", "name": "txtFile", "type": "file", "fileType": ".txt"},
        {"label": "Usage", "name": "usage", "type": "options", "options": [{"name": "a"}, {"name": "b"}]},
        {"label": "Key", "name": "key", "type": "password"},
        {"label": "Rows", "name": "rows", "type": "array", "array": [{"name": "x", "type": "number"}]},
    ]
    nodes = [
        node("f", "textFile", "Document Loaders", inputParams=params, label="Text"),
        node("m", "chatOpenAI", "Chat Models", label="Model"),
        node("x", "newcomer", "Chains"),
    ]
    body = {"name": "Mine", "type": "CHATFLOW", "flowData": graph(nodes, [])}
    flow = (await client.post(f"{API}/chatflows", json=body)).json()["id"]
    found = (await client.get(f"{API}/flow-config/{flow}")).json()
    own = {item["name"]: item for item in found if item["nodeId"] == "f"}
    assert {name: item["type"] for name, item in own.items()} == {
        "txtFile": ".txt", "files": ".txt", "usage": "a, b", "key": "string", "rows": "array"
    }  # fmt: skip
    assert own["rows"]["schema"] == {"x": "number"}
    ours = {item["name"]: item for item in found if item["nodeId"] == "m"}
    assert ours["temperature"]["type"] == "number"
    assert ours["credential"]["node"] == "Model"
    assert "cache" not in ours
    assert {item["nodeId"] for item in found} == {"f", "m"}
    one = await client.post(f"{API}/node-config", json=nodes[0]["data"])
    assert one.json() == [item for item in found if item["nodeId"] == "f"]
    assert (await client.get(f"{API}/flow-config/{uuid4()}")).status_code == 404


@pytest.mark.parametrize("place", range(3))
async def test_a_template_runs_once_its_model_and_document_store_are_chosen(
    client: httpx.AsyncClient, place: int
) -> None:
    template = (await client.get(f"{API}/marketplaces/templates")).json()[place]
    assert template["description"].endswith(".")
    report = (await client.post(f"{API}/flow-checks", json={"flowData": template["flowData"]})).json()
    assert (report["type"] == "AGENTFLOW") == (template["type"] == "AgentflowV2")
    kinds = {problem["kind"] for item in report["nodes"] for problem in item["problems"]}
    assert kinds <= {"credential", "setting"}
    assert report["problems"] == []
    body = {"name": "Key", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": "sk-one"}}
    credential = (await client.post(f"{API}/credentials", json=body)).json()["id"]
    store = (await client.post(f"{API}/document-store/store", json={"name": "Leave"})).json()["id"]
    data = json.loads(template["flowData"])
    for item in data["nodes"]:
        inner = item["data"]
        inner["credential"] = credential if inner["name"] == "chatOpenAI" else ""
        inputs = inner["inputs"]
        if "selectedStore" in inputs:
            inputs["selectedStore"] = store
        if "agentModelConfig" in inputs:
            inputs["agentModelConfig"]["FLOWISE_CREDENTIAL_ID"] = credential
            inputs["agentKnowledgeDocumentStores"][0]["documentStore"] = f"{store}:Leave"
    report = (await client.post(f"{API}/flow-checks", json={"flowData": json.dumps(data)})).json()
    assert report["verdict"] == "runs", report


def test_templates_hold_their_links_as_edges_that_agree_with_their_inputs() -> None:
    for template in templates():
        parsed = parse(template.flow_data)
        ends = [link.target for link in parsed.links if link.target not in parsed.nodes]
        assert ends == []
        for raw in json.loads(template.flow_data)["nodes"]:
            assert {"inputParams", "inputAnchors", "outputAnchors", "baseClasses"} <= raw["data"].keys()


async def test_templates_are_for_keys_that_may_see_them(limited: httpx.AsyncClient) -> None:
    assert (await limited.get(f"{API}/marketplaces/templates")).status_code == 403


async def test_a_key_is_verified_by_itself(anonymous: httpx.AsyncClient, key: str) -> None:
    response = await anonymous.get(f"{API}/verify/apikey/{key}")
    assert (response.status_code, response.json()) == (200, "OK")
    assert (await anonymous.get(f"{API}/verify/apikey/{key}x")).status_code == 401
