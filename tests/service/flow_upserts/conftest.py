"""A worker beside the application, and what clients do with the vector stores of chatflows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.resources import Resources
from service.settings import Settings, load
from tests.service.document_stores.conftest import worker  # noqa: F401  # fixtures
from tests.service.document_stores.talk import Talk
from tests.service.flow_upserts.flows import part

API = "/api/v1"
File = tuple[str, bytes | str]


@dataclass(slots=True)
class Flows:
    """One client, and the resources behind the application."""

    client: httpx.AsyncClient
    talk: Talk

    async def make(self, flow_data: str, **columns: Any) -> str:
        """A new chatflow's id."""
        body = {"name": "Flow", "type": "CHATFLOW", "flowData": flow_data, **columns}
        response = await self.client.post(f"{API}/chatflows", json=body)
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    async def send(
        self, flow: str, *files: File, client: httpx.AsyncClient | None = None, headers: Any = None, **fields: str
    ) -> httpx.Response:
        """An upsert: a form with files, or JSON without."""
        client = client or self.client
        url = f"{API}/vector/upsert/{flow}"
        if files:
            return await client.post(url, files=[part(*file) for file in files], data=fields, headers=headers)
        return await client.post(url, json=fields, headers=headers)

    async def upsert(self, flow: str, *files: File, **fields: Any) -> dict[str, Any]:
        """An upsert that must succeed: its answer."""
        response = await self.send(flow, *files, **fields)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def ask(self, flow: str, question: str, chat: str = "c1") -> list[str]:
        """The texts of the passages that an answer rests on."""
        body = {"question": question, "chatId": chat}
        response = await self.client.post(f"{API}/prediction/{flow}", json=body)
        assert response.status_code == 200, response.text
        return [item["pageContent"] for item in response.json()["sourceDocuments"]]


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Connections for a worker in the same process; stubs of other hosts answer on this machine."""
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12}
    return load({}, {**place, "egress_allow": "127.0.0.1"})


@pytest.fixture
def flows(client: httpx.AsyncClient, resources: Resources, workspace: UUID) -> Flows:
    """What clients do with chatflows."""
    return Flows(client, Talk(client, resources, workspace))
