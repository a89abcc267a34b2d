"""Runs behind the answer to their call, and what is sent when they have ended (contract 6.9)."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.jobs import service as jobs
from service.webhooks import service
from service.webhooks.jobs import BEGUN, PAUSES, pause_after, run
from service.worker.work import Work
from tests.service.executions.conftest import Desk
from tests.service.predictions.live import DEFAULT_WORKSPACE, Live
from tests.service.webhooks.conftest import working
from tests.service.webhooks.test_webhooks import call, hook
from tests.stubs.receiver import Received, Receiver

ASYNC: dict[str, Any] = {"webhookResponseMode": "async"}


def until(what: Callable[[], Any], seconds: float = 30) -> Any:
    """What it is, as soon as it is something."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
    return found


def first(receiver: Receiver, number: int = 1) -> Received:
    """A call that came."""
    return until(lambda: len(receiver.received) >= number) and receiver.received[number - 1]


def deliveries(desk: Desk, flow: str) -> list[dict[str, Any]]:
    """What was sent, newest first."""
    listed = desk.client.get(f"/chatflows/{flow}/webhook-deliveries").json()["data"]
    assert isinstance(listed, list)
    return listed


def due_now(desk: Desk) -> None:
    """Let no pause pass."""
    desk.run_sql("UPDATE webhook_deliveries SET next_at = now()")
    desk.live.run(service.queue_due(desk.live.resources))


@pytest.mark.usefixtures("worker")
def test_the_result_follows_in_a_signed_call(desk: Desk, receiver: Receiver) -> None:
    flow = hook(desk, callbackUrl=receiver.url, callbackSecret="ours", **ASYNC)
    answer = call(desk, flow, json={"q": "hi"})
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"chatId": answer.json()["chatId"], "status": "PROCESSING"}
    sent = first(receiver)
    said = sent.json
    assert (said["status"], said["chatId"], said["data"]["text"]) == (
        "SUCCESS",
        answer.json()["chatId"],
        "You said: hi",
    )
    assert said["data"]["executionId"] == desk.executions()[0]["id"]
    assert sent.headers["x-flowise-signature"] == "sha256=" + hmac.new(b"ours", sent.body, sha256).hexdigest()
    text = b"%s.%s.%s" % (sent.headers["webhook-id"].encode(), sent.headers["webhook-timestamp"].encode(), sent.body)
    signed = base64.b64encode(hmac.new(b"ours", text, sha256).digest()).decode()
    assert sent.headers["webhook-signature"] == f"v1,{signed}"
    (delivery,) = until(lambda: [item for item in deliveries(desk, flow) if item["state"] == "delivered"])
    assert (delivery["id"], delivery["attempts"]) == (sent.headers["webhook-id"], 1)
    assert {row["chat_type"] for row in desk.rows(flow)} == {"WEBHOOK"}


def test_calls_leave_half_of_the_queue_to_others(desk: Desk) -> None:
    flow, most = hook(desk, **ASYNC), desk.live.resources.settings.max_queued_jobs
    desk.run_sql(
        "INSERT INTO jobs (id, workspace_id, kind, payload) SELECT gen_random_uuid(), %s, 'webhook', '{}'"
        " FROM generate_series(1, %s)",
        DEFAULT_WORKSPACE,
        most // 2 - 1,
    )
    assert call(desk, flow, json={}).status_code == 202
    refused = call(desk, flow, json={})
    assert refused.status_code in (429, 503)
    assert "Retry-After" in refused.headers
    assert desk.client.post("/document-store/store", json={"name": "S"}).status_code == 200


@pytest.mark.usefixtures("worker")
def test_stops_and_failures_are_told_too(desk: Desk, receiver: Receiver) -> None:
    flow = hook(desk, callbackUrl=receiver.url, **ASYNC)
    call(desk, flow, json={"q": "fail", "chatId": "c0"})
    assert first(receiver).json == {"status": "ERROR", "chatId": "c0", "error": "The model is away."}
    assert "webhook-signature" not in receiver.received[0].headers
    secret = desk.client.post(f"/chatflows/{flow}/webhook-secret").json()["webhookSecret"]

    def signed(body: dict[str, Any]) -> dict[str, Any]:
        content = json.dumps(body).encode()
        value = hmac.new(secret.encode(), content, sha256).hexdigest()
        return {"content": content, "headers": {"Content-Type": "application/json", "X-Webhook-Signature": value}}

    assert call(desk, flow, **signed({"q": "ask", "chatId": "c1"})).status_code == 202
    said = first(receiver, 2).json
    assert (said["status"], set(said["data"])) == ("STOPPED", {"text", "executionId", "action"})
    assert "webhook-signature" in receiver.received[1].headers
    assert "x-flowise-signature" not in receiver.received[1].headers
    human = {"type": "proceed", "startNodeId": "human_0", "feedback": "fine"}
    assert call(desk, flow, **signed({"humanInput": human, "chatId": "c2"})).status_code == 404
    assert call(desk, flow, **signed({"humanInput": human, "chatId": "c1"})).status_code == 202
    assert first(receiver, 3).json["data"]["text"] == "proceed: fine"
    assert call(desk, flow, **signed({"humanInput": human, "chatId": "c1"})).status_code == 409


