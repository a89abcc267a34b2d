"""Evaluators as clients of Flowise see them, over a socket (contract 5.2): the four types, routes and refusals."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.compat.keys import client_of, opened_by, stranger_of
from tests.compat.test_datasets import DATE, DELETED, refused, said
from tests.service.predictions.conftest import House

COMMON = ["id", "name", "type", "createdDate", "updatedDate", "workspaceId"]
SCHEMA = [{"id": 0, "property": "score", "type": "number", "description": "From 0 to 1", "required": True}]
KINDS: dict[str, dict[str, Any]] = {
    "text": {"operator": "ContainsAny", "value": "30, thirty"},
    "json": {"operator": "IsValidJSON"},
    "numeric": {"measure": "apiLatency", "operator": "lessThan", "value": 900},
    "llm": {"prompt": "Is {actualOutput} {expectedOutput} for {question}?", "outputSchema": SCHEMA},
}


def made(client: httpx.Client, kind: str, **fields: Any) -> dict[str, Any]:
    """A new evaluator of a type."""
    found: dict[str, Any] = said(client.post("/evaluators", json={"name": kind, "type": kind, **KINDS[kind], **fields}))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluator_from_its_first_call_to_its_last(house: House, kind: str) -> None:
    client = house.client
    kept = made(client, kind)
    assert list(kept)[: len(COMMON)] == COMMON
    assert set(kept) == {*COMMON, *KINDS[kind]}  # fields of other types are not there, not even as null
    assert {name: kept[name] for name in KINDS[kind]} == KINDS[kind]
    assert (kept["name"], kept["type"], UUID(kept["id"]).version) == (kind, kind, 4)
    assert DATE.fullmatch(kept["createdDate"])
    assert said(client.get(f"/evaluators/{kept['id']}")) == kept
    assert said(client.get("/evaluators")) == [kept]
    assert said(client.get("/evaluators?page=1&limit=1")) == {"total": 1, "data": [kept]}
    changed = said(client.put(f"/evaluators/{kept['id']}", json={**kept, "name": "other"}))
    assert changed == {**kept, "name": "other", "updatedDate": changed["updatedDate"]}
    assert changed["updatedDate"] >= kept["updatedDate"]
    assert said(client.delete(f"/evaluators/{kept['id']}/")) == DELETED
    assert said(client.get("/evaluators")) == []


def test_what_editors_send_is_read_as_they_mean_it(house: House) -> None:
    client = house.client
    assert made(client, "numeric", value="900")["value"] == 900  # a form's field is a text
    assert made(client, "numeric", value=" -1 ")["value"] == -1
    assert made(client, "text", measure="", prompt="", outputSchema=[])["operator"] == "ContainsAny"
    by_path = said(client.post(f"/evaluators/{uuid4()}", json={"name": "p", "type": "json", **KINDS["json"]}))
    assert said(client.get(f"/evaluators/{by_path['id']}")) == by_path
    assert said(client.post("/evaluators/", json={"name": "s", "type": "json", **KINDS["json"]}))["name"] == "s"
    assert [item["name"] for item in said(client.get("/evaluators?page=2&limit=2"))["data"]] == ["text", "numeric"]


def test_what_flowise_fails_at_with_500_is_named_here(house: House) -> None:
    client, unknown = house.client, str(uuid4())
    body = {"name": "n", "type": "json", **KINDS["json"]}
    for method in ("GET", "PUT", "DELETE"):
        refused(client.request(method, f"/evaluators/{unknown}", json=body), 404, unknown)
    refused(client.post("/evaluators", json={**body, "type": "regex"}), 422, "type", "text, json, numeric, llm")
    refused(client.post("/evaluators", json={**body, "operator": "IsJSON"}), 422, "operator", "IsValidJSON")
    refused(client.post("/evaluators", json={"type": "json", **KINDS["json"]}), 422, "name")
    refused(client.post("/evaluators"), 412)
    refused(client.put("/evaluators", json=body), 412)
    refused(client.get("/evaluators?page=-1&limit=2"), 412)
    refused(client.get("/evaluators/7"), 422, "id")
    assert said(client.get("/evaluators")) == []


def test_keys_open_the_routes_of_their_permissions_and_workspaces_see_their_own(house: House) -> None:
    kept = made(house.client, "json")
    routes: dict[tuple[str, str], set[str]] = {
        ("GET", "/evaluators"): {"view"},
        ("GET", f"/evaluators/{kept['id']}"): {"view"},
        ("POST", "/evaluators"): {"create"},
        ("POST", f"/evaluators/{kept['id']}"): {"create"},
        ("PUT", f"/evaluators/{kept['id']}"): {"create", "update"},
        ("DELETE", f"/evaluators/{uuid4()}"): {"delete"},
    }
    for action in ("view", "create", "update", "delete"):
        with client_of(house.live, f"evaluators:{action}") as keyed:
            for (method, path), allowed in routes.items():
                assert opened_by(keyed, method, path, kept) == (action in allowed), f"{action}: {method} {path}"
    with stranger_of(house.live) as stranger:
        assert said(stranger.get("/evaluators")) == []
        for method in ("GET", "PUT", "DELETE"):
            refused(stranger.request(method, f"/evaluators/{kept['id']}", json=kept), 404)
    assert said(house.client.get(f"/evaluators/{kept['id']}"))["type"] == "json"


def test_an_evaluator_that_is_sent_twice_is_kept_once(house: House) -> None:
    body = {"name": "once", "type": "json", **KINDS["json"]}
    first, second = (house.client.post("/evaluators", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert said(first) == said(second)
    assert len(said(house.client.get("/evaluators"))) == 1
