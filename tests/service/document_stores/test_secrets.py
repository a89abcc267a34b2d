"""Secrets in configurations: kept and used, never shown, and not to be sent to another place (S5, S16, S17)."""

import json
from typing import Any

import httpx
import pytest

from service.credentials.types import BLANK
from service.document_stores.secrets import laid_over, masked, restored, without_secrets
from service.document_stores.types import Component
from service.errors import Unprocessable
from service.resources import Resources
from tests.service.document_stores.talk import API, Talk

CANARY = "sk-canary-5d1f"

GITHUB = {"repoLink": "https://github.com/owner/name", "branch": "main", "accessToken": CANARY}
CALL = {"url": "https://api.example.com/a", "headers": {"Authorization": f"Bearer {CANARY}"}, "method": "GET"}
OPENAI = {"modelName": "m", "basepath": "https://api.example.com/v1", "baseOptions": {"X-Key": CANARY}}


async def saved(client: httpx.AsyncClient, store: str, loader: str, config: dict[str, Any], **more: Any) -> Any:
    """The answer to saving a loader."""
    body = {"storeId": store, "loaderId": loader, "loaderConfig": config, **more}
    response = await client.post(f"{API}/loader/save", json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def kept(resources: Resources, loader: str) -> dict[str, Any]:
    """A loader's configuration as the database keeps it, opened."""
    async with resources.database.connection() as connection:
        row = await (await connection.execute("SELECT * FROM loaders WHERE id = %s", (loader,))).fetchone()
        assert row is not None
        assert "sk-canary" not in str(row)
        found: dict[str, Any] = connection.sealer.open(row["loader_config"], row["workspace_id"])
    return found


@pytest.mark.parametrize(
    ("loader", "config", "field"), [("github", GITHUB, "accessToken"), ("apiLoader", CALL, "headers")]
)
async def test_a_saved_loader_shows_no_secret_and_keeps_it(
    talk: Talk, client: httpx.AsyncClient, resources: Resources, loader: str, config: dict[str, Any], field: str
) -> None:
    store = await talk.store()
    made = await saved(client, store, loader, config)
    assert made["loaderConfig"][field] == BLANK
    again = await saved(client, store, loader, made["loaderConfig"], id=made["id"])
    assert again["loaderConfig"] == made["loaderConfig"]
    assert (await kept(resources, made["id"]))[field] == config[field]
    body = {"docId": made["id"], "schedule": {"every": "1d"}, "enabled": False}
    source = await client.post(f"{API}/store/{store}/sources", json=body)
    assert source.status_code == 200, source.text
    assert source.json()["config"][field] == BLANK
    changed = await client.put(f"{API}/sources/{source.json()['id']}", json={"config": source.json()["config"]})
    assert changed.status_code == 200, changed.text
    assert (await kept(resources, made["id"]))[field] == config[field]
    for path in (
        f"{API}/store",
        f"{API}/store/{store}",
        f"{API}/store/{store}/sources",
        f"{API}/sources/{source.json()['id']}",
        f"{API}/chunks/{store}/{made['id']}/1",
        f"{API}/documents/{store}",
        f"{API}/store-configs/{store}/{made['id']}",
        f"{API}/store/{store}/export",
        f"/api/v1/upsert-history/{store}",
        "/api/v1/jobs",
    ):
        assert CANARY not in (await client.get(path)).text, path


async def test_a_marker_that_nothing_stands_behind_is_refused(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    body = {"storeId": store, "loaderId": "github", "loaderConfig": {**GITHUB, "accessToken": BLANK}}
    for path in ("save", "preview"):
        response = await client.post(f"{API}/loader/{path}", json=body)
        assert (response.status_code, "accessToken" in response.text) == (422, True), response.text
    config = {"connector": "github", "config": body["loaderConfig"]}
    assert (await client.post(f"{API}/store/{store}/sources", json=config)).status_code == 422
    embedding = {"name": "openAIEmbeddings", "config": {"baseOptions": BLANK}}
    assert (await client.post(f"{API}/store", json={"name": "a", "embeddingConfig": embedding})).status_code == 422


async def test_a_secret_does_not_follow_to_another_place(talk: Talk, client: httpx.AsyncClient) -> None:
    store = await talk.store()
    made = await saved(client, store, "apiLoader", CALL)
    there = {"url": "https://evil.example.org/a"}
    for config in (there, {**there, "headers": BLANK}, {**made["loaderConfig"], **there}):
        loader = {"name": "apiLoader", "config": config}
        response = await client.post(f"{API}/upsert/{store}", json={"docId": made["id"], "loader": loader})
        assert (response.status_code, "headers" in response.text) == (422, True), response.text
    form = {"storeId": store, "id": made["id"], "loaderId": "apiLoader", "loaderConfig": {**CALL, **there}}
    form["loaderConfig"]["headers"] = BLANK
    for path in ("save", "preview", f"process/{made['id']}"):
        assert (await client.post(f"{API}/loader/{path}", json=form)).status_code == 422
    source = await client.post(f"{API}/store/{store}/sources", json={"docId": made["id"], "config": there})
    assert source.status_code == 422


async def test_embeddings_show_no_secret_and_keep_it(talk: Talk, resources: Resources) -> None:
    made = restored(Component("openAIEmbeddings", OPENAI), None, "embedding")
    shown = masked(made.config)
    assert CANARY not in json.dumps(shown)
    assert restored(Component("openAIEmbeddings", shown), made, "embedding") == made
    with pytest.raises(Unprocessable, match="baseOptions"):
        restored(Component("openAIEmbeddings", {**shown, "basepath": "https://evil.example.org"}), made, "embedding")
    with pytest.raises(Unprocessable, match="baseOptions"):
        laid_over({"basepath": "https://evil.example.org"}, OPENAI, "embedding")
    with pytest.raises(Unprocessable, match="baseOptions"):
        restored(Component("localAIEmbeddings", shown), made, "embedding")


@pytest.mark.parametrize(
    ("held", "change"),
    [
        ({"part": {"apiKey": CANARY, "url": "https://a"}}, {"part": {"apiKey": BLANK, "url": "https://evil"}}),
        ({"part": {"apiKey": CANARY}, "url": "https://a"}, {"part": {"apiKey": BLANK}, "url": "https://evil"}),
        ({"apiKey": CANARY, "part": {"url": "https://a"}}, {"apiKey": BLANK, "part": {"url": "https://evil"}}),
        ({"apiKey": CANARY, "parts": [{"url": "https://a"}]}, {"apiKey": BLANK, "parts": [{"url": "https://evil"}]}),
        ({"parts": [{"apiKey": CANARY}], "url": "https://a"}, {"parts": [{"apiKey": BLANK}], "url": "https://evil"}),
    ],
)
def test_a_secret_does_not_follow_to_another_place_however_deep_they_lie(
    held: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(Unprocessable, match="give it anew"):
        restored(Component("x", change), Component("x", held), "loader.config")
    with pytest.raises(Unprocessable, match="give it anew"):
        laid_over(change, held, "loader.config")
    anew = json.loads(json.dumps(change).replace(BLANK, "new"))
    assert restored(Component("x", anew), Component("x", held), "loader.config").config == anew
    assert laid_over(anew, held, "loader.config") == anew


@pytest.mark.parametrize("held", [{"parts": [{"apiKey": CANARY, "a": 1}]}, {"links": [f"https://u:{CANARY}@a/", "b"]}])
def test_secrets_in_lists_are_kept_and_no_marker_is(held: dict[str, Any]) -> None:
    shown = masked(held)
    assert CANARY not in json.dumps(shown)
    assert restored(Component("x", shown), Component("x", held), "loader.config").config == held
    assert laid_over(shown, held, "loader.config") == held
    name, items = next(iter(shown.items()))
    for before in (held, {}):
        with pytest.raises(Unprocessable, match=f"loader.config.{name}"):
            restored(Component("x", {name: [*items, "c"]}), Component("x", before), "loader.config")


def test_another_component_takes_over_no_secret_however_deep() -> None:
    open_ones = {"url": "https://a", "part": {"a": 1}, "parts": [{"a": 1}], "metadata": {"token": "t"}}
    secret = {"apiKey": CANARY, "within": {"apiKey": CANARY}, "several": [{"apiKey": CANARY}], "credential": "id"}
    assert without_secrets({**open_ones, **secret}) == open_ones


def test_metadata_are_the_callers_own() -> None:
    config = {"metadata": {"token": "a", "password": "b"}, "chunkSize": 100, "omitMetadataKeys": "token"}
    assert masked(config) == config
