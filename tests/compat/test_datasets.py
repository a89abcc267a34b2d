"""Datasets as clients of Flowise see them, over a socket (contract 5.1): routes, fields, quirks and refusals."""

import base64
import json
import re
from typing import Any
from uuid import UUID, uuid4

import httpx

from tests.compat.keys import client_of, opened_by, stranger_of
from tests.service.predictions.conftest import House

DATASET = ["id", "name", "description", "createdDate", "updatedDate", "workspaceId"]
ROW = {"id", "datasetId", "input", "output", "updatedDate", "sequenceNo"}
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DELETED = {"raw": [], "affected": 1}


def uri(text: str | bytes, name: str | None = "questions.csv") -> str:
    """A file as Flowise's forms send it; without a name the suffix is missing."""
    content = base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
    return f"data:text/csv;base64,{content}" + ("" if name is None else f",filename:{name}")


def said(response: httpx.Response, status: int = 200) -> Any:
    """The body of an answer of this status."""
    assert response.status_code == status, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["content-type"] == "application/json"
    return response.json()


def refused(response: httpx.Response, status: int, *words: str) -> None:
    """An error body that says these words."""
    body = said(response, status)
    assert (body["statusCode"], body["success"], body["stack"]) == (status, False, {})
    assert body["error"] == body["message"]
    assert all(word in body["message"] for word in words), body["message"]


def pairs(client: httpx.Client, dataset: str) -> list[tuple[int, str, str]]:
    """The rows of a dataset: number, question, answer."""
    rows = said(client.get(f"/datasets/set/{dataset}"))["rows"]
    return [(row["sequenceNo"], row["input"], row["output"]) for row in rows]


def test_a_dataset_from_its_first_call_to_its_last(house: House) -> None:
    client = house.client
    made = said(client.post("/datasets/set", json={"name": "Leave", "description": "Days off"}))
    assert list(made) == DATASET
    assert (made["name"], made["description"]) == ("Leave", "Days off")
    assert UUID(made["id"]).version == 4
    assert DATE.fullmatch(made["createdDate"])
    assert DATE.fullmatch(made["updatedDate"])

    row = said(client.post("/datasets/rows", json={"datasetId": made["id"], "input": "How many?", "output": "30"}))
    assert set(row) >= ROW
    assert (row["datasetId"], row["input"], row["output"], row["sequenceNo"]) == (made["id"], "How many?", "30", 0)
    second = said(client.post("/datasets/rows/", json={"datasetId": made["id"], "input": "When?", "output": ""}))
    assert second["sequenceNo"] == 1

    (listed,) = said(client.get("/datasets"))
    assert set(listed) == {*DATASET, "rowCount"}
    assert listed["rowCount"] == 2
    assert listed["updatedDate"] > made["updatedDate"]
    whole = said(client.get(f"/datasets/set/{made['id']}"))
    assert list(whole) == [*DATASET, "rows", "total"]
    assert (whole["rows"], whole["total"]) == ([row, second], 2)

    changed = said(client.put(f"/datasets/rows/{row['id']}", json={"input": "How many days?", "output": "thirty"}))
    assert changed == {
        **row, "input": "How many days?", "output": "thirty", "updatedDate": changed["updatedDate"],
    }  # fmt: skip
    order = [{"id": row["id"], "sequenceNo": 1}, {"id": second["id"], "sequenceNo": 0}]
    assert set(said(client.post("/datasets/reorder", json={"datasetId": made["id"], "rows": order}))) == {"message"}
    assert pairs(client, made["id"]) == [(0, "When?", ""), (1, "How many days?", "thirty")]

    renamed = said(client.put(f"/datasets/set/{made['id']}", json={"name": "Leave 2", "description": ""}))
    assert list(renamed) == DATASET
    assert (renamed["name"], renamed["description"], renamed["createdDate"]) == ("Leave 2", "", made["createdDate"])
    assert said(client.delete(f"/datasets/rows/{row['id']}")) == DELETED
    assert said(client.patch("/datasets/rows", json={"ids": [second["id"], str(uuid4())]})) == DELETED
    assert pairs(client, made["id"]) == []
    assert said(client.delete(f"/datasets/set/{made['id']}")) == DELETED
    assert said(client.get("/datasets")) == []


