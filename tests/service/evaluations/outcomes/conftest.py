"""A running application with its worker, on a socket: document stores, flows and datasets of the test's own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from service.settings import Settings
from tests.compat.keys import client_of
from tests.compat.test_datasets import said
from tests.service.chatflows.flows import openai, rag
from tests.service.document_stores.talk import FAKE
from tests.service.predictions.conftest import _stub, stub  # noqa: F401  # fixtures
from tests.service.predictions.live import Live
from tests.service.webhooks.conftest import working
from tests.stubs.openai_server import OpenAIStub

TEXTS = {
    "leave.md": "Every employee has 30 days of paid leave a year.",
    "hours.md": "The office in Bergen opens at eight o'clock.",
    "travel.md": "Journeys by train are paid in full.",
}
ROWS: Sequence[Mapping[str, Any]] = (
    {"input": "How many days of paid leave are there?", "output": "30 days", "sources": ["leave.md"]},
    {"input": "When does the office in Bergen open?", "output": "eight o'clock", "sources": ["hours.md"]},
    {"input": "Are journeys by train paid?", "output": "in full", "sources": ["travel.md"]},
)


@dataclass(frozen=True, slots=True)
class Desk:
    """A client that may do everything, and what it evaluates."""

    live: Live
    client: httpx.Client
    stub: OpenAIStub

    def store(self, name: str = "Handbook", texts: Mapping[str, str] = TEXTS) -> str:
        """A document store with these files."""
        body = {"name": name, "embeddingConfig": json.dumps(FAKE)}
        made = str(said(self.client.post("/document-store/store", json=body))["id"])
        files = [("files", (name, text.encode())) for name, text in texts.items()]
        response = self.client.post(f"/document-store/upsert/{made}", files=files)
        assert response.status_code == 200, response.text
        return made

    def dataset(self, rows: Sequence[Mapping[str, Any]] = ROWS, name: str = "Leave") -> str:
        """A dataset with these rows."""
        made = str(said(self.client.post("/datasets/set", json={"name": name}))["id"])
        said(self.client.post(f"/datasets/set/{made}/import", json={"rows": list(rows)}))
        return made

    def flow(self, store: str, *, model: bool = False, name: str = "Flow") -> str:
        """A chatflow over a document store that quotes, or whose model writes."""
        data = rag(store, model=openai(self.stub.url) if model else None)
        body = {"name": name, "type": "CHATFLOW", "flowData": data}
        return str(said(self.client.post("/chatflows", json=body))["id"])

    def evaluator(self, name: str, kind: str, **fields: Any) -> str:
        """A kept evaluator."""
        return str(said(self.client.post("/evaluators", json={"name": name, "type": kind, **fields}))["id"])

    def begin(self, dataset: str, *targets: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        """A new evaluation of these targets, as it is queued."""
        body = {"name": "Run", "datasetId": dataset, "targets": list(targets), **fields}
        return dict(said(self.client.post("/evaluations", json=body), 202))

    def ended(self, evaluation: Mapping[str, Any]) -> dict[str, Any]:
        """The job of an evaluation when it has ended."""
        job = said(self.client.get(f"/jobs/{evaluation['jobId']}?wait=60"))
        assert job["state"] in ("done", "failed", "cancelled"), job
        return dict(job)

    def run(self, dataset: str, *targets: Mapping[str, Any], **fields: Any) -> str:
        """The id of an evaluation that was run to its end."""
        made = self.begin(dataset, *targets, **fields)
        assert self.ended(made)["state"] == "done"
        return str(made["id"])

    def read(self, path: str, **query: Any) -> Any:
        """What a route of evaluations answers."""
        return said(self.client.get(f"/evaluations/{path}", params=query))


@pytest.fixture
def live(settings: Settings) -> Iterator[Live]:
    """The application on a socket, with connections for a worker beside it."""
    with Live(settings.model_copy(update={"database_pool": 12})) as live:
        yield live


@pytest.fixture
def worker(live: Live) -> Iterator[None]:
    """A worker in the application's process."""
    yield from working(live)


@pytest.fixture
def desk(live: Live, worker: None, stub: OpenAIStub) -> Iterator[Desk]:  # noqa: F811
    """All of it."""
    with client_of(live) as client:
        yield Desk(live, client, stub)
