"""What a misconfigured flow tells: its owner all of it, visitors nothing that it is set up with (ADR 0060)."""

import json
import logging
import re
from functools import partial
from typing import Any

import httpx
import pytest

from tests.service.agentflows.flows import chain, edge, graph
from tests.service.agentflows.flows import node as agentflow_node
from tests.service.chatflows.flows import node, openai, rag
from tests.service.predictions.conftest import House
from tests.service.predictions.test_agents import agent
from tests.stubs.openai_server import Called, Script

REFERENCE = re.compile(r"in its log, at ([0-9a-f]{8})\.")
NAMES = ("Key of the board", "models.board.internal", "10.20.30.40", "RAGSTONE_", "sk-")
EVENTS = {"Accept": "text/event-stream"}


def credential(house: House) -> str:
    """A credential for one host that is not the model's."""
    secret = {"openAIApiKey": "sk-one-111111", "allowedHosts": "models.board.internal"}
    body = {"name": "Key of the board", "credentialName": "openAIApi", "plainDataObj": secret}
    return str(house.client.post("/credentials", json=body).json()["id"])


def misdirected(house: House) -> str:
    """A chatflow whose credential may not be sent to its model's host."""
    model = openai("http://10.20.30.40/v1")
    model["data"]["credential"] = credential(house)
    return house.flow(rag(house.shelf.store, model=model))


def calling(house: House, **columns: Any) -> str:
    """An agentflow that calls a host of the house."""
    graph = chain(agentflow_node("h", "http", url="http://10.20.30.40/v1"))
    return house.flow(graph, type="AGENTFLOW", **columns)


def as_owner(house: House, flow: str, **body: Any) -> httpx.Response:
    url = f"{house.live.url}/api/v1/prediction/{flow}"
    headers = {"Authorization": f"Bearer {house.key}"}
    return httpx.post(url, json={"question": "Q", **body}, headers=headers, timeout=60)


def tells_nothing(text: str) -> str:
    """The reference in what a visitor reads, which names nothing."""
    assert not [name for name in NAMES if name in text], text
    found = REFERENCE.search(text)
    assert found is not None, text
    return found[1]


@pytest.mark.parametrize("way", ["whole", "streaming", "widget"])
@pytest.mark.parametrize("kind", ["chatflow", "agentflow"])
def test_a_visitor_is_told_the_kind_of_failure_and_where_the_rest_is(
    house: House, way: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    flow = misdirected(house) if kind == "chatflow" else calling(house)
    word = "Key of the board" if kind == "chatflow" else "10.20.30.40"
    url, body = f"{house.live.url}/api/v1/prediction/{flow}", {"question": "Q", "streaming": way != "whole"}
    with caplog.at_level(logging.WARNING, "ragstone"):
        told = httpx.post(url, json=body, headers=EVENTS if way == "widget" else {}, timeout=60)
    reference = tells_nothing(told.text)
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if reference in line and word in line], lines
    owner = as_owner(house, flow, streaming=way != "whole")
    assert word in owner.text
    assert not REFERENCE.search(owner.text)
    assert owner.status_code == told.status_code or way == "widget"


@pytest.mark.parametrize("key", ["Bearer nonsense", "nonsense"])
def test_a_key_that_opens_nothing_is_told_no_more(house: House, key: str) -> None:
    for flow in (misdirected(house), calling(house)):
        url = f"{house.live.url}/api/v1/prediction/{flow}"
        tells_nothing(httpx.post(url, json={"question": "Q"}, headers={"Authorization": key}, timeout=60).text)


def test_what_is_stored_is_whole_for_the_owner_and_shared_without_the_reason(house: House) -> None:
    flow = calling(house)
    tells_nothing(house.ask(flow, streaming=True).text)
    found = house.client.get("/executions", params={"agentflowId": flow}).json()["data"][0]
    assert "10.20.30.40" in found["error"]
    assert "10.20.30.40" in found["executionData"]
    house.client.put(f"/executions/{found['id']}", json={"isPublic": True})
    shared = httpx.get(f"{house.live.url}/api/v1/public-executions/{found['id']}")
    assert shared.status_code == 200
    assert "It failed." in shared.text
    assert "10.20.30" not in shared.json()["error"] + json.dumps(
        [item["data"].get("error") for item in json.loads(shared.json()["executionData"])]
    )
    assert [row for row in house.messages(flow) if "10.20.30" in str(row)] == []


def test_items_that_fail_are_told_so_in_the_text(house: House) -> None:
    """The text of an iteration is part of the answer, and of the chat that is kept."""
    items = json.dumps(["http://10.20.30.40/v1", house.stub.url + "/models"])
    nodes = [
        agentflow_node("start", "start", startInputType="chatInput"),
        agentflow_node("i", "iteration", iterationInput=items),
        agentflow_node("h", "http", url="{{ $iteration }}", parent="i"),
    ]
    flow = house.flow(graph(nodes, [edge("start", "i")]), type="AGENTFLOW")
    told = house.ask(flow)
    assert "Error in iteration 1: This URL may not be called." in told.json()["text"]
    tells_nothing(told.text)
    assert "10.20.30" not in str(house.messages(flow))
    found = house.client.get("/executions", params={"agentflowId": flow}).json()["data"][0]
    assert "The host '10.20.30.40' is unknown" in found["executionData"]


def test_a_tool_that_fails_tells_the_model_nothing_that_it_could_repeat(house: House) -> None:
    inputs = {"requestsGetUrl": "http://10.20.30.40/v1", "requestsGetName": "look"}
    tool = node("g", "requestsGet", "Tools", inputs)
    flow = agent(house, "toolAgent", [(tool, "tools")])
    answers = []
    for ask in (house.ask, partial(as_owner, house)):
        house.stub.script(Script(calls=[Called("look", {})]))
        house.stub.script(Script(reply="Nothing found."))
        answers.append(ask(flow).json()["usedTools"][0]["error"])
        assert "10.20" not in json.dumps(house.stub.requests[-1].body["messages"])
    assert answers[0] == "This step failed."
    assert "10.20.30.40" in answers[1]
