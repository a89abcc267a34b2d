"""Keep evaluators, and check that each is one: what is wrong is named by its field."""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from service.errors import Conflict, NotFound, Unprocessable
from service.evaluators import records
from service.evaluators.types import (
    Evaluator,
    EvaluatorDraft,
    EvaluatorType,
    JsonOperator,
    Measure,
    NumericOperator,
    TextOperator,
)
from service.json_text import parsed
from stores.records.database import Database

MAX_EVALUATORS = 1000
MAX_NAME = 200
MAX_VALUE = 10_000
"""Characters of what is looked for."""
MAX_PROMPT = 50_000
MAX_FIELDS = 50
"""Fields of what a model answers."""
MOST = 2**53 - 1
"""The largest value: beyond it, clients in JavaScript lose digits."""

KINDS = ("string", "number", "integer", "boolean")
"""Types of a field that a model fills."""


async def create(database: Database, workspace: UUID, name: str, kind: str, given: Mapping[str, Any]) -> Evaluator:
    """A new evaluator; `given` are fields by their names on the wire. Raises `Unprocessable`, naming the field."""
    draft = checked(name, kind, given)
    async with database.write(workspace) as scope:
        if await records.count(scope) >= MAX_EVALUATORS:
            raise Conflict(f"evaluators: a workspace may have {MAX_EVALUATORS}")
        return await records.insert(scope, uuid4(), draft)


async def get(database: Database, workspace: UUID, evaluator_id: UUID) -> Evaluator:
    """An evaluator of the workspace. Raises `NotFound`."""
    async with database.read(workspace) as scope:
        found = await records.get(scope, evaluator_id)
    if found is None:
        raise missing(evaluator_id)
    return found


async def named(database: Database, workspace: UUID, ids: Sequence[UUID]) -> list[Evaluator]:
    """The evaluators of these ids, in their order. Raises `NotFound` for the first that the workspace lacks."""
    async with database.read(workspace) as scope:
        found = {item.id: item for item in await records.named(scope, ids)}
    for evaluator_id in ids:
        if evaluator_id not in found:
            raise missing(evaluator_id)
    return [found[evaluator_id] for evaluator_id in ids]


async def page(database: Database, workspace: UUID, offset: int, size: int) -> tuple[Sequence[Evaluator], int]:
    """Evaluators, last changed first, and how many there are in all."""
    async with database.read(workspace) as scope:
        return await records.page(scope, offset, size)


async def update(database: Database, workspace: UUID, evaluator_id: UUID, given: Mapping[str, Any]) -> Evaluator:
    """Change the fields that are given; with another type, all fields of that type are needed. Raises `NotFound`,
    `Unprocessable`, naming the field."""
    async with database.write(workspace) as scope:
        held = await records.lock(scope, evaluator_id)
        if held is None:
            raise missing(evaluator_id)
        kind = given.get("type", held.type)
        before = held.config if kind == held.type else {}
        draft = checked(given.get("name", held.name), kind, {**before, **given})
        changed = await records.update(scope, evaluator_id, draft)
    assert changed is not None
    return changed


async def delete(database: Database, workspace: UUID, evaluator_id: UUID) -> int:
    """Remove an evaluator. Raises `NotFound`."""
    async with database.write(workspace) as scope:
        affected = await records.delete(scope, evaluator_id)
    if not affected:
        raise missing(evaluator_id)
    return affected


def missing(evaluator_id: object) -> NotFound:
    """There is no such evaluator: the message names it."""
    return NotFound(f"Evaluator {evaluator_id} not found")


def checked(name: str, kind: str, given: Mapping[str, Any]) -> EvaluatorDraft:
    """What is kept of an evaluator: of `given` the fields of its type. Raises `Unprocessable`, naming the field."""
    if not name.strip() or len(name) > MAX_NAME:
        raise Unprocessable(f"name: must have 1 to {MAX_NAME} characters")
    if kind not in set(EvaluatorType):
        raise Unprocessable(f"type: '{kind[:40]}' is none of {', '.join(EvaluatorType)}")
    found = EvaluatorType(kind)
    return EvaluatorDraft(name, found, _CHECKS[found](given))


def _text(given: Mapping[str, Any]) -> dict[str, Any]:
    operator, value = _one_of(TextOperator, "operator", given), given.get("value")
    if not isinstance(value, str) or not any(part.strip() for part in value.split(",")):
        raise Unprocessable("value: must be a text, or several separated by commas")
    if len(value) > MAX_VALUE:
        raise Unprocessable(f"value: has {len(value)} characters, the limit is {MAX_VALUE}")
    return {"operator": operator, "value": value}


def _json(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"operator": _one_of(JsonOperator, "operator", given)}


def _numeric(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "measure": _one_of(Measure, "measure", given),
        "operator": _one_of(NumericOperator, "operator", given),
        "value": _integer(given.get("value")),
    }


def _llm(given: Mapping[str, Any]) -> dict[str, Any]:
    prompt = given.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise Unprocessable("prompt: must not be empty; it may hold {question}, {actualOutput}, {expectedOutput}")
    if len(prompt) > MAX_PROMPT:
        raise Unprocessable(f"prompt: has {len(prompt)} characters, the limit is {MAX_PROMPT}")
    return {"prompt": prompt, "outputSchema": _schema(given.get("outputSchema"))}


_CHECKS: Mapping[EvaluatorType, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    EvaluatorType.TEXT: _text,
    EvaluatorType.JSON: _json,
    EvaluatorType.NUMERIC: _numeric,
    EvaluatorType.LLM: _llm,
}


def _one_of(options: type[StrEnum], field: str, given: Mapping[str, Any]) -> str:
    value = given.get(field)
    if value not in set(options):
        raise Unprocessable(f"{field}: must be one of {', '.join(options)}")
    return str(value)


def _integer(value: Any) -> int:
    """A whole number, or the text of one."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if text.removeprefix("-").isdecimal() and len(text) <= 17 else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MOST:
        raise Unprocessable("value: must be an integer")
    return value


def _schema(value: Any) -> list[dict[str, Any]]:
    """Flowise's list of the fields that the model answers: `property`, `type`, `description`, `required` of each; it
    may come as JSON text. Further keys of clients stay."""
    if isinstance(value, str):
        try:
            value = parsed(value)
        except ValueError as error:
            raise Unprocessable(f"outputSchema: is no JSON: {error}") from None
    if not isinstance(value, list) or not value:
        raise Unprocessable("outputSchema: must be a list of fields, one at least")
    if len(value) > MAX_FIELDS:
        raise Unprocessable(f"outputSchema: {len(value)} fields, the limit is {MAX_FIELDS}")
    seen: set[str] = set()
    for place, item in enumerate(value):
        where = f"outputSchema[{place}]"
        name = item.get("property") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
            raise Unprocessable(f"{where}.property: must be a text of 1 to {MAX_NAME} characters")
        if name in seen:
            raise Unprocessable(f"{where}.property: '{name}' comes twice")
        seen.add(name)
        if item.get("type", "string") not in KINDS:
            raise Unprocessable(f"{where}.type: must be one of {', '.join(KINDS)}")
        if not isinstance(item.get("description") or "", str):
            raise Unprocessable(f"{where}.description: must be a text")
        if not isinstance(item.get("required", False), bool):
            raise Unprocessable(f"{where}.required: must be true or false")
    if len(json.dumps(value)) > MAX_PROMPT:
        raise Unprocessable(f"outputSchema: has more than {MAX_PROMPT} characters")
    return value
