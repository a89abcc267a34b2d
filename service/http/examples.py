"""An example for every body: what models declare in `examples`, and plausible values for the rest."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

DEPTH = 8
ID = "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"
FORMATS: dict[str, Any] = {
    "uuid": ID,
    "date-time": "2026-01-31T09:30:00.000Z",
    "uri": "https://example.org/handbook.md",
    "binary": "handbook.md",
}
TYPES: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "null": None, "string": "text"}
NAMES: dict[str, Any] = {
    "question": "How many days of leave do I have?",
    "text": "You have 30 days of leave a year [1].",
    "description": "All about working here",
    "chatId": ID,
    "sessionId": ID,
}
"""Texts by the name of their field, where a model declares no example."""


def example_of(schema: Schema, schemas: Mapping[str, Schema], name: str = "", depth: int = 0) -> Any:
    """A value that fits a JSON schema of the OpenAPI document; `schemas` are its components, `name` is the field's.

    Fields that may be left out and say nothing about themselves are left out.
    """
    if schema.get("examples"):
        return schema["examples"][0]
    if "example" in schema:
        return schema["example"]
    if "const" in schema:
        return schema["const"]
    if schema.get("default") is not None:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        target = schemas[schema["$ref"].rsplit("/", 1)[-1]]
        return None if depth > DEPTH else example_of(target, schemas, name, depth + 1)
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return _of_union(schema[union], schemas, name, depth)
    return _of_type(schema, schemas, name, depth)


def _of_union(options: list[Schema], schemas: Mapping[str, Schema], name: str, depth: int) -> Any:
    nullable = any(option.get("type") == "null" for option in options)
    real = [option for option in options if option.get("type") != "null"]
    simple = bool(real) and "$ref" not in real[0] and real[0].get("type") not in ("object", "array")
    if nullable and (not simple or depth > DEPTH):
        return None
    return example_of(real[0], schemas, name, depth + 1) if real else None


def _of_type(schema: Schema, schemas: Mapping[str, Schema], name: str, depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", ())
        return {
            field: example_of(part, schemas, field, depth + 1)
            for field, part in schema.get("properties", {}).items()
            if field in required or part.get("examples") or part.get("default") is not None
        }
    if kind == "array":
        items = schema.get("items", {})
        return [] if depth > DEPTH or not items else [example_of(items, schemas, name, depth + 1)]
    if kind == "string":
        if "contentMediaType" in schema:
            return FORMATS["binary"]
        return FORMATS.get(schema.get("format", "")) or NAMES.get(name, TYPES["string"])
    return TYPES.get(str(kind), {})
