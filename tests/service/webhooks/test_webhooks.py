"""Agentflows that calls of other services start (contract 6.9)."""

import hmac
import json
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pytest
from psycopg_pool import PoolTimeout

from service.api_keys import service as api_keys
from tests.service.executions.conftest import Desk
from tests.service.predictions.live import DEFAULT_WORKSPACE

HOOK: dict[str, Any] = {
    "startInputType": "webhookTrigger",
    "webhookInputMode": "text",
    "webhookDefaultInput": "{{ $webhook.body.q }}",
}
FIELDS: dict[str, Any] = {
    "webhookEnableValidation": True,
    "webhookHeaderParams": [{"name": "X-Event", "required": True}],
    "webhookQueryParams": [{"name": "page", "required": True}],
    "webhookBodyParams": [
        {"name": "q", "type": "string", "required": True},
        {"name": "n", "type": "number", "required": False},
        {"name": "tags", "type": "array[string]", "required": False},
    ],
}
WHOLE: dict[str, Any] = {"params": {"page": "1"}, "headers": {"X-Event": "push"}}


def hook(desk: Desk, columns: dict[str, Any] | None = None, **inputs: Any) -> str:
    """A flow that is started from outside."""
    return desk.flow(columns, **{**HOOK, **inputs})


def call(desk: Desk, flow: str, method: str = "POST", **options: Any) -> httpx.Response:
    """A call from outside."""
    return desk.open(method, f"/webhook/{flow}", **options)


def test_a_call_starts_the_flow_with_what_it_holds(desk: Desk) -> None:
    flow = hook(desk)
    headers = {"Authorization": "Bearer nobody", "X-Event": "push", "Cookie": "a=b"}
    answer = call(
        desk, flow, json={"q": "hi", "n": [1, None]}, params=[("p", "1"), ("p", "2"), ("r", "3")], headers=headers
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == "You said: hi"
    assert answer.json()["executionId"]
    (run,) = desk.runs
    assert run.webhook is not None
    assert run.webhook["body"] == {"q": "hi", "n": [1, None]}
    assert run.webhook["query"] == {"p": ["1", "2"], "r": "3"}
    sent = run.webhook["headers"]
    assert (sent["x-event"], sent["authorization"], sent["cookie"]) == ("push", "[REDACTED]", "[REDACTED]")
    assert {row["chat_type"] for row in desk.rows(flow)} == {"WEBHOOK"}


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ({"data": {"payload": '{"q": "hi"}', "x": "1"}}, {"q": "hi"}),
        ({"data": {"q": "hi", "payload": "{"}}, {"q": "hi", "payload": "{"}),
        ({"content": "plain words", "headers": {"Content-Type": "text/plain"}}, "plain words"),
        ({"content": b"\xff<a/>", "headers": {"Content-Type": "application/xml"}}, "\ufffd<a/>"),
        ({"content": '{"q": "x"}', "headers": {"Content-Type": "application/vnd.api+json"}}, {"q": "x"}),
        ({"content": "[1]", "headers": {"Content-Type": "application/json"}}, [1]),
        ({"content": '{"q":"a\\u0000\\ud800"}', "headers": {"Content-Type": "application/json"}}, {"q": "a\ufffd"}),
        ({}, None),
    ],
)
def test_bodies_are_read_by_their_type(desk: Desk, options: dict[str, Any], body: Any) -> None:
    assert call(desk, hook(desk), **options).status_code == 200
    assert desk.runs[0].webhook is not None
    assert desk.runs[0].webhook["body"] == body


def test_what_no_call_can_be(desk: Desk) -> None:
    flow = hook(desk)
    broken = call(desk, flow, content="{", headers={"Content-Type": "application/json"})
    deep = call(desk, flow, content="[" * 10_000, headers={"Content-Type": "application/json"})
    files = call(desk, flow, files={"files": ("a.txt", b"x")})
    named = call(desk, flow, json={"chatId": [7]})
    assert [item.status_code for item in (broken, deep, files, named)] == [400, 400, 415, 422]
    assert desk.runs == []


def test_only_agentflows_that_wait_for_calls_are_there(desk: Desk) -> None:
    chat = desk.flow()
    other = desk.flow({"type": "MULTIAGENT"}, **HOOK)
    for flow in (chat, other, str(uuid4())):
        assert call(desk, flow, json={}).status_code == 404
    assert call(desk, "nonsense", json={}).status_code == 400


