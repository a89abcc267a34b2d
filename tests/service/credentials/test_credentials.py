from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.credentials import service
from service.credentials.components import COMPONENTS
from service.credentials.types import BLANK, HOSTS, Credential, OpenCredential
from service.errors import NotFound
from service.keyring import Keyring
from service.resources import Resources

SECRET = "sk-canary-1234567890"
OPENAI = {"name": "OpenAI", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": SECRET}}


async def save(client: httpx.AsyncClient, **changes: object) -> UUID:
    response = await client.post("/api/v1/credentials", json=OPENAI | changes)
    assert response.status_code == 200, response.text
    return UUID(response.json()["id"])


async def test_a_saved_credential_is_answered_without_its_values(client: httpx.AsyncClient, workspace: UUID) -> None:
    response = await client.post("/api/v1/credentials", json=OPENAI)
    body = response.json()
    assert response.status_code == 200
    assert set(body) == {
        "id", "name", "credentialName", "encryptedData", "createdDate", "updatedDate", "workspaceId",
    }  # fmt: skip
    assert (body["name"], body["credentialName"], body["workspaceId"]) == ("OpenAI", "openAIApi", str(workspace))
    assert body["encryptedData"] == BLANK


async def test_the_values_reach_the_feature_that_asks_for_them(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    saved = await save(client)
    assert await service.reveal(resources, workspace, saved) == {"openAIApiKey": SECRET}


async def test_no_answer_holds_a_secret(client: httpx.AsyncClient) -> None:
    saved = await save(client)
    paths = ["/api/v1/credentials", f"/api/v1/credentials/{saved}", f"/api/v1/credentials/{saved}/reveal"]
    for path in paths:
        response = await client.get(path)
        assert response.status_code == 200
        assert SECRET not in response.text
    changed = await client.put(paths[1], json=OPENAI)
    assert SECRET not in changed.text


async def test_the_database_holds_no_secret(client: httpx.AsyncClient, resources: Resources) -> None:
    await save(client)
    async with resources.database.connection() as connection:
        row = await (await connection.execute("SELECT sealed FROM credentials")).fetchone()
    assert row is not None
    assert SECRET.encode() not in row["sealed"]


async def test_secrets_and_connection_strings_are_masked_and_the_rest_is_shown(client: httpx.AsyncClient) -> None:
    saved = await save(
        client, credentialName="redisCacheApi",
        plainDataObj={"redisCacheHost": "cache", "redisCachePort": 6379, "redisCachePwd": SECRET,
                      "redisCacheSslEnabled": True},
    )  # fmt: skip
    shown = (await client.get(f"/api/v1/credentials/{saved}")).json()["plainDataObj"]
    assert shown == {
        "redisCacheHost": "cache", "redisCachePort": 6379, "redisCachePwd": BLANK, "redisCacheSslEnabled": True,
    }  # fmt: skip
    url = await save(client, credentialName="PostgresUrl", plainDataObj={"postgresUrl": f"postgresql://u:{SECRET}@h/d"})
    revealed = (await client.get(f"/api/v1/credentials/{url}/reveal")).json()
    assert revealed == {"plainDataObj": {"postgresUrl": BLANK}}


async def test_the_list_can_be_narrowed_to_several_components(client: httpx.AsyncClient) -> None:
    await save(client, name="b")
    await save(client, name="a", credentialName="groqApi", plainDataObj={"groqApiKey": "x"})
    await save(client, name="c", credentialName="cohereApi", plainDataObj={"cohereApiKey": "x"})
    everything = (await client.get("/api/v1/credentials")).json()
    assert [item["name"] for item in everything] == ["a", "b", "c"]
    assert "encryptedData" not in everything[0]
    some = await client.get("/api/v1/credentials?credentialName=openAIApi&credentialName=cohereApi")
    assert [item["name"] for item in some.json()] == ["b", "c"]


async def test_the_marker_keeps_the_secret(client: httpx.AsyncClient, resources: Resources, workspace: UUID) -> None:
    saved = await save(client)
    read = (await client.get(f"/api/v1/credentials/{saved}")).json()
    response = await client.put(
        f"/api/v1/credentials/{saved}", json={"name": "New name", "plainDataObj": read["plainDataObj"]}
    )
    assert response.status_code == 200
    assert response.json()["name"] == "New name"
    assert await service.reveal(resources, workspace, saved) == {"openAIApiKey": SECRET}


async def test_a_new_value_replaces_the_old_one(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    saved = await save(client)
    await client.put(f"/api/v1/credentials/{saved}", json={"plainDataObj": {"openAIApiKey": "sk-new"}})
    assert await service.reveal(resources, workspace, saved) == {"openAIApiKey": "sk-new"}


@pytest.mark.parametrize("value", [BLANK, f"sk-{BLANK}"])
async def test_the_marker_cannot_be_saved_as_a_value(client: httpx.AsyncClient, value: str) -> None:
    response = await client.post("/api/v1/credentials", json=OPENAI | {"plainDataObj": {"openAIApiKey": value}})
    assert response.status_code == 422
    assert "plainDataObj.openAIApiKey" in response.json()["message"]


async def test_a_value_that_is_no_single_value_is_refused_in_one_clause(client: httpx.AsyncClient) -> None:
    values = {"openAIApiKey": SECRET, HOSTS: ["api.example"]}
    response = await client.post("/api/v1/credentials", json=OPENAI | {"plainDataObj": values})
    assert response.status_code == 422
    said = "plainDataObj.allowedHosts: Input should be a valid string or a valid integer"
    assert response.json()["message"].count("plainDataObj") == 1
    assert said in response.json()["message"]


async def test_an_allowed_host_that_could_never_fit_is_refused(client: httpx.AsyncClient) -> None:
    values = {"openAIApiKey": SECRET, HOSTS: "api.example, 127.0.0.1:8100"}
    response = await client.post("/api/v1/credentials", json=OPENAI | {"plainDataObj": values})
    assert response.status_code == 422
    assert response.json()["message"].startswith("plainDataObj.allowedHosts: '127.0.0.1:8100' is no host")


async def test_the_marker_carries_no_secret_into_another_component(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    saved = await save(client, credentialName="PostgresApi", plainDataObj={"user": "u", "password": SECRET})
    response = await client.put(
        f"/api/v1/credentials/{saved}",
        json={"credentialName": "MySQLApi", "plainDataObj": {"user": "u", "password": BLANK}},
    )
    assert response.status_code == 422
    assert (await service.reveal(resources, workspace, saved))["password"] == SECRET


async def test_where_a_secret_is_sent_changes_only_with_the_secret(client: httpx.AsyncClient) -> None:
    values = {"endpoint": "https://api.voyageai.com", "apiKey": SECRET}
    saved = await save(client, credentialName="voyageAIApi", plainDataObj=values)
    path = f"/api/v1/credentials/{saved}"
    for change in ({"endpoint": "https://evil.example"}, {HOSTS: "evil.example"}):
        refused = await client.put(path, json={"plainDataObj": change | {"apiKey": BLANK}})
        assert refused.status_code == 422
        assert "plainDataObj.apiKey" in refused.json()["message"]
        allowed = await client.put(path, json={"plainDataObj": change | {"apiKey": "sk-new"}})
        assert allowed.status_code == 200


async def test_a_credential_goes_only_to_the_hosts_it_names(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    bound = await save(client, plainDataObj={"openAIApiKey": SECRET, HOSTS: "api.openai.com, *.example.org"})
    for host in ("api.openai.com", "API.OpenAI.com.", "eu.example.org"):
        assert await service.reveal(resources, workspace, bound, host=host) == {"openAIApiKey": SECRET}
    for host in ("evil.example", "example.org.evil.example", "notexample.org", "xapi.openai.com"):
        with pytest.raises(service.HostNotAllowed, match="OpenAI"):
            await service.reveal(resources, workspace, bound, host=host)


async def test_unknown_inputs_and_wrong_types_name_the_field(client: httpx.AsyncClient) -> None:
    cases: list[tuple[dict[str, object], str]] = [
        ({"plainDataObj": {"openAIKey": "x"}}, "plainDataObj.openAIKey"),
        ({"plainDataObj": {}}, "plainDataObj.openAIApiKey"),
        ({"plainDataObj": {"openAIApiKey": ""}}, "plainDataObj.openAIApiKey"),
        ({"plainDataObj": {"openAIApiKey": 7}}, "plainDataObj.openAIApiKey"),
        ({"plainDataObj": {"openAIApiKey": {"a": 1}}}, "plainDataObj.openAIApiKey"),
        ({"plainDataObj": {"openAIApiKey": "x" * 65537}}, "plainDataObj.openAIApiKey"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": None}, "name"),
        ({"credentialName": "nobodyApi"}, "credentialName"),
    ]
    for change, field in cases:
        response = await client.post("/api/v1/credentials", json=OPENAI | change)
        assert response.status_code == 422, change
        assert field in response.json()["message"]
        assert SECRET not in response.text


async def test_ids_and_owners_in_the_body_are_ignored(client: httpx.AsyncClient, workspace: UUID) -> None:
    wanted = str(uuid4())
    extras = {"id": wanted, "workspaceId": wanted, "createdDate": "2001-01-01T00:00:00.000Z", "encryptedData": "x"}
    body = (await client.post("/api/v1/credentials", json=OPENAI | extras)).json()
    assert body["id"] != wanted
    assert body["workspaceId"] == str(workspace)
    assert not body["createdDate"].startswith("2001")


async def test_a_removed_credential_is_gone(client: httpx.AsyncClient) -> None:
    saved = await save(client)
    path = f"/api/v1/credentials/{saved}"
    assert (await client.delete(path)).json() == {"raw": [], "affected": 1}
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404


async def test_a_credential_of_another_workspace_does_not_exist(
    client: httpx.AsyncClient, foreign: httpx.AsyncClient, resources: Resources, foreign_workspace: UUID
) -> None:
    saved = await save(client)
    path = f"/api/v1/credentials/{saved}"
    answers = [
        await foreign.get(path),
        await foreign.get(path + "/reveal"),
        await foreign.put(path, json={"name": "mine"}),
        await foreign.delete(path),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert (await foreign.get("/api/v1/credentials")).json() == []
    with pytest.raises(NotFound):
        await service.reveal(resources, foreign_workspace, saved)
    assert (await client.get(path)).json()["name"] == "OpenAI"


async def test_another_key_is_an_error_that_names_the_credential(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    saved = await save(client)
    other = Keyring({1: bytes(range(32))})
    with pytest.raises(service.UnreadableCredential, match=f"'OpenAI' \\({saved}\\)"):
        await service.get(resources.database, other, workspace, saved)
    with pytest.raises(service.UnreadableCredential):
        await service.update(resources.database, other, workspace, saved, "x", None, {"openAIApiKey": BLANK})
    await service.update(resources.database, other, workspace, saved, None, None, {"openAIApiKey": "sk-anew"})
    assert (await service.get(resources.database, other, workspace, saved)).values == {"openAIApiKey": "sk-anew"}


async def test_sealed_values_cannot_be_moved_to_another_credential(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    first, second = await save(client), await save(client, plainDataObj={"openAIApiKey": "sk-other"})
    async with resources.database.connection() as connection:
        await connection.execute(
            "UPDATE credentials SET sealed = (SELECT sealed FROM credentials WHERE id = %s) WHERE id = %s",
            (first, second),
        )
    response = await client.get(f"/api/v1/credentials/{second}")
    assert (response.status_code, response.json()["code"]) == (409, "wrong_key")


async def test_components_are_described_as_forms_need_them(client: httpx.AsyncClient) -> None:
    everything = (await client.get("/api/v1/components-credentials")).json()
    assert {"openAIApi", "azureOpenAIApi", "anthropicApi", "qdrantApi"} <= {item["name"] for item in everything}
    one = (await client.get("/api/v1/components-credentials/openAIApi")).json()
    assert one["inputs"][0] == {"label": "OpenAI Api Key", "name": "openAIApiKey", "type": "password"}
    two = (await client.get("/api/v1/components-credentials/openAIApi&amp;groqApi")).json()
    assert [item["name"] for item in two] == ["openAIApi", "groqApi"]
    assert (await client.get("/api/v1/components-credentials/nobodyApi")).status_code == 404


def test_every_component_has_a_secret_and_unlike_inputs() -> None:
    for component in COMPONENTS.values():
        names = [item.name for item in component.inputs]
        assert len(names) == len(set(names)), component.name
        assert any(item.secret for item in component.inputs) or component.name == "lunaryApi", component.name


@given(st.dictionaries(st.sampled_from(["openAIApiKey", HOSTS, "leftover"]), st.text(min_size=1)))
def test_masking_shows_nothing_but_open_inputs(values: dict[str, str]) -> None:
    now = datetime.now(UTC)
    owner = Credential(uuid4(), uuid4(), "OpenAI", "openAIApi", now, now)
    shown = service.masked(OpenCredential(owner, dict(values)))
    assert set(shown) == set(values)
    assert all(value == BLANK for name, value in shown.items() if name != HOSTS)
