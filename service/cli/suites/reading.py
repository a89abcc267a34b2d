"""Reads a suite file: YAML or JSON, checked; what is wrong is said with the file, the key and what to write instead."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from service.cli.exits import UsageProblem
from service.cli.suites.suite import Suite

MOST_PROBLEMS = 5
"""Mistakes that are told at once."""


MOST_PARTS = 100_000
"""Values in a file: a few lines of aliases can stand for billions, which somebody would have to write out as JSON."""


ARMS = {"str", "int", "float", "dict[str,float]"}
"""What pydantic adds to a place where a field may be of several types."""


Shape = TypeVar("Shape", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Plain YAML, but a key that comes twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key != "<<" and key in seen:
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping", node.start_mark, f"the key {key!r} comes twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def read(file: Path) -> Suite:
    """The suite in a file. Raises `UsageProblem`, which names the file and the key."""
    return read_as(Suite, file)


def read_as(kind: type[Shape], file: Path) -> Shape:
    """As `read`, of a file of another kind."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{file}: cannot be read: {error}") from None
    try:
        data = yaml.load(text, _Loader)  # noqa: S506 a SafeLoader
        parts = _parts(data, {})
    except yaml.YAMLError as error:
        raise UsageProblem(f"{file}: not valid YAML: {_one_line(error)}") from None
    except RecursionError:
        raise UsageProblem(f"{file}: is nested too deeply, or holds itself") from None
    if parts > MOST_PARTS:
        raise UsageProblem(f"{file}: stands for more than {MOST_PARTS} values, its aliases written out")
    if not isinstance(data, dict):
        needed = [name for name, field in kind.model_fields.items() if field.is_required()]
        raise UsageProblem(f"{file}: must be a mapping with {', '.join(needed)}")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problems = [f"{file}: {text}" for text in _problems(error, kind)]
        more = f"\nand {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else ""
        raise UsageProblem("\n".join(problems[:MOST_PROBLEMS]) + more) from None


def _parts(value: Any, known: dict[int, int]) -> int:
    """How many values it holds, those behind aliases as often as they are named. Raises `RecursionError` for what holds
    itself."""
    if not isinstance(value, Mapping | list):
        return 1
    if id(value) not in known:
        items = [*value, *value.values()] if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_parts(item, known) for item in items)
    return known[id(value)]


def schema() -> dict[str, Any]:
    """The JSON Schema of suite files, for editors."""
    made = Suite.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _problems(error: ValidationError, shape: type[BaseModel]) -> Iterator[str]:
    """A line for each mistake: where it is, what it is, what to do."""
    found = [(tuple(part for part in item["loc"] if part not in ARMS), item) for item in error.errors()]
    for place, item in found:
        kind, where = item["type"], path_of(place)
        if kind == "too_short" and any(other[: len(place)] == place != other for other, _ in found):
            continue  # its items are told of
        if kind == "extra_forbidden":
            yield f"{where}: unknown key; {_known(shape, place)}"
        elif kind == "missing":
            yield f"{where}: is missing; add it"
        elif kind == "value_error":
            said = str(item["msg"]).removeprefix("Value error, ")
            yield f"{where}: {said}" if where else said
        else:
            said = str(item["msg"])
            yield f"{where}: {said[:1].lower()}{said[1:]}, and it is {_shown(item.get('input'))}"


def path_of(place: Sequence[int | str]) -> str:
    """`targets[0].label`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def _known(shape: type[BaseModel], place: Sequence[int | str]) -> str:
    """Which keys there are at this place, and which one may be meant."""
    model: type[BaseModel] | None = shape
    for part in place[:-1]:
        if isinstance(part, str) and model is not None and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
    names = list(model.model_fields) if model is not None else []
    near = difflib.get_close_matches(str(place[-1]), names, 1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The part that a field holds, one or several of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"