def test_the_method_is_the_start_nodes(desk: Desk) -> None:
    flow = hook(desk, webhookMethod="PUT")
    refused = call(desk, flow, json={})
    assert (refused.status_code, refused.headers["allow"]) == (405, "PUT")
    assert refused.json()["message"] == "Method POST not allowed. Expected PUT"
    assert call(desk, flow, "PUT", json={}).status_code == 200
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert call(desk, hook(desk), method).status_code == 200


def test_the_content_type_is_the_start_nodes(desk: Desk) -> None:
    flow = hook(desk, webhookContentType="application/json")
    assert call(desk, flow, data={"q": "x"}).status_code == 415
    assert call(desk, flow, content="x").status_code == 415
    assert call(desk, flow).status_code == 200
    assert call(desk, flow, json={}).status_code == 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"headers": {}}, "Missing required headers: X-Event"),
        ({"json": {"n": 1}}, "Missing required webhook body parameters: q"),
        ({"json": {"q": 1}}, "Invalid type for parameter(s): q"),
        ({"json": {"q": "x", "n": "no", "tags": [1]}}, "Invalid type for parameter(s): n, tags"),
        ({"params": {}}, "Missing required query parameters: page"),
    ],
)
def test_declared_fields_are_demanded(desk: Desk, change: dict[str, Any], message: str) -> None:
    flow = hook(desk, **FIELDS)
    sent = {**WHOLE, "json": {"q": "x", "n": "3.5", "tags": ["a"]}}
    assert call(desk, flow, **sent).status_code == 200
    refused = call(desk, flow, **{**sent, **change})
    assert (refused.status_code, refused.json()["message"]) == (400, message)
    assert (
        call(desk, hook(desk, **{**FIELDS, "webhookEnableValidation": False}), **{**sent, **change}).status_code == 200
    )


def test_a_secret_is_shown_once_and_closes_the_webhook(desk: Desk) -> None:
    flow = hook(desk)
    assert desk.client.get(f"/chatflows/{flow}").json()["webhookSecretConfigured"] is False
    secret = desk.client.post(f"/chatflows/{flow}/webhook-secret").json()["webhookSecret"]
    assert (len(secret), int(secret, 16) > 0) == (64, True)
    found = desk.client.get(f"/chatflows/{flow}")
    assert found.json()["webhookSecretConfigured"] is True
    assert secret not in found.text
    assert desk.client.get("/chatflows").json()[0]["webhookSecretConfigured"] is True
    refused = call(desk, flow, json={})
    assert (refused.status_code, refused.json()["message"]) == (401, "Missing signature header: x-webhook-signature")
    body = b'{"q": "hi"}'
    signed = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Webhook-Signature": signed}
    assert call(desk, flow, content=body, headers=headers).json()["text"] == "You said: hi"
    assert call(desk, flow, content=body + b" ", headers=headers).status_code == 401
    assert call(desk, flow, "GET", headers=headers).status_code == 401
    assert desk.runs[-1].webhook is not None
    assert desk.runs[-1].webhook["headers"]["x-webhook-signature"] == "[REDACTED]"
    other = desk.client.post(f"/chatflows/{flow}/webhook-secret").json()["webhookSecret"]
    assert other != secret
    assert call(desk, flow, content=body, headers=headers).status_code == 401
    gone = desk.client.delete(f"/chatflows/{flow}/webhook-secret")
    assert (gone.status_code, gone.content) == (204, b"")
    assert call(desk, flow, content=body).status_code == 200
    assert desk.client.delete(f"/chatflows/{flow}/webhook-secret").status_code == 204


