"""Who gets in: the public routes are the reviewed ones, every other one is closed in whatever spelling (S1, S2)."""

from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from service.api_keys import service as api_keys
from service.api_keys.service import Verifier
from service.app import create_app
from service.http.access import PUBLIC, Rule
from service.http.public import PUBLIC_ROUTES, WIDGET_ROUTES
from service.http.routing import Routes, UndeclaredRoute
from service.resources import Resources
from service.settings import load

GOLDEN = """
DELETE /api/v1/webhook/{id}
GET /api/v1/chatflows-streaming
GET /api/v1/chatflows-streaming/{id}
GET /api/v1/chatflows-uploads
GET /api/v1/chatflows-uploads/{id}
GET /api/v1/chatflows/apikey
GET /api/v1/chatflows/apikey/{apikey}
GET /api/v1/components-credentials-icon/{name}
GET /api/v1/get-upload-file
GET /api/v1/node-icon/{name}
GET /api/v1/ping
GET /api/v1/public-chatbotConfig
GET /api/v1/public-chatbotConfig/{id}
GET /api/v1/public-chatflows
GET /api/v1/public-chatflows/{id}
GET /api/v1/public-executions
GET /api/v1/public-executions/{id}
GET /api/v1/verify/apikey/{apikey}
GET /api/v1/version
GET /api/v1/webhook/{id}
GET /docs
GET /docs/{asset}
GET /healthz
GET /openapi.json
GET /readyz
PATCH /api/v1/webhook/{id}
POST /api/v1/attachments/{chatflowId}
POST /api/v1/attachments/{chatflowId}/{chatId}
POST /api/v1/feedback
POST /api/v1/feedback/{id}
POST /api/v1/leads
POST /api/v1/prediction
POST /api/v1/prediction/{id}
POST /api/v1/webhook/{id}
PUT /api/v1/chatmessage/abort
PUT /api/v1/chatmessage/abort/{chatflowid}
PUT /api/v1/chatmessage/abort/{chatflowid}/{chatid}
PUT /api/v1/feedback/{id}
PUT /api/v1/webhook/{id}
"""
"""The reviewed list, a second time: a route becomes public in two places or not at all."""

FOR_WIDGETS = {"POST /api/v1/vector/upsert/{id}"}
"""Routes that let a widget in without a key where operator and flow say so (Annex 2 no. 8), a second time."""

ID = "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"
CLOSED = (401, 404, 405)

TRUSTED_ELSEWHERE = {
    "x-request-from": "internal",
    "X-Original-URL": "/api/v1/ping",
    "X-Rewrite-URL": "/api/v1/ping",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "localhost",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/api/v1/ping",
    "Forwarded": "for=127.0.0.1;host=localhost",
}


def rules(app: FastAPI) -> Iterator[tuple[str, str, Rule | None]]:
    """Method, path and rule of everything the application answers."""
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route} is no route of a feature"
        for method in route.methods or ():
            yield method, route.path, getattr(route, "rule", None)


def concrete(path: str) -> str:
    """A path with its parameters filled in."""
    return "/".join(ID if part.startswith("{") else part for part in path.split("/"))


