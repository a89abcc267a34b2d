"""The key that seals is exchanged: nothing is lost on the way, and the old key opens nothing afterwards."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.credentials import service as credentials
from service.jobs import service as jobs
from service.keyring import Keyring, grown, open_keyring, write_keyring
from service.resources import Resources, check_keyring
from service.sealing import records
from service.sealing import service as sealing
from service.sealing.service import reseal, rotate
from service.settings import Settings, SettingsError, load
from service.vault import SEALED, Vault
from service.webhooks import records as webhooks
from service.webhooks.types import Callback
from service.workspaces import DEFAULT_WORKSPACE
from stores.records.database import Connection, Database
from tests.service.document_stores.talk import FAKE, Talk

CANARY = "sk-canary-77c1"
OLD, NEW = bytes(range(32)), bytes(range(1, 33))
ONE, BOTH, TWO = Keyring({1: OLD}), Keyring({1: OLD, 2: NEW}), Keyring({2: NEW})


async def filled(talk: Talk, client: httpx.AsyncClient) -> tuple[str, dict[str, Any]]:
    """Something with a secret in many places, an answer that is kept among them."""
    body = {"name": "Mine", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": CANARY}}
    kept = {"Idempotency-Key": str(uuid4())}
    saved = (await client.post("/api/v1/credentials", json=body, headers=kept)).json()["id"]
    embedding = {"name": FAKE["name"], "config": {**FAKE["config"], "openAIApiKey": CANARY}}
    await talk.store(embeddingConfig=embedding)
    flow = {"name": "f", "type": "CHATFLOW", "flowData": json.dumps({"nodes": [], "edges": [], "note": CANARY})}
    made = (await client.post("/api/v1/chatflows", json=flow, headers={"Idempotency-Key": "f"})).json()
    tool = {"name": "t", "description": "d", "color": "c", "schema": "[]", "func": CANARY}
    variable = {"name": "v", "value": CANARY, "type": "static"}
    for path, sent in (("tools", tool), ("variables", variable), (f"chatflows/{made['id']}/webhook-secret", {})):
        response = await client.post(f"/api/v1/{path}", json=sent)
        assert response.status_code == 200, response.text
    callback = Callback(UUID(made["id"]), "chat", "https://example.com/", CANARY, True, "{}")
    async with talk.resources.database.write(talk.workspace) as scope:
        assert await webhooks.insert(scope, uuid4(), callback, 3600)
        await jobs.submit(scope, talk.resources.queue, "reindex", payload={"apiKey": CANARY})
    return saved, made


async def versions(database: Database) -> set[str]:
    """By which keys what lies in the database is sealed, wherever that is."""
    found: set[str] = set()
    async with database.connection() as connection:
        tables = await connection.execute(
            "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
        )
        for table in [row["name"] for row in await tables.fetchall()]:
            rows = await connection.execute(f"SELECT t::text AS row FROM {table} t")
            texts = [row["row"] for row in await rows.fetchall()]
            found |= {part.split(":")[0] for text in texts for part in text.split(SEALED)[1:]}
        rows = await connection.execute("SELECT body FROM idempotency_keys WHERE body IS NOT NULL")
        found |= {bytes(row["body"]).split(b":")[1].decode() for row in await rows.fetchall()}
        rows = await connection.execute("SELECT key_version FROM credentials")
        return found | {str(row["key_version"]) for row in await rows.fetchall()}


async def test_everything_is_sealed_anew_and_the_old_key_is_needed_no_more(
    talk: Talk, client: httpx.AsyncClient, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, flow = await filled(talk, client)
    assert await versions(resources.database) == {"1"}
    old, url = resources.keyring, resources.settings.database_url
    assert url is not None
    both = grown(old)
    async with Database(url.get_secret_value(), size=1, sealer=Vault(both)) as database:
        monkeypatch.setattr(sealing, "_answers", None)  # the machine goes down in the middle
        with pytest.raises(TypeError):
            await rotate(database, both)
        monkeypatch.undo()
        with pytest.raises(SettingsError, match="another key"):
            await check_keyring(database, old)  # the newest key has begun to seal
        await check_keyring(database, both)
        assert await rotate(database, both) >= 2
        assert await versions(database) == {"2"}
        assert await reseal(database, both) == 0
        await check_keyring(database, both.latest)
        await check_keyring(database, both)
        await check_keyring(database, both.latest)  # older keys that are still there are not needed
        with pytest.raises(SettingsError, match="another key"):
            await check_keyring(database, old)
        opened = await credentials.get(database, both.latest, DEFAULT_WORKSPACE, UUID(saved))
        assert opened.values == {"openAIApiKey": CANARY}
    async with (
        Database(url.get_secret_value(), size=1, sealer=Vault(both.latest)) as database,
        database.read(DEFAULT_WORKSPACE) as scope,
    ):
        row = await scope.one("SELECT flow_data FROM chatflows WHERE id = %(id)s", id=flow["id"])
        assert row is not None
        assert scope.connection.sealer.open_text(row["flow_data"], DEFAULT_WORKSPACE) == flow["flowData"]


async def test_a_credential_that_no_key_opens_stays_and_stops_nothing(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    body = {"name": "Lost", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": CANARY}}
    saved = (await client.post("/api/v1/credentials", json=body)).json()["id"]
    async with resources.database.connection() as connection:
        await connection.execute("UPDATE credentials SET sealed = 'nothing that was ever sealed'::bytea")
    url = resources.settings.database_url
    assert url is not None
    both = grown(resources.keyring)
    async with Database(url.get_secret_value(), size=1, sealer=Vault(both)) as database:
        await rotate(database, both)
    assert [item["id"] for item in (await client.get("/api/v1/credentials")).json()] == [saved]


async def test_what_is_written_meanwhile_stays(
    talk: Talk, client: httpx.AsyncClient, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(talk, client)

    def overtaken(name: str, statement: bytes) -> None:
        """Rows that somebody else writes as soon as they have been read."""
        read = getattr(records, name)

        async def page(connection: Connection, *arguments: Any) -> Any:
            rows = await read(connection, *arguments)
            if rows and (name != "page" or arguments[0].table == "variables"):
                await connection.execute(statement)
            return rows

        monkeypatch.setattr(records, name, page)

    overtaken("page", b"UPDATE variables SET value = 'later'")
    overtaken("credentials", b"UPDATE credentials SET sealed = 'later'")
    overtaken("answers", b"UPDATE idempotency_keys SET body = 'later'")
    url = resources.settings.database_url
    assert url is not None
    both = grown(resources.keyring)
    async with Database(url.get_secret_value(), size=1, sealer=Vault(both)) as database:
        await reseal(database, both)
        monkeypatch.undo()
        async with database.connection() as connection:
            cursor = await connection.execute(
                "SELECT value AS found FROM variables UNION ALL SELECT convert_from(sealed, 'UTF8') FROM credentials"
                " UNION ALL SELECT convert_from(body, 'UTF8') FROM idempotency_keys"
            )
            assert {row["found"] for row in await cursor.fetchall()} == {"later"}


def test_rings_know_what_they_extend() -> None:
    assert BOTH.extends(ONE.fingerprint)
    assert BOTH.extends(TWO.fingerprint)
    assert BOTH.extends(BOTH.fingerprint)
    assert not ONE.extends(BOTH.fingerprint)
    assert not TWO.extends(ONE.fingerprint)
    assert TWO.fingerprint != Keyring({1: NEW}).fingerprint, "what is sealed by version 2 is not found under 1"


def test_the_data_folder_keeps_several_keys(settings: Settings) -> None:
    first = open_keyring(settings)
    both = grown(first)
    write_keyring(settings.data, both)
    assert open_keyring(settings) == both
    write_keyring(settings.data, both.latest)
    assert open_keyring(settings) == both.latest
    assert (settings.data / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in settings.data.glob("secrets*")] == ["secrets.json"]


@pytest.mark.parametrize(
    ("given", "versions"),
    [("{0}", [1]), ("2:{1},1:{0}", [1, 2]), (" 2:{1} , {0}", [1, 2]), ("7:{0}", [7])],
)
def test_a_key_that_is_given_may_be_several(given: str, versions: list[int]) -> None:
    import base64

    texts = [base64.b64encode(key).decode() for key in (OLD, NEW)]
    settings = load({"RAGSTONE_SECRET_KEY": given.format(*texts)}, {})
    assert sorted(open_keyring(settings).keys) == versions


@pytest.mark.parametrize("given", ["0:{0}", "x:{0}", "1:{0},1:{0}", "{0},{0}", "2:", "", "2:{0},"])
def test_a_key_that_is_none_is_refused(given: str) -> None:
    import base64

    settings = load({"RAGSTONE_SECRET_KEY": given.format(base64.b64encode(OLD).decode()) or " "}, {})
    with pytest.raises(SettingsError, match="RAGSTONE_SECRET_KEY"):
        open_keyring(settings)
