"""Evaluations as clients of Flowise see them, over a socket, with a worker (contract 5.3)."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.compat.keys import client_of, opened_by, stranger_of
from tests.compat.test_datasets import DATE, refused, said
from tests.service.evaluations.outcomes.conftest import ROWS, Desk
from tests.stubs.openai_server import Script

EVALUATION = [
    "id",
    "name",
    "evaluationType",
    "chatflowId",
    "chatflowName",
    "datasetId",
    "datasetName",
    "additionalConfig",
    "average_metrics",
    "status",
    "runDate",
    "workspaceId",
]
RUN = {
    "id",
    "evaluationId",
    "input",
    "expectedOutput",
    "actualOutput",
    "metrics",
    "evaluators",
    "llmEvaluators",
    "errors",
    "runDate",
}
NUMBER = "{:.3f}"


def form(dataset: str, *flows: str, **fields: Any) -> dict[str, Any]:
    """What Flowise's form sends: lists are JSON texts."""
    return {
        "name": "Leave",
        "evaluationType": "benchmarking",
        "credentialId": "",
        "datasetId": dataset,
        "datasetName": "Leave",
        "datasetAsOneConversation": False,
        "chatflowId": json.dumps(flows),
        "chatflowName": json.dumps(["Flow" for _ in flows]),
        "chatflowType": json.dumps(["Chatflow" for _ in flows]),
        "selectedSimpleEvaluators": "",
        "selectedLLMEvaluators": "",
        **fields,
    }


def newest(desk: Desk, name: str = "Leave") -> dict[str, Any]:
    """The newest version of a name, when it has ended."""

    def read() -> dict[str, Any]:
        return dict(next(item for item in desk.read("") if item["name"] == name and item["latestEval"]))

    desk.ended(read())
    return read()


def test_an_evaluation_from_its_first_call_to_its_last(desk: Desk) -> None:
    client, dataset, flow = desk.client, desk.dataset(), desk.flow(desk.store())
    chosen = [
        desk.evaluator("Says 30", "text", operator="ContainsAny", value="30, thirty"),
        desk.evaluator("Is JSON", "json", operator="IsValidJSON"),
        desk.evaluator("Is quick", "numeric", measure="apiLatency", operator="lessThan", value=600_000),
    ]
    (made,) = said(client.post("/evaluations", json=form(dataset, flow, selectedSimpleEvaluators=json.dumps(chosen))))
    assert list(made)[: len(EVALUATION)] == EVALUATION
    assert {"latestEval", "version"} <= set(made)
    assert (made["status"] == "pending") == (made["average_metrics"] == "{}")
    assert (made["name"], made["evaluationType"], made["datasetId"], made["datasetName"]) == (
        "Leave", "benchmarking", dataset, "Leave",
    )  # fmt: skip
    assert (json.loads(made["chatflowId"]), json.loads(made["chatflowName"])) == ([flow], ["Flow"])
    assert json.loads(made["additionalConfig"]) == {
        "chatflowTypes": ["Chatflow"], "datasetAsOneConversation": False, "simpleEvaluators": chosen,
    }  # fmt: skip
    assert DATE.fullmatch(made["runDate"])
    assert UUID(made["id"]).version == 4
    assert (made["latestEval"], made["version"]) == (True, 1)

    done = newest(desk)
    assert done["status"] == "completed", done
    figures = json.loads(done["average_metrics"])
    assert figures == {
        "averageLatency": NUMBER.format(float(figures["averageLatency"])),
        "totalRuns": 3, "passCount": 4, "failCount": 5, "errorCount": 0, "passPcnt": "44.44",
    }  # fmt: skip

    whole = desk.read(made["id"])
    assert whole["average_metrics"] == done["average_metrics"]
    assert (whole["versionCount"], whole["versionNo"]) == (1, 1)
    assert [row["input"] for row in whole["rows"]] == [row["input"] for row in ROWS]
    first = whole["rows"][0]
    assert set(first) == RUN
    assert (first["evaluationId"], first["expectedOutput"]) == (made["id"], "30 days")
    (answer,) = json.loads(first["actualOutput"])
    assert "30 days" in answer
    (measured,) = json.loads(first["metrics"])
    assert measured["apiLatency"] == f"{float(measured['apiLatency']):.2f}"
    (verdicts,) = json.loads(first["evaluators"])
    assert [(item["name"], item["type"], item["result"]) for item in verdicts] == [
        ("Says 30", "text", "Pass"), ("Is JSON", "json", "Fail"), ("Is quick", "numeric", "Pass"),
    ]  # fmt: skip
    assert (verdicts[0]["operator"], verdicts[0]["value"]) == ("ContainsAny", "30, thirty")
    assert (verdicts[2]["measure"], verdicts[2]["operator"], verdicts[2]["value"]) == (
        "apiLatency",
        "lessThan",
        600_000,
    )
    assert (json.loads(first["llmEvaluators"]), json.loads(first["errors"])) == ([], [""])
    assert DATE.fullmatch(first["runDate"])
    assert [row["input"] for row in desk.read(made["id"], page=2, limit=2)["rows"]] == [ROWS[2]["input"]]
    assert [row["input"] for row in desk.read(made["id"], page=1, limit=2)["rows"]] == [
        row["input"] for row in ROWS[:2]
    ]

    again = said(client.post(f"/evaluations/run-again/{made['id']}"))
    assert [(item["name"], item["version"], item["latestEval"]) for item in again] == [
        ("Leave", 2, True), ("Leave", 1, False),
    ]  # fmt: skip
    second = newest(desk)
    assert (second["additionalConfig"], second["status"]) == (made["additionalConfig"], "completed")
    versions = desk.read(f"versions/{second['id']}")
    assert versions == {
        "versions": [
            {"id": made["id"], "runDate": made["runDate"], "version": 1},
            {"id": second["id"], "runDate": second["runDate"], "version": 2},
        ]
    }
    whole = desk.read(made["id"])
    assert (whole["versionCount"], whole["versionNo"], whole["latestEval"]) == (2, 1, False)

    left = said(client.delete(f"/evaluations/{second['id']}"))
    assert [(item["id"], item["version"], item["latestEval"]) for item in left] == [(made["id"], 1, True)]
    refused(client.delete(f"/evaluations/{second['id']}"), 404, second["id"])
    assert said(client.patch("/evaluations", json={"ids": [made["id"], str(uuid4())]})) == []
    refused(client.get(f"/evaluations/{made['id']}"), 404, made["id"])


