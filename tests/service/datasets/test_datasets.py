"""Datasets and their rows over HTTP (contract 5.1)."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from service.api_keys import service as api_keys
from service.datasets import service
from service.datasets.types import RowDraft
from service.errors import NotFound, TooLarge
from service.resources import Resources
from tests.application import speak
from tests.service.datasets.conftest import API, Desk, data_uri

DATASET = {"id", "name", "description", "createdDate", "updatedDate", "workspaceId"}
ROW = {"id", "datasetId", "input", "output", "updatedDate", "sequenceNo", "sources", "metadata", "draft"}


async def test_a_dataset_comes_back_as_it_was_made(client: httpx.AsyncClient, workspace: UUID) -> None:
    body = {"name": "Handbook", "description": "Leave"}
    made = (await client.post(f"{API}/set", json=body)).json()
    assert set(made) == DATASET
    assert {**made, **body, "workspaceId": str(workspace)} == made
    assert (await client.get(API)).json() == [{**made, "rowCount": 0}]
    assert (await client.get(f"{API}?page=1&limit=5")).json() == {"total": 1, "data": [{**made, "rowCount": 0}]}
    assert (await client.get(f"{API}/set/{made['id']}")).json() == {**made, "rows": [], "total": 0}
    changed = (await client.put(f"{API}/set/{made['id']}", json={"name": "Other", "description": ""})).json()
    assert changed == {**made, "name": "Other", "description": "", "updatedDate": changed["updatedDate"]}
    assert changed["updatedDate"] > made["updatedDate"]
    assert (await client.delete(f"{API}/set/{made['id']}")).json() == {"raw": [], "affected": 1}
    assert (await client.get(API)).json() == []


async def test_each_dataset_numbers_its_rows_from_zero(desk: Desk) -> None:
    first, second = await desk.dataset("a"), await desk.dataset("b")
    for dataset in (first, second):
        made = [await desk.row(dataset, f"q{number}", f"a{number}") for number in range(3)]
        assert set(made[0]) == ROW
        assert [row["sequenceNo"] for row in made] == [0, 1, 2]
        assert (await desk.read(dataset))["rows"] == made
    body = {"datasetId": second, "csvFile": data_uri("q3,a3\r\nq4,a4\r\n"), "firstRowHeaders": False}
    assert (await desk.client.post(f"{API}/rows", json=body)).json() == {"message": "2 rows added"}
    assert await desk.numbers(second) == [(number, f"q{number}") for number in range(5)]
    assert [item["rowCount"] for item in (await desk.client.get(API)).json()] == [5, 3]


async def test_a_dataset_is_made_with_its_rows_or_not_at_all(desk: Desk) -> None:
    dataset = await desk.dataset(csvFile=data_uri("input,output\nq,a\n"), firstRowHeaders=True)
    assert await desk.rows(dataset) == [("q", "a")]
    body = {"name": "broken", "csvFile": data_uri("q,a\nonly one\n")}
    response = await desk.client.post(f"{API}/set", json=body)
    assert response.status_code == 422
    assert "questions.csv: row 2" in response.json()["message"]
    assert len((await desk.client.get(API)).json()) == 1


async def test_rows_are_paged_in_order(desk: Desk) -> None:
    dataset = await desk.dataset(csvFile=data_uri("".join(f"q{number},a\n" for number in range(5))))
    page = await desk.read(dataset, page=2, limit=2)
    assert ([row["input"] for row in page["rows"]], page["total"]) == (["q2", "q3"], 5)
    assert len((await desk.read(dataset, page=2))["rows"]) == 5  # as without both


async def test_a_row_is_changed_in_part_and_says_when(desk: Desk) -> None:
    dataset = await desk.dataset()
    made = await desk.row(dataset, "q", "a", sources=["handbook.md"], metadata={"topic": "leave"})
    path = f"{API}/rows/{made['id']}"
    changed = (await desk.client.put(path, json={"input": "Q", "output": "A"})).json()
    assert changed == {**made, "input": "Q", "output": "A", "updatedDate": changed["updatedDate"]}
    draft = (await desk.client.patch(path, json={"draft": True, "sources": []})).json()
    assert (draft["draft"], draft["sources"], draft["metadata"]) == (True, [], {"topic": "leave"})
    refused = await desk.client.put(path, json={"input": " "})
    assert (refused.status_code, "input" in refused.json()["message"]) == (422, True)


async def test_every_change_moves_the_date_of_the_dataset(desk: Desk) -> None:
    dataset = await desk.dataset()
    other = await desk.dataset("untouched")
    before = (await desk.read(other))["updatedDate"]
    dates = [(await desk.read(dataset))["updatedDate"]]

    async def moved() -> None:
        dates.append((await desk.read(dataset))["updatedDate"])
        assert dates[-1] > dates[-2]

    rows = [await desk.row(dataset, f"q{number}", draft=True) for number in range(3)]
    await moved()
    await desk.client.put(f"{API}/rows/{rows[0]['id']}", json={"output": "a"})
    await moved()
    await desk.client.post(
        f"{API}/reorder", json={"datasetId": dataset, "rows": [{"id": rows[0]["id"], "sequenceNo": 9}]}
    )
    await moved()
    await desk.client.post(f"{API}/set/{dataset}/accept", json={})
    await moved()
    await desk.client.delete(f"{API}/rows/{rows[1]['id']}")
    await moved()
    await desk.client.patch(f"{API}/rows", json={"ids": [rows[2]["id"]]})
    await moved()
    await desk.client.patch(f"{API}/rows", json={"ids": [str(uuid4())]})
    assert (await desk.read(dataset))["updatedDate"] == dates[-1]
    assert (await desk.read(other))["updatedDate"] == before


async def test_deleted_rows_leave_their_numbers_free(desk: Desk, foreign: httpx.AsyncClient) -> None:
    dataset = await desk.dataset()
    rows = [await desk.row(dataset, f"q{number}") for number in range(4)]
    theirs = Desk(foreign)
    other = await theirs.dataset()
    their_row = await theirs.row(other, "theirs")
    assert (await desk.client.delete(f"{API}/rows/{rows[1]['id']}")).json() == {"raw": [], "affected": 1}
    assert (await desk.client.delete(f"{API}/rows/{rows[1]['id']}")).status_code == 404
    ids = [rows[2]["id"], their_row["id"], str(uuid4())]
    assert (await desk.client.patch(f"{API}/rows", json={"ids": ids})).json() == {"raw": [], "affected": 1}
    await desk.row(dataset, "new")
    assert await desk.numbers(dataset) == [(0, "q0"), (3, "q3"), (4, "new")]
    assert await theirs.rows(other) == [("theirs", "")]
    assert (await desk.client.get(API)).json()[0]["rowCount"] == 3


async def test_rows_are_numbered_anew_all_or_none(desk: Desk) -> None:
    dataset, other = await desk.dataset(), await desk.dataset("other")
    rows = [await desk.row(dataset, f"q{number}") for number in range(3)]
    stranger = await desk.row(other, "stranger")

    async def order(*numbers: tuple[str, int], of: str = dataset) -> httpx.Response:
        body = {"datasetId": of, "rows": [{"id": item, "sequenceNo": number} for item, number in numbers]}
        return await desk.client.post(f"{API}/reorder", json=body)

    turned = await order(*((row["id"], 2 - number) for number, row in enumerate(rows)))
    assert turned.status_code == 200
    assert set(turned.json()) == {"message"}
    assert await desk.numbers(dataset) == [(0, "q2"), (1, "q1"), (2, "q0")]
    for wrong in (stranger["id"], str(uuid4())):
        assert (await order((rows[0]["id"], 0), (wrong, 1))).status_code == 404
    twice = await order((rows[0]["id"], 5), (rows[1]["id"], 5))
    assert (twice.status_code, "rows[1].sequenceNo" in twice.json()["message"]) == (422, True)
    assert await desk.numbers(dataset) == [(0, "q2"), (1, "q1"), (2, "q0")]
    assert (await order((rows[0]["id"], 0))).status_code == 200
    assert await desk.numbers(dataset) == [(0, "q0"), (0, "q2"), (1, "q1")]  # of equal numbers the older row first


async def test_what_is_missing_is_412_and_what_is_unknown_404(desk: Desk) -> None:
    unknown = str(uuid4())
    client = desk.client
    lacking: list[tuple[str, str, Any]] = [
        ("POST", "set", None),
        ("GET", "set", None),
        ("PUT", "set", {"name": "a"}),
        ("DELETE", "set", None),
        ("POST", "rows", {"input": "q"}),
        ("POST", "rows", None),
        ("POST", "reorder", {"rows": []}),
    ]
    for method, path, body in lacking:
        response = (
            await client.request(method, f"{API}/{path}", json=body)
            if body
            else await client.request(method, f"{API}/{path}")
        )
        assert response.status_code == 412, f"{method} {path}: {response.text}"
    strange: list[tuple[str, str, Any]] = [
        ("GET", f"set/{unknown}", None),
        ("PUT", f"set/{unknown}", {"name": "a"}),
        ("DELETE", f"set/{unknown}", None),
        ("PUT", f"rows/{unknown}", {"input": "a"}),
        ("DELETE", f"rows/{unknown}", None),
        ("POST", "rows", {"datasetId": unknown, "input": "q"}),
        ("POST", "rows", {"datasetId": unknown, "csvFile": data_uri("q,a")}),
        ("POST", "reorder", {"datasetId": unknown, "rows": []}),
        ("GET", f"set/{unknown}/export", None),
    ]
    for method, path, body in strange:
        response = await client.request(method, f"{API}/{path}", json=body)
        assert response.status_code == 404, f"{method} {path}: {response.text}"
        assert unknown in response.json()["message"]


async def test_another_workspace_neither_reads_nor_fills_a_dataset(desk: Desk, foreign: httpx.AsyncClient) -> None:
    dataset = await desk.dataset()
    row = await desk.row(dataset, "q", "a")
    for method, path, body in (
        ("POST", "rows", {"datasetId": dataset, "input": "theirs"}),
        ("POST", "rows", {"datasetId": dataset, "csvFile": data_uri("q,a")}),
        ("POST", "reorder", {"datasetId": dataset, "rows": [{"id": row["id"], "sequenceNo": 7}]}),
        ("POST", f"set/{dataset}/accept", {}),
        ("POST", f"set/{dataset}/import", {"rows": [{"input": "q"}]}),
        ("PATCH", f"rows/{row['id']}", {"output": "theirs"}),
    ):
        assert (await foreign.request(method, f"{API}/{path}", json=body)).status_code == 404, path
    assert (await foreign.patch(f"{API}/rows", json={"ids": [row["id"]]})).json()["affected"] == 0
    assert (await foreign.get(API)).json() == []
    assert (await desk.read(dataset))["rows"] == [row]


async def test_permissions_are_those_of_the_contract(
    app: FastAPI, resources: Resources, workspace: UUID, desk: Desk
) -> None:
    dataset = await desk.dataset()
    row = f"rows/{(await desk.row(dataset, 'q'))['id']}"
    opened = {
        ("GET", "set/" + dataset): {"view"},
        ("GET", f"set/{dataset}/export"): {"view"},
        ("POST", "set"): {"create"},
        ("POST", "rows"): {"create"},
        ("POST", f"set/{dataset}/import"): {"create"},
        ("PUT", "set/" + dataset): {"create", "update"},
        ("PUT", row): {"create", "update"},
        ("PATCH", row): {"create", "update"},
        ("POST", "reorder"): {"create", "update"},
        ("PATCH", "rows"): {"delete"},
        ("DELETE", row): {"delete"},
    }
    body = {"name": "n", "datasetId": dataset, "input": "q", "rows": [], "ids": []}
    for action in ("view", "create", "update", "delete"):
        _, secret = await api_keys.create(resources.database, workspace, action, [f"datasets:{action}"])
        async with speak(app, secret) as keyed:
            for (method, path), actions in opened.items():
                status = (await keyed.request(method, f"{API}/{path}", json=body)).status_code
                assert (status == 403) == (action not in actions), f"{action}: {method} {path}: {status}"


async def test_sources_are_named_in_one_of_four_ways(desk: Desk) -> None:
    dataset, some = await desk.dataset(), str(uuid4())
    sources = ["a.md", {"documentId": some}, {"chunkId": some}, {"quote": "30 days"}, {"source": "b.md"}]
    row = await desk.row(dataset, "q", sources=sources)
    assert row["sources"] == [{"source": "a.md"}, *sources[1:]]
    bad: list[Any] = [[{}], [{"source": "a", "quote": "b"}], [{"chunkId": "7"}], [7], ["a"] * 101, [" "]]
    for wrong in bad:
        body = {"datasetId": dataset, "input": "q", "sources": wrong}
        response = await desk.client.post(f"{API}/rows", json=body)
        assert (response.status_code, "sources" in response.json()["message"]) == (422, True), response.text


async def test_drafts_wait_until_they_are_accepted(desk: Desk, resources: Resources, workspace: UUID) -> None:
    dataset = await desk.dataset()
    rows = [await desk.row(dataset, "full", "a", draft=True), await desk.row(dataset, "empty", draft=True)]
    rows += [await desk.row(dataset, "gold", sources=["a.md"], draft=True), await desk.row(dataset, "row", "a")]

    async def used() -> list[str]:
        found = service.batches(resources.database, workspace, UUID(dataset), draft=False, size=1)
        return [row.input async for batch in found for row in batch]

    assert await used() == ["row"]
    assert await desk.rows(dataset, draft=True) == [("full", "a"), ("empty", ""), ("gold", "")]
    path = f"{API}/set/{dataset}/accept"
    one = await desk.client.post(path, json={"ids": [rows[0]["id"], str(uuid4())]})
    assert one.json() == {"accepted": 1, "left": 0}
    assert (await desk.client.post(path, json={})).json() == {"accepted": 1, "left": 1}
    assert await used() == ["full", "gold", "row"]
    await desk.client.patch(f"{API}/rows/{rows[1]['id']}", json={"draft": False})
    assert await used() == ["full", "empty", "gold", "row"]


async def test_writers_at_once_give_every_row_a_number_of_its_own(desk: Desk) -> None:
    dataset = await desk.dataset()
    await asyncio.gather(*(desk.row(dataset, f"q{number}") for number in range(20)))
    found = await desk.read(dataset)
    assert [row["sequenceNo"] for row in found["rows"]] == list(range(20))
    assert (await desk.client.get(API)).json()[0]["rowCount"] == 20


async def test_ten_thousand_rows_are_paged_and_gone_through_in_batches(
    desk: Desk, resources: Resources, workspace: UUID
) -> None:
    made = await service.create(
        resources.database, workspace, "Large", rows=[RowDraft(f"q{number}", "a") for number in range(10_000)]
    )
    page = await desk.read(str(made.id), page=1000, limit=10)
    assert ([row["input"] for row in page["rows"]], page["total"]) == ([f"q{n}" for n in range(9990, 10_000)], 10_000)
    sizes, last = [], -1
    async for batch in service.batches(resources.database, workspace, made.id):
        sizes.append(len(batch))
        assert [row.sequence_no for row in batch] == list(range(last + 1, last + 1 + len(batch)))
        last = batch[-1].sequence_no
    assert (max(sizes), sum(sizes)) == (service.BATCH, 10_000)
    text = (await desk.client.get(f"{API}/set/{made.id}/export")).text
    assert [json.loads(line)["input"] for line in text.splitlines()] == [f"q{number}" for number in range(10_000)]


async def test_a_dataset_and_its_cells_have_an_end(
    desk: Desk, resources: Resources, workspace: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = await desk.dataset()
    monkeypatch.setattr(service, "MAX_ROWS", 2)
    with pytest.raises(TooLarge, match="dataset_rows"):
        await service.add_rows(resources.database, workspace, UUID(dataset), [RowDraft("q")] * 3)
    assert await desk.rows(dataset) == []
    with pytest.raises(NotFound):
        await service.add_rows(resources.database, uuid4(), UUID(dataset), [RowDraft("q")])
    body: dict[str, Any] = {"datasetId": dataset, "input": "q", "output": "a" * (service.MAX_CELL + 1)}
    response = await desk.client.post(f"{API}/rows", json=body)
    assert (response.status_code, "output" in response.json()["message"]) == (422, True)
    body = {"datasetId": dataset, "input": "q", "metadata": {"a": "b" * 70_000}}
    response = await desk.client.post(f"{API}/rows", json=body)
    assert (response.status_code, "metadata" in response.json()["message"]) == (422, True)
