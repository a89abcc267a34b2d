"""What is refused before a model is asked: with a status, whether a stream was asked for or not."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from service.api_keys import service as api_keys
from service.chatflows.types import FlowType
from tests.service.chatflows.flows import node, openai, rag
from tests.service.predictions.conftest import House
from tests.service.predictions.live import DEFAULT_WORKSPACE

ERR = {"statusCode", "success", "message", "stack", "error"}


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def streaming(request: pytest.FixtureRequest) -> bool:
    """Whether the caller asks for a stream."""
    return bool(request.param)


def refused(response: httpx.Response, status: int) -> str:
    """The message of a refusal in the error shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() >= ERR
    assert (body["statusCode"], body["success"], body["stack"]) == (status, False, {})
    assert body["error"] == body["message"]
    return str(body["message"])


def test_ids_that_are_none_or_unknown(house: House, streaming: bool) -> None:
    unknown = str(uuid4())
    assert "nonsense" in refused(house.ask("nonsense", streaming=streaming), 400)
    assert unknown in refused(house.ask(unknown, streaming=streaming), 404)
    assert "id not provided" in refused(house.ask("", streaming=streaming), 412)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 412),
        (b"  ", 412),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"\xff\xfe\xfa", 400),
        (b"[" * 200_000, 400),
        (b'{"question": 1' + b"0" * 5000 + b"}", 400),
        (b"{}", 422),
        (b'{"question": null}', 422),
        (b'{"question": "  "}', 422),
        (b'{"question": 7}', 422),
        (b'{"question": "q", "chatId": [7]}', 422),
        (b'{"question": "q", "chatId": true}', 422),
        (b'{"question": "q", "chatId": 1e999}', 422),
        (b'{"question": "q", "chatId": ' + b"9" * 600 + b"}", 422),
        (b'{"question": "q", "overrideConfig": {"sessionId": false}}', 422),
        (b'{"question": "q", "overrideConfig": {"sessionId": NaN}}', 422),
        (b'{"question": "q", "overrideConfig": {"sessionId": ' + b"9" * 600 + b"}}", 422),
        (b'{"question": "q", "overrideConfig": {"sessionId": {"$ne": 1}}}', 422),
        (b'{"question": "q", "overrideConfig": {"sessionId": "' + b"x" * 600 + b'"}}', 422),
        (b'{"question": "q", "uploads": [{"type": "file", "name": "a", "data": "x", "mime": "y"}]}', 422),
    ],
)
def test_bodies_that_cannot_be_read(house: House, content: bytes, status: int) -> None:
    flow = house.quoting()
    url = f"{house.live.url}/api/v1/prediction/{flow}"
    refused(httpx.post(url, content=content, headers={"Content-Type": "application/json"}), status)
    assert house.messages(flow) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("form", {"days": 3}),
        ("humanInput", {"type": "proceed", "startNodeId": "humanInputAgentflow_0"}),
        ("action", {"id": "1", "mapping": {"approve": "Yes"}}),
    ],
    ids=["form", "human input", "action"],
)
def test_what_only_agentflows_take_is_no_question_to_a_chatflow(
    house: House, name: str, value: dict[str, Any], streaming: bool
) -> None:
    flow = house.quoting()
    message = refused(house.ask(flow, "", streaming=streaming, **{name: value}), 422)
    assert f"question: is missing; {name}" in message
    assert house.messages(flow) == [], "nothing was asked"


def test_a_caller_who_reads_streams_alone_is_told_in_one(house: House) -> None:
    """The widget shows nothing at all when it asked for a stream and gets another status than 401, 403 or 429."""
    mystery = house.flow(rag(house.shelf.store, model=node("m", "chatMystery", "Chat Models", {"streaming": True})))
    for flow, question, word in ((mystery, "Q", "cannot be run"), (house.quoting(), "x" * 100_001, "question")):
        url, body = f"{house.live.url}/api/v1/prediction/{flow}", {"question": question, "streaming": True}
        told = httpx.post(url, json=body, headers={"Accept": "text/event-stream"})
        assert (told.status_code, told.headers["content-type"]) == (200, "text/event-stream")
        error, end, rest = told.text.split("\n\n")
        assert error.startswith('message:\ndata:{"event":"error","data":"')
        assert word in error
        assert (end, rest) == ('message:\ndata:{"event":"end","data":"[DONE]"}', "")
        for accept in ("*/*", "application/json, text/event-stream"):
            refused(httpx.post(url, json=body, headers={"Accept": accept}), 422)
    unknown = f"{house.live.url}/api/v1/prediction/{uuid4()}"
    refused(httpx.post(unknown, json={"question": "Q"}, headers={"Accept": "text/event-stream"}), 404)


