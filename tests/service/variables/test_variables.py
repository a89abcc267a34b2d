"""Variables over HTTP, and the values that runs see."""

from uuid import UUID, uuid4

import httpx

from service.resources import Resources
from service.settings import load
from service.variables import service

API = "/api/v1/variables"
COMPANY = {"name": "company", "value": "Ragstone", "type": "static"}


async def test_a_variable_comes_back_as_it_was_kept(client: httpx.AsyncClient, workspace: UUID) -> None:
    made = (await client.post(API, json=COMPANY)).json()
    assert set(made) == {*COMPANY, "id", "createdDate", "updatedDate", "workspaceId"}
    assert {name: made[name] for name in COMPANY} == COMPANY
    assert made["workspaceId"] == str(workspace)
    assert (await client.get(API)).json() == [made]
    assert (await client.get(f"{API}?page=1&limit=5")).json() == {"data": [made], "total": 1}
    changed = (await client.put(f"{API}/{made['id']}", json={"value": "Other"})).json()
    assert changed == {**made, "value": "Other", "updatedDate": changed["updatedDate"]}
    assert (await client.delete(f"{API}/{made['id']}")).json() == {"raw": [], "affected": 1}


async def test_unknown_variables_and_values_are_named(client: httpx.AsyncClient) -> None:
    unknown = uuid4()
    for method in ("PUT", "DELETE"):
        response = await client.request(method, f"{API}/{unknown}", json=COMPANY)
        assert (response.status_code, response.json()["message"]) == (404, f"Variable {unknown} not found")
    assert (await client.get(f"{API}/{unknown}")).status_code == 405
    for body, told in (({"value": "x"}, "name"), ({"name": ""}, "name"), ({**COMPANY, "type": "secret"}, "type")):
        response = await client.post(API, json=body)
        assert response.status_code == 422
        assert told in response.json()["message"]


async def test_a_body_never_takes_the_place_of_another_variable(
    client: httpx.AsyncClient, foreign: httpx.AsyncClient
) -> None:
    made = (await client.post(API, json=COMPANY)).json()
    other = (await foreign.post(API, json={**COMPANY, "id": made["id"], "workspaceId": made["workspaceId"]})).json()
    assert other["id"] != made["id"]
    assert other["workspaceId"] != made["workspaceId"]
    assert len((await foreign.get(API)).json()) == 1


async def test_a_runtime_variable_has_its_value_from_what_the_operator_allows(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    for name in ("REGION", "PATH", "RAGSTONE_SECRET_KEY"):
        await client.post(API, json={"name": name, "value": "kept", "type": "runtime"})
    await client.post(API, json=COMPANY)
    environ = {"RAGSTONE_VAR_REGION": "eu", "PATH": "/bin", "RAGSTONE_SECRET_KEY": "canary", "REGION": "other"}
    database, settings = resources.database, resources.settings
    found = await service.values(database, settings, workspace, environ=environ)
    assert found == {"REGION": "eu", "company": "Ragstone"}
    assert await service.values(database, settings, workspace, ["company"], environ=environ) == {"company": "Ragstone"}
    closed = load({}, {**settings.model_dump(), "variables_prefix": ""})
    assert await service.values(database, closed, workspace, environ=environ) == {"company": "Ragstone"}
    assert await service.values(database, settings, uuid4(), environ=environ) == {}


async def test_of_several_of_a_name_the_newest_counts(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    for value in ("old", "new"):
        await client.post(API, json={**COMPANY, "value": value})
    assert await service.values(resources.database, resources.settings, workspace) == {"company": "new"}
    changed = await service.values(resources.database, resources.settings, workspace, changed={"company": "call"})
    assert changed == {"company": "call"}


async def test_the_database_holds_no_value_in_the_clear(client: httpx.AsyncClient, resources: Resources) -> None:
    await client.post(API, json={**COMPANY, "value": "sk-canary"})
    async with resources.database.connection() as connection:
        row = await (await connection.execute("SELECT value FROM variables")).fetchone()
    assert row is not None
    assert "canary" not in row["value"]
