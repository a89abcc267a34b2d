"""Drafts of questions from a document store: from sentences, and by a model."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from service.settings import Settings
from service.worker.runner import Runner
from tests.service.datasets.conftest import API, Desk
from tests.service.document_stores.conftest import settings, talk, worker  # noqa: F401  # fixtures
from tests.service.document_stores.talk import Talk
from tests.stubs.openai_server import KEY, OpenAIStub, Script

TEXTS = {
    "leave.txt": "Employees who work full time get 30 days of leave a year. They ask for it in the portal.",
    "travel.txt": "The travel desk is a team of four people in the finance department. It opens at nine.",
}


@pytest.fixture
async def store(talk: Talk, worker: Runner) -> str:  # noqa: F811
    """A document store of two chunks."""
    made = await talk.store()
    await talk.upsert(made, *TEXTS.items())
    return made


async def drafted(client: httpx.AsyncClient, dataset: str, store: str, **body: Any) -> dict[str, Any]:
    """What became of the wish for questions."""
    answer = await client.post(f"{API}/set/{dataset}/questions", json={"storeId": store, **body}, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_questions_are_drafted_from_sentences_once_a_chunk(desk: Desk, talk: Talk, store: str) -> None:  # noqa: F811
    dataset, other = await desk.dataset(), await desk.dataset("other")
    done = await drafted(desk.client, dataset, store)
    assert (done["created"], done["byModel"]) == (2, 0)
    assert "RAGSTONE_CHAT_MODEL" in done["fallback"]
    chunks = {item["id"]: item["pageContent"] for item in (await talk.chunks(store))["chunks"]}
    for row in (await desk.read(dataset))["rows"]:
        assert row["draft"]
        assert row["metadata"]["quote"] in chunks[row["sources"][0]["chunkId"]]
        assert row["metadata"]["source"] in TEXTS
        assert row["metadata"]["draftedBy"] == "sentences"
    again = await drafted(desk.client, dataset, store, useModel=False)
    assert again == {"created": 0, "byModel": 0, "fallback": None}
    assert (await drafted(desk.client, other, store, gold="quote", count=1))["created"] == 1
    assert list((await desk.read(other))["rows"][0]["sources"][0]) == ["quote"]
    unknown = await desk.client.post(f"{API}/set/{dataset}/questions", json={"storeId": str(uuid4())})
    assert unknown.status_code == 404


async def test_documents_that_not_everybody_may_find_are_asked_for_nothing(desk: Desk, talk: Talk, store: str) -> None:  # noqa: F811
    async with talk.resources.database.connection() as connection:
        await connection.execute("UPDATE documents SET principals = '{group:hr}'")
    assert (await drafted(desk.client, await desk.dataset(), store))["created"] == 0


class TestWithAModel:
    """With RAGSTONE_CHAT_MODEL."""

    @pytest.fixture
    def stub(self) -> Iterator[OpenAIStub]:
        with OpenAIStub() as stub:
            yield stub

    @pytest.fixture
    def settings(self, settings: Settings, stub: OpenAIStub) -> Settings:  # noqa: F811
        more = {"chat_model": "openai:stub-model", "openai_base_url": stub.url, "openai_api_key": KEY}
        return Settings.model_validate(settings.model_dump() | more)

    async def test_it_writes_questions_and_what_it_fails_at_is_made_without_it(
        self, desk: Desk, store: str, stub: OpenAIStub
    ) -> None:
        good = '{"question": "How many days of leave are there?", "answer": "30 days a year.", "quote": "nowhere"}'
        stub.script(Script(reply=good), times=None)
        dataset = await desk.dataset()
        assert await drafted(desk.client, dataset, store) == {"created": 2, "byModel": 2, "fallback": None}
        rows = (await desk.read(dataset))["rows"]
        assert {(row["input"], row["output"]) for row in rows} == {
            ("How many days of leave are there?", "30 days a year.")
        }
        assert {row["metadata"]["draftedBy"] for row in rows} == {"model"}
        assert "<data-" in str(stub.requests[-1].body)
        for script, told in ((Script(reply="No."), "no JSON"), (Script(status=400), "2 without the model")):
            stub.reset()
            stub.script(script, times=None)
            other = await desk.dataset("other")
            done = await drafted(desk.client, other, store)
            assert (done["created"], done["byModel"]) == (2, 0)
            assert told in done["fallback"]
