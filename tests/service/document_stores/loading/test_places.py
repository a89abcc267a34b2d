"""Loaders that fetch what they load: crawls that change, pages that fail, refreshes that ask only for what is new."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.settings import Settings, load
from service.worker.runner import Runner
from tests.service.document_stores.loading.form import call, loader, text_files
from tests.service.document_stores.talk import API, Talk
from tests.stubs.web_site import Answer, Request, WebSite


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """As elsewhere, and this machine may be called."""
    values = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12, "egress_allow": "127.0.0.1"}
    return load({}, values)


def page(title: str, text: str, *links: str) -> Answer:
    """A page of a site."""
    anchors = "".join(f'<a href="{link}">more</a>' for link in links)
    return Answer(
        f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p>{anchors}</body></html>"
    )


def tagged(found: Answer, tag: str) -> Callable[[Request], Answer]:
    """A page that is not sent again to who has it."""

    def answer(request: Request) -> Answer:
        if request.headers.get("if-none-match") == tag:
            return Answer(status=304, headers={"ETag": tag})
        return replace(found, headers={"ETag": tag})

    return answer


@pytest.fixture
async def site() -> AsyncIterator[WebSite]:
    """Two pages, the first leads to the second."""
    async with WebSite() as opened:
        opened["/"] = tagged(page("Home", "Offices close at six.", "/leave"), '"h1"')
        opened["/leave"] = tagged(page("Leave", "Thirty days of leave a year."), '"l1"')
        yield opened


def crawl(site: WebSite, **config: Any) -> dict[str, Any]:
    """A scraper of the site."""
    return {"url": f"{site.url}/", "relativeLinksMethod": "webCrawl", "limit": "10", **config}


async def upsert(client: httpx.AsyncClient, store: str, status: int = 200, **fields: Any) -> Any:
    return await call(client, f"upsert/{store}", fields, status)


async def test_an_upsert_fetches_the_pages_of_a_site(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    answer = await upsert(client, store, loader={"name": "cheerioWebScraper", "config": crawl(site)})
    assert answer["numAdded"] == 2
    docs = await talk.query(store, "Thirty days of leave", topK=1)
    assert docs[0]["metadata"]["source"] == f"{site.url}/leave"
    assert docs[0]["metadata"]["title"] == "Leave"
    found = (await talk.read(store))["loaders"][0]
    assert (found["status"], found["source"], found["loaderId"]) == ("SYNC", f"{site.url}/", "cheerioWebScraper")
    assert "files" not in found["loaderConfig"]
    again = await upsert(client, store, loader={"name": "cheerioWebScraper", "config": crawl(site)})
    assert (again["numAdded"], again["numSkipped"], again["docId"]) == (0, 2, answer["docId"])
    assert len((await talk.read(store))["loaders"]) == 1
    await talk.holds_together()


async def test_a_loader_that_fetches_refuses_files_that_come_along(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    scraper = {"name": "cheerioWebScraper", "config": crawl(site)}
    for config in (scraper, {**scraper, "config": {**crawl(site), **text_files(("b.txt", "Typed."))}}):
        files = [("a.txt", "Brought along.")] if config is scraper else []
        response = await talk.send(store, *files, loader=config)
        assert response.status_code == 422
        assert "'cheerioWebScraper' fetches what it loads and takes no files" in response.json()["message"]
    body = {**loader("cheerioWebScraper", {**crawl(site), **text_files(("b.txt", "Typed."))}), "storeId": store}
    for path in ("preview", "save"):
        assert "'b.txt'" in (await call(client, f"loader/{path}", body, 422))["message"]
    assert (await talk.read(store))["loaders"] == []


async def test_a_refresh_asks_for_what_changed_and_lets_go_of_what_is_gone(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    site["/old"] = page("Old", "Nobody needs this.")
    site["/"] = tagged(page("Home", "Offices close at six.", "/leave", "/old"), '"h1"')
    first = await upsert(client, store, loader={"name": "cheerioWebScraper", "config": crawl(site)})
    assert first["numAdded"] == 3
    del site["/old"]
    site["/"] = tagged(page("Home", "Offices close at seven.", "/leave"), '"h2"')
    (result,) = await call(client, f"refresh/{store}", {})
    assert (result["numAdded"], result["numDeleted"], result["numSkipped"]) == (1, 2, 1)
    assert result["docId"] == first["docId"]
    texts = " ".join(await talk.texts(store))
    assert "seven" in texts
    assert "six" not in texts
    assert "Nobody" not in texts
    await talk.holds_together()


async def test_a_page_that_is_the_same_is_not_sent_again(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    one = {"name": "cheerioWebScraper", "config": {"url": f"{site.url}/leave"}}
    first = await upsert(client, store, loader=one)
    (result,) = await call(client, f"refresh/{store}", {"items": [{"docId": first["docId"]}]})
    assert (result["numAdded"], result["numSkipped"]) == (0, 1)
    asked = [request.headers.get("if-none-match") for request in site.requests if request.path == "/leave"]
    assert asked == [None, '"l1"']
    await talk.holds_together()


async def test_a_page_that_fails_is_a_failed_document_and_keeps_what_it_had(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    site["/broken"] = Answer("no", status=500)
    site["/"] = page("Home", "Offices close at six.", "/leave", "/broken")
    answer = await upsert(client, store, loader={"name": "cheerioWebScraper", "config": crawl(site)})
    assert answer["numAdded"] == 2
    assert answer["failed"][0]["name"].endswith("/broken")
    states = {document["source"].rpartition("/")[2]: document for document in await talk.documents(store)}
    assert (states["broken"]["state"], states["leave"]["state"]) == ("failed", "ready")
    assert states["broken"]["error"]
    assert (await talk.read(store))["loaders"][0]["status"] == "STALE"
    site["/leave"] = Answer("no", status=500)
    site["/broken"] = page("Mended", "It works again.")
    (result,) = await call(client, f"refresh/{store}", {})
    assert result["failed"][0]["name"].endswith("/leave")
    texts = " ".join(await talk.texts(store))
    assert "works again" in texts
    assert "Thirty days" in texts, "what a page had before stays while it cannot be fetched"
    await talk.holds_together()


async def test_a_place_that_cannot_be_listed_fails_with_its_reason(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    site["/"] = Answer("no", status=503)
    saved = await call(client, "loader/save", loader("cheerioWebScraper", crawl(site), storeId=store))
    assert (saved["status"], saved["files"]) == ("SYNCING", [])
    response = await client.post(f"{API}/loader/process/{saved['id']}", json={"storeId": store})
    assert response.status_code in (422, 502), response.text
    found = (await talk.read(store))["loaders"][0]
    assert found["status"] == "STALE"
    assert found["files"][0]["error"]
    site["/"] = page("Home", "Offices close at six.")
    answer = await call(client, f"loader/process/{saved['id']}", {"storeId": store})
    assert answer["count"] == 1
    found = (await talk.read(store))["loaders"][0]
    assert (found["status"], len(found["files"])) == ("SYNC", 1)
    await talk.holds_together()


async def test_a_preview_fetches_three_pages_and_keeps_nothing(
    talk: Talk, client: httpx.AsyncClient, site: WebSite
) -> None:
    for number in range(6):
        site[f"/{number}"] = page(f"Page {number}", f"Text of page {number}.")
    site["/"] = page("Home", "Offices close at six.", *(f"/{number}" for number in range(6)))
    found = await call(client, "loader/preview", loader("cheerioWebScraper", crawl(site)))
    assert found["totalChunks"] == 3
    assert await talk.rows("SELECT * FROM documents") == []
    assert [key async for key in talk.resources.blobs.keys()] == []  # noqa: SIM118 - no mapping


async def test_a_saved_scraper_is_processed_with_its_own_splitter_and_metadata(
    talk: Talk, client: httpx.AsyncClient, site: WebSite, worker: Runner
) -> None:
    store = await talk.store()
    config = crawl(site, metadata={"team": "web", "source": "the site"}, omitMetadataKeys="title")
    saved = await call(client, "loader/save", loader("cheerioWebScraper", config, storeId=store))
    answer = await call(client, f"loader/process/{saved['id']}", {"storeId": store})
    metadata = json.loads(answer["chunks"][0]["metadata"])
    assert (metadata["team"], metadata["source"]) == ("web", "the site")
    assert "title" not in metadata
    await talk.holds_together()


async def test_bad_fields_of_a_place_are_refused_before_anything_is_written(
    talk: Talk, client: httpx.AsyncClient, site: WebSite
) -> None:
    store = await talk.store()
    for config, word in [
        ({"url": "ftp://x"}, "url"),
        (crawl(site, limit="many"), "limit"),
        (crawl(site, relativeLinksMethod="guess"), "relativeLinksMethod"),
        (crawl(site, credential="x"), "credential"),
    ]:
        answer = await call(client, "loader/save", loader("cheerioWebScraper", config, storeId=store), 422)
        assert word in answer["message"]
    assert (await talk.read(store))["loaders"] == []