def test_a_delivery_that_comes_twice_is_sent_back_once(desk: Desk, receiver: Receiver, live: Live) -> None:
    flow = hook(desk, callbackUrl=receiver.url, **ASYNC)
    answers = [call(desk, flow, json={"q": "hi"}, headers={"Webhook-Id": "d-1"}) for _ in range(2)]
    assert [item.status_code for item in answers] == [202, 202]
    assert answers[0].json() == answers[1].json(), "both are told where the result will be"
    work = working(live)
    next(work)
    assert first(receiver).json["chatId"] == answers[0].json()["chatId"]
    later = until(lambda: call(desk, flow, json={"q": "hi"}, headers={"Webhook-Id": "d-1"}))
    assert (later.status_code, later.json()["status"]) == (202, "SUCCESS")
    until(lambda: {"status": "REPEATED"} in [job.get("result") for job in desk.client.get("/jobs").json()])
    next(work, None)
    assert len(desk.runs) == 1
    assert len(deliveries(desk, flow)) == 1


@pytest.mark.usefixtures("worker")
def test_without_a_place_the_flow_runs_all_the_same(desk: Desk) -> None:
    flow = hook(desk, **ASYNC)
    assert call(desk, flow, json={"q": "hi"}).status_code == 202
    until(lambda: [item for item in desk.executions() if item["state"] == "FINISHED"])
    assert deliveries(desk, flow) == []


@pytest.mark.parametrize("url", ["ftp://example.com", "nonsense", "http://10.0.0.1/x", "http://user:pw@example.com/"])
def test_a_place_that_is_never_called_is_refused_at_once(desk: Desk, url: str) -> None:
    assert call(desk, hook(desk, callbackUrl=url, **ASYNC), json={}).status_code == 400


@pytest.mark.usefixtures("worker")
def test_what_is_not_taken_is_sent_again(desk: Desk, receiver: Receiver) -> None:
    receiver.answers += [500, 302]
    flow = hook(desk, callbackUrl=receiver.url, callbackSecret="ours", **ASYNC)
    call(desk, flow, json={"q": "hi"})
    first(receiver)
    (failed,) = until(lambda: [item for item in deliveries(desk, flow) if item["attempts"] == 1])
    assert (failed["state"], failed["lastStatus"]) == ("pending", 500)
    assert failed["nextAttemptDate"] is not None
    due_now(desk)
    first(receiver, 2)
    (failed,) = until(lambda: [item for item in deliveries(desk, flow) if item["attempts"] == 2])
    assert failed["lastStatus"] in (302, None)
    due_now(desk)
    first(receiver, 3)
    (taken,) = until(lambda: [item for item in deliveries(desk, flow) if item["state"] == "delivered"])
    assert (taken["attempts"], taken["lastStatus"], taken["lastError"]) == (3, 200, None)
    assert len({item.headers["webhook-id"] for item in receiver.received}) == 1
    assert len({item.body for item in receiver.received}) == 1


@pytest.mark.usefixtures("worker")
def test_a_receiver_that_has_gone_is_left_alone(desk: Desk, receiver: Receiver) -> None:
    receiver.answers += [410]
    flow = hook(desk, callbackUrl=receiver.url, **ASYNC)
    call(desk, flow, json={"q": "hi"})
    (lost,) = until(lambda: [item for item in deliveries(desk, flow) if item["state"] == "failed"])
    assert (lost["attempts"], lost["lastStatus"], lost["nextAttemptDate"]) == (1, 410, None)


@pytest.mark.usefixtures("worker")
def test_what_nobody_takes_is_given_up_and_stays_to_be_seen(desk: Desk, receiver: Receiver) -> None:
    receiver.answers += [503, 503]
    flow = hook(desk, callbackUrl=receiver.url, **ASYNC)
    call(desk, flow, json={"q": "hi"})
    until(lambda: [item for item in deliveries(desk, flow) if item["attempts"] == 1])
    desk.run_sql("UPDATE webhook_deliveries SET attempts = %s", len(PAUSES))
    due_now(desk)
    (lost,) = until(lambda: [item for item in deliveries(desk, flow) if item["state"] == "failed"])
    assert "503" in lost["lastError"]
    assert lost["endedDate"] is not None
    due_now(desk)
    assert len(receiver.received) == 2


