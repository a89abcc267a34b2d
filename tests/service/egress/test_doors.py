"""Every door of the product through which a caller names a host: none leads inside, and none tells what is there
(S17, S26, S27)."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.resources import Resources
from service.settings import Settings, load
from service.worker.runner import Runner
from tests.service.document_stores.talk import API, Talk
from tests.service.flow_upserts.flows import fake, filled, loader
from tests.stubs.web_site import WebSite

SPELLINGS = (
    "http://127.0.0.1:{port}",
    "http://2130706433:{port}",
    "http://0x7f.1:{port}",
    "http://0:{port}",
    "http://localhost:{port}",
    "http://localhost.:{port}",
    "http://[::1]:{port}",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://[64:ff9b::7f00:1]:{port}",
    "http://example.com@127.0.0.1:{port}",
    "http://169.254.169.254",
    "http://metadata.google.internal",
    "http://10.0.0.1:{port}",
    "file:///etc/passwd#{port}",
    "gopher://127.0.0.1:{port}",
)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """An installation whose operator allows nothing."""
    return load({}, {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12})


@pytest.fixture
async def worker(resources: Resources) -> AsyncIterator[Runner]:
    """A worker in this process."""
    stop = asyncio.Event()
    runner = Runner(resources, alone=True)
    task = asyncio.create_task(runner.run(stop))
    yield runner
    stop.set()
    await task


@pytest.fixture
def talk(client: httpx.AsyncClient, resources: Resources, workspace: UUID) -> Talk:
    """What clients do with document stores."""
    return Talk(client, resources, workspace)


@pytest.fixture
async def canary() -> AsyncIterator[WebSite]:
    """A server that nobody may reach."""
    async with WebSite() as site:
        yield site


def places(url: str) -> dict[str, dict[str, Any]]:
    """The configuration of each loader that asks a host, so that it would ask this one."""
    return {
        "cheerioWebScraper": {"url": url},
        "puppeteerWebScraper": {"url": url, "relativeLinksMethod": "webCrawl"},
        "playwrightWebScraper": {"selectedLinks": [url]},
        "gitbook": {"webPath": url, "shouldLoadAllPaths": True},
        "apiLoader": {"url": url, "headers": {"Authorization": "Bearer canary"}},
        "github": {"repoLink": "owner/name", "githubBaseUrl": url, "maxRetries": 0},
        "S3": {"bucketName": "bucket", "keyName": "a.txt", "serverUrl": url},
        "s3Directory": {"bucketName": "bucket", "serverUrl": url},
    }


def embeddings(url: str) -> dict[str, Any]:
    """An embedding whose server is this one."""
    return {"name": "openAIEmbeddings", "config": {"basepath": url, "modelName": "m", "openAIApiKey": "sk-canary"}}


async def knock(talk: Talk, store: str, url: str, name: str, config: dict[str, Any]) -> list[httpx.Response]:
    """What the doors of a loader answer."""
    client = talk.client
    form = {"storeId": store, "loaderId": name, "loaderConfig": config}
    answers = [
        await client.post(f"{API}/loader/preview", json=form),
        await client.post(f"{API}/upsert/{store}", json={"loader": {"name": name, "config": config}}),
    ]
    saved = await client.post(f"{API}/loader/save", json=form)
    if saved.status_code == 200:
        loader_id = saved.json()["id"]
        answers.append(await client.post(f"{API}/loader/process/{loader_id}", json={"storeId": store}))
        answers.append(await client.post(f"{API}/refresh/{store}", json={"items": [{"docId": loader_id}]}))
    source = await client.post(f"{API}/store/{store}/sources", json={"connector": name, "config": config})
    if source.status_code == 200:
        job = (await client.post(f"{API}/sources/{source.json()['id']}/run")).json()
        ended = await client.get(f"/api/v1/jobs/{job['id']}", params={"wait": 30})
        assert ended.json()["state"] == "failed" or ended.json()["result"]["failed"], ended.text
    else:
        answers.append(source)
    return answers


async def test_no_loader_reaches_inside(talk: Talk, canary: WebSite, worker: Runner) -> None:
    url = f"http://127.0.0.1:{canary.port}"
    for name, config in places(url).items():
        store = await talk.store()
        for answer in await knock(talk, store, url, name, config):
            assert answer.status_code == 422, f"{name}: {answer.request.url.path}: {answer.text}"
    assert canary.connections == 0


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_of_an_address_opens_a_door(talk: Talk, canary: WebSite, spelling: str) -> None:
    url = spelling.format(port=canary.port)
    for name, config in places(url).items():
        form = {"loaderId": name, "loaderConfig": config}
        answer = await talk.client.post(f"{API}/loader/preview", json=form)
        assert answer.status_code == 422, f"{name}: {answer.text}"
    for method in ("webCrawl", "scrapeXMLSitemap"):
        query = {"url": url, "relativeLinksMethod": method}
        answer = await talk.client.get("/api/v1/fetch-links", params=query)
        assert answer.status_code == 422, answer.text
    assert canary.connections == 0


async def test_an_open_port_is_answered_for_like_a_closed_one(talk: Talk, canary: WebSite) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ports = (canary.port, unused.getsockname()[1])
        heard = []
        for port in ports:
            url = f"http://127.0.0.1:{port}"
            texts = [(await talk.client.get("/api/v1/fetch-links", params={"url": url})).text]
            for name, config in places(url).items():
                form = {"loaderId": name, "loaderConfig": config}
                texts.append((await talk.client.post(f"{API}/loader/preview", json=form)).text)
            heard.append([text.replace(str(port), "PORT") for text in texts])
        assert heard[0] == heard[1]
    assert canary.connections == 0


async def test_no_base_url_of_a_model_reaches_inside(talk: Talk, canary: WebSite, worker: Runner) -> None:
    client, url = talk.client, f"http://127.0.0.1:{canary.port}/v1"
    model = embeddings(url)
    store = await talk.store()
    await talk.upsert(store, ("a.txt", "Offices close at 18:00."))
    named = {"storeId": store, "embeddingName": model["name"], "embeddingConfig": model["config"]}
    content = {"loader": {"name": "plainText", "config": {"text": "a"}}, "embedding": model}
    answers = [
        await client.put(f"{API}/store/{store}", json={"embeddingConfig": json.dumps(model)}),
        await client.post(f"{API}/vectorstore/save", json=named),
        await client.post(f"{API}/vectorstore/insert", json=named),
        await client.post(f"{API}/vectorstore/reindex", json=named),
        await client.post(f"{API}/upsert/{store}", json=content),
        await client.post(f"{API}/upsert/{store}", json={**content, "createNewDocStore": True}),
        await client.post(
            f"{API}/generate-tool-desc/{store}",
            json={"selectedChatModel": {"name": "chatOpenAI", "inputs": {"basepath": url, "modelName": "m"}}},
        ),
    ]
    for answer in answers:
        assert 400 <= answer.status_code < 500, f"{answer.request.url.path}: {answer.status_code} {answer.text}"
        assert "sk-canary" not in answer.text
    assert canary.connections == 0


async def test_no_node_of_a_flow_reaches_inside(talk: Talk, canary: WebSite, worker: Runner) -> None:
    for name, config in places(f"http://127.0.0.1:{canary.port}").items():
        graph = filled(loader(name, **config), embedding=fake())
        flow = await talk.client.post("/api/v1/chatflows", json={"name": "a", "type": "CHATFLOW", "flowData": graph})
        assert flow.status_code == 200, flow.text
        for route in ("upsert", "internal-upsert"):
            answer = await talk.client.post(f"/api/v1/vector/{route}/{flow.json()['id']}", json={})
            assert answer.status_code == 422, f"{name}: {answer.text}"
    assert canary.connections == 0
