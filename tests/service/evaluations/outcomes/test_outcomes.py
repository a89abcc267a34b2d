"""What came of evaluations, over a socket, with a worker: results, summaries, comparisons, files, steering."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.compat.test_datasets import refused, said
from tests.service.evaluations.outcomes.conftest import ROWS, Desk
from tests.stubs.openai_server import Script

CASE = {
    "place",
    "rowId",
    "target",
    "targetLabel",
    "repeat",
    "question",
    "expected",
    "sources",
    "metadata",
    "answer",
    "error",
    "passages",
    "scores",
    "taken",
    "details",
    "attempts",
    "finishedDate",
}
RECALL = {"name": "recall", "options": {"k": 1}}


def test_a_document_store_alone_is_evaluated_from_its_passages(desk: Desk) -> None:
    dataset, store = desk.dataset(), desk.store()
    made = desk.begin(dataset, {"storeId": store, "options": {"topK": 2}}, metrics=[RECALL, "mrr", "tokenF1"])
    assert made["url"] == f"/api/v1/evaluations/{made['id']}"
    assert [(item["kind"], item["name"], item["type"], item["options"]) for item in made["targets"]] == [
        ("documentStore", "Handbook", "Document Store", {"topK": 2})
    ]
    labels = [item["label"] for item in made["measures"]]
    assert labels[0] == "recall@1"
    assert desk.ended(made)["kind"] == "evaluate"
    progress = desk.read(f"{made['id']}/progress")
    assert (progress["state"], progress["done"], progress["total"], progress["failed"]) == ("completed", 3, 3, 0)
    assert progress["events"] == f"/api/v1/jobs/{made['jobId']}/events"

    page = desk.read(f"{made['id']}/results", page=1, limit=2)
    assert (page["total"], len(page["data"])) == (3, 2)
    case = page["data"][0]
    assert set(case) == CASE
    assert (case["question"], case["answer"], case["error"]) == (ROWS[0]["input"], None, "")
    assert case["sources"] == [{"source": "leave.md"}]
    assert 1 <= len(case["passages"]) <= 2
    assert case["passages"][0]["sources"][0] == "leave.md"
    assert case["scores"]["recall@1"]["value"] == 1
    assert "notApplicable" in case["scores"]["tokenF1"]
    assert case["taken"]["latencyMs"] > 0

    summary = desk.read(f"{made['id']}/summary")
    assert (summary["complete"], summary["rows"], summary["done"], summary["failed"]) == (True, 3, 3, 0)
    (target,) = summary["targets"]
    assert target["measures"]["recall@1"] == {**target["measures"]["recall@1"], "rows": 3, "errors": 0, "mean": 1.0}
    assert target["measures"]["tokenF1"]["notApplicable"] == 3
    listed = desk.read("")[0]
    assert (json.loads(listed["chatflowId"]), json.loads(listed["additionalConfig"])["chatflowTypes"]) == (
        [store], ["Document Store"],
    )  # fmt: skip
    assert json.loads(listed["average_metrics"])["passPcnt"] == "-1.00"


def test_results_are_sorted_and_chosen(desk: Desk) -> None:
    rows = [*ROWS, {"input": "How many days of paid leave are there?", "output": "none", "sources": ["travel.md"]}]
    dataset, store = desk.dataset(rows), desk.store()
    evaluation = desk.run(
        dataset, {"storeId": store, "label": "one", "options": {"topK": 1}}, {"storeId": store, "label": "two"},
        metrics=[RECALL], repeats=2,
    )  # fmt: skip
    path = f"{evaluation}/results"
    assert desk.read(path)["total"] == 4 * 2 * 2
    order = [(item["place"], item["target"], item["repeat"]) for item in desk.read(path)["data"]]
    assert order == sorted(order)
    worst = desk.read(path, sort="score", metric="recall@1", target=0)["data"]
    assert [item["scores"]["recall@1"]["value"] for item in worst][:3] == [0, 0, 1]
    slowest = [item["taken"]["latencyMs"] for item in desk.read(path, sort="slowest")["data"]]
    assert slowest == sorted(slowest, reverse=True)
    assert {item["targetLabel"] for item in desk.read(path, target=1)["data"]} == {"two"}
    assert desk.read(path, errors="true") == {"total": 0, "data": []}
    assert desk.read(path, errors="false", limit=1)["total"] == 16
    for query, word in (
        ("sort=score", "metric"), ("sort=score&metric=x", "recall@1"), ("target=2", "target"), ("limit=1001", "limit"),
        ("page=0", "page"), ("sort=best", "sort"),
    ):  # fmt: skip
        refused(desk.client.get(f"/evaluations/{path}?{query}"), 422, word)


def test_two_evaluations_are_compared_row_by_row(desk: Desk) -> None:
    dataset, store = desk.dataset(), desk.store()
    empty = desk.store("Empty", {"other.md": "Nothing of it stands here."})
    first = desk.run(dataset, {"storeId": empty, "label": "store"}, metrics=[RECALL, "mrr"])
    rows = desk.client.get(f"/datasets/set/{dataset}").json()["rows"]
    said(desk.client.put(f"/datasets/rows/{rows[2]['id']}", json={"output": "by half"}))
    said(desk.client.post("/datasets/rows", json={"datasetId": dataset, "input": "Later?", "output": "yes"}))
    second = desk.run(dataset, {"storeId": store, "label": "store"}, metrics=[RECALL, "latency"])
    told = desk.read(f"{first}/compare/{second}")
    assert (told["first"]["id"], told["second"]["id"], told["complete"], told["level"]) == (first, second, True, 0.95)
    assert told["unmatchedMeasures"] == [["mrr@10"], ["latency"]]
    (pair,) = told["targets"]
    assert (pair["first"]["name"], pair["second"]["name"]) == ("Empty", "Handbook")
    (recall,) = pair["measures"]
    assert (recall["label"], recall["pairs"], recall["means"], recall["difference"]) == ("recall@1", 2, [0, 1], 1)
    assert recall["unpaired"] == {"changed": 1, "secondOnly": 1}
    assert {item["question"]: item["why"] for item in recall["unpairedRows"]} == {
        ROWS[2]["input"]: "changed", "Later?": "secondOnly",
    }  # fmt: skip
    assert [(item["question"], item["change"]) for item in recall["improved"]] == [
        (ROWS[0]["input"], 1), (ROWS[1]["input"], 1),
    ]  # fmt: skip
    assert (recall["worsened"], recall["verdict"], recall["real"]) == ([], "unclear", False)  # two rows prove nothing
    other = desk.run(desk.dataset(name="Other"), {"storeId": store})
    refused(desk.client.get(f"/evaluations/{first}/compare/{other}"), 422, "different datasets")
    refused(desk.client.get(f"/evaluations/{first}/compare/{second}?metric=ndcg"), 422, "ndcg", "recall@1")
    refused(desk.client.get(f"/evaluations/{first}/compare/{second}?target=1"), 422, "target")


def test_targets_of_one_evaluation_are_compared(desk: Desk) -> None:
    dataset, store = desk.dataset(), desk.store()
    targets = [{"storeId": store, "label": name} for name in ("a", "b", "c")]
    evaluation = desk.run(dataset, *targets, metrics=[RECALL])
    told = desk.read(f"{evaluation}/compare/{evaluation}")
    assert [(pair["first"]["label"], pair["second"]["label"]) for pair in told["targets"]] == [("a", "b"), ("a", "c")]
    assert {pair["measures"][0]["verdict"] for pair in told["targets"]} == {"equal"}
    told = desk.read(f"{evaluation}/compare/{evaluation}", target=2, otherTarget=1)
    assert [(pair["first"]["label"], pair["second"]["label"]) for pair in told["targets"]] == [("c", "b")]


def test_results_go_into_files_that_spreadsheets_do_not_calculate(desk: Desk) -> None:
    desk.stub.script(Script(reply='=HYPERLINK("http://evil","30")'), times=None)
    rows = [{"input": '=1+1, "quoted"\nnext', "output": "-2", "metadata": {"topic": "x"}}, *ROWS[:1]]
    dataset, store = desk.dataset(rows), desk.store()
    evaluation = desk.run(
        dataset, {"storeId": store, "label": "@store"}, {"chatflowId": desk.flow(store, model=True)},
        metrics=["recall@1", "tokenF1"],
    )  # fmt: skip
    response = desk.client.get(f"/evaluations/{evaluation}/export?format=csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == f'attachment; filename="evaluation-{evaluation}.csv"'
    assert response.headers["transfer-encoding"] == "chunked"
    table = list(csv.DictReader(io.StringIO(response.text, newline="")))
    assert len(table) == 4
    assert (table[0]["question"], table[0]["expected"]) == ('\'=1+1, "quoted"\nnext', "'-2")
    assert [row["target"] for row in table] == ["'@store", "Flow", "'@store", "Flow"]
    assert table[1]["answer"].startswith("'=HYPERLINK")
    assert not any(value.startswith(("=", "@", "+", "-")) for row in table for value in row.values())
    assert (table[2]["recall@1"], table[0]["recall@1"]) == ("1.0", "")
    assert set(json.loads(table[0]["problems"])) == {"recall@1", "tokenF1"}
    assert json.loads(table[2]["sources"]) == [{"source": "leave.md"}]

    response = desk.client.get(f"/evaluations/{evaluation}/export")
    assert response.headers["content-type"] == "application/jsonl"
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert lines == desk.read(f"{evaluation}/results")["data"]
    assert lines[0]["question"] == rows[0]["input"]
    refused(desk.client.get(f"/evaluations/{evaluation}/export?format=xlsx"), 422, "format")


def test_an_evaluation_is_stopped_and_goes_on_with_what_it_has_not_asked(desk: Desk) -> None:
    desk.stub.script(Script(hang=True), times=None)
    dataset, flow = desk.dataset(), desk.flow(desk.store(), model=True)
    made = desk.begin(dataset, {"chatflowId": flow}, metrics=["tokenF1"])
    stopped = said(desk.client.post(f"/evaluations/{made['id']}/cancel"))
    assert stopped["state"] == "cancelled"
    assert said(desk.client.post(f"/evaluations/{made['id']}/cancel"))["state"] == "cancelled"
    refused(desk.client.post(f"/evaluations/{made['id']}/pause"), 409)
    whole = desk.read(made["id"])
    assert (whole["status"], whole["state"], whole["rows"]) == ("error", "cancelled", [])
    assert set(json.loads(whole["average_metrics"])) == {"error"}
    assert desk.read(f"{made['id']}/summary")["done"] == 0
    desk.stub.reset()
    going = said(desk.client.post(f"/evaluations/{made['id']}/resume"))
    assert going["jobId"] != made["jobId"]
    assert desk.ended(going)["state"] == "done"
    assert (desk.read(f"{made['id']}/progress")["done"], len(desk.read(made["id"])["rows"])) == (3, 3)
    refused(desk.client.post(f"/evaluations/{made['id']}/resume"), 409)


def test_metrics_are_listed_with_their_options(desk: Desk) -> None:
    found = {item["name"]: item for item in desk.read("metrics")}
    assert {"recall", "tokenF1", "judged", "latency"} <= set(found)
    assert "k" in found["recall"]["options"]["properties"]
    assert (found["faithfulness"]["needsModel"], found["recall"]["needsModel"]) == (True, False)
    assert (found["latency"]["better"], found["latency"]["unit"]) == ("lower", "ms")
    assert all(item["description"] for item in found.values())


WRONG: Sequence[tuple[Mapping[str, Any], str]] = (
    ({"targets": []}, "targets"),
    ({"targets": [{}]}, "chatflowId"),
    ({"targets": [{"storeId": "x"}]}, "storeId"),
    ({"targets": [{"storeId": "S", "options": {"nonsense": 1}}]}, "nonsense"),
    ({"targets": [{"storeId": "S", "options": {"topK": "many"}}]}, "topK"),
    ({"repeats": 21}, "repeats"),
    ({"concurrency": 0}, "concurrency"),
    ({"retries": -1}, "retries"),
    ({"metrics": [{"name": "recall", "options": {"k": 0}}]}, "k"),
    ({"metrics": ["faithfulness"]}, "judge"),
    ({"judge": {"name": "documentStoreVS"}}, "judge"),
)


def test_what_cannot_be_asked_is_named(desk: Desk) -> None:
    store = str(said(desk.client.post("/document-store/store", json={"name": "Empty"}))["id"])
    dataset = desk.dataset(ROWS[:1])
    for fields, word in WRONG:
        body = {"name": "n", "datasetId": dataset, "targets": [{"storeId": "S"}], **fields}
        body = json.loads(json.dumps(body).replace('"S"', f'"{store}"'))
        refused(desk.client.post("/evaluations", json=body), 422, word)
    assert desk.read("") == []
