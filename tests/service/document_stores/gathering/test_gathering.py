"""What loaders that fetch do beside others: secrets, retries, deletes and other jobs while they fetch."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.document_stores.gathering import gathering, records
from service.document_stores.gathering.types import Target
from service.worker.runner import Runner
from tests.service.document_stores.loading.form import call, loader
from tests.service.document_stores.loading.test_places import crawl, page, tagged, upsert
from tests.service.document_stores.talk import API, Talk
from tests.stubs.web_site import Answer, WebSite

LATER = {"Prefer": "respond-async"}


async def start(client: httpx.AsyncClient, store: str, **fields: Any) -> str:
    """An upsert that is not waited for: its job's URL."""
    response = await client.post(f"{API}/upsert/{store}", json=fields, headers=LATER)
    assert response.status_code == 202, response.text
    return str(response.headers["Location"])


async def test_the_headers_of_an_api_are_in_no_job(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    site["/api"] = Answer('[{"text": "Thirty days of leave a year."}]', mime="application/json")
    config = {"url": f"{site.url}/api", "method": "GET", "headers": {"Authorization": "Bearer hush-hush"}}
    answer = await upsert(client, store, loader={"name": "apiLoader", "config": config})
    assert answer["numAdded"] == 1
    assert site.requests[-1].headers["authorization"] == "Bearer hush-hush"
    jobs = await talk.rows("SELECT payload, result FROM jobs")
    history = await talk.rows("SELECT * FROM upsert_history")
    assert "hush" not in str([*jobs, *history])


async def test_a_retry_asks_the_place_and_takes_up_only_what_failed(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    site["/broken"] = Answer("no", status=500)
    site["/"] = tagged(page("Home", "Offices close at six.", "/leave", "/broken"), '"h1"')
    url = await start(client, store, loader={"name": "cheerioWebScraper", "config": crawl(site)})
    first = await talk.end(url)
    assert (first["result"]["numAdded"], first["result"]["fetchFailures"]) == (2, 1)
    site["/broken"] = page("Mended", "It works again.")
    response = await client.post(f"{url}/retry")
    assert response.status_code in (200, 202), response.text
    again = (await talk.end(response.json()["url"]))["result"]
    assert (again["numAdded"], again["numSkipped"], again["claimed"], again["unchanged"]) == (1, 0, 1, 2)
    assert {document["state"] for document in await talk.documents(store)} == {"ready"}
    await talk.holds_together()


async def test_a_deleted_document_does_not_end_the_crawl_and_a_deleted_loader_does(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    links = [f"/{number}" for number in range(8)]
    for link in links:
        site[link] = page(f"Page {link}", f"Text of {link}.")
    site["/"] = page("Home", "Offices close at six.", *links)
    slow = Answer(pieces=[b"<html>", b"<p>Slow</p></html>"], pause=3.0)
    site["/slow"] = slow
    site["/7"] = page("Page 7", "Text of 7.", "/slow")
    body = {"loader": {"name": "cheerioWebScraper", "config": crawl(site, limit="20")}}

    async def claimed() -> list[dict[str, Any]]:
        async with asyncio.timeout(30):
            while not (found := await talk.documents(store)):  # noqa: ASYNC110 - as people do
                await asyncio.sleep(0.02)
        return found

    url = await start(client, store, **body)
    (gone, *_) = await claimed()
    response = await client.delete(f"{API}/documents/{store}/{gone['id']}")
    assert response.status_code == 200, response.text
    assert (await talk.end(url))["state"] == "done"
    loader_id = (await talk.read(store))["loaders"][0]["id"]
    url = await start(client, store, **body)
    assert (await client.delete(f"{API}/loader/{store}/{loader_id}")).status_code == 200
    assert (await talk.end(url))["state"] == "cancelled"
    assert await talk.documents(store) == []
    await talk.holds_together()


async def test_a_place_that_lists_without_end_is_cut_off_and_nothing_leaves(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await talk.store()
    first = await upsert(client, store, loader={"name": "cheerioWebScraper", "config": crawl(site)})
    assert first["numAdded"] == 2
    monkeypatch.setattr(gathering, "MAX_ITEMS", 1)
    (result,) = await call(client, f"refresh/{store}", {})
    assert result["failed"][-1]["code"] == "too_large"
    assert "narrow it" in result["failed"][-1]["message"]
    assert len(await talk.documents(store)) == 2
    await talk.holds_together()


async def test_what_another_loader_fetched_is_not_failed_by_this_one(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    whole = await upsert(client, store, loader={"name": "cheerioWebScraper", "config": crawl(site)})
    site["/leave"] = Answer("no", status=500)
    one = loader("cheerioWebScraper", {"url": f"{site.url}/leave"}, storeId=store)
    saved = await call(client, "loader/save", one)
    await client.post(f"{API}/loader/process/{saved['id']}", json={"storeId": store})
    states = {document["source"]: document["state"] for document in await talk.documents(store)}
    assert set(states.values()) == {"ready"}, states
    shown = {each["id"]: each["status"] for each in (await talk.read(store))["loaders"]}
    assert shown[whole["docId"]] == "SYNC"
    await talk.holds_together()


async def test_a_complete_listing_leaves_what_waits_for_another_job(talk: Talk) -> None:
    store = UUID(await talk.store())
    await talk.start(str(store), ("a.txt", "Apples."), ("b.txt", "Pears."))
    documents = await talk.documents(str(store))
    loader_id = UUID((await talk.read(str(store)))["loaders"][0]["id"])
    database = talk.resources.database
    async with database.write(talk.workspace) as scope:
        other = Target(store, loader_id, uuid4(), {}, "", remake=False)
        assert await records.leave(scope, other, [documents[0]["source"]]) == (0, [])
        (job,) = await scope.all("SELECT DISTINCT job_id FROM documents")
        mine = Target(store, loader_id, job["job_id"], {}, "", remake=False)
        count, blobs = await records.leave(scope, mine, [documents[0]["source"]])
        assert (count, len(blobs)) == (1, 1)


async def test_a_job_keeps_no_list_of_what_it_replaced(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    one = {"name": "cheerioWebScraper", "config": crawl(site)}
    await upsert(client, store, loader=one)
    before = {key async for key in talk.resources.blobs.keys()}  # noqa: SIM118 - no mapping
    site["/leave"] = tagged(page("Leave", "Forty days of leave a year."), '"l2"')
    await upsert(client, store, loader=one)
    after = {key async for key in talk.resources.blobs.keys()}  # noqa: SIM118
    assert (len(before), len(after), len(before & after)) == (2, 2, 1)
    assert not any(row["payload"].get("blobs") for row in await talk.rows("SELECT payload FROM jobs"))
    assert json.dumps(await talk.documents(store)).count('"ready"') == 2
    await talk.holds_together()


async def test_a_template_that_fetches_is_asked_and_not_copied(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    first = await upsert(client, store, loader={"name": "cheerioWebScraper", "config": crawl(site)})
    url = await start(client, store, docId=first["docId"], loader={"config": {"url": f"{site.url}/leave"}})
    result = (await talk.end(url))["result"]
    assert (result["listed"], result["complete"]) == (1, True)
    found = {document["name"]: document["state"] for document in await talk.documents(store)}
    assert len(found) == 2, found
    await talk.holds_together()
