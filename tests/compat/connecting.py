"""Gives an imported flow what the check says that it lacks: credentials for its nodes, and servers that are stubs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.chatflows.steps import STEPS
from service.chatflows.steps.base import Step
from service.credentials.hosts import HOMES
from service.document_stores.types import Owner
from service.plugins import resolve
from service.providers.chat.services import OWN_PROTOCOLS, SERVICES
from tests.service.predictions.conftest import House
from tests.stubs.model_servers import ModelStub

HERE = "127.0.0.1"

SEARCHED = {
    "braveSearchApi": ("api.search.brave.com",),
    "googleCustomSearchApi": ("www.googleapis.com",),
    "serpApi": ("serpapi.com",),
    "serperApi": ("google.serper.dev",),
}
"""Hosts of tools that no flow here calls."""


def point_services_to(stub: ModelStub, patch: pytest.MonkeyPatch) -> None:
    """Every service of models answers at the stub, as if its name led there."""
    for name, service in SERVICES.items():
        if service.url:
            patch.setitem(SERVICES, name, replace(service, url=stub.url))
    for name, (_, fields) in OWN_PROTOCOLS.items():
        patch.setitem(OWN_PROTOCOLS, name, (stub.root, fields))


def kinds_of(report: Mapping[str, Any]) -> set[str]:
    """The kinds of credential that a check found missing."""
    return {kind for node in report["nodes"] for problem in node["problems"] for kind in problem["credentials"][:1]}


def saved(client: httpx.Client, kind: str) -> str:
    """A new credential of this kind, which may be sent to stubs and to its provider."""
    component = client.get(f"/components-credentials/{kind}").json()
    values = {item["name"]: "stub" for item in component["inputs"] if item["type"] in ("string", "password", "url")}
    hosts = ",".join([HERE, *HOMES.get(kind, ()), *SEARCHED.get(kind, ())])
    body = {"name": kind, "credentialName": kind, "plainDataObj": {**values, "allowedHosts": hosts}}
    response = client.post("/credentials", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


def connected(
    flow_data: str, credentials: Mapping[str, str], edits: Mapping[str, Mapping[str, Any]] | None = None
) -> str:
    """The flow with a credential chosen wherever one of these kinds fits, and with `edits` of inputs by node name."""
    data = json.loads(flow_data)
    for node in data["nodes"]:
        inner = node["data"]
        inner["inputs"] = {**inner.get("inputs", {}), **(edits or {}).get(inner["name"], {})}
        if chosen := _fitting(inner["name"], credentials):
            inner["credential"] = chosen
        for holder, field, name in list(_configured(inner["inputs"])):
            if chosen := _fitting(name, credentials):
                config = holder.get(f"{field}Config")
                holder[f"{field}Config"] = {**(config or {}), "FLOWISE_CREDENTIAL_ID": chosen}
    return json.dumps(data)


def _fitting(name: str, credentials: Mapping[str, str]) -> str | None:
    if name not in STEPS:
        return None
    step: type[Step] = resolve(STEPS, name, "node")
    return next((credentials[kind] for kind in step.credential if kind in credentials), None)


def _configured(value: Any) -> Iterator[tuple[dict[str, Any], str, str]]:
    """What an agentflow's node uses: the object that names it, the field, the name."""
    if isinstance(value, list):
        for item in value:
            yield from _configured(item)
    elif isinstance(value, dict):
        for field, item in value.items():
            if isinstance(item, str) and item in STEPS and not field.startswith("agentModelConfig"):
                yield value, field, item
            elif not field.endswith("Config"):
                yield from _configured(item)


def fill(house: House, flow: str, text: str, asked: Mapping[str, Any]) -> None:
    """Fill the nodes of Pinecone that engines ask whatever the question is; they refuse to be asked before."""
    nodes = [node["id"] for node in json.loads(text).get("nodes", ()) if node["data"]["name"] == "pineconeLlamaIndex"]
    if nodes:
        early = house.client.post(f"/internal-prediction/{flow}", json=asked)
        assert (early.status_code, early.json()["code"]) == (422, "flow_not_runnable")
        assert f"/api/v1/vector/upsert/{flow}" in early.json()["message"]
        house.shelf.filled |= {Owner(UUID(flow), node, "").store_id for node in nodes}
