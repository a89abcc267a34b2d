"""A chatflow is deleted or kept while others write what belongs to it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.chatflows import records as chatflows
from service.executions import records as executions
from service.executions.types import Owner
from service.resources import Resources
from service.schedules import records as schedules
from service.schedules.types import RunStatus, ScheduledRun
from service.webhooks import records as webhooks
from service.webhooks.types import Callback
from stores.records.database import Scope
from tests.locks import held_up
from tests.service.executions.agents import graph

API = "/api/v1"

DAILY = {
    "startInputType": "scheduleInput",
    "scheduleType": "visualPicker",
    "scheduleFrequency": "daily",
    "scheduleOnTime": "09:00",
    "scheduleInputMode": "none",
}

HOOK = {"startInputType": "webhookTrigger"}


async def made(client: httpx.AsyncClient, **inputs: Any) -> UUID:
    """A new agentflow with these fields of its start node."""
    body = {"name": "Agents", "type": "AGENTFLOW", "flowData": graph(**inputs)}
    response = await client.post(f"{API}/chatflows", json=body)
    assert response.status_code == 200, response.text
    return UUID(response.json()["id"])


async def said(resources: Resources, workspace: UUID, flow: UUID) -> UUID:
    """An answer in a conversation with the flow."""
    message = uuid4()
    async with resources.database.write(workspace) as scope:
        await scope.run(
            "INSERT INTO chat_messages (id, workspace_id, chatflow_id, caller, session_id, chat_id, chat_type, role,"
            " content) VALUES (%(id)s, %(workspace)s, %(flow)s, 'public', 's', 'c', 'EXTERNAL', 'apiMessage', 'Hi.')",
            id=message,
            flow=flow,
        )
    return message


@pytest.mark.parametrize("change", ["delete", "keep"])
async def test_the_clock_and_who_deletes_or_keeps_a_flow_do_not_wait_for_each_other(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID, change: str
) -> None:
    flow = await made(client, **DAILY)
    path = f"{API}/chatflows/{flow}"
    async with resources.database.transaction() as connection:
        ((clock, schedule),) = await schedules.due(connection, datetime.now(UTC) + timedelta(days=2), 10)
        request = client.delete(path) if change == "delete" else client.put(path, json={"flowData": graph(**DAILY)})
        other = asyncio.create_task(request)
        await held_up(resources.database, other)
        run = ScheduledRun(uuid4(), workspace, flow, schedule.id, None, RunStatus.QUEUED, None, None, clock, clock)
        await schedules.insert(Scope(connection, workspace), run)
    assert (await other).status_code == 200


async def test_the_clock_passes_over_a_flow_that_is_being_deleted(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    flow = await made(client, **DAILY)
    kept = await made(client, **DAILY)
    later = datetime.now(UTC) + timedelta(days=2)
    async with resources.database.write(workspace) as deleting:
        await deleting.run("SELECT 1 FROM chatflows WHERE id = %(id)s FOR UPDATE", id=flow)
        async with resources.database.transaction() as connection:
            assert [schedule.chatflow for _, schedule in await schedules.due(connection, later, 10)] == [kept]
            await deleting.run("DELETE FROM chatflows WHERE id = %(id)s", id=flow)  # its schedule is not held


async def deleted_meanwhile(resources: Resources, workspace: UUID, flow: UUID, write: Awaitable[Any]) -> Any:
    """What becomes of a write that waits until the deletion of its flow is committed."""
    async with resources.database.write(workspace) as scope:
        assert await chatflows.delete(scope, flow)
        other = asyncio.ensure_future(write)
        await held_up(resources.database, other)
        assert not other.done()
    return await other


def lead(client: httpx.AsyncClient, flow: UUID, _: UUID) -> Awaitable[httpx.Response]:
    return client.post(f"{API}/leads", json={"chatflowid": str(flow), "name": "Anna"})


def feedback(client: httpx.AsyncClient, _: UUID, message: UUID) -> Awaitable[httpx.Response]:
    return client.post(f"{API}/feedback", json={"messageId": str(message), "rating": "THUMBS_UP"})


def secret(client: httpx.AsyncClient, flow: UUID, _: UUID) -> Awaitable[httpx.Response]:
    return client.post(f"{API}/chatflows/{flow}/webhook-secret")


def listener(client: httpx.AsyncClient, flow: UUID, _: UUID) -> Awaitable[httpx.Response]:
    return client.post(f"{API}/webhook-listener/{flow}/register")


@pytest.mark.parametrize("write", [lead, feedback, secret, listener])
async def test_who_writes_to_a_flow_that_is_being_deleted_is_told_that_it_is_gone(
    client: httpx.AsyncClient,
    resources: Resources,
    workspace: UUID,
    write: Callable[[httpx.AsyncClient, UUID, UUID], Awaitable[httpx.Response]],
) -> None:
    flow = await made(client, **HOOK)
    message = await said(resources, workspace, flow)
    response = await deleted_meanwhile(resources, workspace, flow, write(client, flow, message))
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_the_switch_of_a_flow_of_before_schedules_that_is_being_deleted_finds_none(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    flow = await made(client, **DAILY)
    async with resources.database.write(workspace) as scope:
        await scope.run("DELETE FROM flow_schedules WHERE chatflow_id = %(flow)s", flow=flow)
    switch = client.patch(f"{API}/chatflows/{flow}/schedule/enabled", json={"enabled": False})
    response = await deleted_meanwhile(resources, workspace, flow, switch)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_a_run_of_a_flow_that_is_being_deleted_does_not_begin(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    flow = await made(client)

    async def begin() -> object:
        async with resources.database.read(workspace) as scope:
            return await executions.insert(scope, uuid4(), Owner(flow, "public", "s", "c", "EXTERNAL"), {}, 60)

    assert await deleted_meanwhile(resources, workspace, flow, begin()) is None


async def test_nothing_is_sent_for_a_flow_that_is_being_deleted(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    flow = await made(client, **HOOK)

    async def send() -> bool:
        async with resources.database.read(workspace) as scope:
            callback = Callback(flow, "c", "http://127.0.0.1/", "", own_secret=False, body="{}")
            return await webhooks.insert(scope, uuid4(), callback, 60)

    assert await deleted_meanwhile(resources, workspace, flow, send()) is False


async def test_a_flow_that_is_deleted_while_somebody_looks_on_ends_what_they_see(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    flow = await made(client, **HOOK)

    async def tell() -> None:
        async with resources.database.read(workspace) as scope:
            await webhooks.tell(scope, flow, "event: token")

    await deleted_meanwhile(resources, workspace, flow, tell())
    await tell()


async def test_feedback_to_a_message_that_is_being_removed_finds_none(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    flow = await made(client)
    message = await said(resources, workspace, flow)
    async with resources.database.write(workspace) as scope:
        await scope.run("DELETE FROM chat_messages WHERE id = %(id)s", id=message)
        other = asyncio.ensure_future(feedback(client, flow, message))
        await held_up(resources.database, other)
    assert (await other).status_code == 404