def guarded(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of each route that needs a key."""
    return [(method, concrete(path)) for method, path, rule in rules(app) if rule is None or not rule.public]


def spellings(path: str) -> list[str]:
    """The same path in the spellings that have opened doors elsewhere."""
    tail = path.removeprefix("/api/v1/")
    return [
        path,
        path.upper(),
        path.title(),
        "/API/V1/" + tail,
        "/" + path,
        path.replace("/api/v1/", "/api//v1/"),
        path + "/",
        path + "//",
        path + ".",
        path + "/.",
        path + "/..",
        path.replace("/v1/", "/v1/./"),
        path.replace("/v1/", "/v1/x/../"),
        path.replace("/v1/", "/v1/%2e/"),
        path.replace("/v1/", "/v1/ping/%2e%2e/"),
        path.replace("/v1/", "/v1/ping/../"),
        path.replace("/v1/", "/v1%2f"),
        path.replace("/api", "/%61pi"),
        path + ";x",
        path + ";jsessionid=1",
        path.replace("/v1/", "/v1;a=b/"),
        path + "%00",
        path + "%20",
        path + "?access=/api/v1/ping",
        path + "#/api/v1/ping",
    ]


async def raw(client: httpx.AsyncClient, method: str, target: str, headers: dict[str, str] | None = None) -> int:
    """The status for a request target that is sent as it is written, without the client's tidying."""
    url = httpx.URL("http://test/").copy_with(raw_path=target.split("#")[0].encode())
    response = await client.request(method, url, headers=headers)
    return response.status_code


def test_the_public_routes_are_the_reviewed_ones(app: FastAPI) -> None:
    golden = set(GOLDEN.strip().splitlines())
    assert golden == PUBLIC_ROUTES
    assert {f"{method} {path}" for method, path, rule in rules(app) if rule is not None and rule.public} == golden


def test_the_routes_for_widgets_are_the_reviewed_ones(app: FastAPI) -> None:
    assert WIDGET_ROUTES == FOR_WIDGETS
    assert {f"{method} {path}" for method, path, rule in rules(app) if rule is not None and rule.widget} == FOR_WIDGETS


def test_every_route_declares_its_rule(app: FastAPI) -> None:
    assert [f"{method} {path}" for method, path, rule in rules(app) if rule is None] == []


def test_a_public_route_off_the_list_does_not_start() -> None:
    routes = Routes("Test")

    @routes.get("/secret", PUBLIC)
    async def secret() -> None: ...

    with pytest.raises(UndeclaredRoute, match="GET /api/v1/secret"):
        routes.install(create_app(load({})))


async def test_no_spelling_opens_a_guarded_route(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    opened = [
        f"{method} {spelling}: {status}"
        for method, path in guarded(app)
        for spelling in spellings(path)
        if (status := await raw(anonymous, method, spelling)) not in CLOSED
    ]
    assert opened == []


async def test_no_method_opens_a_guarded_route(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    public = {concrete(path) for _, path, rule in rules(app) if rule is not None and rule.public}
    opened = [
        f"{method} {path}: {status}"
        for path in {path for _, path in guarded(app)} - public
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "GeT", "get")
        if (status := await raw(anonymous, method, path)) not in CLOSED
    ]
    assert opened == []


async def test_no_override_header_changes_the_method(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    names = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
    opened = [
        f"{method} {path} as {other}: {status}"
        for method, path in guarded(app)
        for other in ("GET", "HEAD", "OPTIONS")
        if (status := await raw(anonymous, method, path, dict.fromkeys(names, other))) not in CLOSED
    ]
    assert opened == []


async def test_no_header_stands_for_a_key(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    headers = [TRUSTED_ELSEWHERE] + [
        {"Authorization": value}
        for value in ("Bearer ", "Bearer null", "bearer x", "Basic YTpi", "Bearer undefined", "Bearer *", "Bearer %")
    ]
    opened = [
        f"{method} {path} with {given}: {status}"
        for method, path in guarded(app)
        for given in [*headers, {"X-API-Key": "x"}, {"Cookie": "token=x"}]
        if (status := await raw(anonymous, method, path, given)) not in CLOSED
    ]
    assert opened == []


async def test_headers_of_proxies_change_nothing_for_a_caller(app: FastAPI, client: httpx.AsyncClient) -> None:
    for method, path in guarded(app):
        if method != "GET":
            continue
        plain = await client.get(path)
        with_headers = await client.get(path, headers=TRUSTED_ELSEWHERE)
        assert (with_headers.status_code, with_headers.content) == (plain.status_code, plain.content), path


async def test_a_missing_and_a_wrong_key_get_the_same_answer(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    for method, path in guarded(app):
        missing = await anonymous.request(method, path)
        wrong = await anonymous.request(method, path, headers={"Authorization": "Bearer wrong"})
        assert missing.status_code == wrong.status_code == 401
        assert missing.content == wrong.content
        assert missing.json()["error"] == "Unauthorized Access"
        assert missing.headers["www-authenticate"] == "Bearer"


async def test_a_key_without_the_permission_is_refused(app: FastAPI, limited: httpx.AsyncClient) -> None:
    for method, path, rule in rules(app):
        if rule is None or rule.public or not rule.scopes:
            continue
        response = await limited.request(method, concrete(path))
        assert response.status_code == 403, f"{method} {path}"
        assert set(response.json()) >= {"statusCode", "success", "message", "stack", "error"}


async def test_a_revoked_key_is_refused_at_once(
    client: httpx.AsyncClient, resources: Resources, workspace: UUID, key: str
) -> None:
    assert (await client.get("/api/v1/credentials")).status_code == 200
    caller = await Verifier(resources.database)(key)
    assert caller is not None
    assert caller.key is not None
    await api_keys.revoke(resources.database, workspace, caller.key)
    assert (await client.get("/api/v1/credentials")).status_code == 401
