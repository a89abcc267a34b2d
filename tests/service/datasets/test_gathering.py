"""From use to tests: rows of rated answers, over a socket."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from psycopg.types.json import Jsonb

from service.api_keys import service as api_keys
from service.settings import Settings
from service.workspaces import DEFAULT_WORKSPACE
from tests.service.predictions.live import Live

CHUNK, DOCUMENT = str(uuid4()), str(uuid4())
SOURCES = [
    {"pageContent": "30 days.", "metadata": {"source": "handbook.md", "docId": DOCUMENT, "chunkId": CHUNK}},
    {"pageContent": "More.", "metadata": {"source": "other.md"}},
    {"pageContent": "Nothing said of itself."},
    "odd",
]


class Wire:
    """A client on a socket, and the rows behind it."""

    def __init__(self, live: Live, client: httpx.Client) -> None:
        self.live = live
        self.client = client

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """A call that must succeed: its answer."""
        response = self.client.post(path, json=body)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def dataset(self) -> str:
        """A new dataset's id."""
        return str(self.post("/datasets/set", name="From use")["id"])

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        """Its rows."""
        found: list[dict[str, Any]] = self.client.get(f"/datasets/set/{dataset}").json()["rows"]
        return found

    def key(self, *scopes: str) -> tuple[UUID, dict[str, str]]:
        """Another key and its header."""
        database = self.live.resources.database
        made, secret = self.live.run(api_keys.create(database, DEFAULT_WORKSPACE, "another", list(scopes)))
        return made.id, {"Authorization": f"Bearer {secret}"}

    def flow(self) -> str:
        """A new chatflow's id."""
        return str(self.post("/chatflows", name="F", type="CHATFLOW", flowData='{"nodes":[],"edges":[]}')["id"])

    def said(self, flow: str, *turns: tuple[str, str], caller: str = "public", session: str = "s") -> list[UUID]:
        """Messages of a conversation, (role, text): the ids."""
        ids = [uuid4() for _ in turns]

        async def write() -> None:
            async with self.live.resources.database.connection() as connection:
                for message, (role, text) in zip(ids, turns, strict=True):
                    await connection.execute(
                        "INSERT INTO chat_messages (id, workspace_id, chatflow_id, caller, session_id, chat_id,"
                        " chat_type, role, content, source_documents)"
                        " VALUES (%s, %s, %s, %s, %s, 'c', 'EXTERNAL', %s, %s, %s)",
                        (message, DEFAULT_WORKSPACE, flow, caller, session, role, text,
                         Jsonb(SOURCES) if role == "apiMessage" else None),
                    )  # fmt: skip

        self.live.run(write())
        return ids

    def rate(self, message: UUID, rating: str, content: str | None = None) -> None:
        """What somebody says of an answer."""
        self.post("/feedback", messageId=str(message), rating=rating, content=content)


@pytest.fixture
def wire(settings: Settings) -> Iterator[Wire]:
    """The application on a socket."""
    with Live(settings) as live:
        _, secret = live.run(api_keys.create(live.resources.database, DEFAULT_WORKSPACE, "tests"))
        headers = {"Authorization": f"Bearer {secret}"}
        with httpx.Client(base_url=f"{live.url}/api/v1", headers=headers, timeout=60) as client:
            yield Wire(live, client)


Q, A = "userMessage", "apiMessage"


