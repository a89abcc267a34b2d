"""API keys over HTTP (contract 6.1)."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.api_keys import service
from service.resources import Resources

PATH = "/api/v1/apikey"


async def made(client: httpx.AsyncClient, name: str = "Website", *permissions: str) -> dict[str, Any]:
    """A key that has just been made."""
    body = {"keyName": name, "permissions": list(permissions or ("chatflows:view", "apikeys:create", "apikeys:view"))}
    response = await client.post(PATH, json=body)
    assert response.status_code == 200, response.text
    found = [key for key in response.json() if not key["apiKey"].startswith("*")]
    assert len(found) == 1
    return dict(found[0])


def holding(client: httpx.AsyncClient, key: str) -> dict[str, str]:
    """The headers of whoever holds the key."""
    return {"Authorization": f"Bearer {key}"}


async def test_a_key_is_shown_once(client: httpx.AsyncClient, resources: Resources) -> None:
    key = await made(client)
    assert set(key) >= {
        "id",
        "apiKey",
        "apiSecret",
        "keyName",
        "permissions",
        "updatedDate",
        "workspaceId",
        "chatFlows",
    }
    assert key["permissions"] == ["apikeys:create", "apikeys:view", "chatflows:view"]
    listed = await client.get(PATH)
    assert key["apiKey"] not in listed.text
    shown = next(item for item in listed.json() if item["id"] == key["id"])
    assert shown["apiKey"] == f"********{key['apiKey'][-4:]}"
    opened = await client.get("/api/v1/chatflows", headers=holding(client, key["apiKey"]))
    assert opened.status_code == 200
    refused = await client.get("/api/v1/variables", headers=holding(client, key["apiKey"]))
    assert refused.status_code == 403


async def test_a_repeated_call_shows_no_key_again(client: httpx.AsyncClient) -> None:
    body = {"keyName": "Twice", "permissions": ["chatflows:view"]}
    headers = {"Idempotency-Key": str(uuid4())}
    first = await client.post(PATH, json=body, headers=headers)
    again = await client.post(PATH, json=body, headers=headers)
    secret = next(key["apiKey"] for key in first.json() if not key["apiKey"].startswith("*"))
    assert secret not in again.text
    assert [key["keyName"] for key in (await client.get(PATH)).json()].count("Twice") == 1


async def test_nobody_gives_what_they_do_not_have(client: httpx.AsyncClient, resources: Resources) -> None:
    weak = (await made(client))["apiKey"]
    for permissions in (["*"], ["chatflows:view", "credentials:view"], ["workspace:export"]):
        body = {"keyName": "More", "permissions": permissions}
        refused = await client.post(PATH, json=body, headers=holding(client, weak))
        assert (refused.status_code, refused.json()["code"]) == (400, "permission_not_held")
    strong = await made(client, "Strong", "credentials:view")
    body = {"keyName": "Taken", "permissions": ["credentials:view"]}
    change = await client.put(f"{PATH}/{strong['id']}", json=body, headers=holding(client, weak))
    assert change.status_code == 400
    body = {"keyName": "Same", "permissions": ["chatflows:view"]}
    assert (await client.post(PATH, json=body, headers=holding(client, weak))).status_code == 200


async def test_nobody_takes_what_they_do_not_have(client: httpx.AsyncClient) -> None:
    """A key for keys alone shuts no administrator out."""
    mine = ("apikeys:create", "apikeys:update", "apikeys:delete", "apikeys:view")
    weak = holding(client, (await made(client, "Weak", *mine))["apiKey"])
    for strong in (await made(client, "Admin", "*"), await made(client, "Editor", "apikeys:view", "chatflows:view")):
        body = {"keyName": "Taken", "permissions": ["apikeys:view"]}
        changed = await client.put(f"{PATH}/{strong['id']}", json=body, headers=weak)
        ended = await client.delete(f"{PATH}/{strong['id']}", headers=weak)
        for refused in (changed, ended):
            assert (refused.status_code, refused.json()["code"]) == (400, "permission_not_held")
        kept = next(key for key in (await client.get(PATH)).json() if key["id"] == strong["id"])
        assert (kept["keyName"], kept["permissions"]) == (strong["keyName"], strong["permissions"])
        assert (await client.get(PATH, headers=holding(client, strong["apiKey"]))).status_code == 200
    same = await made(client, "Same", "apikeys:view")
    assert (await client.delete(f"{PATH}/{same['id']}", headers=weak)).status_code == 200
    assert (await client.delete(f"{PATH}/{same['id']}", headers=weak)).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 412),
        ({"keyName": " ", "permissions": ["chatflows:view"]}, 412),
        ({"keyName": "A"}, 412),
        ({"keyName": "A", "permissions": []}, 412),
        ({"keyName": "A", "permissions": "chatflows:view"}, 412),
        ({"keyName": "A", "permissions": [1]}, 412),
        ({"keyName": "A", "permissions": ["admin:all"]}, 400),
    ],
)
async def test_what_makes_no_key_is_named(client: httpx.AsyncClient, body: dict[str, Any], status: int) -> None:
    before = (await client.get(PATH)).json()
    assert (await client.post(PATH, json=body)).status_code == status
    assert [key["id"] for key in (await client.get(PATH)).json()] == [key["id"] for key in before]


async def test_a_key_is_renamed_and_ended(client: httpx.AsyncClient, foreign: httpx.AsyncClient) -> None:
    key = await made(client)
    body = {"keyName": "Shop", "permissions": ["variables:view"]}
    assert (await foreign.put(f"{PATH}/{key['id']}", json=body)).status_code == 404
    assert (await foreign.delete(f"{PATH}/{key['id']}")).status_code == 404
    changed = (await client.put(f"{PATH}/{key['id']}", json=body)).json()
    shown = next(item for item in changed if item["id"] == key["id"])
    assert (shown["keyName"], shown["permissions"]) == ("Shop", ["variables:view"])
    assert (await client.get("/api/v1/variables", headers=holding(client, key["apiKey"]))).status_code == 200
    assert (await client.get("/api/v1/chatflows", headers=holding(client, key["apiKey"]))).status_code == 403
    assert (await client.delete(f"{PATH}/{key['id']}")).json() == {"raw": [], "affected": 1}
    assert (await client.get("/api/v1/variables", headers=holding(client, key["apiKey"]))).status_code == 401
    assert (await client.delete(f"{PATH}/{key['id']}")).status_code == 404


async def test_keys_show_the_flows_that_are_bound_to_them(client: httpx.AsyncClient) -> None:
    key = await made(client)
    flow = {"name": "Support", "type": "CHATFLOW", "flowData": '{"nodes": [], "edges": []}', "category": "a;b"}
    assert (await client.post("/api/v1/chatflows", json={**flow, "apikeyid": key["id"]})).status_code == 200
    shown = {item["id"]: item["chatFlows"] for item in (await client.get(PATH)).json()}
    (bound,) = shown.pop(key["id"])
    assert (bound["flowName"], bound["category"]) == ("Support", ["a", "b"])
    assert not any(shown.values())


async def test_lists_are_paged(client: httpx.AsyncClient, resources: Resources, workspace: UUID) -> None:
    for name in ("one", "two"):
        await made(client, name)
    total = len(await service.everything(resources.database, workspace))
    found = (await client.get(PATH, params={"page": 2, "limit": 1})).json()
    assert (found["total"], [key["keyName"] for key in found["data"]]) == (total, ["one"])
    assert (await client.get(PATH, params={"page": -1})).status_code == 412
