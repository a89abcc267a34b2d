"""What a declared MIME type says of a file: a preview and what is kept must agree."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service.worker.runner import Runner
from tests.service.document_stores.loading.form import call, data_uri, loader
from tests.service.document_stores.talk import API, PASSAGES, Talk
from tests.stubs.web_site import Answer, WebSite

MARKDOWN = "Offices\n\n# Hours\n\nThey close at **six**.\n"
FRAGMENT = "Offices <b>close</b> at six. <p>Ask the <i>porter</i>.</p>"

DECLARED = pytest.mark.parametrize(
    ("name", "content", "mime"),
    [("readme", MARKDOWN, "text/markdown"), ("page", FRAGMENT, "text/html"), ("a.txt", MARKDOWN, "text/markdown")],
)


@pytest.fixture
async def site() -> AsyncIterator[WebSite]:
    """A site of programs."""
    async with WebSite() as opened:
        opened["/page.php?id=1"] = Answer(FRAGMENT, mime="text/html; charset=utf-8")
        opened["/export?to=x.csv"] = Answer("Name\nAda\n", mime="text/plain")
        opened["/ferry"] = Answer("<p>Паром №5".encode("cp1251"), mime="text/html; charset=windows-1251")
        yield opened


async def previewed(client: httpx.AsyncClient, body: dict[str, Any]) -> list[str]:
    return [chunk["pageContent"] for chunk in (await call(client, "loader/preview", body))["chunks"]]


async def processed(talk: Talk, body: dict[str, Any]) -> list[str]:
    store = await talk.store()
    saved = await call(talk.client, "loader/save", {**body, "storeId": store})
    await call(talk.client, f"loader/process/{saved['id']}", {"storeId": store, "id": saved["id"]})
    await talk.holds_together()
    return await talk.texts(store)


@DECLARED
async def test_a_preview_shows_what_is_kept(talk: Talk, worker: Runner, name: str, content: str, mime: str) -> None:
    body = loader("fileLoader", {"file": data_uri(name, content, mime)})
    assert await previewed(talk.client, body) == await processed(talk, body)


@DECLARED
async def test_an_upsert_reads_a_part_as_a_preview_does(
    talk: Talk, worker: Runner, name: str, content: str, mime: str
) -> None:
    store = await talk.store()
    sent = [("files", (name, content.encode(), mime))]
    splitter = f'{{"name": "{PASSAGES["name"]}", "config": {{"chunkSize": 600, "chunkOverlap": 0}}}}'
    answer = await talk.client.post(f"{API}/upsert/{store}", files=sent, data={"splitter": splitter})
    assert answer.status_code == 200, answer.text
    body = loader("fileLoader", {"file": data_uri(name, content, mime)})
    assert await talk.texts(store) == await previewed(talk.client, body)


@pytest.mark.parametrize("path", ["/page.php?id=1", "/export?to=x.csv"])
@pytest.mark.parametrize("component", ["cheerioWebScraper", "apiLoader"])
async def test_an_address_is_read_as_what_it_answers(
    talk: Talk, worker: Runner, site: WebSite, component: str, path: str
) -> None:
    body = loader(component, {"url": f"{site.url}{path}"})
    texts = await previewed(talk.client, body)
    assert texts == await processed(talk, body)
    assert "<" not in "".join(texts)
    assert texts


@pytest.mark.parametrize("component", ["cheerioWebScraper", "apiLoader"])
async def test_a_page_is_read_in_the_charset_that_its_server_names(
    talk: Talk, worker: Runner, site: WebSite, component: str
) -> None:
    body = loader(component, {"url": f"{site.url}/ferry"})
    assert await previewed(talk.client, body) == await processed(talk, body) == ["Паром №5"]


async def test_the_same_bytes_in_another_charset_are_read_anew(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    texts = []
    for mime in ("text/plain; charset=koi8-r", "text/plain; charset=windows-1251"):
        sent = [("files", ("a.txt", "Паром №5".encode("cp1251"), mime))]
        assert (await talk.client.post(f"{API}/upsert/{store}", files=sent)).status_code == 200
        texts += await talk.texts(store)
    assert texts[1:] == ["Паром №5"]
    assert texts[0] != texts[1]
    await talk.holds_together()


async def test_the_same_bytes_under_another_mime_type_are_read_anew(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    counts = []
    for mime in ("application/octet-stream", "text/html", "text/html", "text/html;charset=utf-8"):
        sent = [("files", ("page", FRAGMENT.encode(), mime))]
        answer = (await talk.client.post(f"{API}/upsert/{store}", files=sent)).json()
        counts.append((answer["numAdded"], answer["numSkipped"], answer["numDeleted"]))
    assert counts == [(1, 0, 0), (1, 0, 1), (0, 1, 0), (0, 1, 0)]
    assert "<" not in "".join(await talk.texts(store))
    await talk.holds_together()
