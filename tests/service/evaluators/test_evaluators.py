"""Evaluators over HTTP: the four types, each with what it demands."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from service.evaluators.types import JsonOperator, Measure, NumericOperator, TextOperator

API = "/api/v1/evaluators"
COMMON = {"id", "name", "type", "createdDate", "updatedDate", "workspaceId"}
SCHEMA = [{"id": "1", "property": "score", "type": "number", "description": "From 0 to 1", "required": True}]
TEXT: dict[str, Any] = {"name": "t", "type": "text", "operator": "ContainsAll", "value": "leave, days"}
JSON: dict[str, Any] = {"name": "j", "type": "json", "operator": "IsValidJSON"}
NUMERIC: dict[str, Any] = {
    "name": "n", "type": "numeric", "measure": "apiLatency", "operator": "lessThan", "value": 900,
}  # fmt: skip
LLM: dict[str, Any] = {"name": "l", "type": "llm", "prompt": "Is {actualOutput} right?", "outputSchema": SCHEMA}


@pytest.mark.parametrize("body", [TEXT, JSON, NUMERIC, LLM], ids=lambda body: body["type"])
async def test_an_evaluator_of_each_type_comes_back_as_it_was_kept(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    response = await client.post(API, json={**body, "id": str(uuid4()), "workspaceId": str(uuid4())})
    made = response.json()
    assert response.status_code == 200, response.text
    assert set(made) == COMMON | set(body)
    assert {name: made[name] for name in body} == body
    assert (await client.get(f"{API}/{made['id']}")).json() == made
    assert (await client.get(API)).json() == [made]
    assert (await client.get(f"{API}?page=1&limit=5")).json() == {"total": 1, "data": [made]}
    renamed = (await client.put(f"{API}/{made['id']}", json={"name": "other"})).json()
    assert renamed == {**made, "name": "other", "updatedDate": renamed["updatedDate"]}
    assert (await client.delete(f"{API}/{made['id']}")).json() == {"raw": [], "affected": 1}
    assert (await client.get(f"{API}/{made['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**TEXT, "name": " "}, "name"),
        ({**TEXT, "type": "regex"}, "type"),
        ({**TEXT, "operator": "Contains"}, "operator"),
        ({**TEXT, "operator": "lessThan"}, "operator"),
        ({**TEXT, "value": " , "}, "value"),
        ({**TEXT, "value": 7}, "value"),
        ({**JSON, "operator": None}, "operator"),
        ({**JSON, "operator": "ContainsAny"}, "operator"),
        ({**NUMERIC, "measure": "tokens"}, "measure"),
        ({**NUMERIC, "operator": "<"}, "operator"),
        ({**NUMERIC, "value": "1.5"}, "value"),
        ({**NUMERIC, "value": 1.5}, "value"),
        ({**NUMERIC, "value": "many"}, "value"),
        ({**NUMERIC, "value": 2**60}, "value"),
        ({**NUMERIC, "value": None}, "value"),
        ({**LLM, "prompt": ""}, "prompt"),
        ({**LLM, "outputSchema": []}, "outputSchema"),
        ({**LLM, "outputSchema": "[{"}, "outputSchema"),
        ({**LLM, "outputSchema": [{"type": "string"}]}, "outputSchema[0].property"),
        ({**LLM, "outputSchema": [*SCHEMA, *SCHEMA]}, "outputSchema[1].property"),
        ({**LLM, "outputSchema": [{"property": "a", "type": "date"}]}, "outputSchema[0].type"),
        ({**LLM, "outputSchema": [{"property": "a", "required": "yes"}]}, "outputSchema[0].required"),
    ],
)
async def test_what_is_wrong_is_named_by_its_field(client: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    response = await client.post(API, json=body)
    assert response.status_code == 422, response.text
    assert field in response.json()["message"]
    assert (await client.get(API)).json() == []


async def test_every_operator_and_measure_of_the_contract_is_taken(client: httpx.AsyncClient) -> None:
    bodies = [{**TEXT, "operator": item} for item in TextOperator]
    bodies += [{**JSON, "operator": item} for item in JsonOperator]
    bodies += [{**NUMERIC, "operator": item} for item in NumericOperator]
    bodies += [{**NUMERIC, "measure": item, "value": "12"} for item in Measure]
    answers = [await client.post(API, json=body) for body in bodies]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[-1].json()["value"] == 12  # a form sends the text of a number


async def test_another_type_wants_all_of_its_fields(client: httpx.AsyncClient) -> None:
    made = (await client.post(API, json=TEXT)).json()
    response = await client.put(f"{API}/{made['id']}", json={"type": "numeric", "operator": "equals"})
    assert (response.status_code, "measure" in response.json()["message"]) == (422, True)
    changed = (await client.put(f"{API}/{made['id']}", json={**NUMERIC, "name": "n"})).json()
    assert set(changed) == COMMON | set(NUMERIC)
    assert (await client.put(f"{API}/{made['id']}", json={"operator": "IsValidJSON"})).status_code == 422


async def test_the_id_of_the_path_of_a_new_one_is_not_looked_at(client: httpx.AsyncClient) -> None:
    first = (await client.post(API, json=JSON)).json()
    second = (await client.post(f"{API}/{first['id']}", json=TEXT)).json()
    assert second["id"] != first["id"]
    assert len((await client.get(API)).json()) == 2


async def test_a_missing_body_or_id_is_412_and_an_unknown_id_404(client: httpx.AsyncClient) -> None:
    unknown = uuid4()
    assert (await client.post(API)).status_code == 412
    assert (await client.put(API, json=TEXT)).status_code == 412
    assert (await client.get(f"{API}?page=-1&limit=5")).status_code == 412
    for method in ("GET", "PUT", "DELETE"):
        response = await client.request(method, f"{API}/{unknown}", json=TEXT)
        assert (response.status_code, response.json()["message"]) == (404, f"Evaluator {unknown} not found")


async def test_other_workspaces_and_keys_without_the_permission_see_nothing(
    client: httpx.AsyncClient, foreign: httpx.AsyncClient, limited: httpx.AsyncClient
) -> None:
    made = (await client.post(API, json=TEXT)).json()
    assert (await foreign.get(API)).json() == []
    for method in ("GET", "PUT", "DELETE"):
        assert (await foreign.request(method, f"{API}/{made['id']}", json=TEXT)).status_code == 404
        assert (await limited.request(method, f"{API}/{made['id']}", json=TEXT)).status_code == 403
    assert (await client.get(f"{API}/{made['id']}")).json() == made
