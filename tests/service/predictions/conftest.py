"""A running application with a document store of two passages and a model that does what it is told."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from service.api_keys import service as api_keys
from service.predictions import records
from service.settings import Settings
from tests.service.chatflows.flows import openai, rag
from tests.service.predictions.live import DEFAULT_WORKSPACE, Live, Shelf
from tests.stubs.openai_server import OpenAIStub


@dataclass(frozen=True, slots=True)
class House:
    """Everything a prediction needs, and a client that may do everything."""

    live: Live
    shelf: Shelf
    stub: OpenAIStub
    client: httpx.Client
    key: str

    def flow(self, flow_data: str, **columns: Any) -> str:
        """A new chatflow's id."""
        body = {"name": "Flow", "type": "CHATFLOW", "flowData": flow_data, **columns}
        response = self.client.post("/chatflows", json=body)
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def quoting(self, **parts: Any) -> str:
        """A flow that quotes."""
        return self.flow(rag(self.shelf.store, **parts))

    def writing(self, columns: dict[str, Any] | None = None, model: dict[str, Any] | None = None, **parts: Any) -> str:
        """A flow whose model writes."""
        return self.flow(
            rag(self.shelf.store, model=openai(self.stub.url, **(model or {})), **parts), **(columns or {})
        )

    def ask(self, flow: str, question: str = "How many days of leave?", **body: Any) -> httpx.Response:
        """A prediction by a caller without a key."""
        return httpx.post(f"{self.live.url}/api/v1/prediction/{flow}", json={"question": question, **body}, timeout=60)

    def own(self, flow: str, question: str = "How many days of leave?", **body: Any) -> httpx.Response:
        """A prediction by somebody who is told everything."""
        return self.client.post(f"/prediction/{flow}", json={"question": question, **body})

    def messages(self, flow: str) -> list[dict[str, Any]]:
        """What is stored of a flow's conversations."""

        async def read() -> list[dict[str, Any]]:
            async with self.live.resources.database.read(DEFAULT_WORKSPACE) as scope:
                from uuid import UUID

                return await records.messages(scope, UUID(flow))

        return self.live.run(read())


@pytest.fixture(scope="session")
def _stub() -> Iterator[OpenAIStub]:
    with OpenAIStub() as stub:
        yield stub


@pytest.fixture
def stub(_stub: OpenAIStub) -> OpenAIStub:
    """The model server, without scripts."""
    _stub.reset()
    return _stub


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The document store."""
    shelf = Shelf()
    monkeypatch.setattr("service.document_stores.search.search", shelf.search)
    monkeypatch.setattr("service.document_stores.search.store_of", shelf.look)
    return shelf


@pytest.fixture
def patience() -> float:
    """Seconds for which models are waited for; tests of silent ones give it other values."""
    return 30.0


@pytest.fixture
def live(settings: Settings, patience: float) -> Iterator[Live]:
    """The application on a socket."""
    with Live(settings.model_copy(update={"provider_timeout": patience})) as live:
        yield live


@pytest.fixture
def house(live: Live, shelf: Shelf, stub: OpenAIStub) -> Iterator[House]:
    """All of it."""
    _, secret = live.run(api_keys.create(live.resources.database, DEFAULT_WORKSPACE, "tests"))
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=f"{live.url}/api/v1", headers=headers, timeout=60) as client:
        yield House(live, shelf, stub, client, secret)
