"""Answers in a structure: the JSON Schema of a node's fields, and the object that a model writes for it.

The schema stands in the prompt, so that every model can be asked; what the model writes is read leniently and checked,
and it may correct itself once.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from service.agents.speech import speak
from service.chatflows.run import Run
from service.chatflows.steps.base import BadOption, ModelStep
from service.chatflows.types import Thinking, Token, Usage
from service.json_schema import Check
from service.json_text import lenient
from service.model_json import found as json_found
from service.providers.errors import Malformed

_SIMPLE = {"string": "string", "number": "number", "boolean": "boolean"}
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_SAID = ("key", "description", "enumValues", "jsonSchema")
"""What somebody writes into a row; its type is there from the beginning."""
_OF_FIELDS = ("required", "optional")
"""What fields of the editor's notation say of themselves with a yes or no."""
_SHORT = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", type(None): "null"}
"""Types of fields that are no more than an example, or the name of a type."""

ASK = "Answer with one JSON object that fits this JSON Schema, and with nothing else:\n{schema}"
CORRECT = "That does not fit: {wrong}. Write the corrected JSON object only."


class NoStructure(Malformed):
    """The model did not answer in the structure that the node asks for."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What an answer must look like."""

    schema: Mapping[str, Any]

    @classmethod
    def read(cls, rows: Sequence[Mapping[str, Any]], field: str) -> "Structure | None":
        """The structure in a node's rows; None where there are none. Raises `BadOption`."""
        properties: dict[str, Any] = {}
        for row in rows:
            key = row.get("key")
            if not any(row.get(name) for name in _SAID):
                continue  # a row that somebody added in the editor, and left
            if not isinstance(key, str) or not key.strip():
                raise BadOption(f"{field}: a row has no key")
            properties[key.strip()] = _property(row, field)
        if not properties:
            return None
        return cls({"type": "object", "properties": properties, "required": list(properties)})

    @property
    def instruction(self) -> str:
        """What the prompt says about it."""
        return ASK.format(schema=json.dumps(self.schema, ensure_ascii=False, indent=1))

    def fitted(self, text: str) -> tuple[dict[str, Any], str]:
        """The object in what a model wrote, and what is wrong with it; empty: nothing."""
        found = object_in(text)
        if found is None:
            return {}, "it holds no JSON object"
        value = {name: _fitted(found.get(name), schema) for name, schema in self.schema["properties"].items()}
        return value, Check(self.schema).problems(value)


def _property(row: Mapping[str, Any], field: str) -> dict[str, Any]:
    kind, about = row.get("type") or "string", row.get("description")
    told = {"description": about} if isinstance(about, str) and about else {}
    match kind:
        case "string" | "number" | "boolean":
            return {"type": _SIMPLE[kind], **told}
        case "stringArray":
            return {"type": "array", "items": {"type": "string"}, **told}
        case "enum":
            names = [name.strip() for name in str(row.get("enumValues") or "").split(",") if name.strip()]
            return {"type": "string", **({"enum": names} if names else {}), **told}
        case "jsonArray":
            return {"type": "array", "items": _items(row, field), **told}
    return {"type": "string", **told}  # a type of versions to come: words can say anything


def _items(row: Mapping[str, Any], field: str) -> dict[str, Any]:
    """The schema of a list's objects: `{name: {type, description}}`, or a whole JSON Schema. Of a text that is no
    schema they may hold anything."""
    text = row.get("jsonSchema")
    if not isinstance(text, str) or not text.strip():
        return {"type": "object"}
    try:
        given = lenient(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return {"type": "object"}
    if given.get("type") == "object" and isinstance(given.get("properties"), dict):
        schema = given
    else:
        needed = [name for name, about in given.items() if _is_needed(about)]
        schema = {"type": "object", "properties": {name: _field(about) for name, about in given.items()}}
        schema |= {"required": needed} if needed else {}
    listed: dict[str, Any] = _listed(schema)
    try:
        Check(listed)
    except ValueError as wrong:
        raise BadOption(f"{field}: the schema of '{row['key']}' is broken: {wrong}") from None
    return listed


def _listed(schema: Any) -> Any:
    """A schema whose fields say for themselves that they are needed, as one in which their objects list them."""
    if isinstance(schema, list):
        return [_listed(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {
        name: _listed(item) for name, item in schema.items() if not (name in _OF_FIELDS and isinstance(item, bool))
    }
    fields = schema.get("properties")
    if isinstance(fields, Mapping):
        needed = [
            name for name, about in fields.items() if isinstance(about, Mapping) and about.get("required") is True
        ]
        named = found.get("required")
        both = [*(named if isinstance(named, list) else ()), *needed]
        found |= {"required": [*dict.fromkeys(both)]} if needed else {}
    return found


def _is_needed(about: Any) -> bool:
    return not isinstance(about, Mapping) or (about.get("required") is not False and about.get("optional") is not True)


def _field(about: Any) -> dict[str, Any]:
    """A field of the editor's own notation, in which `required` and `optional` are a yes or no of the field; or in
    short one value in its place."""
    if not isinstance(about, Mapping):
        return {"type": _SHORT[type(about)]}
    told = {name: value for name, value in about.items() if name not in (*_OF_FIELDS, "type")}
    kind = str(about.get("type") or "string").lower()
    return {**told, "type": kind} if kind in _TYPES else told


def object_in(text: str) -> dict[str, Any] | None:
    """The JSON object in what a model wrote, whatever stands around it."""
    try:
        value = json_found(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _fitted(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value as the schema has it, where it is only written otherwise."""
    kind = schema.get("type")
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if "enum" in schema and isinstance(value, str):
        return next((name for name in schema["enum"] if name.casefold() == value.strip().casefold()), value)
    if kind == "number" and isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    if kind == "boolean" and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if kind == "array" and isinstance(value, Mapping | str):
        return [value]
    return value


async def structured(
    title: str, model: ModelStep, messages: Sequence[BaseMessage], structure: Structure, run: Run
) -> AsyncGenerator[Thinking | Usage | dict[str, Any], None]:
    """The object that the model writes, as the last thing; before it what the model thought and what it took.

    `title`: the node that asks. Raises `ProviderError`, `NoStructure` when the model cannot be brought to it.
    """
    talk = list(messages)
    wrong = ""
    for _ in range(2):
        answer = ""
        pieces = speak(model.chat, talk, whole=run.whole, name=str(getattr(model.chat, "model_name", "")))
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, AIMessage):
                    answer = str(piece.text)
                elif not isinstance(piece, Token):
                    yield piece
        value, wrong = structure.fitted(answer)
        if not wrong:
            yield value
            return
        talk += [AIMessage(answer or "{}"), HumanMessage(CORRECT.format(wrong=wrong))]
    raise NoStructure(f"{title}: The model did not answer in the structure that the node asks for: {wrong}")
