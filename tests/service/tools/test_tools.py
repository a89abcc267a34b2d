"""Tools over HTTP, and the schemas of their inputs."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.resources import Resources
from service.tools import service
from service.tools.service import json_schema

API = "/api/v1/tools"
SCHEMA = (
    '[{"id":1,"property":"city","description":"Name of a city","type":"string","required":true},'
    '{"property":"days","type":"number"}]'
)
TOOL: dict[str, Any] = {
    "name": "weather",
    "description": "Weather now",
    "color": "linear-gradient(#fff,#000)",
    "iconSrc": "https://example.com/i.svg",
    "schema": SCHEMA,
    "func": "return 'sk-canary' + $city",
}


async def test_a_tool_comes_back_as_it_was_kept(client: httpx.AsyncClient, workspace: UUID) -> None:
    made = (await client.post(API, json=TOOL)).json()
    assert set(made) == {*TOOL, "id", "createdDate", "updatedDate", "workspaceId"}
    assert {name: made[name] for name in TOOL} == TOOL
    assert made["workspaceId"] == str(workspace)
    assert (await client.get(f"{API}/{made['id']}")).json() == made
    assert (await client.get(API)).json() == [made]
    assert (await client.get(f"{API}?page=1&limit=1")).json() == {"data": [made], "total": 1}
    assert (await client.get(f"{API}?page=2&limit=1")).json() == {"data": [], "total": 1}


async def test_a_change_names_what_it_changes(client: httpx.AsyncClient) -> None:
    made = (await client.post(API, json=TOOL)).json()
    changed = (await client.put(f"{API}/{made['id']}", json={"func": None, "description": "New"})).json()
    assert changed == {**made, "func": None, "description": "New", "updatedDate": changed["updatedDate"]}


async def test_the_last_one_changed_comes_first(client: httpx.AsyncClient) -> None:
    first, second = [(await client.post(API, json={"name": name})).json()["id"] for name in "ab"]
    assert [item["id"] for item in (await client.get(API)).json()] == [second, first]
    await client.put(f"{API}/{first}", json={"name": "c"})
    assert [item["id"] for item in (await client.get(API)).json()] == [first, second]


async def test_a_tool_is_removed_once(client: httpx.AsyncClient) -> None:
    made = (await client.post(API, json=TOOL)).json()["id"]
    assert (await client.delete(f"{API}/{made}")).json() == {"raw": [], "affected": 1}
    for response in (await client.delete(f"{API}/{made}"), await client.get(f"{API}/{made}")):
        assert (response.status_code, response.json()["message"]) == (404, f"Tool {made} not found")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": " "}, "name"),
        ({"schema": "{"}, "schema"),
        ({"schema": '[{"type": "string"}]'}, "schema: [0].property"),
        ({"schema": '"text"'}, "schema"),
        ({"schema": '{"type": "array"}'}, "schema"),
    ],
)
async def test_what_cannot_be_kept_is_named(client: httpx.AsyncClient, changes: dict[str, Any], told: str) -> None:
    made = (await client.post(API, json=TOOL)).json()["id"]
    for response in (await client.post(API, json={**TOOL, **changes}), await client.put(f"{API}/{made}", json=changes)):
        assert response.status_code == 422
        assert told in response.json()["message"]


async def test_a_body_never_takes_the_place_of_another_tool(
    client: httpx.AsyncClient, foreign: httpx.AsyncClient, foreign_workspace: UUID
) -> None:
    made = (await client.post(API, json=TOOL)).json()
    body = {**TOOL, "id": made["id"], "workspaceId": made["workspaceId"], "createdDate": "2000-01-01T00:00:00.000Z"}
    other = (await foreign.post(API, json=body)).json()
    assert other["id"] != made["id"]
    assert other["workspaceId"] == str(foreign_workspace)
    assert not other["createdDate"].startswith("2000")
    assert (await client.get(f"{API}/{made['id']}")).json() == made


async def test_scopes_are_those_of_the_contract(limited: httpx.AsyncClient) -> None:
    for method, path in (("GET", API), ("POST", API), ("GET", f"{API}/{uuid4()}"), ("DELETE", f"{API}/{uuid4()}")):
        assert (await limited.request(method, path, json=TOOL)).status_code == 403


async def test_the_database_holds_no_code_in_the_clear(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    made = (await client.post(API, json=TOOL)).json()["id"]
    async with resources.database.connection() as connection:
        row = await (await connection.execute("SELECT func, schema FROM tools")).fetchone()
    assert row is not None
    assert "canary" not in json.dumps(dict(row))
    stored = await service.stored(resources.database, workspace, UUID(made))
    assert (stored.name, stored.code, stored.schema) == ("weather", TOOL["func"], SCHEMA)


def test_a_list_of_properties_becomes_a_json_schema() -> None:
    assert json_schema(SCHEMA) == {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of a city"}, "days": {"type": "number"}},
        "required": ["city"],
    }
    assert json_schema("") == {"type": "object", "properties": {}}
    own = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert json_schema(json.dumps(own)) == own
