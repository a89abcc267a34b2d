"""What holds for every route, read from the running OpenAPI document: a new route is covered the day it is added."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from service.executions import records as execution_records
from service.executions.types import Owner
from service.http.openapi import operations
from service.jobs import service as jobs
from service.resources import Resources
from service.workspaces import DEFAULT_WORKSPACE

ERROR_FIELDS = {"statusCode", "success", "message", "stack", "error"}
JSON = "application/json"

Json = dict[str, Any]
Make = Callable[[httpx.AsyncClient, Resources], Awaitable[str]]


@dataclass(frozen=True)
class Operation:
    """A route of the document."""

    method: str
    path: str
    spec: Mapping[str, Any]
    schemas: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def guarded(self) -> bool:
        """Whether it needs a key."""
        return bool(self.spec["security"])

    @property
    def parameters(self) -> list[str]:
        """The names in its path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def body(self) -> Any:
        """An example of its JSON body; None without one."""
        return self.spec.get("requestBody", {}).get("content", {}).get(JSON, {}).get("example")

    @property
    def takes_json(self) -> bool:
        """Whether it reads a JSON body."""
        return JSON in self.spec.get("requestBody", {}).get("content", {})

    def url(self, value: str | None = None) -> str:
        """Its path with `value`, else an unknown id, in place of each parameter that can be one."""
        numbers = {
            item["name"]
            for item in self.spec.get("parameters", ())
            if item["in"] == "path" and item["schema"].get("type") == "integer"
        }
        return "/".join(
            part if not part.startswith("{") else "1" if part[1:-1] in numbers else value or str(uuid4())
            for part in self.path.split("/")
        )

    def properties(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The fields of its JSON body with their schemas."""
        schema = self.spec.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
        schema = self._resolved(schema)
        for option in schema.get("anyOf", (schema,)):  # a body that may be left out is one of two
            yield from self._resolved(option).get("properties", {}).items()

    def types(self, schema: Mapping[str, Any]) -> set[str]:
        """The JSON types that a field may have; empty: any."""
        schema = self._resolved(schema)
        options = [option for union in ("anyOf", "oneOf") for option in schema.get(union, ())]
        if not options:
            return {schema["type"]} if isinstance(schema.get("type"), str) else set()
        kinds = [self.types(option) for option in options]
        return set() if any(not kind for kind in kinds) else set().union(*kinds)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rsplit("/", 1)[-1]]
        return schema


def described(app: FastAPI) -> list[Operation]:
    """Every route of the document."""
    document = app.openapi()
    schemas = document["components"]["schemas"]
    return [Operation(method, path, spec, schemas) for method, path, spec in operations(document)]


def complaint(response: httpx.Response, *expected: int) -> str | None:
    """What is wrong with an error answer; None when nothing is."""
    if response.status_code not in expected:
        return f"{response.status_code} instead of {expected}: {response.text[:200]}"
    try:
        body = response.json()
    except ValueError:
        return f"no JSON: {response.text[:200]}"
    if not isinstance(body, dict) or not set(body) >= ERROR_FIELDS or "detail" in body:
        return f"not the error body: {response.text[:200]}"
    if body["statusCode"] != response.status_code or body["success"] is not False or body["error"] != body["message"]:
        return f"the error body disagrees with itself: {response.text[:200]}"
    return None


def wrong_value(types: set[str]) -> Any:
    """A value of a type that is not among these, and that no lenient reading turns into one."""
    for kind, value in (("object", {"wrong": [1]}), ("array", [[]]), ("string", "wrong")):
        if kind not in types:
            return value
    return None


async def make_credential(client: httpx.AsyncClient, _resources: Resources) -> str:
    body = {"name": "Mine", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": "sk-canary"}}
    return await made(client, "/api/v1/credentials", body)


async def make_chatflow(client: httpx.AsyncClient, _resources: Resources) -> str:
    body = {"name": "Mine", "type": "CHATFLOW", "flowData": '{"nodes":[],"edges":[]}', "isPublic": False}
    return await made(client, "/api/v1/chatflows", body)


async def make_document_store(client: httpx.AsyncClient, _resources: Resources) -> str:
    return await made(client, "/api/v1/document-store/store", {"name": "Mine", "description": "canary"})


async def make_job(_client: httpx.AsyncClient, resources: Resources) -> str:
    async with resources.database.write(DEFAULT_WORKSPACE) as scope:
        return str((await jobs.submit(scope, resources.queue, "ingest")).id)


async def make_source(client: httpx.AsyncClient, resources: Resources) -> str:
    store = await make_document_store(client, resources)
    body = {"connector": "github", "config": {"repoLink": "https://github.com/owner/name"}}
    return await made(client, f"/api/v1/document-store/store/{store}/sources", body)


async def make_agentflow(client: httpx.AsyncClient, _resources: Resources) -> str:
    inner = {"id": "start", "name": "startAgentflow", "inputs": {"startInputType": "webhookTrigger"}}
    flow = {"nodes": [{"id": "start", "data": inner}], "edges": []}
    body = {"name": "Mine", "type": "AGENTFLOW", "flowData": json.dumps(flow)}
    return await made(client, "/api/v1/chatflows", body)


async def make_execution(client: httpx.AsyncClient, resources: Resources) -> str:
    owner = Owner(UUID(await make_agentflow(client, resources)), "public", "s1", "c1", "EXTERNAL")
    async with resources.database.write(DEFAULT_WORKSPACE) as scope:
        hold = await execution_records.insert(scope, uuid4(), owner, {}, 60)
    assert hold is not None
    return str(hold.id)


async def make_public_execution(client: httpx.AsyncClient, resources: Resources) -> str:
    execution = await make_execution(client, resources)
    await client.put(f"/api/v1/executions/{execution}", json={"isPublic": True})
    return execution


async def make_tool(client: httpx.AsyncClient, _resources: Resources) -> str:
    return await made(client, "/api/v1/tools", {"name": "mine", "description": "canary"})


async def make_variable(client: httpx.AsyncClient, _resources: Resources) -> str:
    return await made(client, "/api/v1/variables", {"name": "mine", "value": "canary", "type": "static"})


async def make_dataset(client: httpx.AsyncClient, _resources: Resources) -> str:
    return await made(client, "/api/v1/datasets/set", {"name": "Mine", "description": "canary"})


async def make_dataset_row(client: httpx.AsyncClient, resources: Resources) -> str:
    dataset = await make_dataset(client, resources)
    return await made(client, "/api/v1/datasets/rows", {"datasetId": dataset, "input": "canary?", "output": "Yes"})


async def make_evaluator(client: httpx.AsyncClient, _resources: Resources) -> str:
    body = {"name": "mine", "type": "text", "operator": "ContainsAny", "value": "canary"}
    return await made(client, "/api/v1/evaluators", body)


async def make_evaluation(client: httpx.AsyncClient, resources: Resources) -> str:
    dataset, store = await make_dataset(client, resources), await make_document_store(client, resources)
    await made(client, "/api/v1/datasets/rows", {"datasetId": dataset, "input": "canary?"})
    body = {"name": "mine", "datasetId": dataset, "targets": [{"storeId": store}]}
    response = await client.post("/api/v1/evaluations", json=body)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


async def made(client: httpx.AsyncClient, path: str, body: Json) -> str:
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


async def make_api_key(client: httpx.AsyncClient, _resources: Resources) -> str:
    """Of all keys the one that was made last."""
    body = {"keyName": "mine", "permissions": ["chatflows:view"]}
    return str((await client.post("/api/v1/apikey", json=body)).json()[-1]["id"])


OBJECTS: dict[str, Make] = {
    "/api/v1/apikey/": make_api_key,
    "/api/v1/credentials/": make_credential,
    "/api/v1/chatflows/": make_chatflow,
    "/api/v1/validation/": make_chatflow,
    "/api/v1/flow-config/": make_chatflow,
    "/api/v1/chatflows-uploads/": make_chatflow,
    "/api/v1/public-chatflows/": make_chatflow,
    "/api/v1/chatflows-streaming/": make_chatflow,
    "/api/v1/public-chatbotConfig/": make_chatflow,
    "/api/v1/prediction/": make_chatflow,
    "/api/v1/internal-prediction/": make_chatflow,
    "/api/v1/vector/upsert/": make_chatflow,
    "/api/v1/vector/internal-upsert/": make_chatflow,
    "/api/v1/upsert-history/": make_chatflow,
    "/api/v1/attachments/": make_chatflow,
    "/api/v1/chatmessage/": make_chatflow,
    "/api/v1/internal-chatmessage/": make_chatflow,
    "/api/v1/stats/": make_chatflow,
    "/api/v1/feedback/": make_chatflow,
    "/api/v1/leads/": make_chatflow,
    "/api/v1/document-store/sources/": make_source,
    "/api/v1/document-store/": make_document_store,
    "/api/v1/executions/": make_execution,
    "/api/v1/public-executions/": make_public_execution,
    "/api/v1/webhook/": make_agentflow,
    "/api/v1/webhook-listener/": make_agentflow,
    "/api/v1/jobs/": make_job,
    "/api/v1/tools/": make_tool,
    "/api/v1/variables/": make_variable,
    "/api/v1/datasets/rows/": make_dataset_row,
    "/api/v1/datasets/": make_dataset,
    "/api/v1/evaluators/": make_evaluator,
    "/api/v1/evaluations/": make_evaluation,
}
"""Who makes the object whose id stands in a path: a route with an id belongs to one of these, or to NO_OBJECTS."""

LENIENT = {
    (f"/api/v1/{path}/{{id}}", field)
    for path in ("prediction", "internal-prediction")
    for field in ("streaming", "overrideConfig", "evaluation")
}
"""Fields that are read as Flowise reads them: what is no boolean or object counts as absent (contract 1.1)."""

NEVER_THERE = {"/api/v1/chatmessage/abort/{chatflowid}", "/api/v1/attachments/{chatflowId}"}
"""Paths that lack an id by their shape and always answer 412."""

OPENED_BY_KEY = {"/api/v1/chatflows/apikey/{apikey}", "/api/v1/verify/apikey/{apikey}"}
"""Paths that hold a key: what is none is not let in, 401."""

ALWAYS_DONE = {
    "/api/v1/chatmessage/abort/{chatflowid}/{chatid}",  # nothing runs, so nothing is left to stop (contract 1.9)
    "/api/v1/nodes/category/{name}",  # a category without nodes is an empty list (contract 6.7)
}
"""Paths that answer 200 for unknown ids."""

ID_IGNORED = {
    "POST /api/v1/evaluators/{id}",  # makes an evaluator with an id of its own (contract 5.2)
}
"""Routes whose path holds an id that says nothing."""

NO_OBJECTS = {
    "/api/v1/components-credentials/{name}",
    "/api/v1/components-credentials-icon/{name}",
    "/api/v1/node-icon/{name}",
    "/api/v1/nodes/{name}",
    "/api/v1/nodes/category/{name}",
    "/api/v1/node-load-method/{name}",
    *OPENED_BY_KEY,
}
"""Paths whose parameter names something that is the same for everyone."""


async def test_without_a_key_every_guarded_route_answers_401(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    problems = []
    for operation in described(app):
        if operation.guarded:
            response = await anonymous.request(operation.method, operation.url(), json=operation.body)
            if (found := complaint(response, 401)) or response.json()["error"] != "Unauthorized Access":
                problems.append(f"{operation}: {found}")
    assert not problems, "\n".join(problems)


async def test_an_unknown_id_is_not_found(app: FastAPI, client: httpx.AsyncClient) -> None:
    problems = []
    for operation in described(app):
        if not operation.parameters or "404" not in operation.spec["responses"]:
            continue
        response = await client.request(operation.method, operation.url(), json=operation.body)
        if found := complaint(response, 404):
            problems.append(f"{operation}: {found}")
    assert not problems, "\n".join(problems)


def test_every_route_with_an_id_declares_404(app: FastAPI) -> None:
    lacking = [
        str(item)
        for item in described(app)
        if item.parameters
        and item.path not in ALWAYS_DONE | NEVER_THERE | OPENED_BY_KEY
        and str(item) not in ID_IGNORED
        and "404" not in item.spec["responses"]
    ]
    assert not lacking, "\n".join(lacking)


@pytest.mark.parametrize("value", ["not-a-uuid", "0", "%00", "..%2F..%2Fetc", "a" * 4096, "%F0%9F%8D%8F", "'; --", "*"])
async def test_an_id_that_is_none_is_the_callers_mistake(app: FastAPI, client: httpx.AsyncClient, value: str) -> None:
    problems = []
    for operation in described(app):
        if not operation.parameters or operation.path in ALWAYS_DONE | OPENED_BY_KEY or str(operation) in ID_IGNORED:
            continue
        response = await client.request(operation.method, operation.url(value), json=operation.body)
        if found := complaint(response, 400, 404, 405, 412, 422):
            problems.append(f"{operation}: {found}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("text", ['{"a":', "", "nonsense", "[", '{"a": NaN,}', "\x00", '"\\ud800'])
async def test_malformed_json_is_400(app: FastAPI, client: httpx.AsyncClient, text: str) -> None:
    problems = []
    for operation in described(app):
        if not operation.takes_json:
            continue
        response = await client.request(
            operation.method, operation.url(), content=text.encode(), headers={"Content-Type": JSON}
        )
        # a route that knows its object by the path alone may look for it before it reads the body
        allowed = (400, 404, 412, 422) if not text else (400, 404)
        if found := complaint(response, *allowed):
            problems.append(f"{operation}: {found}")
    assert not problems, "\n".join(problems)


async def test_a_body_that_is_missing_is_412(app: FastAPI, client: httpx.AsyncClient) -> None:
    problems = []
    for operation in described(app):
        if not operation.takes_json or not operation.spec["requestBody"].get("required"):
            continue
        response = await client.request(operation.method, operation.url())
        # a route that knows its object by the path alone may look for it first, one that takes forms too reads none
        if found := complaint(response, 412, 404, 400):
            problems.append(f"{operation}: {found}")
    assert not problems, "\n".join(problems)


async def test_a_body_that_is_no_object_is_refused(app: FastAPI, client: httpx.AsyncClient) -> None:
    problems = []
    for operation in described(app):
        bodies: list[object] = [[], "text", 7, None]
        for body in bodies:
            if operation.takes_json:
                response = await client.request(operation.method, operation.url(), json=body)
                if found := complaint(response, 400, 404, 412, 422):
                    problems.append(f"{operation} with {body!r}: {found}")
    assert not problems, "\n".join(problems)


async def test_a_wrong_type_is_refused_and_the_field_is_named(
    app: FastAPI, client: httpx.AsyncClient, resources: Resources
) -> None:
    problems = []
    for operation in described(app):
        made_id = await object_of(operation, client, resources)
        for name, schema in operation.properties():
            types = operation.types(schema)
            if not types or (operation.path, name) in LENIENT or (value := wrong_value(types)) is None:
                continue
            body = {**(operation.body or {}), name: value}
            response = await client.request(operation.method, operation.url(made_id), json=body)
            if found := complaint(response, 422):
                problems.append(f"{operation} with {name}={value!r}: {found}")
            elif name not in response.json()["message"]:
                problems.append(f"{operation} does not name {name}: {response.json()['message']}")
    assert not problems, "\n".join(problems)


async def test_hostile_text_is_data_or_refused(app: FastAPI, client: httpx.AsyncClient, resources: Resources) -> None:
    problems = []
    for operation in described(app):
        for name, schema in operation.properties():
            if "string" not in operation.types(schema):
                continue
            for value in (
                "\x00",
                "a\x00b",
                "'; DROP TABLE chunks; --",
                "\U0001f34f",
                "\ud800",
                "{{7*7}}",
                "../../etc/passwd",
                "",
            ):
                made_id = await object_of(operation, client, resources)
                body = {**(operation.body or {}), name: value}
                response = await client.request(
                    operation.method,
                    operation.url(made_id),
                    content=json.dumps(body),  # as JSON can write what UTF-8 cannot
                    headers={"Content-Type": JSON, "Prefer": "respond-async"},
                )
                if response.status_code >= 500 and response.status_code != 501:  # 501: the operator has it off
                    problems.append(f"{operation} with {name}={value!r}: {response.status_code}")
    assert not problems, "\n".join(problems)


async def test_hostile_queries_are_refused_or_ignored(app: FastAPI, client: httpx.AsyncClient) -> None:
    problems = []
    for operation in described(app):
        names = [item["name"] for item in operation.spec.get("parameters", ()) if item["in"] == "query"]
        for name in names:
            for value in ("%00", "-1", "99999999999999999999", "1e9", "[]", "'", "%F0%9F%8D%8F", "NaN"):
                response = await client.request(operation.method, f"{operation.url()}?{name}={value}&limit=1")
                if response.status_code >= 500 or "detail" in response.text[:12]:
                    problems.append(f"{operation}?{name}={value}: {response.status_code}")
    assert not problems, "\n".join(problems)


async def test_objects_of_another_workspace_do_not_exist(
    app: FastAPI, client: httpx.AsyncClient, foreign: httpx.AsyncClient, resources: Resources
) -> None:
    problems = []
    for operation in described(app):
        if not operation.parameters or not operation.guarded or operation.path in NO_OBJECTS:
            continue
        if str(operation) in ID_IGNORED:
            continue
        mine = await object_of(operation, client, resources)
        theirs = await foreign.request(operation.method, operation.url(mine), json=operation.body)
        unknown = await foreign.request(operation.method, operation.url(), json=operation.body)
        if found := complaint(theirs, 404):
            problems.append(f"{operation}: {found}")
        elif theirs.json()["code"] != unknown.json()["code"]:
            problems.append(f"{operation} tells a foreign object from an unknown one")
        if operation.method == "GET":
            continue
        reader = next((item for item in described(app) if item.method == "GET" and item.path == operation.path), None)
        if reader and (await client.get(reader.url(mine))).status_code != 200:
            problems.append(f"{operation}: the object is gone")
    assert not problems, "\n".join(problems)


async def object_of(operation: Operation, client: httpx.AsyncClient, resources: Resources) -> str | None:
    """The id of a new object of the default workspace for the path; None for a path without one."""
    if not operation.parameters or operation.path in NO_OBJECTS:
        return None
    make = [make for prefix, make in OBJECTS.items() if operation.path.startswith(prefix)]
    assert make, f"{operation}: say in OBJECTS who makes its object, or in NO_OBJECTS that there is none"
    return await make[0](client, resources)


@pytest.mark.parametrize("path", ["/api/v1/nowhere", "/", "/api/v2/chatflows", "/api/v1", "/favicon.ico"])
async def test_unknown_paths_answer_with_the_error_body(client: httpx.AsyncClient, path: str) -> None:
    assert complaint(await client.get(path), 404) is None


async def test_a_wrong_method_answers_with_the_error_body(app: FastAPI, client: httpx.AsyncClient) -> None:
    assert complaint(await client.patch("/api/v1/ping"), 405) is None


async def test_a_trailing_slash_changes_nothing(app: FastAPI, client: httpx.AsyncClient) -> None:
    for operation in described(app):
        if operation.method == "GET" and not operation.parameters:
            plain, slashed = await client.get(operation.path), await client.get(operation.path + "/")
            assert (slashed.status_code, slashed.content) == (plain.status_code, plain.content), str(operation)
