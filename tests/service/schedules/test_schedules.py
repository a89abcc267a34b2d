"""Agentflows that start by a clock (contract 4.3)."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from service.schedules import service
from tests.service.executions.agents import graph
from tests.service.executions.conftest import Desk
from tests.service.webhooks.test_callbacks import until

DAILY = {
    "startInputType": "scheduleInput",
    "scheduleType": "visualPicker",
    "scheduleFrequency": "daily",
    "scheduleOnTime": "09:00",
    "scheduleInputMode": "text",
    "scheduleDefaultInput": "report",
}


def daily(desk: Desk, **inputs: Any) -> str:
    """A flow that starts every day."""
    return desk.flow(**{**DAILY, **inputs})


def status(desk: Desk, flow: str) -> dict[str, Any]:
    """How its schedule stands."""
    found = desk.client.get(f"/chatflows/{flow}/schedule/status").json()
    assert isinstance(found, dict)
    return found


def switch(desk: Desk, flow: str, enabled: Any) -> Any:
    """Switch it on or off."""
    return desk.client.patch(f"/chatflows/{flow}/schedule/enabled", json={"enabled": enabled})


def change(desk: Desk, flow: str, **inputs: Any) -> None:
    """Other fields of the start node."""
    body = {"flowData": graph(**{**DAILY, **inputs})}
    assert desk.client.put(f"/chatflows/{flow}", json=body).status_code == 200


def logs(desk: Desk, flow: str, **query: Any) -> list[dict[str, Any]]:
    """What became of its times, newest first."""
    found = desk.client.get(f"/chatflows/{flow}/schedule/trigger-logs", params=query).json()["data"]
    assert isinstance(found, list)
    return found


def ended(desk: Desk, flow: str, status: str = "SUCCEEDED") -> list[dict[str, Any]]:
    """The runs that ended so, as soon as there is one."""
    found = until(lambda: [item for item in logs(desk, flow) if item["status"] == status])
    assert isinstance(found, list)
    return found


def pass_time(desk: Desk, days: float = 1.1) -> int:
    """Look at the clock when it shows so many days more; how many runs were queued."""
    return desk.live.run(service.queue_due(desk.live.resources, datetime.now(UTC) + timedelta(days=days)))


def test_a_flow_that_starts_by_a_clock_has_a_schedule(desk: Desk) -> None:
    flow = daily(desk, scheduleTimezone="Europe/Berlin")
    found = status(desk, flow)
    assert (found["enabled"], found["canEnable"], "reason" in found) == (True, True, False)
    record = found["record"]
    assert (record["cronExpression"], record["timezone"]) == ("0 9 * * *", "Europe/Berlin")
    assert (record["targetId"], record["nodeId"]) == (flow, "startAgentflow_0")
    assert (record["triggerType"], record["scheduleInputMode"]) == ("AGENTFLOW", "text")
    assert (record["defaultInput"], record["defaultForm"]) == ("report", None)
    assert record["nextRunAt"] > record["createdDate"]
    assert (record["lastRunAt"], record["endDate"]) == (None, None)


def test_other_flows_have_none(desk: Desk) -> None:
    flow = desk.flow()
    assert status(desk, flow) == {
        "enabled": False,
        "canEnable": False,
        "reason": "Flow is not configured as a scheduled flow",
        "record": None,
    }
    assert switch(desk, flow, True).status_code == 404
    assert desk.client.get(f"/chatflows/{uuid4()}/schedule/status").status_code == 404


def test_a_schedule_follows_its_start_node(desk: Desk) -> None:
    flow = daily(desk)
    first = status(desk, flow)["record"]
    change(desk, flow, scheduleOnTime="10:30")
    second = status(desk, flow)["record"]
    assert (second["id"], second["cronExpression"], second["enabled"]) == (first["id"], "30 10 * * *", True)
    desk.client.put(f"/chatflows/{flow}", json={"name": "Other"})
    assert status(desk, flow)["record"] == second
    change(desk, flow, scheduleDefaultInput="")
    found = status(desk, flow)
    assert (found["enabled"], found["canEnable"]) == (False, False)
    assert found["reason"] == "Default input is required to enable schedule"
    assert switch(desk, flow, True).status_code == 400
    change(desk, flow)
    assert status(desk, flow)["enabled"] is False
    assert switch(desk, flow, True).json()["enabled"] is True
    change(desk, flow, startInputType="chatInput")
    assert status(desk, flow)["record"] is None


def test_a_flow_that_was_kept_before_schedules_were_is_followed_once(desk: Desk) -> None:
    flow, plain = daily(desk), desk.flow()
    before = status(desk, flow)["record"]
    resources = desk.live.resources

    async def forget() -> None:
        async with resources.database.connection() as connection:
            await connection.execute("DELETE FROM flow_schedules")

    desk.live.run(forget())
    assert status(desk, flow)["record"] is None
    assert desk.live.run(service.follow_rest(resources)) == 1
    after = status(desk, flow)["record"]
    assert (after["cronExpression"], after["enabled"]) == (before["cronExpression"], True)
    assert status(desk, plain)["record"] is None
    desk.live.run(forget())
    assert desk.live.run(service.follow_rest(resources)) == 0


@pytest.mark.parametrize("value", [None, "true", 1, [], {}])
def test_a_switch_is_on_or_off(desk: Desk, value: Any) -> None:
    assert switch(desk, daily(desk), value).status_code == 400


def test_what_is_switched_off_is_not_due(desk: Desk) -> None:
    flow = daily(desk)
    off = switch(desk, flow, False).json()
    assert (off["enabled"], off["nextRunAt"]) == (False, None)
    assert pass_time(desk) == 0
    on = switch(desk, flow, True).json()
    assert on["nextRunAt"] > on["updatedDate"]


@pytest.mark.usefixtures("worker")
def test_a_flow_runs_when_it_is_due(desk: Desk) -> None:
    flow = daily(desk)
    assert pass_time(desk, 0) == 0
    assert pass_time(desk) == 1
    (log,) = ended(desk, flow)
    assert (log["targetId"], log["scheduleRecordId"]) == (flow, status(desk, flow)["record"]["id"])
    assert log["elapsedTimeMs"] >= 0
    (execution,) = desk.executions()
    assert (log["executionId"], execution["state"]) == (execution["id"], "FINISHED")
    assert {row["chat_type"] for row in desk.rows(flow)} == {"SCHEDULED"}
    assert [row["content"] for row in desk.rows(flow)] == ["report", "You said: report"]
    found = status(desk, flow)["record"]
    assert found["nextRunAt"] > found["lastRunAt"]


@pytest.mark.usefixtures("worker")
def test_a_flow_may_be_started_with_a_form_or_with_nothing(desk: Desk) -> None:
    form = {"scheduleInputMode": "form", "scheduleFormInputTypes": [{"name": "n"}], "scheduleFormDefaults": '{"n": 1}'}
    flows = [daily(desk, **form), daily(desk, scheduleInputMode="none")]
    assert json.loads(status(desk, flows[0])["record"]["defaultForm"]) == {"n": 1}
    assert pass_time(desk) == 2
    for flow in flows:
        ended(desk, flow)
    assert sorted((run.question, run.form) for run in desk.runs if run.form) == [("", {"n": 1})]
    assert [run.question for run in desk.runs if not run.form] == [""]


@pytest.mark.usefixtures("worker")
def test_failures_and_stops_are_told(desk: Desk) -> None:
    flow = daily(desk, scheduleDefaultInput="fail")
    assert pass_time(desk) == 1
    (log,) = ended(desk, flow, "FAILED")
    assert log["error"] == "The model is away."
    assert log["executionId"] == desk.executions()[0]["id"]
    waiting = daily(desk, scheduleDefaultInput="ask")
    assert pass_time(desk, 2.2) == 2
    (log,) = ended(desk, waiting)
    execution = desk.client.get(f"/executions/{log['executionId']}").json()
    assert execution["state"] == "STOPPED"
    human = {"type": "proceed", "startNodeId": "human_0", "feedback": "fine"}
    body = {"chatId": execution["sessionId"], "humanInput": human}
    assert desk.open("POST", f"/prediction/{waiting}", json=body).status_code == 401
    answer = desk.client.post(f"/internal-prediction/{waiting}", json=body)
    assert answer.json()["text"] == "proceed: fine"


@pytest.mark.parametrize("body", [{"question": "now"}, {"question": "now", "streaming": True}, {"form": {"n": 1}}])
def test_what_a_clock_starts_no_visitor_starts(desk: Desk, body: dict[str, Any]) -> None:
    flow = daily(desk)
    refused = desk.open("POST", f"/prediction/{flow}", json=body)
    assert (refused.status_code, refused.json()["code"]) == (401, "only_by_clock")
    assert desk.runs == []
    assert desk.client.post(f"/prediction/{flow}", json={"question": "now"}).status_code == 200
    assert desk.client.post(f"/internal-prediction/{flow}", json={"question": "now"}).status_code == 200


def test_a_time_that_was_missed_often_is_run_once(desk: Desk) -> None:
    daily(desk)
    assert pass_time(desk, 30) == 1
    assert pass_time(desk, 30) == 0


def test_a_run_that_has_not_ended_lets_the_next_one_wait(desk: Desk) -> None:
    flow = daily(desk)
    assert pass_time(desk, 1.1) == 1
    assert pass_time(desk, 2.2) == 0
    assert [item["status"] for item in logs(desk, flow)] == ["SKIPPED", "QUEUED"]
    assert logs(desk, flow)[0]["error"] == "The run before has not ended."


def test_many_workers_queue_a_run_once(desk: Desk) -> None:
    flow = daily(desk)
    then = datetime.now(UTC) + timedelta(days=1.1)

    async def together() -> int:
        return sum(await asyncio.gather(*(service.queue_due(desk.live.resources, then) for _ in range(6))))

    assert desk.live.run(together()) == 1
    assert len(logs(desk, flow)) == 1


def test_nothing_runs_behind_the_last_day(desk: Desk) -> None:
    last = datetime.now(UTC) + timedelta(days=3)
    flow = daily(desk, scheduleEndDate=last.isoformat())
    assert status(desk, flow)["record"]["endDate"] is not None
    assert pass_time(desk, 2.5) == 1
    assert pass_time(desk, 9) == 0
    assert status(desk, flow)["record"]["nextRunAt"] is None or status(desk, flow)["enabled"] is False
    past = daily(desk, scheduleEndDate="2020-01-01")
    assert status(desk, past)["reason"] == "End date is in the past"
    assert status(desk, past)["enabled"] is False


def test_a_clock_that_was_set_back_brings_no_run(desk: Desk) -> None:
    flow = daily(desk)
    assert pass_time(desk, 30) == 1
    desk.run_sql("UPDATE flow_schedule_runs SET status = 'SUCCEEDED'")
    assert pass_time(desk, 0) == 0
    assert status(desk, flow)["record"]["nextRunAt"] < (datetime.now(UTC) + timedelta(days=2)).isoformat()


def test_logs_are_paged_filtered_and_forgotten(desk: Desk) -> None:
    flow = daily(desk)
    for day in range(25):
        pass_time(desk, 1.1 + day)
    path = f"/chatflows/{flow}/schedule/trigger-logs"
    whole = desk.client.get(path).json()
    assert (len(whole["data"]), whole["total"], whole["page"], whole["limit"]) == (20, 25, 1, 20)
    assert len(logs(desk, flow, page=2)) == 5
    assert len(logs(desk, flow, page=2, limit=10)) == 10
    assert desk.client.get(path, params={"limit": 1000}).json()["limit"] == 100
    assert [item["status"] for item in logs(desk, flow, status="QUEUED")] == ["QUEUED"]
    assert len(logs(desk, flow, status=["QUEUED", "SKIPPED"], limit=100)) == 25
    dates = [item["scheduledAt"] for item in whole["data"]]
    assert dates == sorted(dates, reverse=True)
    ids = [item["id"] for item in whole["data"][:2]]
    wanted = {"logIds": [*ids, str(uuid4()), "nonsense"]}
    gone = desk.client.request("DELETE", path, json=wanted).json()
    assert gone == {"success": True, "deletedLogs": 2, "deletedExecutions": 0}
    for body in ({}, {"logIds": "x"}, {"logIds": [1]}):
        assert desk.client.request("DELETE", path, json=body).status_code == 400
    desk.run_sql("UPDATE flow_schedule_runs SET created_at = now() - interval '1 year'")
    assert desk.live.run(service.forget_old(desk.live.resources)) == 22
    assert [item["status"] for item in logs(desk, flow)] == ["QUEUED"]


@pytest.mark.usefixtures("worker")
def test_executions_go_with_their_logs(desk: Desk) -> None:
    flow = daily(desk)
    pass_time(desk)
    (log,) = ended(desk, flow)
    other = desk.client.post(f"/prediction/{flow}", json={"question": "now"}).json()["executionId"]
    path = f"/chatflows/{flow}/schedule/trigger-logs"
    gone = desk.client.request("DELETE", path, json={"logIds": [log["id"]]}).json()
    assert gone == {"success": True, "deletedLogs": 1, "deletedExecutions": 1}
    assert [item["id"] for item in desk.executions()] == [other]


def test_a_run_whose_job_is_cancelled_has_failed(desk: Desk) -> None:
    from service.jobs import service as jobs
    from tests.service.predictions.live import DEFAULT_WORKSPACE

    flow = daily(desk)
    pass_time(desk)

    async def cancel() -> None:
        resources = desk.live.resources
        found, _ = await jobs.everything(resources.database, DEFAULT_WORKSPACE, limit=10)
        await jobs.cancel(resources.database, resources.queue, DEFAULT_WORKSPACE, found[0].id)

    desk.live.run(cancel())
    (log,) = logs(desk, flow)
    assert (log["status"], log["error"]) == ("FAILED", "The job was cancelled.")
    assert pass_time(desk, 2.2) == 1
