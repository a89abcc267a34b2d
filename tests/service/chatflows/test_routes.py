"""Chatflows over HTTP: kept byte for byte, in the contract's shapes."""

import json
import re
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.api_keys import service as api_keys
from service.public_flows.wire import public_graph, uploads_of
from service.resources import Resources
from tests.service.chatflows.flows import edge, graph, node, rag

NODE = '{"id":"x_0","data":{"name":"mystery","label":"M\\u00e9","inputs":{"a":1.50}}}'
GRAPH = '{ "edges":[],\n "nodes" : [' + NODE + '] , "é":1 }'
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
API = "/api/v1"


async def made(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A new flow."""
    body = {"name": "Flow", "type": "CHATFLOW", "flowData": GRAPH, **fields}
    response = await client.post(f"{API}/chatflows", json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_flow_comes_back_byte_for_byte_with_all_columns(client: httpx.AsyncClient) -> None:
    flow = await made(client, id=str(uuid4()), workspaceId=str(uuid4()), createdDate="2001-01-01T00:00:00.000Z")
    assert flow["flowData"] == GRAPH
    assert DATE.fullmatch(flow["createdDate"])
    assert not flow["createdDate"].startswith("2001")
    assert flow.keys() >= {"deployed", "isPublic", "apikeyid", "chatbotConfig", "apiConfig", "analytic", "speechToText"}
    assert flow["workspaceId"] == "00000000-0000-4000-8000-000000000001"
    assert flow.pop("webhookSecret") is None  # in this answer alone
    assert (await client.get(f"{API}/chatflows/{flow['id']}")).json() == flow


@pytest.mark.parametrize(
    "fields",
    [
        {"flowData": "nonsense"},
        {"flowData": "{}"},
        {"flowData": '{"nodes":[]}'},
        {"flowData": None},
        {"type": "NONSENSE"},
        {"type": None},
        {"name": None},
        {"chatbotConfig": "nonsense"},
        {"apiConfig": "[]"},
    ],
)
async def test_what_cannot_be_kept_is_refused_and_nothing_is_stored(
    client: httpx.AsyncClient, fields: dict[str, Any]
) -> None:
    body = {"name": "Flow", "type": "CHATFLOW", "flowData": GRAPH, **fields}
    response = await client.post(f"{API}/chatflows", json=body)
    assert response.status_code == 400, response.text
    assert next(iter(fields)) in response.json()["message"]
    assert (await client.get(f"{API}/chatflows")).json() == []


async def test_a_change_merges_and_moves_the_date(client: httpx.AsyncClient) -> None:
    flow = await made(client, category="HR", chatbotConfig='{"a": 1}')
    url = f"{API}/chatflows/{flow['id']}"
    body = {"name": "New", "id": str(uuid4()), "chatbotConfig": None, "isPublic": True}
    changed = (await client.put(url, json=body)).json()
    assert (changed["name"], changed["category"], changed["chatbotConfig"], changed["isPublic"]) == (
        "New",
        "HR",
        None,
        True,
    )
    assert (changed["id"], changed["flowData"], changed["createdDate"]) == (flow["id"], GRAPH, flow["createdDate"])
    check = f"{API}/chatflows/has-changed/{flow['id']}"
    assert (await client.get(f"{check}/{changed['updatedDate']}")).json() == {"hasChanged": False}
    assert (await client.get(f"{check}/{flow['updatedDate']}")).json() == {"hasChanged": True}
    for bad in ({"flowData": "{}"}, {"chatbotConfig": "x"}, {"type": "x"}):
        assert (await client.put(url, json=bad)).status_code == 400
    assert (await client.put(url, json={"apikeyid": str(uuid4())})).status_code == 422
    assert (await client.get(url)).json() == changed


async def test_lists_are_arrays_or_pages_newest_first(client: httpx.AsyncClient) -> None:
    flows = [await made(client, name=str(number)) for number in range(3)]
    await made(client, name="agent", type="AGENTFLOW")
    names = [item["name"] for item in (await client.get(f"{API}/chatflows?type=CHATFLOW")).json()]
    assert names == ["2", "1", "0"]
    assert len((await client.get(f"{API}/chatflows?type=nonsense&page=x")).json()) == 4
    page = (await client.get(f"{API}/chatflows?page=2&limit=3")).json()
    assert (len(page["data"]), page["total"]) == (1, 4)
    assert (await client.get(f"{API}/chatflows?page=9&limit=3")).json() == {"data": [], "total": 4}
    assert (await client.get(f"{API}/chatflows?page=-1")).status_code == 412
    await client.put(f"{API}/chatflows/{flows[0]['id']}", json={"name": "first again"})
    assert (await client.get(f"{API}/chatflows")).json()[0]["name"] == "first again"


async def test_a_deleted_flow_is_gone(client: httpx.AsyncClient) -> None:
    url = f"{API}/chatflows/{(await made(client))['id']}"
    assert (await client.delete(url + "/")).json() == {"raw": [], "affected": 1}
    for response in (await client.delete(url), await client.get(url), await client.put(url, json={"name": "x"})):
        assert response.status_code == 404
        assert url.rsplit("/", 1)[1] in response.json()["message"]


async def test_ids_that_are_none(client: httpx.AsyncClient) -> None:
    for method in ("GET", "PUT", "DELETE"):
        response = await client.request(method, f"{API}/chatflows/nonsense", json={})
        assert response.status_code == 400, method
    assert (await client.put(f"{API}/chatflows/", json={})).status_code == 412
    assert (await client.delete(f"{API}/chatflows/")).status_code == 412
    assert (await client.get(f"{API}/chatflows-streaming/")).status_code == 412
    assert (await client.get(f"{API}/public-chatbotConfig")).status_code == 412


async def test_another_workspace_sees_nothing(client: httpx.AsyncClient, foreign: httpx.AsyncClient) -> None:
    url = f"{API}/chatflows/{(await made(client))['id']}"
    assert (await foreign.get(f"{API}/chatflows")).json() == []
    for response in (await foreign.get(url), await foreign.put(url, json={"name": "x"}), await foreign.delete(url)):
        assert response.status_code == 404
    assert (await client.get(url)).json()["name"] == "Flow"


async def test_whether_a_flow_streams_is_public(client: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    flow = await made(client, flowData=rag(uuid4()))
    assert (await anonymous.get(f"{API}/chatflows-streaming/{flow['id']}/")).json() == {"isStreaming": True}
    empty = await made(client, flowData='{"nodes":[],"edges":[]}')
    assert (await anonymous.get(f"{API}/chatflows-streaming/{empty['id']}")).json() == {"isStreaming": False}
    assert (await anonymous.get(f"{API}/chatflows-streaming/{uuid4()}")).status_code == 404
    assert (await anonymous.get(f"{API}/chatflows-streaming/x")).status_code == 400


async def test_the_public_config_spreads_the_widgets_keys_and_hides_the_rest(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    params = [{"name": "password", "type": "password"}, {"name": "modelName", "type": "string"}]
    inputs = {
        "password": "geheim",
        "openAIApiKey": "sk-geheim",
        "systemMessagePrompt": "geheim",
        "modelName": "gpt-4o",
        "baseOptions": {"headers": {"Authorization": "geheim"}},
        "agentMessages": [{"content": "geheim"}],
        "agentModelConfig": {"credential": "geheim", "modelName": "m"},
    }
    secret = node("m_0", "chatOpenAI", "Chat Models", inputs, inputParams=params, credential="geheim")
    form = node("start_0", "startAgentflow", "Agent Flows", {"formInputTypes": [{"label": "Name"}], "startState": ""})
    config = {
        "starterPrompts": {"0": {"prompt": "Hi"}},
        "allowedOrigins": ["https://a.example"],
        "allowedOriginsError": "No",
        "chatFeedback": {"status": True},
    }
    flow = await made(client, flowData=graph([secret, form], []), chatbotConfig=json.dumps(config))
    response = await anonymous.get(f"{API}/public-chatbotConfig/{flow['id']}")
    assert "geheim" not in response.text
    body = response.json()
    assert body.keys() == {"starterPrompts", "chatFeedback", "uploads", "flowData", "isTTSEnabled"}
    assert body["uploads"]["isRAGFileUploadAllowed"] is False
    nodes = {item["data"]["name"]: item["data"] for item in json.loads(body["flowData"])["nodes"]}
    assert nodes["chatOpenAI"]["inputs"]["modelName"] == "gpt-4o"
    assert nodes["startAgentflow"]["inputs"]["formInputTypes"] == [{"label": "Name"}]
    bare = await made(client)
    assert (await anonymous.get(f"{API}/public-chatbotConfig/{bare['id']}")).json().keys() == {
        "uploads",
        "flowData",
        "isTTSEnabled",
    }
    assert (await anonymous.get(f"{API}/public-chatbotConfig/{uuid4()}")).status_code == 404


async def test_the_public_sees_no_code_and_nothing_that_an_author_wrote_into_rows(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    start = {
        "startInputType": "formInput",
        "formTitle": "Ask",
        "formInputTypes": [{"label": "Name", "addOptions": [{"option": "a"}]}],
        "startState": [{"key": "token", "value": "geheim"}],
        "webhookDefaultInput": "geheim",
        "callbackUrl": "https://h.example/geheim",
        "scheduleDefaultInput": "geheim",
    }
    web = {"queryParams": [{"key": "api_key", "value": "geheim"}], "body": "geheim", "method": "POST"}
    script = {"customFunctionJavascriptFunction": "fetch('https://geheim')", "customFunctionUpdateState": []}
    nodes = [
        node("s", "startAgentflow", "Agent Flows", start),
        node("h", "httpAgentflow", "Agent Flows", web),
        node("f", "customFunctionAgentflow", "Agent Flows", script),
        node("c", "customFunction", "Utilities", {"javascriptFunction": "geheim", "customToolFunc": "geheim"}),
        node("o", "openAPIToolkit", "Tools", {"customCode": "geheim"}),
        node("k", "conditionAgentflow", "Agent Flows", {"conditions": [{"value1": "a", "value2": "geheim"}]}),
        node(
            "t", "toolAgentflow", "Agent Flows", {"toolInputArgs": [{"inputArgName": "a", "inputArgValue": "geheim"}]}
        ),
        node("b", "conditionAgentAgentflow", "Agent Flows", {"conditionAgentScenarios": [{"scenario": "geheim"}]}),
        node("r", "retrieverTool", "Tools", {"name": "search", "description": "geheim"}),
        node("n", "stickyNoteAgentflow", "Agent Flows", {"note": "geheim"}),
    ]
    config = json.dumps({"postProcessing": {"enabled": True, "customFunction": "geheim"}, "chatFeedback": {}})
    scripts = [item for item in nodes if item["data"]["name"] in ("customFunctionAgentflow", "customFunction")]
    assert "geheim" not in public_graph(graph([*scripts, nodes[4]], []))
    nodes = [nodes[0], nodes[1], *nodes[5:]]  # the rest is kept where JavaScript is on
    flow = await made(client, flowData=graph(nodes, []), chatbotConfig=config, isPublic=True, type="AGENTFLOW")
    for path in ("public-chatbotConfig", "public-chatflows"):
        response = await anonymous.get(f"{API}/{path}/{flow['id']}")
        assert response.status_code == 200
        assert "geheim" not in response.text
        shown = json.loads(response.json()["flowData"])["nodes"][0]["data"]["inputs"]
        assert shown == {name: start[name] for name in ("startInputType", "formTitle", "formInputTypes")}


async def test_a_key_lists_the_flows_that_it_opens(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    key, secret = await api_keys.create(resources.database, workspace, "Shop", ["chatflows:view"])
    blind_key, blind = await api_keys.create(resources.database, workspace, "Jobs", ["datasets:view"])
    free = await made(client)
    bound = await made(client, apikeyid=str(key.id))
    await made(client, apikeyid=str(blind_key.id))
    listed = await anonymous.get(f"{API}/chatflows/apikey/{secret}")
    assert {item["id"] for item in listed.json()} == {free["id"], bound["id"]}
    only = await anonymous.get(f"{API}/chatflows/apikey/{secret}", params={"keyonly": "true"})
    assert [item["id"] for item in only.json()] == [bound["id"]]
    assert (await anonymous.get(f"{API}/chatflows/apikey/nonsense")).status_code == 401
    assert (await anonymous.get(f"{API}/chatflows/apikey/{blind}")).status_code == 403


async def test_a_flow_is_read_without_a_key_once_its_owner_made_it_public(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    inputs = {"systemMessagePrompt": "geheim", "modelName": "gpt-4o"}
    secret = node("m_0", "chatOpenAI", "Chat Models", inputs, credential="geheim")
    hidden = ("mcpServerConfig", "apiConfig", "analytic", "speechToText", "textToSpeech")
    columns = dict.fromkeys(hidden, json.dumps({"token": "geheim"}))
    flow = await made(client, flowData=graph([secret], []), **columns)
    url = f"{API}/public-chatflows/{flow['id']}"
    assert (await anonymous.get(url)).status_code == 401
    assert (await client.put(f"{API}/chatflows/{flow['id']}", json={"isPublic": True})).status_code == 200
    shown = await anonymous.get(url)
    assert shown.status_code == 200
    assert "geheim" not in shown.text
    assert shown.json()["name"] == flow["name"]
    assert "gpt-4o" in shown.json()["flowData"]
    assert (await anonymous.get(f"{API}/public-chatflows/{uuid4()}")).status_code == 404


async def test_a_widget_is_told_of_uploads_only_where_the_operator_lets_it_upsert(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    flow = await made(client, flowData=uploading())
    off = (await anonymous.get(f"{API}/chatflows-uploads/{flow['id']}")).json()
    assert off["isRAGFileUploadAllowed"] is False
    assert off.keys() == {
        "isSpeechToTextEnabled",
        "isImageUploadAllowed",
        "isRAGFileUploadAllowed",
        "imgUploadSizeAndTypes",
        "fileUploadSizeAndTypes",
    }
    told = uploads_of(uploading(), upserts=True, most=52_428_800, most_picture=5_242_880)
    assert told.is_r_a_g_file_upload_allowed is True
    (rule,) = told.file_upload_size_and_types
    assert (rule.file_types, rule.max_upload_size) == ([".txt", ".md"], 52)
    least: dict[str, Any] = {"upserts": True, "most": 1, "most_picture": 1}
    assert uploads_of("{", **least) == uploads_of('{"nodes":[],"edges":[]}', **least)


def uploading() -> str:
    """A flow whose vector store takes files of conversations."""
    params = [{"name": "txtFile", "type": "file", "fileType": ".txt, .md"}]
    return graph(
        [
            node("f_0", "textFile", "Document Loaders", {}, inputParams=params),
            node("v_0", "faiss", "Vector Stores", {"fileUpload": True, "document": ["{{f_0.data.instance}}"]}),
        ],
        [edge("f_0", "v_0", "document")],
    )
