"""What documents are known by is bounded: rows of a unique index are, and so are lines of archives."""

import random
from typing import Any

import httpx

from service.connectors.base import Item
from service.document_stores.gathering.types import shown
from service.document_stores.ledger.types import LONGEST_SOURCE
from service.worker.runner import Runner
from tests.service.document_stores.archive.test_damage import lines, put_together, some_archive, taken_apart
from tests.service.document_stores.loading.form import data_uri
from tests.service.document_stores.talk import API, Talk
from tests.stubs.web_site import Answer, WebSite

TEXT = {"name": "plainText", "config": {"text": "Offices close at six."}}
MANAGER = {"name": "postgresRecordManager", "config": {"cleanup": "incremental", "sourceIdKey": "where"}}


def incompressible(characters: int, seed: int = 1) -> str:
    """A name whose UTF-8 has three bytes a character, and that Postgres cannot compress."""
    chosen = random.Random(seed)
    return "".join(chr(chosen.randrange(0x4E00, 0x9FA5)) for _ in range(characters))


def refused(response: httpx.Response, field: str, limit: int = LONGEST_SOURCE) -> None:
    message = response.json()["message"]
    assert (response.status_code, message.split(":")[0]) == (422, field), response.text
    assert str(limit) in message
    assert len(message) < 1000


async def test_a_source_that_is_too_long_for_its_index_is_refused(talk: Talk, worker: Runner) -> None:
    store, long = await talk.store(), incompressible(990)
    chunks = {"chunks": [{"pageContent": "Offices close at six."}], "source": long}
    refused(await talk.client.post(f"{API}/upsert/{store}", json=chunks), "source")
    refused(await talk.send(store, (f"{long}.txt", "Words.")), "files")
    labelled: dict[str, Any] = {"metadata": {"where": incompressible(1200)}, "recordManager": MANAGER}
    refused(await talk.send(store, ("a.txt", "Words."), **labelled), "metadata")
    refused(await talk.send(store, loader=TEXT, **labelled), "metadata")
    assert await talk.documents(store) == []


async def test_the_longest_sources_are_told_apart_and_come_out_and_in_again(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    name = incompressible((LONGEST_SOURCE - len("file:.txt")) // 3) + ".txt"
    answer = await talk.upsert(store, (name, "Offices close at six."), (name, "Ask the porter."))
    assert (answer["numAdded"], answer["failed"]) == (2, [])
    archive = await talk.client.get(f"{API}/store/{store}/export")
    taken = await talk.client.post(f"{API}/import", content=archive.content)
    assert (taken.status_code, taken.json()["numDocuments"]) == (200, 2), taken.text


async def test_an_archive_with_too_long_a_source_is_refused(talk: Talk, worker: Runner) -> None:
    parts = taken_apart(await some_archive(talk))
    change = lines(lambda values: values[0].update(source=incompressible(1000)))
    forged = put_together([(name, change(data) if name == "documents.jsonl" else data) for name, data in parts])
    response = await talk.client.post(f"{API}/import", content=forged)
    assert response.status_code == 422, response.text
    assert response.json()["message"].startswith("documents.jsonl line 1: source has 3000 bytes, the limit is ")


def test_what_a_place_lists_under_a_long_name_is_known_by_a_short_one() -> None:
    names = [incompressible(2000) + end for end in "ab"]
    found = [shown(Item(name, "a", f"http://x.example/{name}")) for name in names]
    assert all(len(item.source.encode()) <= LONGEST_SOURCE for item in found)
    assert found[0].source != found[1].source
    assert found[0] == shown(Item(names[0], "a", f"http://x.example/{names[0]}"))
    assert [item.url for item in found] == [f"http://x.example/{name}" for name in names]
    assert shown(Item("a" * LONGEST_SOURCE, "a")).source == "a" * LONGEST_SOURCE


async def test_a_mime_type_that_is_too_long_is_refused(talk: Talk, worker: Runner) -> None:
    store, mime = await talk.store(), "text/plain;x=" + "y" * 1000
    sent = [("files", ("a.txt", b"Words.", mime))]
    refused(await talk.client.post(f"{API}/upsert/{store}", files=sent), "files", 1000)
    loader: dict[str, Any] = {"name": "textFile", "config": {"txtFile": data_uri("a.txt", "Words.", mime)}}
    refused(await talk.send(store, loader=loader), "files", 1000)


async def test_a_place_that_tells_too_long_a_mime_type_tells_none(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    async with WebSite() as site:
        site["/"] = Answer("Offices close at six.", mime="text/" + "y" * 1000)
        config = {"url": site.url, "limit": "1"}
        await talk.upsert(store, loader={"name": "cheerioWebScraper", "config": config})
        (document,) = await talk.documents(store)
    assert document["state"] == "ready"
    assert (await talk.client.get(f"{API}/store/{store}/export")).status_code == 200
