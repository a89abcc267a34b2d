"""A stand-in for a Qdrant server: checks each request against Qdrant's published OpenAPI, then answers it by the
engine that the client library carries."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from qdrant_client import AsyncQdrantClient, models

PUBLISHED = json.loads((Path(__file__).parent / "qdrant_openapi.json").read_text("utf-8"))


@dataclass(slots=True)
class QdrantServer:
    """Points in memory, and what was asked."""

    engine: AsyncQdrantClient = field(default_factory=lambda: AsyncQdrantClient(":memory:"))
    indexes: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def client(self) -> AsyncQdrantClient:
        """A client of this server, over HTTP as to a real one."""
        transport = httpx.MockTransport(self.answer)
        return AsyncQdrantClient(host="qdrant.test", port=6333, check_compatibility=False, transport=transport)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """The answer to one request, which must be one that the published interface allows."""
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
    schema = published["requestBody"]["content"]["application/json"]["schema"]
    whole = {**_strict(schema), "components": _strict(PUBLISHED["components"])}
    return found + [error.message[:300] for error in Draft202012Validator(whole).iter_errors(body)]


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
