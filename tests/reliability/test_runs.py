"""Workers that are killed while they run agentflows, or send what these said: a run is begun once, what it said is sent
until it has arrived."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from service.resources import Resources
from service.schedules import service as schedules
from tests.reliability.test_kills import happens
from tests.service.agentflows.flows import chain, model, node
from tests.service.document_stores.test_kills import Start, start, stub  # noqa: F401
from tests.stubs.openai_server import OpenAIStub, Script
from tests.stubs.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


async def made(client: httpx.AsyncClient, flow_data: str) -> str:
    """A new agentflow's id."""
    body = {"name": "Agents", "type": "AGENTFLOW", "flowData": flow_data}
    response = await client.post("/api/v1/chatflows", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


async def lapse(resources: Resources) -> None:
    """Let the leases of runs be over."""
    async with resources.database.connection() as connection:
        await connection.execute("UPDATE executions SET lease_until = now() - interval '1 second'")


async def executions(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Every execution."""
    listed = (await client.get("/api/v1/executions")).json()["data"]
    assert isinstance(listed, list)
    return listed


async def test_a_run_whose_worker_is_killed_is_told_as_failed_and_not_run_again(
    client: httpx.AsyncClient,
    resources: Resources,
    stub: OpenAIStub,  # noqa: F811
    start: Start,  # noqa: F811
) -> None:
    stub.script(Script(first_delay=60.0), times=None)
    daily = {
        "startInputType": "scheduleInput",
        "scheduleType": "cronExpression",
        "scheduleCronExpression": "0 9 * * *",
        "scheduleInputMode": "text",
        "scheduleDefaultInput": "report",
    }
    flow = await made(client, chain(node("llm_0", "llm", **model("llm", stub.url)), start=daily))
    assert await schedules.queue_due(resources, datetime.now(UTC) + timedelta(days=1.1)) == 1
    worker = start()
    await happens(lambda: len(stub.requests) == 1)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    (execution,) = await executions(client)
    assert execution["state"] == "INPROGRESS"
    await lapse(resources)
    (execution,) = await executions(client)
    assert execution["state"] == "ERROR"
    start()
    path = f"/api/v1/chatflows/{flow}/schedule/trigger-logs"
    while (log := (await client.get(path)).json()["data"][0])["status"] in ("QUEUED", "RUNNING"):
        pass
    assert (log["status"], log["executionId"]) == ("FAILED", execution["id"])
    assert "process" in log["error"]
    assert len(stub.requests) == 1


async def test_what_a_killed_worker_was_sending_is_sent_again_under_its_id(
    client: httpx.AsyncClient,
    receiver: Receiver,
    start: Start,  # noqa: F811
) -> None:
    hook = {
        "startInputType": "webhookTrigger",
        "webhookInputMode": "text",
        "webhookDefaultInput": "hi",
        "webhookResponseMode": "async",
        "callbackUrl": receiver.url,
    }
    reply = node("reply_0", "directReply", directReplyMessage="Done.")
    flow = await made(client, chain(reply, start=hook))
    receiver.open.clear()
    assert (await client.post(f"/api/v1/webhook/{flow}", json={})).status_code == 202
    worker = start()
    await happens(lambda: len(receiver.received) == 1)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    receiver.open.set()
    start()
    await happens(lambda: len(receiver.received) == 2)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert second.json["data"]["text"] == "Done."
    path = f"/api/v1/chatflows/{flow}/webhook-deliveries"
    while (await client.get(path)).json()["data"][0]["state"] != "delivered":
        pass
    assert len(await executions(client)) == 1
