"""The OpenAPI document: FastAPI's, with our error body, the key each route needs, and an example for every body."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from service.errors import HTTP_CODES, error_body
from service.http.examples import example_of
from service.http.wire import ErrorBody

JSON = "application/json"
REFERENCE = "#/components/schemas/{model}"
SCHEME = "bearer"
SECURITY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key: `ragstone key new --name NAME`. The permissions that a route asks for stand beside it.",
}

DESCRIPTIONS = {
    400: "The request is malformed",
    401: "No key, or a wrong one",
    403: "The key lacks the permission",
    404: "There is no such object in the caller's workspace",
    408: "The body came too slowly",
    405: "The method is not the one that is wanted",
    409: "The request conflicts with the present state",
    410: "What was asked for is not here any more",
    412: "A required part is missing",
    413: "Larger than the limit",
    415: "The content type is not the one that is wanted",
    422: "A field cannot be used; the message names it",
    429: "Too many requests",
    500: "A bug; the log has the details",
    501: "The operator has not switched this on",
    502: "A provider failed",
    503: "A part of the service is out of reach",
    504: "A provider did not answer in time",
    507: "No room on the disk",
}
"""What each error status means, on every route."""

CODES = HTTP_CODES | {
    401: "unauthorized",
    403: "forbidden",
    409: "conflict",
    410: "gone",
    412: "missing_part",
    422: "invalid_field",
    429: "too_many_requests",
    500: "internal",
    501: "switched_off",
    502: "upstream_failed",
    503: "unavailable",
    504: "provider_timeout",
    507: "storage_full",
}

TAGS = {
    "Service": "Whether the service answers, and which version of it.",
    "Jobs": "Background work: how far it got, how fast, and how it ended.",
    "API keys": "What callers of this service show to be let in.",
    "Credentials": "Keys of providers and servers. They are sealed when saved and never returned.",
    "Document stores": "Knowledge bases: documents are loaded, split into chunks, embedded and searched.",
    "Sync sources": "Loaders that are kept in step with a folder, pages, a bucket or a repository, by a schedule.",
    "Components": "What loaders, splitters, embeddings and stores there are, and how they look in forms.",
    "Chatflows": "Graphs that answer questions from document stores with a model.",
    "Predictions": "Questions to a chatflow, answered whole or as a stream, with their sources.",
    "Upserts": "Documents into the knowledge base of a chatflow or document store, and what each upsert did.",
    "Attachments": "Files that a conversation brings along, read and kept for a while.",
    "Executions": "What runs of agentflows did, node by node.",
    "Webhooks": "Agentflows that calls of other services start, and what is sent to these when they have ended.",
    "Schedules": "Agentflows that start by a clock.",
    "Chat messages": "The messages of conversations, and stopping an answer while it is written.",
    "Tools": "Functions that agents can call, kept for a workspace, and JavaScript tried out.",
    "Variables": "Values that flows find as `$vars`.",
    "Datasets": "Questions with the answers and sources that are expected of flows.",
    "Evaluators": "Rules that judge answers.",
    "Evaluations": "Datasets put to flows and document stores: what came of it, how good it is, and what changed.",
    "Feedback and leads": "What people say of answers, and who they say that they are.",
}
"""What the tags of routes stand for; a test holds that every tag is described."""


def error_answer(status: int) -> dict[str, Any]:
    """The documented answer for an error status."""
    example = error_body(status, DESCRIPTIONS[status], CODES[status])
    body = {"schema": {"$ref": REFERENCE.format(model=ErrorBody.__name__)}, "example": example}
    return {"description": DESCRIPTIONS[status], "content": {JSON: body}}


class Application(FastAPI):
    """FastAPI with our OpenAPI document."""

    def __init__(self, **options: Any) -> None:
        """`options` go to FastAPI."""
        super().__init__(**options)
        self.bodies: list[type[BaseModel]] = []

    def openapi(self) -> dict[str, Any]:
        """The document; built once."""
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi(), self.bodies)
        return self.openapi_schema


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """How a body that the handler reads itself stands in the document."""
    return {"schema": {"$ref": REFERENCE.format(model=model.__name__)}}


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of every route in an OpenAPI document."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def _completed(document: dict[str, Any], bodies: Sequence[type[BaseModel]]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for leftover in ("HTTPValidationError", "ValidationError"):
        schemas.pop(leftover, None)
    models: list[type[BaseModel]] = [ErrorBody, *bodies]
    for model in models:
        schema = model.model_json_schema(ref_template=REFERENCE)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    components["securitySchemes"] = {SCHEME: SECURITY_SCHEME}
    used = set()
    for _method, _path, operation in operations(document):
        used.update(operation.get("tags", ()))
        _add_errors(operation)
        _add_examples(operation, schemas)
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in used]
    return document


def _add_errors(operation: dict[str, Any]) -> None:
    """The errors that follow from what a route takes: bodies malformed, missing or too large, unusable fields."""
    statuses = {422} if operation.get("parameters") or "requestBody" in operation else set()
    if "requestBody" in operation:
        statuses |= {400, 413} | ({412} if operation["requestBody"].get("required") else set())
    for status in statuses:
        operation["responses"][str(status)] = error_answer(status)
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _add_examples(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
    for body in bodies:
        for media in body.get("content", {}).values():
            if "schema" in media and "example" not in media and "examples" not in media:
                media["example"] = example_of(media["schema"], schemas)
    for parameter in operation.get("parameters", ()):
        if "example" not in parameter and "examples" not in parameter and parameter.get("required"):
            parameter["example"] = example_of(parameter["schema"], schemas, parameter["name"])