def test_rated_answers_become_rows_once(wire: Wire) -> None:
    flow, dataset = wire.flow(), wire.dataset()
    _, good, _, bad, _, unrated = wire.said(
        flow, (Q, "How many days?"), (A, "30 days."), (Q, "When?"), (A, "Never."), (Q, "Who?"), (A, "Nobody.")
    )
    wire.rate(good, "THUMBS_UP")
    wire.rate(bad, "THUMBS_DOWN", "Wrong")
    path = f"/datasets/set/{dataset}/messages"
    assert wire.post(path, chatflowId=flow) == {"created": 2, "known": 0}
    first, second = wire.rows(dataset)
    assert (first["input"], first["output"], first["draft"]) == ("How many days?", "30 days.", False)
    assert first["sources"] == [{"chunkId": CHUNK}, {"source": "other.md"}]
    assert first["metadata"] == {"messageId": str(good), "chatflowId": flow, "rating": "THUMBS_UP"}
    assert (second["input"], second["output"], second["draft"], second["sources"]) == ("When?", "", True, [])
    assert second["metadata"]["feedback"] == "Wrong"
    assert second["metadata"]["answer"] == "Never."
    before = wire.client.get(f"/datasets/set/{dataset}").json()
    assert wire.post(path, chatflowId=flow) == {"created": 0, "known": 2}
    assert wire.client.get(f"/datasets/set/{dataset}").json() == before
    wire.rate(unrated, "THUMBS_UP")
    assert wire.post(path, chatflowId=flow) == {"created": 1, "known": 2}
    assert wire.post(f"/datasets/set/{wire.dataset()}/messages", chatflowId=flow)["created"] == 3


def test_answers_are_chosen_by_rating_date_and_what_names_their_sources(wire: Wire) -> None:
    flow = wire.flow()
    _, good, _, bad = wire.said(flow, (Q, "q1"), (A, "a1"), (Q, "q2"), (A, "a2"))
    wire.rate(good, "THUMBS_UP")
    wire.rate(bad, "THUMBS_DOWN")
    for body, asked in (
        ({"ratings": ["THUMBS_UP"]}, ["q1"]),
        ({"ratings": ["THUMBS_DOWN"]}, ["q2"]),
        ({"ratings": []}, []),
        ({"startDate": "2999-01-01T00:00:00Z"}, []),
        ({"endDate": "2999-01-01T00:00:00Z"}, ["q1", "q2"]),
    ):
        dataset = wire.dataset()
        wire.post(f"/datasets/set/{dataset}/messages", chatflowId=flow, **body)
        assert [row["input"] for row in wire.rows(dataset)] == asked, body
    for gold, first in (("documentId", DOCUMENT), ("source", "handbook.md"), ("quote", "30 days.")):
        dataset = wire.dataset()
        wire.post(f"/datasets/set/{dataset}/messages", chatflowId=flow, gold=gold)
        assert wire.rows(dataset)[0]["sources"][0] == {gold: first}


def test_an_answer_goes_with_the_question_of_its_own_caller(wire: Wire) -> None:
    flow, dataset = wire.flow(), wire.dataset()
    wire.said(flow, (Q, "mine?"), caller="public")
    wire.said(flow, (Q, "theirs?"), caller="key:other")
    (answer,) = wire.said(flow, (A, "yours"), caller="public")
    wire.rate(answer, "THUMBS_UP")
    wire.post(f"/datasets/set/{dataset}/messages", chatflowId=flow)
    assert [(row["input"], row["output"]) for row in wire.rows(dataset)] == [("mine?", "yours")]


def test_who_may_not_read_messages_or_documents_makes_no_rows_of_them(wire: Wire) -> None:
    flow, dataset = wire.flow(), wire.dataset()
    _, open_answer = wire.said(flow, (Q, "open?"), (A, "open"))
    _, bound = wire.said(flow, (Q, "bound?"), (A, "bound"), caller="key:1/user", session="t")
    wire.rate(open_answer, "THUMBS_UP")
    wire.rate(bound, "THUMBS_UP")
    path = f"/datasets/set/{dataset}/messages"
    _, only_datasets = wire.key("datasets:create")
    assert wire.client.post(path, json={"chatflowId": flow}, headers=only_datasets).status_code == 403
    questions = f"/datasets/set/{dataset}/questions"
    assert wire.client.post(questions, json={"storeId": flow}, headers=only_datasets).status_code == 403
    _, no_documents = wire.key("datasets:create", "chatflows:view")
    assert wire.client.post(path, json={"chatflowId": flow}, headers=no_documents).json()["created"] == 1
    assert [row["input"] for row in wire.rows(dataset)] == ["open?"]
    assert wire.post(path, chatflowId=flow) == {"created": 1, "known": 1}
    for unknown in (f"/datasets/set/{uuid4()}/messages", path):
        body = {"chatflowId": flow if unknown != path else str(uuid4())}
        assert wire.client.post(unknown, json=body).status_code == 404