def test_files_come_in_a_text_with_their_names_behind(house: House) -> None:
    client = house.client
    files = {
        "plain": (uri("q0,a0\nq1,a1\n"), [("q0", "a0"), ("q1", "a1")]),
        "of Windows": (uri("q0,a0\r\nq1,a1"), [("q0", "a0"), ("q1", "a1")]),
        "without its name": (uri("q0,a0\n", None), [("q0", "a0")]),
        "a comma in its name": (uri("q0,a0\n", "a, b.csv"), [("q0", "a0")]),
        "a name in another script": (uri("q0,a0\n", "質問.csv"), [("q0", "a0")]),
        "quoted": (
            uri('"q, with a comma","two\nlines and ""quotes"""\n'),
            [("q, with a comma", 'two\nlines and "quotes"')],
        ),
        "with a mark": (uri("\ufeffq0,a0\n"), [("q0", "a0")]),
        "of Excel": (uri("Größe,heiß\n".encode("utf-16")), [("Größe", "heiß")]),
        "more columns": (uri("q0,a0,more,still more\n"), [("q0", "a0")]),
        "an empty answer": (uri("q0,\n"), [("q0", "")]),
        "several": (json.dumps([uri("q0,a0\n", "a.csv"), uri("q1,a1\n", "b.csv")]), [("q0", "a0"), ("q1", "a1")]),
    }
    for kind, (text, expected) in files.items():
        made = said(client.post("/datasets/set", json={"name": kind, "csvFile": text}))
        assert [row[1:] for row in pairs(client, made["id"])] == expected, kind
        added = said(client.post("/datasets/rows", json={"datasetId": made["id"], "csvFile": text}))
        assert set(added) == {"message"}
        assert pairs(client, made["id"]) == [(place, *row) for place, row in enumerate(expected * 2)], kind


def test_the_first_row_of_all_files_together_may_be_headers(house: House) -> None:
    client = house.client
    headed = json.dumps([uri("input,output\nq0,a0\n", "a.csv"), uri("q1,a1\n", "b.csv")])
    made = said(client.post("/datasets/set", json={"name": "h", "csvFile": headed, "firstRowHeaders": True}))
    assert pairs(client, made["id"]) == [(0, "q0", "a0"), (1, "q1", "a1")]
    plain = said(client.post("/datasets/set", json={"name": "h", "csvFile": headed, "firstRowHeaders": False}))
    assert pairs(client, plain["id"])[0] == (0, "input", "output")


BROKEN = (
    "q,a\n",
    "data:text/csv,q%2Ca",
    "data:text/csv;base64,",
    "data:text/csv;base64,***,filename:a.csv",
    "[]",
    "[7]",
    "[" + json.dumps(uri("q,a\n")),
    uri(""),
    uri("only one column\n"),
    uri('q,"never closed\n'),
    uri(" ,a\n"),
)


def test_a_file_that_is_none_is_refused_before_anything_is_kept(house: House) -> None:
    client = house.client
    kept = said(client.post("/datasets/set", json={"name": "kept"}))["id"]
    for text in BROKEN:
        refused(client.post("/datasets/set", json={"name": "new", "csvFile": text}), 422)
        refused(client.post("/datasets/rows", json={"datasetId": kept, "csvFile": text}), 422)
    assert [item["name"] for item in said(client.get("/datasets"))] == ["kept"]
    assert pairs(client, kept) == []


def test_pages_need_a_number_and_a_size(house: House) -> None:
    client = house.client
    made = [said(client.post("/datasets/set", json={"name": f"d{place}"})) for place in range(3)]
    names = ["d2", "d1", "d0"]
    page = said(client.get("/datasets?page=2&limit=2"))
    assert list(page) == ["total", "data"]
    assert (page["total"], [item["name"] for item in page["data"]]) == (3, ["d0"])
    assert said(client.get("/datasets?page=9&limit=2")) == {"total": 3, "data": []}
    for query in ("", "?page=1", "?limit=2", "?page=0&limit=2", "?page=one&limit=2", "?page=1&limit="):
        assert [item["name"] for item in said(client.get(f"/datasets{query}"))] == names, query
    for query in ("page=-1&limit=2", "page=1&limit=-2"):
        refused(client.get(f"/datasets?{query}"), 412)
        refused(client.get(f"/datasets/set/{made[0]['id']}?{query}"), 412)
    rows = json.dumps([uri("".join(f"q{place},a\n" for place in range(5)))])
    said(client.post("/datasets/rows", json={"datasetId": made[0]["id"], "csvFile": rows}))
    page = said(client.get(f"/datasets/set/{made[0]['id']}?page=2&limit=2"))
    assert ([row["input"] for row in page["rows"]], page["total"]) == (["q2", "q3"], 5)