@pytest.mark.parametrize("asks_for_one", [False, True])
def test_who_cannot_sign_comes_in_by_no_other_door(desk: Desk, asks_for_one: bool) -> None:
    flow = hook(desk, webhookEnableAuth=asks_for_one)
    assert desk.ask(flow).status_code == (401 if asks_for_one else 200)
    desk.client.post(f"/chatflows/{flow}/webhook-secret").raise_for_status()
    before = len(desk.runs)
    for body in ({"question": "pay"}, {"question": "pay", "streaming": True}, {"form": {"q": "pay"}}):
        answer = desk.open("POST", f"/prediction/{flow}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "only_signed")
    answer = desk.answer(flow, sessionId="s", chatId="s")
    assert (answer.status_code, answer.json()["code"]) == (401, "only_signed")
    assert len(desk.runs) == before
    assert desk.client.post(f"/prediction/{flow}", json={"question": "pay"}).status_code == 200


def test_a_flow_that_wants_signatures_without_a_secret_is_closed(desk: Desk) -> None:
    assert call(desk, hook(desk, webhookEnableAuth=True), json={}).status_code == 401


def test_a_token_may_stand_in_a_header_of_its_own(desk: Desk) -> None:
    flow = hook(desk, webhookSignatureHeader="X-Gitlab-Token", webhookSignatureType="plain-token")
    secret = desk.client.post(f"/chatflows/{flow}/webhook-secret").json()["webhookSecret"]
    assert call(desk, flow, json={}, headers={"X-Gitlab-Token": secret}).status_code == 200
    assert call(desk, flow, json={}, headers={"X-Gitlab-Token": secret[:-1]}).status_code == 401
    assert secret not in json.dumps([run.webhook for run in desk.runs])


def test_secrets_lie_sealed(desk: Desk) -> None:
    flow = hook(desk)
    secret = desk.client.post(f"/chatflows/{flow}/webhook-secret").json()["webhookSecret"]

    async def read() -> str:
        async with desk.live.resources.database.connection() as connection:
            row = await (await connection.execute("SELECT secret FROM webhook_secrets")).fetchone()
            assert row is not None
            return str(row["secret"])

    assert secret not in desk.live.run(read())


def test_the_flows_key_counts_for_calls_too(desk: Desk) -> None:
    key, secret = desk.live.run(api_keys.create(desk.live.resources.database, DEFAULT_WORKSPACE, "door"))
    flow = hook(desk, {"apikeyid": str(key.id)})
    assert call(desk, flow, json={}).status_code == 401
    assert call(desk, flow, json={}, headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_calls_are_counted_with_questions(desk: Desk) -> None:
    limit = {"rateLimit": {"status": True, "limitMax": 2, "limitDuration": 60, "limitMsg": "Slow down"}}
    flow = hook(desk, {"apiConfig": json.dumps(limit)})
    first = call(desk, flow, json={})
    assert (first.status_code, first.headers["x-ratelimit-remaining"]) == (200, "1")
    assert desk.ask(flow).status_code == 200
    refused = call(desk, flow, json={})
    assert (refused.status_code, refused.text) == (429, "Slow down")


@pytest.mark.parametrize("header", ["X-GitHub-Delivery", "Webhook-Id"])
@pytest.mark.parametrize("mode", ["sync", "stream"])
def test_a_delivery_that_comes_twice_runs_once(desk: Desk, header: str, mode: str) -> None:
    flow = hook(desk, webhookResponseMode=mode)
    first = call(desk, flow, json={"q": "hi"}, headers={header: "d-1"})
    assert first.status_code == 200
    again = call(desk, flow, json={"q": "hi"}, headers={header: "d-1"})
    (execution,) = desk.executions()
    assert again.status_code == 200
    assert again.json() == {"chatId": execution["sessionId"], "status": "SUCCESS", "executionId": execution["id"]}
    assert len(desk.runs) == 1
    other = hook(desk)
    for flow_id, name in ((flow, "d-2"), (other, "d-1")):
        assert call(desk, flow_id, json={"q": "hi"}, headers={header: name}).status_code == 200
    assert len(desk.runs) == 3


def test_a_delivery_that_failed_may_come_once_more(desk: Desk) -> None:
    flow = hook(desk, webhookDefaultInput="fail")
    for _ in range(2):
        assert call(desk, flow, json={}, headers={"Webhook-Id": "d-1"}).status_code == 502
    assert len(desk.runs) == 2


def test_a_delivery_of_a_closed_flow_is_told_to_nobody(desk: Desk) -> None:
    key, secret = desk.live.run(api_keys.create(desk.live.resources.database, DEFAULT_WORKSPACE, "door"))
    flow = hook(desk, {"apikeyid": str(key.id)})
    mine = {"Webhook-Id": "d-1", "Authorization": f"Bearer {secret}"}
    assert call(desk, flow, json={"q": "hi"}, headers=mine).status_code == 200
    assert call(desk, flow, json={"q": "hi"}, headers={"Webhook-Id": "d-1"}).status_code == 401
    assert call(desk, flow, json={"q": "hi"}, headers=mine).json()["status"] == "SUCCESS"


def test_a_call_that_signs_its_moment_is_not_replayed(desk: Desk) -> None:
    flow = hook(desk, webhookTimestampHeader="X-Moment")
    secret = desk.client.post(f"/chatflows/{flow}/webhook-secret").json()["webhookSecret"]
    body = b'{"q": "pay"}'

    def signed(moment: int) -> dict[str, str]:
        value = hmac.new(secret.encode(), b"%d.%s" % (moment, body), sha256).hexdigest()
        return {"Content-Type": "application/json", "X-Webhook-Signature": value, "X-Moment": str(moment)}

    now = int(time.time())
    assert call(desk, flow, content=body, headers=signed(now)).json()["text"] == "You said: pay"
    assert call(desk, flow, content=body, headers=signed(now)).json()["status"] == "SUCCESS"
    upper = {**signed(now), "X-Webhook-Signature": signed(now)["X-Webhook-Signature"].upper()}
    assert call(desk, flow, content=body, headers=upper).json()["status"] == "SUCCESS"
    assert call(desk, flow, content=body, headers=signed(now - 1)).json()["text"] == "You said: pay"
    assert call(desk, flow, content=body, headers=signed(now - 400)).status_code == 401
    assert len(desk.runs) == 2


def signing(desk: Desk, flow: str) -> Callable[..., httpx.Response]:
    """Calls that are signed with their moment, by a new secret."""
    secret = desk.client.post(f"/chatflows/{flow}/webhook-secret").json()["webhookSecret"]

    def send(body: dict[str, Any], moment: int, headers: dict[str, str] | None = None) -> httpx.Response:
        content = json.dumps(body).encode()
        value = hmac.new(secret.encode(), b"%d.%s" % (moment, content), sha256).hexdigest()
        signed = {"Content-Type": "application/json", "X-Webhook-Signature": f"t={moment},v1={value}"}
        return call(desk, flow, content=content, headers={**signed, **(headers or {})})

    return send


@pytest.mark.parametrize("mode", ["sync", "stream", "async"])
@pytest.mark.parametrize("first", [{}, {"Webhook-Id": "d-1"}])
def test_what_was_signed_runs_once_under_whatever_name_it_comes(desk: Desk, mode: str, first: dict[str, str]) -> None:
    flow = hook(desk, webhookResponseMode=mode)
    send, now = signing(desk, flow), int(time.time())
    before = send({"q": "pay"}, now, first)
    assert before.status_code == (202 if mode == "async" else 200)
    again = send({"q": "pay"}, now, first)
    for headers in ({"Webhook-Id": "d-2"}, {"X-GitHub-Delivery": "d-1"}, {}, {"Content-Type": "text/plain"}):
        replayed = send({"q": "pay"}, now, headers)
        assert (replayed.status_code, replayed.json()) == (again.status_code, again.json())
    if mode == "async":
        chats = [send({"q": "pay"}, now + 1, {"Webhook-Id": name}).json()["chatId"] for name in ("d-3", "d-4")]
        assert again.json() == before.json(), "both are told where the one result will be"
        assert len({before.json()["chatId"], *chats}) == 2, "an equal event of another moment has a run of its own"
    else:
        assert (again.json()["status"], len(desk.runs)) == ("SUCCESS", 1)
        assert send({"q": "pay"}, now - 1).status_code == 200
        assert len(desk.runs) == 2, "an equal event of another moment runs"


def test_a_sender_who_signs_anew_when_he_sends_again_starts_one_run(desk: Desk) -> None:
    flow = hook(desk)
    send, now = signing(desk, flow), int(time.time())
    for moment, name in ((now - 9, "d-1"), (now, "d-1"), (now, "d-2"), (now - 9, "d-3")):
        assert send({"q": "pay"}, moment, {"Webhook-Id": name}).status_code == 200
    assert len(desk.runs) == 1
    assert send({"q": "pay"}, now - 3, {"Webhook-Id": "d-2"}).json()["text"] == "You said: pay"


def test_a_signed_run_that_failed_may_come_once_more(desk: Desk) -> None:
    send, now = signing(desk, hook(desk)), int(time.time())
    for _ in range(2):
        assert send({"q": "fail"}, now, {"Webhook-Id": "d-1"}).status_code == 502
    assert len(desk.runs) == 2


def test_equal_events_that_are_signed_without_a_moment_all_run(desk: Desk) -> None:
    flow = hook(desk)
    secret = desk.client.post(f"/chatflows/{flow}/webhook-secret").json()["webhookSecret"]
    body = b'{"q": "hi"}'
    value = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
    for name in ({"X-GitHub-Delivery": "d-1"}, {"X-GitHub-Delivery": "d-2"}, {}, {}):
        headers = {"Content-Type": "application/json", "X-Webhook-Signature": value, **name}
        assert call(desk, flow, content=body, headers=headers).json()["text"] == "You said: hi"
    assert len(desk.runs) == 4


def test_what_a_person_said_once_answers_no_later_stop(desk: Desk) -> None:
    send, now = signing(desk, hook(desk)), int(time.time())
    human = {"humanInput": {"type": "proceed", "startNodeId": "human_0", "feedback": "pay"}, "chatId": "c1"}
    assert send(human, now).status_code == 404, "nothing waits yet, so that it may come again"
    assert send({"q": "ask", "chatId": "c1"}, now).json()["action"]
    assert send(human, now).json()["text"] == "proceed: pay"
    assert send({"q": "ask", "chatId": "c1"}, now - 1).json()["action"]
    for headers in ({}, {"Webhook-Id": "d-1"}, {"Content-Type": "text/plain"}):
        assert send(human, now, headers).status_code == 409
    assert len(desk.runs) == 3
    assert send(human, now - 1).json()["text"] == "proceed: pay"


def test_an_answer_that_the_database_was_too_busy_for_may_come_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, now = signing(desk, hook(desk)), int(time.time())
    human = {"humanInput": {"type": "proceed", "startNodeId": "human_0", "feedback": "pay"}, "chatId": "c1"}
    assert send({"q": "ask", "chatId": "c1"}, now).json()["action"]
    with monkeypatch.context() as patched:

        async def busy(*_: object) -> None:
            raise PoolTimeout("too busy")

        patched.setattr("service.executions.records.claim", busy)
        refused = send(human, now)
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
    assert send(human, now).json()["text"] == "proceed: pay"
    assert send(human, now).status_code == 409


def test_no_page_of_another_origin_may_call(desk: Desk) -> None:
    flow = hook(desk)
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = call(desk, flow, "OPTIONS", headers=asked)
    assert "access-control-allow-origin" not in preflight.headers
    answer = call(desk, flow, json={}, headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    closed = hook(desk, {"chatbotConfig": json.dumps({"allowedOrigins": ["https://mine.example"]})})
    assert call(desk, closed, json={}, headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_stopped_run_is_answered_by_a_call(desk: Desk) -> None:
    flow = hook(desk, webhookMethod="PUT", **FIELDS)
    first = call(desk, flow, "PUT", json={"q": "ask", "chatId": "c1"}, **WHOLE).json()
    assert first["action"]["data"]["nodeId"] == "human_0"
    human = {"type": "proceed", "startNodeId": "human_0", "feedback": "fine"}
    second = call(desk, flow, json={"humanInput": human, "chatId": "c1"}).json()
    assert (second["text"], second["executionId"]) == ("proceed: fine", first["executionId"])
    assert desk.runs[-1].webhook is not None
    assert desk.runs[-1].webhook["body"]["q"] == "ask"
    assert call(desk, flow, json={"humanInput": human, "chatId": "c1"}).status_code == 409
    assert call(desk, flow, json={"humanInput": human, "chatId": "c2"}).status_code == 404


def test_a_flow_may_answer_with_a_stream(desk: Desk) -> None:
    answer = call(desk, hook(desk, webhookResponseMode="stream"), json={"q": "hi"})
    assert answer.headers["content-type"] == "text/event-stream"
    assert '"event":"agentFlowEvent","data":"INPROGRESS"' in answer.text
    assert answer.text.endswith('message:\ndata:{"event":"end","data":"[DONE]"}\n\n')


def test_templates_in_calls_are_not_filled(desk: Desk) -> None:
    call(desk, hook(desk), json={"q": "{{ $webhook.headers.host }} {{question}}"})
    assert desk.runs[0].question == "{{ $webhook.headers.host }} {{question}}"


def test_the_whole_call_may_be_the_question(desk: Desk) -> None:
    call(desk, hook(desk, webhookInputMode="payload"), json={"q": "hi"})
    assert json.loads(desk.runs[0].question)["body"] == {"q": "hi"}
