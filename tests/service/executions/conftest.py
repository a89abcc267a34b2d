"""A running application whose agentflows do what their questions say."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.api_keys import service as api_keys
from service.chatflows.run import Run
from service.predictions import records
from service.settings import Settings
from tests.service.executions.agents import ScriptedFlow, graph
from tests.service.predictions.live import DEFAULT_WORKSPACE, Live


@dataclass(frozen=True, slots=True)
class Desk:
    """The application on a socket, and a client that may do everything."""

    live: Live
    client: httpx.Client
    runs: list[Run] = field(default_factory=list)

    def flow(self, columns: dict[str, Any] | None = None, **inputs: Any) -> str:
        """A new agentflow's id, with these fields of its start node."""
        body = {"name": "Agents", "type": "AGENTFLOW", "flowData": graph(**inputs), **(columns or {})}
        response = self.client.post("/chatflows", json=body)
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def ask(self, flow: str, question: str = "hello", **body: Any) -> httpx.Response:
        """A prediction by a caller without a key."""
        return self.open("POST", f"/prediction/{flow}", json={"question": question, **body})

    def answer(self, flow: str, decision: str = "proceed", feedback: str = "", **body: Any) -> httpx.Response:
        """What a person says to a run that waits."""
        human = {"type": decision, "startNodeId": "human_0", "feedback": feedback}
        return self.open("POST", f"/prediction/{flow}", json={"humanInput": human, **body})

    def open(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A call without a key."""
        return httpx.request(method, f"{self.live.url}/api/v1{path}", timeout=60, **options)

    def executions(self, **query: Any) -> list[dict[str, Any]]:
        """What is listed."""
        listed = self.client.get("/executions", params=query).json()["data"]
        assert isinstance(listed, list)
        return listed

    def nodes(self, execution: str) -> list[dict[str, Any]]:
        """What ran in an execution."""
        found = json.loads(self.client.get(f"/executions/{execution}").json()["executionData"])
        assert isinstance(found, list)
        return found

    def rows(self, flow: str) -> list[dict[str, Any]]:
        """What is stored of a flow's conversations."""

        async def read() -> list[dict[str, Any]]:
            async with self.live.resources.database.read(DEFAULT_WORKSPACE) as scope:
                return await records.messages(scope, UUID(flow))

        return self.live.run(read())

    def run_sql(self, statement: Any, *values: Any) -> None:
        """Change the database behind the service's back."""

        async def execute() -> None:
            async with self.live.resources.database.connection() as connection:
                await connection.execute(statement, values)

        self.live.run(execute())


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs of agentflows, which are scripted ones from now on."""
    seen: list[Run] = []
    monkeypatch.setattr("service.chatflows.service.compile_agentflow", lambda *_a, **_o: ScriptedFlow(seen))
    return seen


@pytest.fixture
def live(settings: Settings, runs: list[Run]) -> Iterator[Live]:
    """The application on a socket."""
    with Live(settings) as live:
        yield live


@pytest.fixture
def desk(live: Live, runs: list[Run]) -> Iterator[Desk]:
    """All of it."""
    _, secret = live.run(api_keys.create(live.resources.database, DEFAULT_WORKSPACE, "tests"))
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=f"{live.url}/api/v1", headers=headers, timeout=60) as client:
        yield Desk(live, client, runs)