def test_a_caller_who_reads_streams_alone_is_told_of_a_missing_key_in_words(house: House) -> None:
    bound, _ = house.live.run(api_keys.create(house.live.resources.database, DEFAULT_WORKSPACE, "bound"))
    flow = house.quoting()
    house.client.put(f"/chatflows/{flow}", json={"apikeyid": str(bound.id)})
    url, body = f"{house.live.url}/api/v1/prediction/{flow}", {"question": "Q", "streaming": True}
    told = httpx.post(url, json=body, headers={"Accept": "text/event-stream"})
    assert (told.status_code, told.text) == (401, "Unauthorized: this chatflow needs its API key")


def test_nulls_and_unknown_fields_are_no_obstacle(house: House) -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ("overrideConfig", "chatId", "leadEmail", "form", "action", "history", "uploads")
    )
    extra = {"chatflowId": "x", "modelId": 1, "fileName": [], "socketIOClientId": "y", "sessionId": "z"}
    assert house.ask(house.quoting(), **{**nothing, **extra}).status_code == 200


def test_a_flow_with_an_unknown_node_is_refused_by_name(house: House, streaming: bool) -> None:
    flow = house.flow(rag(house.shelf.store, model=node("m", "chatMystery", "Chat Models", {"streaming": True})))
    assert "chatMystery" in refused(house.own(flow, streaming=streaming), 422)


def test_a_credential_that_is_gone_is_refused_by_node(house: House, streaming: bool) -> None:
    model = {**openai(""), "data": {**openai("")["data"], "credential": str(uuid4())}}
    message = refused(house.own(house.flow(rag(house.shelf.store, model=model)), streaming=streaming), 422)
    assert "chatOpenAI (chatOpenAI_0)" in message
    assert "does not exist here" in message
    without = refused(house.own(house.flow(rag(house.shelf.store, model=openai(""))), streaming=streaming), 422)
    assert "no credential is chosen" in without


def test_a_credential_reaches_the_provider_and_its_change_too(house: House) -> None:
    secret = {"openAIApiKey": "sk-one-111111", "allowedHosts": "127.0.0.1"}
    body = {"name": "mine", "credentialName": "openAIApi", "plainDataObj": secret}
    credential = house.client.post("/credentials", json=body).json()["id"]
    model = openai(house.stub.url)
    model["data"]["credential"] = credential
    flow = house.flow(rag(house.shelf.store, model=model))
    for key in ("sk-one-111111", "sk-two-222222"):
        data = {**body, "plainDataObj": {**secret, "openAIApiKey": key}}
        assert house.client.put(f"/credentials/{credential}", json=data).status_code == 200
        assert house.ask(flow).status_code == 200
        assert house.stub.requests[-1].headers["authorization"] == f"Bearer {key}"
    house.client.delete(f"/credentials/{credential}")
    assert "does not exist here" in refused(house.own(flow), 422)


def test_a_flow_bound_to_a_key_wants_that_key(house: House, streaming: bool) -> None:
    resources = house.live.resources
    bound, secret = house.live.run(api_keys.create(resources.database, DEFAULT_WORKSPACE, "bound"))
    flow = house.quoting()
    assert house.client.put(f"/chatflows/{flow}", json={"apikeyid": str(bound.id)}).status_code == 200
    url, body = f"{house.live.url}/api/v1/prediction/{flow}", {"question": "How many days?", "streaming": streaming}
    headers: list[dict[str, str]] = [{}, {"Authorization": f"Bearer {house.key}"}, {"Authorization": "Bearer wrong"}]
    for header in headers:
        refused(httpx.post(url, json=body, headers=header), 401)
    assert httpx.post(url, json=body, headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    house.live.run(api_keys.revoke(resources.database, DEFAULT_WORKSPACE, bound.id))
    refused(httpx.post(url, json=body, headers={"Authorization": f"Bearer {secret}"}), 401)


def test_a_document_store_that_is_not_here_is_named_before_anything_is_asked(house: House, streaming: bool) -> None:
    gone = uuid4()
    flow = house.flow(rag(gone, model=openai(house.stub.url)))
    told = refused(house.own(flow, streaming=streaming), 422)
    assert "(store_0)" in told
    assert f"there is no document store {gone} here; choose one" in told
    assert not house.stub.requests
    house.shelf.filled.add(gone)
    assert house.ask(flow, streaming=streaming).status_code == 200, "it was made"


def test_a_change_of_the_flow_counts_at_once(house: House) -> None:
    flow = house.writing()
    assert "sourceDocuments" in house.ask(flow).json()
    changed = rag(house.shelf.store, model=openai(house.stub.url), chain={"returnSourceDocuments": False})
    house.client.put(f"/chatflows/{flow}", json={"flowData": changed})
    assert "sourceDocuments" not in house.ask(flow).json()
    assert house.client.delete(f"/chatflows/{flow}").json() == {"raw": [], "affected": 1}
    refused(house.ask(flow), 404)


def test_an_agentflow_is_kept_and_refused_when_it_runs(house: House) -> None:
    graph = '{"nodes":[{"id":"s","data":{"name":"startAgentflow","category":"Agent Flows"}}],"edges":[]}'
    flow = house.flow(graph, type=FlowType.AGENTFLOW)
    assert "startAgentflow" in refused(house.own(flow), 422)