def test_pages_count_names_and_names_are_removed_with_all_versions(desk: Desk) -> None:
    client, dataset, store = desk.client, desk.dataset(ROWS[:1]), desk.store()
    target = {"storeId": store}
    ids = [desk.run(dataset, target, name=name) for name in ("a", "b", "a")]
    listed = [(item["name"], item["version"], item["latestEval"]) for item in desk.read("")]
    assert listed == [("a", 2, True), ("a", 1, False), ("b", 1, True)]
    page = desk.read("", page=1, limit=1)
    assert list(page) == ["total", "data"]
    assert (page["total"], [item["id"] for item in page["data"]]) == (2, [ids[2], ids[0]])
    assert [item["name"] for item in desk.read("", page=2, limit=1)["data"]] == ["b"]
    refused(client.get("/evaluations?page=-1&limit=1"), 412)
    left = said(client.patch("/evaluations", json={"ids": [ids[0]], "isDeleteAllVersion": True}))
    assert [item["name"] for item in left] == ["b"]


def test_what_was_changed_since_is_told(desk: Desk) -> None:
    client, dataset, store = desk.client, desk.dataset(ROWS[:1]), desk.store()
    flow = desk.flow(store)
    evaluation = desk.run(dataset, {"chatflowId": flow})
    path = f"is-outdated/{evaluation}"
    assert desk.read(path) == {"isOutdated": False, "chatflows": [], "dataset": "", "errors": []}
    said(client.put(f"/datasets/set/{dataset}", json={"name": "Renamed"}))
    said(client.put(f"/chatflows/{flow}", json={"name": "Renamed"}))
    told = desk.read(path)
    assert told["isOutdated"] is True
    assert told["dataset"]["name"] == "Renamed"
    assert told["chatflows"] == [
        {"chatflowName": "Flow", "chatflowId": flow, "chatflowType": "Chatflow", "isOutdated": True}
    ]
    client.delete(f"/datasets/set/{dataset}")
    client.delete(f"/chatflows/{flow}")
    told = desk.read(path)
    assert told == {
        "isOutdated": True,
        "chatflows": [],
        "dataset": "",
        "errors": [
            {"message": "Dataset Leave not found", "id": dataset}, {"message": "Chatflow Flow not found", "id": flow},
        ],
    }  # fmt: skip
    refused(client.post(f"/evaluations/run-again/{evaluation}"), 404)
    assert len(desk.read(evaluation)["rows"]) == 1  # what came of it stays