def test_what_flowise_fails_at_with_500_is_named_here(house: House) -> None:
    client, unknown = house.client, str(uuid4())
    body: dict[str, Any] = {"name": "n", "datasetId": unknown, "input": "q", "output": "a"}
    for method, path in (
        ("GET", f"/datasets/set/{unknown}"),
        ("PUT", f"/datasets/set/{unknown}"),
        ("DELETE", f"/datasets/set/{unknown}"),
        ("POST", "/datasets/rows"),
        ("PUT", f"/datasets/rows/{unknown}"),
        ("DELETE", f"/datasets/rows/{unknown}"),
    ):
        refused(client.request(method, path, json=body), 404, unknown)
    refused(client.post("/datasets/reorder", json={"datasetId": unknown, "rows": []}), 404, unknown)
    dataset = said(client.post("/datasets/set", json={"name": "n"}))["id"]
    refused(
        client.post("/datasets/reorder", json={"datasetId": dataset, "rows": [{"id": unknown, "sequenceNo": 0}]}),
        404,
        unknown,
    )
    assert said(client.patch("/datasets/rows", json={"ids": [unknown]})) == {"raw": [], "affected": 0}
    for method, path in (("POST", "/datasets/set"), ("POST", "/datasets/rows"), ("GET", "/datasets/set")):
        refused(client.request(method, path), 412)
    refused(client.post("/datasets/rows", json={"input": "q"}), 412, "datasetId")
    refused(client.post("/datasets/set", content=b"{", headers={"Content-Type": "application/json"}), 400)
    refused(client.get("/datasets/set/7"), 422, "id")


ROUTES: dict[tuple[str, str], set[str]] = {
    ("GET", "/datasets"): {"view"},
    ("GET", "/datasets/set/{set}"): {"view"},
    ("POST", "/datasets/set"): {"create"},
    ("PUT", "/datasets/set/{set}"): {"create", "update"},
    ("DELETE", "/datasets/set/{none}"): {"delete"},
    ("POST", "/datasets/rows"): {"create"},
    ("PUT", "/datasets/rows/{row}"): {"create", "update"},
    ("DELETE", "/datasets/rows/{none}"): {"delete"},
    ("PATCH", "/datasets/rows"): {"delete"},
    ("POST", "/datasets/reorder"): {"create", "update"},
}
"""The permissions of the contract: a key with one of these comes in."""


def test_keys_open_the_routes_of_their_permissions_and_workspaces_see_their_own(house: House) -> None:
    dataset = said(house.client.post("/datasets/set", json={"name": "mine"}))["id"]
    row = said(house.client.post("/datasets/rows", json={"datasetId": dataset, "input": "q", "output": "a"}))
    body = {"name": "mine", "datasetId": dataset, "input": "q", "output": "a", "ids": [], "rows": []}
    paths = {(method, path.format(set=dataset, row=row["id"], none=uuid4())): allowed
             for (method, path), allowed in ROUTES.items()}  # fmt: skip
    for action in ("view", "create", "update", "delete"):
        with client_of(house.live, f"datasets:{action}") as keyed:
            for (method, path), allowed in paths.items():
                assert opened_by(keyed, method, path, body) == (action in allowed), f"{action}: {method} {path}"
    nobody = httpx.get(f"{house.live.url}/api/v1/datasets")
    assert (nobody.status_code, nobody.json()["error"]) == (401, "Unauthorized Access")
    with stranger_of(house.live) as stranger:
        assert said(stranger.get("/datasets")) == []
        refused(stranger.get(f"/datasets/set/{dataset}"), 404)
        refused(stranger.put(f"/datasets/rows/{row['id']}", json=body), 404)
        refused(stranger.delete(f"/datasets/set/{dataset}"), 404)
        refused(stranger.post("/datasets/rows", json=body), 404)
    assert pairs(house.client, dataset)[0] == (0, "q", "a")


def test_a_row_that_is_sent_twice_is_added_once(house: House) -> None:
    client = house.client
    dataset = said(client.post("/datasets/set", json={"name": "once"}))["id"]
    body = {"datasetId": dataset, "input": "q", "output": "a"}
    first, second = (client.post("/datasets/rows", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert said(first) == said(second)
    assert pairs(client, dataset) == [(0, "q", "a")]


def test_a_file_of_ten_thousand_rows_comes_in_at_once_and_goes_out_piece_by_piece(house: House) -> None:
    client = house.client
    rows = "".join(f"question {place},answer {place}\n" for place in range(10_000))
    dataset = said(client.post("/datasets/set", json={"name": "large", "csvFile": uri(rows)}))["id"]
    assert said(client.get("/datasets"))[0]["rowCount"] == 10_000
    with client.stream("GET", f"/datasets/set/{dataset}/export?format=csv") as response:
        assert response.headers["transfer-encoding"] == "chunked"
        lines = sum(1 for _ in response.iter_lines())
    assert lines == 10_001
