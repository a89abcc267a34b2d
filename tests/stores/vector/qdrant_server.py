"""A stand-in for a Qdrant server: checks each request against Qdrant's published OpenAPI, then answers it by the
engine that the client library carries."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from jsonschema import Draft202012Validator
from qdrant_client import AsyncQdrantClient, models

PUBLISHED = json.loads((Path(__file__).parent / "qdrant_openapi.json").read_text("utf-8"))


@dataclass(slots=True)
class QdrantServer:
    """Points in memory, and what was asked."""

    engine: AsyncQdrantClient = field(default_factory=lambda: AsyncQdrantClient(":memory:"))
    indexes: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    searches: list[Mapping[str, Any]] = field(default_factory=list)
    """The parameters of each search."""
    key: str = ""
    """What callers must know; "": nothing."""

    def client(self) -> AsyncQdrantClient:
        """A client of this server, over HTTP as to a real one."""
        transport = httpx.MockTransport(self.answer)
        return AsyncQdrantClient(host="qdrant.test", port=6333, check_compatibility=False, transport=transport)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """The answer to one request, which must be one that the published interface allows."""
        if self.key and request.headers.get("api-key") != self.key:
            return httpx.Response(403, json={"status": {"error": "Invalid API key"}, "time": 0})
        collection, route = _route(request)
        self.requests.append((request.method, route))
        body = json.loads(request.content or "null")
        problems = violations(route, request.method.lower(), request.url.params, body)
        assert problems == [], (request.method, route, problems)
        try:
            result = await self.result(request.method, route, collection, body)
        except ValueError as problem:
            status = 404 if "not found" in str(problem) else 409
            return httpx.Response(status, json={"status": {"error": str(problem)}, "time": 0})
        return httpx.Response(200, json={"result": result, "status": "ok", "time": 0})

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[str]:
        """Answers on loopback meanwhile; gives host and port."""
        with socket.create_server(("127.0.0.1", port)) as ear:
            server = uvicorn.Server(
                uvicorn.Config(self._asgi, interface="asgi3", lifespan="off", log_config=None, timeout_keep_alive=1)
            )
            task = asyncio.create_task(server.serve([ear]))
            try:
                yield f"127.0.0.1:{ear.getsockname()[1]}"
            finally:
                server.should_exit = server.force_exit = True
                await task

    async def _asgi(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        query = scope["query_string"].decode()
        url = f"http://qdrant.test{scope['path']}" + (f"?{query}" if query else "")
        answer = await self.answer(httpx.Request(scope["method"], url, headers=scope["headers"], content=body))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content})

    async def result(self, method: str, route: str, collection: str, body: Any) -> Any:
        """What the engine says."""
        engine = self.engine
        match method, route.removeprefix("/collections/{collection_name}"):
            case "GET", "":
                found = json.loads((await engine.get_collection(collection)).model_dump_json())
                schema = {name: {"data_type": kind, "points": 0} for name, kind in self.indexes.items()}
                return found | {"payload_schema": schema}
            case "PUT", "":
                return await engine.create_collection(collection, models.VectorParams(**body["vectors"]))
            case "DELETE", "":
                return await engine.delete_collection(collection)
            case "PUT", "/index":
                self.indexes[body["field_name"]] = body["field_schema"]
                return {"operation_id": 1, "status": "completed"}
            case "PUT", "/points":
                points = [models.PointStruct(**point) for point in body["points"]]
                return json.loads((await engine.upsert(collection, points)).model_dump_json())
            case "POST", "/points":
                found = await engine.retrieve(collection, body["ids"], body["with_payload"], body["with_vector"])
                return [json.loads(each.model_dump_json()) for each in found]
            case "POST", "/points/delete":
                return json.loads((await engine.delete(collection, body["points"])).model_dump_json())
            case "POST", "/points/count":
                return {"count": (await engine.count(collection)).count}
            case "POST", "/points/scroll":
                records, offset = await engine.scroll(
                    collection,
                    _filter(body),
                    body["limit"],
                    offset=body.get("offset"),
                    with_payload=body["with_payload"],
                )
                points = [json.loads(each.model_dump_json()) for each in records]
                return {"points": points, "next_page_offset": offset}
            case _:
                self.searches.append(body["params"])
                found = await engine.query_points(
                    collection,
                    body["query"]["nearest"],
                    query_filter=_filter(body),
                    limit=body["limit"],
                    with_payload=body["with_payload"],
                )
                return json.loads(found.model_dump_json())


def _filter(body: Mapping[str, Any]) -> models.Filter | None:
    return models.Filter.model_validate(body["filter"]) if body.get("filter") else None


def _route(request: httpx.Request) -> tuple[str, str]:
    """The collection and the path of the published document that a request is for."""
    found = re.fullmatch(r"/collections/([^/]+)(/.*)?", request.url.path)
    assert found is not None, request.url
    return found[1], "/collections/{collection_name}" + (found[2] or "")


def violations(route: str, method: str, params: Mapping[str, str], body: Any) -> list[str]:
    """Where a request leaves the published interface; unknown fields count."""
    published = PUBLISHED["paths"][route][method]
    known = {each["name"] for each in published["parameters"] if each["in"] == "query"}
    found = [f"?{name}" for name in params if name not in known]
    if "requestBody" not in published:
        return found if body is None else [*found, "a body"]
    return found + [error.message[:300] for error in _validator(route, method).iter_errors(body)]


@lru_cache
def _validator(route: str, method: str) -> Draft202012Validator:
    schema = PUBLISHED["paths"][route][method]["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**_strict(schema), "components": _strict(PUBLISHED["components"])})


def _strict(schema: Any) -> Any:
    """The schema in today's words (`nullable` is OpenAPI 3.0), with objects that take no fields but those named."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if schema == {"nullable": True}:
        return {"type": "null"}
    made = {key: _strict(value) for key, value in schema.items() if key != "nullable"}
    if isinstance(schema.get("properties"), Mapping) and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made
