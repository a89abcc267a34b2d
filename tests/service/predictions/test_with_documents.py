"""A document in, an answer with its source out: upsert, chatflow and prediction over the real document stores."""

import httpx

from service.worker.runner import Runner
from tests.service.chatflows.flows import rag
from tests.service.document_stores.conftest import settings, worker  # noqa: F401  # fixtures

API = "/api/v1"
HANDBOOK = b"""# Handbook

## Leave

Every employee has 30 days of paid leave a year.

## Hours

The office in Bergen opens at eight o'clock.
"""


async def test_an_upserted_document_answers(client: httpx.AsyncClient, worker: Runner) -> None:  # noqa: F811
    store = (await client.post(f"{API}/document-store/store", json={"name": "Handbook"})).json()["id"]
    files = {"files": ("handbook.md", HANDBOOK, "text/markdown")}
    upserted = await client.post(f"{API}/document-store/upsert/{store}", files=files, timeout=60)
    assert upserted.status_code == 200, upserted.text
    body = {"name": "Ask", "type": "CHATFLOW", "flowData": rag(store)}
    flow = (await client.post(f"{API}/chatflows", json=body)).json()["id"]
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
