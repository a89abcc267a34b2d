"""JSON that is nested without end, holds what no database keeps, or is far too large: refused by every route (S29, S33,
S37)."""

import json
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from service.http.forms import MAX_FIELDS, URL_ENCODED
from service.json_text import MOST_VALUES
from service.resources import Resources
from service.settings import Settings
from tests.application import speak
from tests.conformance.test_routes import JSON, Operation, described, make_agentflow, make_chatflow, object_of


def nested(depth: int) -> Iterator[str]:
    """Lists and objects within each other, as many as `depth`."""
    yield "[" * depth + "]" * depth
    yield '{"a":' * depth + "1" + "}" * depth


HOSTILE = {
    "deeper than allowed": [*nested(300), *nested(940), *nested(20_000)],
    "deep within a text": [json.dumps(text) for depth in (900, 50_000) for text in nested(depth)],
    "no finite number": ["NaN", '{"a": NaN}', '{"a": -Infinity}', '{"name": "pgvector", "config": {"a": 1e999}}'],
    "no finite number within a text": [json.dumps('{"name": "pgvector", "config": {"a": NaN}}')],
    "half a character within a text": [json.dumps('{"name": "fake", "config": {"a": "\\ud800\\u0000"}}')],
    "deep within a file": [f'{{"name": "textFile", "txtFile": "{"[" * 50_000}"}}'],
    "many digits": ["1" * 5000, json.dumps("1" * 5000)],
}


async def answered(client: httpx.AsyncClient, operation: Operation, made: str | None, name: str, value: str) -> int:
    """The status for a body whose member `name` is this JSON."""
    rest = json.dumps({key: item for key, item in (operation.body or {}).items() if key != name})
    content = f"{rest[:-1]}{', ' if rest != '{}' else ''}{json.dumps(name)}: {value}}}"
    headers = {"Content-Type": JSON, "Prefer": "respond-async"}
    return (await client.request(operation.method, operation.url(made), content=content, headers=headers)).status_code


@pytest.mark.parametrize("kind", HOSTILE)
async def test_no_json_is_more_than_a_route_can_bear(
    app: FastAPI, client: httpx.AsyncClient, resources: Resources, kind: str
) -> None:
    problems = []
    for operation in described(app):
        names = [name for name, schema in operation.properties() if operation.types(schema) != {"boolean"}]
        made = await object_of(operation, client, resources) if names else None
        for name in names:
            for value in HOSTILE[kind]:
                status = await answered(client, operation, made, name, value)
                if status >= 500 and status not in (501, 502, 503):
                    problems.append(f"{operation} with {name}: {value[:60]}: {status}")
    assert not problems, "\n".join(problems)


async def test_what_no_file_is_in_has_a_limit_of_its_own(
    anonymous: httpx.AsyncClient, client: httpx.AsyncClient, resources: Resources, settings: Settings
) -> None:
    content = b"[" + b"[]," * (settings.max_json // 3) + b"[]]"
    flow = await make_chatflow(client, resources)  # of an unknown one, not even the size is looked at
    for opened, method, path in (
        (anonymous, "POST", f"/api/v1/prediction/{flow}"),
        (client, "POST", "/api/v1/chatflows"),
        (client, "PATCH", "/api/v1/upsert-history"),
    ):
        response = await opened.request(method, path, content=content, headers={"Content-Type": JSON})
        assert response.status_code == 413, f"{path}: {response.text[:200]}"
        assert response.json()["message"].startswith("max_json: ")


async def test_small_values_are_counted(
    anonymous: httpx.AsyncClient, client: httpx.AsyncClient, resources: Resources
) -> None:
    flow, webhook = await make_chatflow(client, resources), await make_agentflow(client, resources)
    flood = "[" + "[]," * (2 * MOST_VALUES) + "[]]"
    for opened, method, path in (
        (anonymous, "POST", f"/prediction/{flow}"),
        (anonymous, "POST", f"/webhook/{webhook}"),
        (anonymous, "POST", "/leads"),
        (anonymous, "POST", "/feedback"),
        (anonymous, "PUT", f"/feedback/{flow}"),
        (client, "POST", "/chatflows"),
    ):
        content = f'{{"question": "Hello?", "more": {flood}}}'
        response = await opened.request(method, f"/api/v1{path}", content=content, headers={"Content-Type": JSON})
        assert response.status_code == 413, f"{path}: {response.status_code} {response.text[:200]}"
        assert response.json()["message"] == f"max_values: the body has more than {MOST_VALUES} values"
    for field in ("uploads", "history", "form"):
        asked = {"question": "Hello?", field: flood}
        response = await anonymous.post(f"/api/v1/prediction/{flow}", files={"a": (None, "")}, data=asked)
        assert response.status_code == 413, f"{field}: {response.status_code} {response.text[:200]}"
        assert response.json()["message"] == f"max_values: {field}: more than {MOST_VALUES} values"


async def test_fields_of_forms_are_counted(
    anonymous: httpx.AsyncClient, client: httpx.AsyncClient, resources: Resources
) -> None:
    flow = await make_chatflow(client, resources)
    content, headers = "question=Hello&" + "a=&" * MAX_FIELDS, {"Content-Type": URL_ENCODED}
    response = await anonymous.post(f"/api/v1/prediction/{flow}", content=content, headers=headers)
    assert response.status_code == 400
    assert response.json()["message"] == f"The form has more than {MAX_FIELDS} fields"


async def test_strangers_keep_no_refusals_under_their_keys(app: FastAPI, resources: Resources) -> None:
    path = "/api/v1/prediction/5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"
    for token in (None, "a", "b"):
        async with speak(app, token) as stranger:
            response = await stranger.post(path, json={"question": "Hello?"}, headers={"Idempotency-Key": "one"})
            assert response.status_code == 404
    async with resources.database.connection() as connection:
        assert await (await connection.execute("SELECT 1 FROM idempotency_keys")).fetchall() == []