def test_what_is_unknown_or_broken_is_named_and_nothing_is_kept(desk: Desk) -> None:
    client, dataset, flow = desk.client, desk.dataset(), desk.flow(desk.store())
    unknown = str(uuid4())
    good = form(dataset, flow)
    for field, value, status in (
        ("datasetId", unknown, 404),
        ("chatflowId", json.dumps([unknown]), 404),
        ("selectedSimpleEvaluators", json.dumps([unknown]), 404),
        ("selectedLLMEvaluators", json.dumps([unknown]), 404),
        ("datasetId", "7", 422),
        ("chatflowId", "", 422),
        ("chatflowId", "[", 422),
        ("chatflowId", '"text"', 422),
        ("chatflowId", '{"a": 1}', 422),
        ("chatflowId", "[7]", 422),
        ("chatflowId", '["x"]', 422),
        ("selectedSimpleEvaluators", "nonsense", 422),
        ("selectedLLMEvaluators", "[[]]", 422),
        ("evaluationType", "vibes", 422),
        ("name", " ", 422),
        ("repeats", 0, 422),
        ("metrics", ["nonsense"], 422),
    ):
        name = unknown if status == 404 else "nonsense" if field == "metrics" else field
        refused(client.post("/evaluations", json={**good, field: value}), status, name)
    llm = {**good, "evaluationType": "llm", "llm": "chatOpenAI", "model": "m", "credentialId": unknown}
    refused(client.post("/evaluations", json=llm), 404, unknown)
    refused(client.post("/evaluations", json={**llm, "credentialId": "", "llm": "nonsense"}), 422, "nonsense")
    refused(client.post("/evaluations"), 412)
    refused(client.post("/evaluations", content=b"{", headers={"Content-Type": "application/json"}), 400)
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "versions/"),
        ("GET", "is-outdated/"),
        ("POST", "run-again/"),
    ):
        refused(client.request(method, f"/evaluations/{path}{unknown}"), 404, unknown)
    assert desk.read("") == []
    assert said(client.get("/jobs?page=1&limit=50"))["total"] == 1  # of the upsert


def test_a_flow_that_fails_is_an_error_with_its_reason_and_never_a_pass(desk: Desk) -> None:
    desk.stub.script(Script(status=400), times=None)
    dataset, store = desk.dataset(ROWS[:2]), desk.store()
    flows = [desk.flow(store, name="Good"), desk.flow(store, model=True, name="Bad")]
    anything = desk.evaluator("Anything", "json", operator="IsNotValidJSON")
    said(desk.client.post("/evaluations", json=form(dataset, *flows, selectedSimpleEvaluators=json.dumps([anything]))))
    done = newest(desk)
    assert done["status"] == "error"
    figures = json.loads(done["average_metrics"])
    assert (figures["totalRuns"], figures["passCount"], figures["failCount"], figures["errorCount"]) == (2, 2, 0, 2)
    assert figures["passPcnt"] == "50.00"
    for row in desk.read(done["id"])["rows"]:
        answers, errors = json.loads(row["actualOutput"]), json.loads(row["errors"])
        assert answers[0]
        assert (answers[1], errors[0]) == ("", "")
        assert "400" in errors[1]
        assert [verdicts[0]["result"] for verdicts in json.loads(row["evaluators"])] == ["Pass", "Error"]


