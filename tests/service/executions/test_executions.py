"""Runs of agentflows over HTTP: what is kept, listed, shared, answered and deleted (contract 6.4)."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.api_keys import service as api_keys
from service.executions import service
from tests.service.executions.conftest import Desk
from tests.service.predictions.live import DEFAULT_WORKSPACE


def test_an_agentflow_leaves_an_execution(desk: Desk) -> None:
    flow = desk.flow()
    answer = desk.ask(flow, chatId="c1").json()
    execution = answer["executionId"]
    assert answer["text"] == "You said: hello"
    found = desk.client.get(f"/executions/{execution}").json()
    assert found["state"] == "FINISHED"
    assert (found["agentflowId"], found["sessionId"], found["action"], found["isPublic"]) == (flow, "c1", None, None)
    assert found["stoppedDate"].endswith("Z")
    assert found["workspaceId"] == str(DEFAULT_WORKSPACE)
    assert found["usage"]["total_tokens"] == 5
    assert [node["nodeId"] for node in json.loads(found["executionData"])] == ["startAgentflow_0", "reply_0"]
    assert [row["execution_id"] for row in desk.rows(flow)] == [UUID(execution)] * 2
    messages = desk.client.get(f"/chatmessage/{flow}").json()
    assert [item["executionId"] for item in messages] == [execution] * 2
    assert messages[1]["execution"]["executionData"] == found["executionData"]
    (listed,) = desk.executions()
    assert listed["id"] == execution
    assert listed["agentflow"]["id"] == flow


def test_a_chatflow_leaves_none(desk: Desk) -> None:
    body = {"name": "Flow", "type": "CHATFLOW", "flowData": '{"nodes":[],"edges":[]}'}
    flow = desk.client.post("/chatflows", json=body).json()["id"]
    desk.ask(flow)
    assert desk.executions() == []


def test_a_run_that_fails_says_so(desk: Desk) -> None:
    flow = desk.flow()
    assert desk.ask(flow, "fail").status_code == 502
    (listed,) = desk.executions()
    assert (listed["state"], listed["error"]) == ("ERROR", "The model is away.")
    assert desk.rows(flow) == []


def test_a_form_begins_a_run_and_is_what_was_said(desk: Desk) -> None:
    flow = desk.flow(startInputType="formInput")
    answer = desk.ask(flow, "", form={"query": "leave", "days": 3}).json()
    assert answer["form"] == {"query": "leave", "days": 3}
    assert desk.rows(flow)[0]["content"] == "query: leave\ndays: 3"


def test_a_stopped_run_goes_on_with_its_answer(desk: Desk) -> None:
    flow = desk.flow()
    first = desk.ask(flow, "ask", chatId="c1").json()
    assert first["action"]["data"]["nodeId"] == "human_0"
    (listed,) = desk.executions(state="STOPPED")
    assert json.loads(listed["action"])["id"] == first["action"]["id"]
    assert [row["action"] for row in desk.rows(flow)] == [None, first["action"]]
    second = desk.answer(flow, feedback="fine", chatId="c1").json()
    assert second["text"] == "proceed: fine"
    assert second["executionId"] == first["executionId"]
    assert "action" not in second
    run = desk.runs[-1]
    assert (run.question, run.paused and run.paused.progress) == ("ask", {"at": "human_0"})
    (listed,) = desk.executions()
    assert (listed["state"], listed["action"], listed["usage"]["total_tokens"]) == ("FINISHED", None, 10)
    rows = desk.rows(flow)
    assert [row["content"] for row in rows] == ["ask", "Shall I?", "fine", "proceed: fine"]
    assert [row["action"] for row in rows] == [None] * 4


def test_a_second_answer_to_one_stop_is_a_conflict(desk: Desk) -> None:
    flow = desk.flow()
    desk.ask(flow, "ask", chatId="c1")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: desk.answer(flow, chatId="c1").status_code, range(8)))
    assert sorted(answers) == [200] + [409] * 7
    again = desk.answer(flow, chatId="c1")
    assert (again.status_code, again.json()["code"]) == (409, "already_answered")
    assert len(desk.executions()) == 1


def test_a_run_may_stop_again(desk: Desk) -> None:
    flow = desk.flow()
    first = desk.ask(flow, "ask", chatId="c1").json()
    second = desk.answer(flow, feedback="again", chatId="c1").json()
    assert second["action"]["id"] != first["action"]["id"]
    assert [row["action"] and row["action"]["id"] for row in desk.rows(flow)] == [
        None,
        None,
        None,
        second["action"]["id"],
    ]
    assert desk.answer(flow, "reject", chatId="c1").json()["text"] == "reject: "


def test_an_answer_that_fails_leaves_its_action(desk: Desk) -> None:
    flow = desk.flow()
    first = desk.ask(flow, "ask", chatId="c1").json()
    assert desk.answer(flow, feedback="fail", chatId="c1").status_code == 502
    assert desk.rows(flow)[-1]["action"] == first["action"]
    assert desk.answer(flow, feedback="now", chatId="c1").json()["text"] == "proceed: now"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"chatId": "c1", "humanInput": {"type": "proceed", "startNodeId": "other", "feedback": ""}}, 422),
        ({"chatId": "c2", "humanInput": {"type": "proceed", "startNodeId": "human_0", "feedback": ""}}, 404),
        ({"humanInput": {"type": "proceed", "startNodeId": "human_0", "feedback": ""}}, 404),
        ({"chatId": "c1", "question": "Proceed", "action": {"id": "unknown", "mapping": {}, "elements": []}}, 422),
    ],
)
def test_what_answers_nothing_is_refused(desk: Desk, body: dict[str, Any], status: int) -> None:
    flow = desk.flow()
    desk.ask(flow, "ask", chatId="c1")
    assert desk.open("POST", f"/prediction/{flow}", json=body).status_code == status
    assert desk.answer(flow, chatId="c1").status_code == 200


def test_an_action_is_answered_by_its_label(desk: Desk) -> None:
    flow = desk.flow()
    action = desk.ask(flow, "ask", chatId="c1").json()["action"]
    wanted = {name: action[name] for name in ("id", "mapping", "elements")}
    assert desk.ask(flow, "Reject", chatId="c1", action=wanted).json()["text"] == "reject: "
    assert desk.ask(flow, "Proceed", chatId="c1", action=wanted).status_code == 409


def test_an_answer_that_names_no_node_is_for_the_run_that_waits(desk: Desk) -> None:
    flow = desk.flow()
    desk.ask(flow, "ask", chatId="c1")
    human = {"type": "proceed", "feedback": "fine"}
    answered = desk.open("POST", f"/prediction/{flow}", json={"chatId": "c1", "humanInput": human})
    assert answered.json()["text"] == "proceed: fine"
    again = desk.open("POST", f"/prediction/{flow}", json={"chatId": "c1", "humanInput": human})
    assert again.status_code == 409


def test_an_answer_that_names_no_node_does_not_choose_among_runs(desk: Desk) -> None:
    flow = desk.flow()
    for _ in range(2):
        desk.ask(flow, "ask", chatId="c1")
    human = {"type": "proceed"}
    refused = desk.open("POST", f"/prediction/{flow}", json={"chatId": "c1", "humanInput": human})
    assert (refused.status_code, refused.json()["code"]) == (409, "several_wait")
    assert "2 runs" in refused.json()["message"]
    assert "'human_0'" in refused.json()["message"]
    for _ in range(2):
        assert desk.answer(flow, chatId="c1").status_code == 200


def test_a_guessed_session_of_somebody_with_a_key_opens_nothing(desk: Desk) -> None:
    flow = desk.flow()
    desk.client.post(f"/prediction/{flow}", json={"question": "ask", "chatId": "c1"})
    assert desk.answer(flow, chatId="c1").status_code == 404
    human = {"type": "proceed", "startNodeId": "human_0"}
    mine = desk.client.post(f"/prediction/{flow}", json={"chatId": "c1", "humanInput": human})
    assert mine.status_code == 200


def test_a_stream_goes_on_too(desk: Desk) -> None:
    flow = desk.flow()
    first = desk.ask(flow, "ask", chatId="c1", streaming=True)
    assert '"event":"action"' in first.text
    second = desk.answer(flow, feedback="fine", chatId="c1", streaming=True)
    assert '"proceed: fine"' in second.text
    refused = desk.answer(flow, chatId="c1", streaming=True)
    assert (refused.status_code, refused.json()["statusCode"]) == (409, 409)


def test_an_aborted_run_is_terminated(desk: Desk) -> None:
    flow = desk.flow()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(desk.ask, flow, "hang", chatId="c1")
        while not desk.executions(state="INPROGRESS"):
            pass
        desk.open("PUT", f"/chatmessage/abort/{flow}/c1")
        asked.result(30)
    (listed,) = desk.executions()
    assert listed["state"] == "TERMINATED"


def test_a_page_stays_within_bounds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = desk.flow()
    for number in range(3):
        desk.ask(flow, "x" * 2000, chatId=f"c{number}")
    whole = desk.executions()
    assert all(json.loads(item["executionData"]) and item["agentflow"]["flowData"] for item in whole)
    monkeypatch.setattr(service, "ROOM", max(len(item["executionData"]) for item in whole) * 5 // 2)
    assert [json.loads(item["executionData"]) == [] for item in desk.executions()] == [False, False, True]
    assert len(desk.nodes(whole[2]["id"])) > 0, "alone, it is shown whole"
    monkeypatch.setattr(service, "ROOM", len(whole[0]["agentflow"]["flowData"]) * 2)
    assert [item["agentflow"]["flowData"] for item in desk.executions()] == ["", "", ""]
    assert [item["agentflow"]["name"] for item in desk.executions()] == ["Agents"] * 3


def test_lists_are_filtered_and_paged(desk: Desk) -> None:
    flows = [desk.flow({"name": name}) for name in ("Alpha 100%", "beta")]
    for number in range(13):
        desk.ask(flows[number % 2], chatId=f"c{number}")
    desk.ask(flows[0], "fail")

    def ids(**query: Any) -> list[str]:
        return [item["id"] for item in desk.executions(**query)]

    whole = desk.client.get("/executions").json()
    assert (len(whole["data"]), whole["total"]) == (12, 14)
    assert len(ids(page=2)) == 2
    assert len(ids(page=2, limit=5)) == 5
    assert len(ids(limit=5)) == 5
    assert len(ids(page="x", limit="y")) == 12
    assert desk.client.get("/executions", params={"page": -1}).status_code == 412
    assert len(ids(agentflowId=flows[1])) == 6
    assert ids(agentflowId=str(uuid4())) == []
    assert desk.client.get("/executions", params={"agentflowId": "x"}).status_code == 422
    assert len(ids(agentflowName="ALPHA")) == 8
    assert ids(agentflowName="%b") == []
    assert len(ids(sessionId="c3")) == 1
    assert len(ids(state="ERROR")) == 1
    assert len(ids(state="nonsense")) == 12
    one = whole["data"][3]
    assert ids(id=one["id"]) == [one["id"]]
    assert len(ids(startDate="2020-01-01", endDate="2099-01-01")) == 12
    assert ids(startDate="2099-01-01") == []
    dates = [item["updatedDate"] for item in whole["data"]]
    assert dates == sorted(dates, reverse=True)


def test_only_what_may_be_changed_changes(desk: Desk) -> None:
    flow = desk.flow()
    execution = desk.ask(flow).json()["executionId"]
    before = desk.client.get(f"/executions/{execution}").json()
    body = {"isPublic": True, "state": "ERROR", "id": str(uuid4()), "executionData": "[]", "workspaceId": str(uuid4())}
    changed = desk.client.put(f"/executions/{execution}", json=body).json()
    assert {**before, "isPublic": True, "updatedDate": changed["updatedDate"]} == changed
    assert desk.client.put(f"/executions/{execution}", json={}).json()["isPublic"] is True
    assert desk.client.put(f"/executions/{uuid4()}", json={"isPublic": True}).status_code == 404


def test_a_public_execution_is_shown_without_what_opens_doors(desk: Desk) -> None:
    flow = desk.flow()
    execution = desk.ask(flow, chatId="secret-session").json()["executionId"]
    assert desk.open("GET", f"/public-executions/{execution}").status_code == 404
    desk.client.put(f"/executions/{execution}", json={"isPublic": True})
    data = [
        {
            "nodeId": "llm_0",
            "data": {
                "credential": str(uuid4()),
                "FLOWISE_CREDENTIAL_ID": "canary-credential",
                "input": {
                    "messages": [
                        {"role": "system", "content": "canary-prompt"},
                        {"role": "user", "content": "hello"},
                    ],
                    "systemMessagePrompt": "canary-prompt",
                    "apiKey": "sk-canary",
                },
            },
            "nodeLabel": "LLM",
            "previousNodeIds": [],
            "status": "FINISHED",
        }
    ]
    desk.run_sql("UPDATE executions SET data = %s::jsonb", json.dumps(data))
    text = desk.open("GET", f"/public-executions/{execution}").text
    assert "hello" in text
    assert not [canary for canary in ("canary-", "sk-canary", "secret-session") if canary in text]
    own = desk.client.get(f"/executions/{execution}").text
    assert "canary-prompt" in own
    assert "sk-canary" not in own
    desk.client.put(f"/executions/{execution}", json={"isPublic": False})
    assert desk.open("GET", f"/public-executions/{execution}").status_code == 404


def test_executions_are_deleted_one_by_one_and_together(desk: Desk) -> None:
    flow = desk.flow()
    ids = [desk.ask(flow).json()["executionId"] for _ in range(4)]
    assert desk.client.delete(f"/executions/{ids[0]}").json() == {"success": True, "deletedCount": 1}
    assert desk.client.delete(f"/executions/{ids[0]}").status_code == 404
    wanted = {"executionIds": [*ids[:3], str(uuid4()), "nonsense"]}
    assert desk.client.request("DELETE", "/executions", json=wanted).json() == {"success": True, "deletedCount": 2}
    bodies: list[dict[str, object]] = [{}, {"executionIds": None}, {"executionIds": []}]
    for none in bodies:
        refused = desk.client.request("DELETE", "/executions", json=none)
        assert (refused.status_code, refused.json()["success"]) == (400, False)
    assert [row["execution_id"] for row in desk.rows(flow)] == [None] * 6 + [UUID(ids[3])] * 2


def test_executions_go_with_their_conversation_and_their_flow(desk: Desk) -> None:
    flow = desk.flow()
    kept = desk.ask(flow, chatId="c2").json()["executionId"]
    desk.ask(flow, chatId="c1")
    desk.ask(flow, "fail", chatId="c1")
    assert len(desk.executions()) == 3
    desk.client.delete(f"/chatmessage/{flow}", params={"chatId": "c1"})
    assert [item["id"] for item in desk.executions()] == [kept]
    desk.ask(flow, "fail", chatId="c3")
    desk.client.delete(f"/chatmessage/{flow}")
    assert desk.executions() == []
    desk.ask(flow)
    desk.client.delete(f"/chatflows/{flow}")
    assert desk.executions() == []


def test_a_flow_that_keeps_nothing_keeps_no_executions(desk: Desk) -> None:
    config = json.dumps({"conversations": {"store": False}})
    flow = desk.flow({"apiConfig": config})
    desk.ask(flow, chatId="c1")
    desk.ask(flow, "fail", chatId="c1")
    assert desk.executions() == []
    desk.ask(flow, "ask", chatId="c1")
    assert [item["state"] for item in desk.executions()] == ["STOPPED"]
    assert desk.answer(flow, feedback="fine", chatId="c1").json()["text"] == "proceed: fine"
    assert desk.executions() == []
    assert desk.rows(flow) == []


def test_keys_need_the_permission(desk: Desk) -> None:
    execution = desk.ask(desk.flow()).json()["executionId"]
    database = desk.live.resources.database
    _, secret = desk.live.run(api_keys.create(database, DEFAULT_WORKSPACE, "viewer", ["executions:view"]))
    headers = {"Authorization": f"Bearer {secret}"}
    assert desk.open("GET", f"/executions/{execution}", headers=headers).status_code == 200
    assert desk.open("PUT", f"/executions/{execution}", headers=headers, json={"isPublic": True}).status_code == 403
    assert desk.open("DELETE", f"/executions/{execution}", headers=headers).status_code == 403


def test_what_was_done_for_somebody_is_shown_to_those_who_may_read_everything(desk: Desk) -> None:
    flow = desk.flow()
    body = {"question": "hello", "principals": ["user:anna"]}
    execution = desk.client.post(f"/prediction/{flow}", json=body).json()["executionId"]
    database = desk.live.resources.database
    _, secret = desk.live.run(api_keys.create(database, DEFAULT_WORKSPACE, "viewer", ["executions:view"]))
    headers = {"Authorization": f"Bearer {secret}"}
    assert len(desk.executions()) == 1
    assert desk.open("GET", "/executions", headers=headers).json()["total"] == 0
    assert desk.open("GET", f"/executions/{execution}", headers=headers).status_code == 404