def test_three_days_pass_between_the_first_attempt_and_the_last() -> None:
    assert 70 <= sum(PAUSES) / 3600 <= 80
    assert pause_after(0) == 5
    assert pause_after(len(PAUSES)) is None


def test_a_run_whose_job_is_lost_is_told_as_failed(desk: Desk, receiver: Receiver) -> None:
    flow = hook(desk, callbackUrl=receiver.url, **ASYNC)
    chat = call(desk, flow, json={"q": "hi"}).json()["chatId"]

    async def lose() -> None:
        found, _ = await jobs.everything(desk.live.resources.database, DEFAULT_WORKSPACE, limit=10)
        (job,) = [item for item in found if item.kind == "webhook"]
        await jobs.cancel(desk.live.resources.database, desk.live.resources.queue, DEFAULT_WORKSPACE, job.id)

    desk.live.run(lose())
    (delivery,) = deliveries(desk, flow)
    assert (delivery["state"], delivery["chatId"]) == ("pending", chat)
    assert desk.live.run(service.queue_due(desk.live.resources)) == 1


def test_deliveries_of_other_workspaces_are_not_there(desk: Desk) -> None:
    assert desk.client.get(f"/chatflows/{uuid4()}/webhook-deliveries").status_code == 404
    assert desk.open("GET", f"/chatflows/{hook(desk)}/webhook-deliveries").status_code == 401


@pytest.mark.usefixtures("worker")
def test_who_looks_on_sees_runs_of_every_process(desk: Desk) -> None:
    flow, later = hook(desk), hook(desk, **ASYNC)
    for watched, status in ((flow, 200), (later, 202)):
        listener = desk.client.post(f"/webhook-listener/{watched}/register").json()["listenerId"]
        assert str(UUID(listener)) == listener
        path = f"/webhook-listener/{watched}/stream/{listener}"
        with desk.client.stream("GET", path) as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("data:"))
            assert json.loads(next(lines)[5:]) == {"event": "listenerReady", "data": {"listenerId": listener}}
            answer = call(desk, watched, json={"q": "hi", "chatId": "c1"})
            assert answer.status_code == status
            events = []
            for line in lines:
                events.append(json.loads(line[5:]))
                if events[-1]["event"] == "executionEnd":
                    break
        names = [event["event"] for event in events]
        assert names[0] == "agentFlowEvent"
        assert {"token", "agentFlowExecutedData", "metadata", "end"} <= set(names)
        assert events[-1]["data"] == {"chatId": "c1"}
        gone = desk.client.delete(f"/webhook-listener/{watched}/listener/{listener}")
        assert gone.json() == {"ok": True}
        assert desk.client.get(path).status_code == 404


def test_only_webhooks_are_looked_on_at(desk: Desk) -> None:
    assert desk.client.post(f"/webhook-listener/{desk.flow()}/register").status_code == 404
    assert desk.open("POST", f"/webhook-listener/{hook(desk)}/register").status_code == 401
    assert desk.client.get(f"/webhook-listener/{hook(desk)}/stream/{uuid4()}").status_code == 404
    assert desk.client.get(f"/webhook-listener/{hook(desk)}/stream/nonsense").status_code == 400


def test_a_job_that_is_taken_up_tells_what_the_run_said_and_runs_nothing_again(desk: Desk, receiver: Receiver) -> None:
    flow = hook(desk, callbackUrl=receiver.url, **ASYNC)
    call(desk, flow, json={"q": "hi"})
    resources = desk.live.resources

    async def take_up() -> list[Any]:
        found, _ = await jobs.everything(resources.database, DEFAULT_WORKSPACE, limit=10)
        async with resources.database.connection() as connection:
            job = await jobs.begin(connection, found[0].id)
        assert job is not None
        begun = replace(job, stage=BEGUN)  # the worker died before the run began, then behind its end
        return [await run(Work(begun, resources)), await run(Work(begun, resources)), await run(Work(job, resources))]

    assert desk.live.run(take_up()) == [{"status": "SUCCESS"}] * 2 + [{"status": "REPEATED"}]
    assert len(desk.runs) == 1

    async def bodies() -> list[Any]:
        async with resources.database.connection() as connection:
            rows = await connection.execute("SELECT body FROM webhook_deliveries ORDER BY created_at")
            return [json.loads(row["body"]) for row in await rows.fetchall()]

    first_, second = desk.live.run(bodies())
    assert first_["data"]["text"] == second["data"]["text"] == "You said: hi"
    assert first_["data"]["executionId"] == second["data"]["executionId"]
