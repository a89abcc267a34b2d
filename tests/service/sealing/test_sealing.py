"""No secret of a configuration lies in the database in the clear, whichever way it came in."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from service.keyring import Keyring, WrongKey
from service.resources import Resources
from service.sealing.service import reseal, seal_rest
from service.vault import SEALED, Vault
from service.worker.runner import Runner
from service.workspaces import DEFAULT_WORKSPACE
from stores.records.database import Database
from stores.records.sealing import NotSealable
from tests.service.document_stores.talk import API, FAKE, Talk
from tests.stubs.web_site import Answer, WebSite

CANARY = "sk-canary-7be2"

FLOW = {
    "nodes": [
        {
            "id": "chatOpenAI_0",
            "data": {"id": "chatOpenAI_0", "name": "chatOpenAI", "inputs": {"openAIApiKey": CANARY, "modelName": "m"}},
        }
    ],
    "edges": [],
}


async def found(database: Database, text: str) -> list[str]:
    """The tables in which any column of any row holds the text."""
    holding = []
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT c.oid::regclass::text AS name, n.nspname AS place, c.relname AS table FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        )
        for row in await cursor.fetchall():
            table = sql.Identifier(row["place"], row["table"])
            hits = await connection.execute(
                sql.SQL("SELECT 1 AS one FROM {} AS t WHERE t::text LIKE ANY(%(like)s) LIMIT 1").format(table),
                {"like": [f"%{text}%", f"%{text.encode().hex()}%"]},
            )
            if await hits.fetchone():
                holding.append(row["name"])
    return holding


async def test_the_search_finds_what_lies_in_the_clear(resources: Resources) -> None:
    async with resources.database.connection() as connection:
        await connection.execute("INSERT INTO instance_facts (name, value) VALUES ('a', %s)", (f"b {CANARY} c",))
        await connection.execute(
            "INSERT INTO idempotency_keys (owner, key, fingerprint, request, holder, leased_until, expires_at, body)"
            " VALUES ('o', 'k', '', '', %s, now(), now(), %s)",
            (uuid4(), CANARY.encode()),
        )
    assert await found(resources.database, CANARY) == ["instance_facts", "idempotency_keys"]


async def test_no_way_of_writing_leaves_a_secret_in_the_clear(
    talk: Talk, worker: Runner, client: httpx.AsyncClient, resources: Resources, site: WebSite
) -> None:
    async def send(path: str, body: Any, method: str = "POST") -> Any:
        key = {"Idempotency-Key": str(uuid4())}
        response = await client.request(method, path, json=body, headers=key)
        assert response.status_code in (200, 201, 202), (path, response.text)
        again = await client.request(method, path, json=body, headers=key)
        assert again.content == response.content
        return response.json()

    # configurations of a document store
    embedding = {"name": FAKE["name"], "config": {**FAKE["config"], "openAIApiKey": CANARY}}
    vectors = {"name": "postgres", "config": {"additionalConfig": json.dumps({"password": CANARY})}}
    place = {"tableName": "t", "connectionString": f"postgres://u:{CANARY}@h/d"}
    manager = {"name": "postgresRecordManager", "config": place}
    parts = {"embeddingConfig": embedding, "vectorStoreConfig": vectors, "recordManagerConfig": manager}
    store = (await send(f"{API}/store", {"name": "Handbook", **parts}))["id"]
    await send(f"{API}/store/{store}", {"description": "b", **parts}, "PUT")
    # loaders: saved, processed, fetched, upserted
    page = Answer('[{"text": "The canteen opens at noon on working days."}]', mime="application/json")
    for query in ("token", "sig"):
        site[f"/private?{query}={CANARY}"] = page
    call = {
        "url": f"{site.url}/private?token={CANARY}", "method": "GET",
        "headers": {"Authorization": f"Bearer {CANARY}"},
    }  # fmt: skip
    made = await send(f"{API}/loader/save", {"storeId": store, "loaderId": "apiLoader", "loaderConfig": call})
    await send(f"{API}/loader/process/{made['id']}", {"storeId": store, "loaderId": "apiLoader", "loaderConfig": call})
    gone = {"name": "cheerioWebScraper", "config": {"url": f"{site.url}/gone?api_key={CANARY}"}}
    assert (await client.post(f"{API}/upsert/{store}", json={"loader": gone})).status_code >= 400
    text = {"text": "The office is closed on Sundays.", "unstructuredAPIKey": CANARY}
    await send(f"{API}/upsert/{store}", {"loader": {"name": "plainText", "config": text}})
    source: dict[str, Any] = {"connector": "apiLoader", "config": {**call, "url": f"{site.url}/private?sig={CANARY}"}}
    made = await send(f"{API}/store/{store}/sources", source)
    await send(f"{API}/sources/{made['id']}/run", {})
    # a job with a configuration in its payload, and flows
    other = {"name": FAKE["name"], "config": {**embedding["config"], "apiKey": CANARY}}
    await send(f"{API}/vectorstore/reindex", {"storeId": store, "embeddingConfig": other})
    flow = await send("/api/v1/chatflows", {"name": "f", "type": "CHATFLOW", "flowData": json.dumps(FLOW)})
    changed = {"name": "g", "chatbotConfig": json.dumps({"secret": CANARY})}
    changed = await send(f"/api/v1/chatflows/{flow['id']}", changed, "PUT")
    assert json.loads(changed["flowData"]) == FLOW  # byte for byte, for whom it belongs to
    await talk.settled()
    assert await found(resources.database, CANARY) == []
    assert "canteen" in " ".join(await talk.texts(store))
    shown = (
        f"{API}/documents/{store}",
        f"{API}/chunks/{store}/all/1",
        "/api/v1/jobs",
        f"/api/v1/upsert-history/{store}",
    )
    for path in shown:
        assert CANARY not in (await client.get(path)).text, path


async def test_what_was_written_before_is_sealed_by_housekeeping(
    talk: Talk, client: httpx.AsyncClient, resources: Resources
) -> None:
    store = await talk.store()
    config = {"repoLink": "https://github.com/o/n", "branch": "main", "accessToken": CANARY}
    body = {"storeId": store, "loaderId": "github", "loaderConfig": config}
    saved = (await client.post(f"{API}/loader/save", json=body)).json()
    flow = {"name": "f", "type": "CHATFLOW", "flowData": json.dumps(FLOW)}
    flow = (await client.post("/api/v1/chatflows", json=flow)).json()
    assert flow.pop("webhookSecret") is None  # of answers to a POST alone
    async with resources.database.connection() as connection:
        await connection.execute("UPDATE loaders SET loader_config = %s", (Jsonb(config),))
        await connection.execute("UPDATE chatflows SET flow_data = %s", (flow["flowData"],))
    assert (await client.get(f"/api/v1/chatflows/{flow['id']}")).json() == flow  # as it lies, it is read
    assert sorted(await found(resources.database, CANARY)) == ["chatflows", "loaders"]
    assert await seal_rest(resources) >= 2
    assert await found(resources.database, CANARY) == []
    assert await seal_rest(resources) == 0
    assert await reseal(resources.database, resources.keyring) == 0  # equal values are sealed equal
    assert (await client.get(f"/api/v1/chatflows/{flow['id']}")).json() == flow
    again = (await client.get(f"{API}/store/{store}")).json()["loaders"][0]
    assert (again["id"], again["loaderConfig"]["repoLink"]) == (saved["id"], config["repoLink"])


async def test_a_connection_without_keys_writes_no_configuration(database_url: str) -> None:
    async with Database(database_url, size=1) as database, database.read(DEFAULT_WORKSPACE) as scope:
        with pytest.raises(NotSealable):
            scope.sealed({"a": 1})


VAULT = Vault(Keyring({1: bytes(range(32))}))
NEXT = Vault(Keyring({1: bytes(range(32)), 2: bytes(range(1, 33))}))


def test_secrets_are_sealed_and_the_rest_stays_readable() -> None:
    config = {
        "url": "https://h/a?page=2", "headers": {"X": CANARY}, "metadata": {"token": "mine"}, "credential": "id",
        "list": [{"apiKey": CANARY, "n": 1.5}, "plain"], "text": "token=1", "empty": {"password": ""},
        "odd": f"{SEALED}1:forged",
    }  # fmt: skip
    sealed = VAULT.seal(config, DEFAULT_WORKSPACE)
    assert CANARY not in json.dumps(sealed)
    assert {key for key in config if sealed[key] != config[key]} == {"headers", "list", "odd"}
    assert VAULT.open(sealed, DEFAULT_WORKSPACE) == config
    assert VAULT.open(config["list"], DEFAULT_WORKSPACE) == config["list"]  # never sealed


def test_a_sealed_value_is_bound_to_its_workspace_its_kind_and_its_key() -> None:
    sealed = VAULT.seal({"password": CANARY}, DEFAULT_WORKSPACE)
    text, data = VAULT.seal_text(CANARY, DEFAULT_WORKSPACE), VAULT.seal_bytes(CANARY.encode(), DEFAULT_WORKSPACE)
    other = uuid4()
    for attempt in (
        lambda: VAULT.open(sealed, other),
        lambda: VAULT.open_text(text, other),
        lambda: VAULT.open_bytes(data, other),
        lambda: VAULT.open_text(sealed["password"], DEFAULT_WORKSPACE),
        lambda: VAULT.open(text[:-4] + "AAA=", DEFAULT_WORKSPACE),
        lambda: VAULT.open(f"{SEALED}1:no base64", DEFAULT_WORKSPACE),
        lambda: VAULT.open(NEXT.seal({"password": CANARY}, DEFAULT_WORKSPACE), DEFAULT_WORKSPACE),
    ):
        with pytest.raises(WrongKey):
            attempt()
    assert NEXT.open(sealed, DEFAULT_WORKSPACE) == {"password": CANARY}
    assert NEXT.open_text(text, DEFAULT_WORKSPACE) == CANARY
    assert NEXT.open_bytes(data, DEFAULT_WORKSPACE) == CANARY.encode()
    assert NEXT.open_bytes(b"plain", DEFAULT_WORKSPACE) == b"plain"