def test_a_model_grades_what_the_evaluator_asks_for(desk: Desk) -> None:
    grade = {"correct": True, "why": "It says so."}
    desk.stub.script(Script(reply=json.dumps(grade)), times=None)
    body = {"name": "stub", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": "sk-stub"}}
    credential = said(desk.client.post("/credentials", json=body))["id"]
    judge = desk.evaluator(
        "Correct",
        "llm",
        prompt="Is {actualOutput} the same as {expectedOutput}?",
        outputSchema=[
            {"property": "correct", "type": "boolean", "description": "", "required": True},
            {"property": "why", "type": "string", "description": "", "required": True},
        ],
    )
    dataset, flow = desk.dataset(ROWS[:2]), desk.flow(desk.store())
    asked = form(
        dataset, flow, evaluationType="llm", selectedLLMEvaluators=json.dumps([judge]), llm="chatOpenAI",
        model="stub-model", credentialId=credential,
    )  # fmt: skip
    inputs = {"modelName": "stub-model", "basepath": desk.stub.url}
    asked["judge"] = {"name": "chatOpenAI", "inputs": inputs, "credentialId": ""}
    said(desk.client.post("/evaluations", json=asked))
    done = newest(desk)
    told = json.loads(done["additionalConfig"])
    assert told["lLMEvaluators"] == [judge]
    assert (told["llmConfig"]["llm"], told["llmConfig"]["model"]) == ("chatOpenAI", "stub-model")
    assert (done["evaluationType"], done["status"]) == ("llm", "completed")
    assert json.loads(done["average_metrics"])["passPcnt"] == "-1.00"  # a grade is no verdict
    for row in desk.read(done["id"])["rows"]:
        assert json.loads(row["llmEvaluators"]) == [grade]
        assert json.loads(row["evaluators"]) == [[]]


def test_an_evaluation_that_is_sent_twice_is_run_once(desk: Desk) -> None:
    asked = form(desk.dataset(ROWS[:1]), desk.flow(desk.store()))
    first, second = (desk.client.post("/evaluations", json=asked, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert said(first) == said(second)
    assert len(desk.read("")) == 1


def test_whoever_prefers_gets_the_new_one_and_its_job(desk: Desk) -> None:
    asked = form(desk.dataset(ROWS[:1]), desk.flow(desk.store()))
    response = desk.client.post("/evaluations", json=asked, headers={"Prefer": "respond-async"})
    made = said(response, 202)
    assert response.headers["location"] == f"/api/v1/jobs/{made['jobId']}"
    assert response.headers["preference-applied"] == "respond-async"
    assert desk.ended(made)["state"] == "done"
    again = desk.client.post(f"/evaluations/run-again/{made['id']}", headers={"Prefer": "respond-async"})
    assert said(again, 202)["version"] == 2


ROUTES: dict[tuple[str, str], set[str]] = {
    ("GET", "/evaluations"): {"view"},
    ("POST", "/evaluations"): {"create"},
    ("GET", "/evaluations/{id}"): {"view"},
    ("DELETE", "/evaluations/{none}"): {"delete"},
    ("PATCH", "/evaluations"): {"delete"},
    ("POST", "/evaluations/run-again/{none}"): {"create", "run"},
    ("GET", "/evaluations/versions/{id}"): {"view"},
    ("GET", "/evaluations/is-outdated/{id}"): {"view", "create", "update", "delete", "run"},
    ("GET", "/evaluations/{id}/progress"): {"view"},
    ("GET", "/evaluations/{id}/results"): {"view"},
    ("GET", "/evaluations/{id}/summary"): {"view"},
    ("GET", "/evaluations/{id}/compare/{id}"): {"view"},
    ("GET", "/evaluations/{id}/export"): {"view"},
    ("GET", "/evaluations/metrics"): {"view"},
    ("POST", "/evaluations/{none}/cancel"): {"create", "run"},
    ("POST", "/evaluations/{none}/pause"): {"create", "run"},
    ("POST", "/evaluations/{none}/resume"): {"create", "run"},
}


def test_keys_open_the_routes_of_their_permissions_and_workspaces_see_their_own(desk: Desk) -> None:
    dataset, store = desk.dataset(ROWS[:1]), desk.store()
    evaluation = desk.run(dataset, {"storeId": store}, {"storeId": store, "label": "again"})
    body = {"name": "n", "datasetId": str(uuid4()), "ids": []}
    paths = {(method, path.format(id=evaluation, none=uuid4())): allowed for (method, path), allowed in ROUTES.items()}
    for action in ("view", "create", "update", "delete", "run"):
        with client_of(desk.live, f"evaluations:{action}") as keyed:
            for (method, path), allowed in paths.items():
                assert opened_by(keyed, method, path, body) == (action in allowed), f"{action}: {method} {path}"
    assert httpx.get(f"{desk.live.url}/api/v1/evaluations").status_code == 401
    with stranger_of(desk.live) as stranger:
        assert said(stranger.get("/evaluations")) == []
        assert said(stranger.patch("/evaluations", json={"ids": [evaluation], "isDeleteAllVersion": True})) == []
        for method, path in paths:
            if evaluation in path:
                refused(stranger.request(method, path), 404)
        for steer in ("cancel", "pause", "resume"):
            refused(stranger.post(f"/evaluations/{evaluation}/{steer}"), 404)
        refused(stranger.post(f"/evaluations/run-again/{evaluation}"), 404)
        refused(stranger.delete(f"/evaluations/{evaluation}"), 404)
        asked = {"name": "n", "datasetId": dataset, "targets": [{"storeId": store}]}
        refused(stranger.post("/evaluations", json=asked), 404)
    assert desk.read(evaluation)["status"] == "completed"


def test_a_document_store_is_only_for_keys_that_may_read_it(desk: Desk) -> None:
    asked = {"name": "n", "datasetId": desk.dataset(ROWS[:1]), "targets": [{"storeId": desk.store()}]}
    with client_of(desk.live, "evaluations:create") as keyed:
        refused(keyed.post("/evaluations", json=asked), 403, "documentStores:view")
    with client_of(desk.live, "evaluations:create", "documentStores:view") as keyed:
        made = said(keyed.post("/evaluations", json=asked), 202)
    desk.ended(made)
    with client_of(desk.live, "evaluations:run") as keyed:
        refused(keyed.post(f"/evaluations/run-again/{made['id']}"), 403, "documentStores:view")


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_trailing_slash_changes_nothing(desk: Desk, slash: str) -> None:
    assert said(desk.client.get(f"/evaluations{slash}")) == []
    assert said(desk.client.patch(f"/evaluations{slash}", json={"ids": []})) == []
