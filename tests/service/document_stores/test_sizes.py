"""A configuration that is taken can be exported: what is larger than an archive takes is refused where it comes in."""

import json
from typing import Any

import pytest

from service.document_stores.sizes import MAX_CONFIG
from service.worker.runner import Runner
from tests.service.document_stores.loading.form import call, data_uri, loader
from tests.service.document_stores.talk import API, FAKE, PASSAGES, Talk

PAD = "é" * (MAX_CONFIG // 2)
TEXT: dict[str, Any] = {"name": "plainText", "config": {"text": "Offices close at six."}}


def padded(part: dict[str, Any], pad: str = PAD) -> dict[str, Any]:
    return {**part, "config": {**part["config"], "note": pad}}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("embedding", FAKE),
        ("vectorStore", {"name": "postgres", "config": {}}),
        ("recordManager", {"name": "postgresRecordManager", "config": {}}),
        ("loader", TEXT),
        ("splitter", PASSAGES),
    ],
)
async def test_a_large_configuration_of_an_upsert_is_refused_by_its_field(
    talk: Talk, name: str, part: dict[str, Any]
) -> None:
    store = await talk.store()
    answer = await talk.client.post(f"{API}/upsert/{store}", json={"loader": TEXT, name: padded(part)})
    assert answer.status_code == 413, answer.text
    assert answer.json()["message"].startswith(f"max_config: {name}.config has ")
    assert str(MAX_CONFIG) in answer.json()["message"]
    assert await talk.documents(store) == []


async def test_a_large_configuration_of_a_document_store_is_refused_by_its_field(talk: Talk) -> None:
    store, large = await talk.store(), json.dumps(padded(FAKE), ensure_ascii=False)
    for answer in (
        await talk.client.post(f"{API}/store", json={"name": "a", "embeddingConfig": large}),
        await talk.client.put(f"{API}/store/{store}", json={"embeddingConfig": large}),
    ):
        assert (answer.status_code, answer.json()["message"].split(" has ")[0]) == (413, "max_config: embeddingConfig")


async def test_configurations_that_grow_call_by_call_are_refused_in_the_end(talk: Talk, worker: Runner) -> None:
    store, half = await talk.store(), "x" * (MAX_CONFIG * 2 // 3)
    first = {"name": "postgresRecordManager", "config": {"one": half}}
    await talk.upsert(store, loader=TEXT, recordManager=first)
    answer = await talk.send(store, loader=TEXT, recordManager={"config": {"two": half}})
    assert (answer.status_code, answer.json()["message"].split(":")[0]) == (413, "max_config")


async def test_what_is_taken_comes_out_and_in_again(talk: Talk, worker: Runner) -> None:
    store = await talk.store(description="x" * 10_000)
    room = "\u0001" * ((MAX_CONFIG - 1024) // 6)
    typed = padded({"name": "plainText", "config": {"text": "Offices close at six.\n" * 100_000}}, room)
    manager = padded({"name": "postgresRecordManager", "config": {}}, room)
    vectors = padded({"name": "postgres", "config": {}}, room)
    parts: dict[str, Any] = {"embedding": padded(FAKE, "x" * (MAX_CONFIG - 1024)), "splitter": padded(PASSAGES, room)}
    await talk.upsert(store, loader=typed, recordManager=manager, vectorStore=vectors, **parts)
    archive = await talk.client.get(f"{API}/store/{store}/export")
    assert archive.status_code == 200, archive.text
    taken = await talk.client.post(f"{API}/import", content=archive.content)
    assert taken.status_code == 200, taken.text


async def test_files_in_a_configuration_are_no_part_of_its_size(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    form = loader("textFile", {"txtFile": data_uri("a.txt", "Words. \n" + " " * 2 * MAX_CONFIG)}, storeId=store)
    await call(talk.client, "loader/save", form)
