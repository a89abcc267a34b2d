"""A document in, an answer with its source out: upsert, chatflow and prediction over the real document stores."""

from uuid import UUID

import httpx
import pytest

from service.providers.embedding.onnx import OnnxEmbedder
from service.resources import Resources
from service.worker.runner import Runner
from tests.service.chatflows.flows import rag
from tests.service.document_stores.conftest import settings, worker  # noqa: F401  # fixtures
from tests.service.predictions.live import DEFAULT_WORKSPACE

API = "/api/v1"
HANDBOOK = b"""# Handbook

## Leave

Every employee has 30 days of paid leave a year.

## Hours

The office in Bergen opens at eight o'clock.
"""


async def handbook(client: httpx.AsyncClient) -> tuple[str, str]:
    """A document store that holds the handbook, and a chatflow that asks it."""
    store = (await client.post(f"{API}/document-store/store", json={"name": "Handbook"})).json()["id"]
    files = {"files": ("handbook.md", HANDBOOK, "text/markdown")}
    upserted = await client.post(f"{API}/document-store/upsert/{store}", files=files, timeout=60)
    assert upserted.status_code == 200, upserted.text
    body = {"name": "Ask", "type": "CHATFLOW", "flowData": rag(store)}
    return store, (await client.post(f"{API}/chatflows", json=body)).json()["id"]


async def test_an_upserted_document_answers(client: httpx.AsyncClient, worker: Runner) -> None:  # noqa: F811
    _, flow = await handbook(client)
    answer = (await client.post(f"{API}/prediction/{flow}", json={"question": "When does the office open?"})).json()
    assert "opens at eight o'clock. [1]" in answer["text"]
    metadata = answer["sourceDocuments"][0]["metadata"]
    assert "handbook.md" in str(metadata["source"])
    assert {"docId", "score", "chunkId", "heading"} <= metadata.keys()
    written = HANDBOOK.decode()[metadata["start"] : metadata["end"]]
    assert answer["sourceDocuments"][0]["pageContent"] == written
    (place,) = metadata["quotes"]
    assert written[place["start"] : place["end"]] == "The office in Bergen opens at eight o'clock."
    again = await client.post(f"{API}/prediction/{flow}", json={"question": "Who won the cup of 1974 in football?"})
    assert again.json()["sourceDocuments"] == []


async def test_first_questions_are_begun_before_their_caller_is_let_in_and_no_others(
    client: httpx.AsyncClient,
    worker: Runner,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, flow = await handbook(client)
    begun: list[str] = []
    monkeypatch.setattr(OnnxEmbedder, "foresee", lambda _, text: begun.append(text))

    async def ask(question: str, **more: object) -> str:
        answer = await client.post(f"{API}/prediction/{flow}", json={"question": question, **more})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["text"])

    first = await ask("When does the office open?")
    assert not begun, "the flow was not known here"
    assert await ask(" When does the office open? ") == first
    assert begun == ["When does the office open?"]
    await ask("And in winter?", chatId="talk")  # may have earlier turns, which change what is looked up
    await ask("And in summer?", overrideConfig={"sessionId": "talk"})
    await ask("And at night?", history=[{"role": "userMessage", "content": "When does the office open?"}])
    assert len(begun) == 1


async def test_a_document_store_that_was_deleted_is_missed_before_the_run_by_every_process(
    client: httpx.AsyncClient,
    resources: Resources,
    worker: Runner,  # noqa: F811
) -> None:
    store, flow = await handbook(client)
    question = {"question": "When does the office open?"}
    assert (await client.post(f"{API}/prediction/{flow}", json=question)).status_code == 200
    known, row = resources.flows.get(UUID(flow)), resources.stores.get(DEFAULT_WORKSPACE, UUID(store))
    assert (await client.post(f"{API}/prediction/{flow}", json=question)).status_code == 200
    assert resources.flows.get(UUID(flow)) is known, "nothing is compiled anew for the lookup"
    assert (await client.delete(f"{API}/document-store/store/{store}")).status_code == 200
    assert row is not None
    resources.stores.keep(row)  # as processes have it that did not delete it
    refused = await client.post(f"{API}/prediction/{flow}", json=question)
    assert refused.status_code == 422, refused.text
    assert f"there is no document store {store} here" in refused.json()["message"]
