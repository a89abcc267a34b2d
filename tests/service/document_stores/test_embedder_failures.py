"""Embedding providers that limit, fail, hang and lie: waited for, given up with a reason, never believed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.document_stores import pacing
from service.settings import Settings, load
from tests.service.document_stores.talk import Talk, passages
from tests.stubs.openai_server import Lie, OpenAIStub, Script

pytestmark = pytest.mark.usefixtures("worker")

MANY = [f"Topic{number}" for number in range(150)]


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """With little patience for a silent provider."""
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12}
    return load({}, {**place, "egress_allow": "127.0.0.1", "provider_timeout": 0.3})


@pytest.fixture
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub() as opened:
        yield opened


async def store_of(talk: Talk, stub: OpenAIStub) -> str:
    return await talk.store(embeddingConfig={"name": "openAIEmbeddings", "config": {"basepath": stub.url}})


def asked(stub: OpenAIStub) -> list[int]:
    """How many texts each request brought, but for the one that asks for the size of vectors."""
    return [len(item.body["input"]) for item in stub.requests if item.body["input"] != ["size"]]


@pytest.mark.parametrize(
    "failure",
    [
        Script(status=429),
        Script(status=429, retry_after=0.5),
        Script(status=500),
        Script(status=503),
        Script(hang=True),
    ],
    ids=["429", "429 with Retry-After", "500", "503", "silence"],
)
async def test_what_passes_is_waited_for_and_the_job_goes_on_at_its_batch(
    talk: Talk, stub: OpenAIStub, failure: Script
) -> None:
    store = await store_of(talk, stub)
    stub.script(Script(), times=2)  # the size of the vectors, the first batch
    stub.script(failure, times=1)
    stub.script(Script(), times=None)
    answer = await talk.upsert(store, ("a.txt", passages(*MANY)))
    assert (answer["numAdded"], answer["failed"]) == (150, [])
    assert sum(asked(stub)) <= 150 + 64  # the batch that failed, again; no other
    assert {row["attempts"] for row in await talk.rows("SELECT attempts FROM jobs WHERE kind = 'ingest'")} == {1}
    await talk.holds_together()


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (Script(status=429, retry_after=3600), 429, "provider_rate_limited"),
        (Script(status=500), 503, "provider_unavailable"),
        (Script(hang=True), 504, "provider_timeout"),
    ],
    ids=["429", "500", "silence"],
)
async def test_what_does_not_pass_ends_with_its_reason_and_can_be_retried(
    talk: Talk, stub: OpenAIStub, monkeypatch: pytest.MonkeyPatch, failure: Script, status: int, code: str
) -> None:
    monkeypatch.setattr(pacing, "PATIENCE_SECONDS", 1.0)
    store = await store_of(talk, stub)
    await talk.upsert(store, ("old.txt", passages("Old")))
    stub.script(failure, times=None)
    response = await talk.send(store, ("a.txt", passages("Alpha")))
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert {document["name"]: document["errorCode"] for document in await talk.documents(store)} == {
        "old.txt": None, "a.txt": code
    }  # fmt: skip
    stub.reset()
    job = (await talk.rows("SELECT id FROM jobs WHERE state = 'failed'"))[0]["id"]
    again = (await talk.client.post(f"/api/v1/jobs/{job}/retry")).json()
    assert (await talk.end(again["url"]))["result"]["numAdded"] == 1
    assert asked(stub) == [1]
    assert sorted(text.split()[0] for text in await talk.texts(store)) == ["Alpha", "Old"]
    await talk.holds_together()


@pytest.mark.parametrize("lie", [Lie.WRONG_DIMENSION, Lie.NAN, Lie.ZERO, Lie.WRONG_COUNT, Lie.UNEVEN, Lie.NOT_JSON])
async def test_a_lie_in_a_later_batch_is_refused_and_leaves_nothing(talk: Talk, stub: OpenAIStub, lie: Lie) -> None:
    store = await store_of(talk, stub)
    stub.script(Script(), times=2)
    stub.script(Script(lie=lie), times=None)
    response = await talk.send(store, ("a.txt", passages(*MANY)))
    body: dict[str, Any] = response.json()
    assert response.status_code == 502, body
    assert body["code"] in ("provider_wrong_shape", "provider_malformed")
    assert await talk.texts(store) == []
    assert [document["errorCode"] for document in await talk.documents(store)] == [body["code"]]
    await talk.holds_together()
