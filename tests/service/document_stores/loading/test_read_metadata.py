"""Additional metadata that loaders of JSON read in the file, by pointers, as Flowise's do."""

import json
from typing import Any

import httpx
import pytest

from tests.service.document_stores.loading.form import call, data_uri, loader
from tests.service.document_stores.talk import Talk

pytestmark = pytest.mark.usefixtures("worker")

RECORDS = ({"text": "Cats sleep.", "from": {"page": 3}}, {"text": "Dogs bark.", "from": {"page": 4}, "by": "Ann"})
LINES = "\n".join(json.dumps(record) for record in RECORDS)
POINTERS = {"page": "/from/page", "by": "/by", "shelf": "/animals/pets", "team": "ops"}
READ = [{"page": 3, "shelf": "/animals/pets", "team": "ops"}]
READ += [{**READ[0], "page": 4, "by": "Ann"}]


@pytest.mark.parametrize(
    ("component", "config"),
    [
        ("jsonlinesFile", {"jsonlinesFile": data_uri("a.jsonl", LINES), "pointerName": "text"}),
        (
            "jsonFile",
            {"jsonFile": data_uri("a.json", json.dumps(RECORDS)), "pointersName": "/text", "separateByObject": True},
        ),
    ],
)
async def test_pointers_become_what_stands_there(
    client: httpx.AsyncClient, component: str, config: dict[str, Any]
) -> None:
    for metadata in (POINTERS, json.dumps(POINTERS)):
        body = loader(component, {**config, "metadata": metadata, "omitMetadataKeys": "*"})
        found = await call(client, "loader/preview", body)
        assert [chunk["metadata"] for chunk in found["chunks"]] == READ


async def test_other_loaders_take_texts_as_they_are(client: httpx.AsyncClient) -> None:
    config = {"text": "Cats sleep.", "metadata": POINTERS, "omitMetadataKeys": "*"}
    found = await call(client, "loader/preview", loader("plainText", config))
    assert found["chunks"][0]["metadata"] == POINTERS


async def test_what_is_read_is_filtered_by_and_names_no_source(talk: Talk) -> None:
    """A pointer as `source` is not the one source of all files, which then would replace each other."""
    store = await talk.store()
    reader = {"name": "jsonlinesFile", "config": {"pointerName": "text"}}
    manager = {"name": "postgresRecordManager", "config": {"cleanup": "incremental", "sourceIdKey": "source"}}
    for name, line in zip(("a.jsonl", "b.jsonl"), LINES.split("\n"), strict=True):
        metadata = {"source": "/text", "page": "/from/page"}
        await talk.upsert(store, (name, line), loader=reader, recordManager=manager, metadata=metadata)
    docs = await talk.query(store, "pets", filter={"page": {"$gt": 3}})
    assert [(doc["pageContent"], doc["metadata"]["source"]) for doc in docs] == [("Dogs bark.", "Dogs bark.")]
    assert sorted(await talk.texts(store)) == ["Cats sleep.", "Dogs bark."]
    await talk.holds_together()
