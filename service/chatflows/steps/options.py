"""The options of steps: the fields of a node, how they are read, and how editors show them."""

from collections.abc import Iterator
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from service.errors import message_of


class StepOptions(BaseModel):
    """Base of options: Flowise's field names in camelCase; an empty text counts as not set, and so do blanks in a field
    that is no text; numbers may be texts."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, data: Any) -> Any:
        return {
            name: value
            for name, value in data.items()
            if value is not None and value != "" and not (isinstance(value, str) and cls._is_blank(name, value))
        }

    @classmethod
    def _is_blank(cls, name: str, value: str) -> bool:
        if value.strip():
            return False
        field = next((info for known, info in cls.model_fields.items() if name in (known, info.alias)), None)
        return field is not None and (bool(_choices(field.annotation)) or _kind(field.annotation) != "string")


class BadOption(ValueError):
    """An option cannot be used; the message names its field."""


def complaint(error: ErrorDetails) -> str:
    """What is wrong with a field, and which."""
    # of a choice of types, the place names the type as well: no field of anybody's
    place = ".".join(str(part) for part in error["loc"] if "[" not in str(part))
    return f"{place}: {message_of(error)}"


_TYPES = {bool: "boolean", int: "number", float: "number", str: "string", dict: "json", list: "json"}


def shown(name: str, info: FieldInfo) -> dict[str, Any]:
    """A field as editors show it (contract 3.8)."""
    choices = _choices(info.annotation)
    kind = "options" if choices else _kind(info.annotation)
    required = info.is_required()
    value = None if required else info.get_default(call_default_factory=True)
    default = {} if value in (None, "", {}, []) else {"default": value}
    return {
        "label": info.title or name.replace("_", " ").capitalize(),
        "name": info.alias or name,
        "type": kind,
        **({} if required else {"optional": True}),
        **default,
        **({"description": info.description} if info.description else {}),
        **({"options": [{"label": choice, "name": choice} for choice in choices]} if choices else {}),
    }


def _parts(annotation: Any) -> Iterator[Any]:
    """The types in an annotation, without what wraps them."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType, Annotated):
        for part in get_args(annotation)[: 1 if origin is Annotated else None]:
            yield from _parts(part)
    else:
        yield annotation


def _choices(annotation: Any) -> list[str]:
    """The values of a field that has a fixed list."""
    for part in _parts(annotation):
        if get_origin(part) is Literal:
            return [str(value) for value in get_args(part)]
        if isinstance(part, type) and issubclass(part, Enum):
            return [str(member.value) for member in part]
    return []


def _kind(annotation: Any) -> str:
    for part in _parts(annotation):
        kind = get_origin(part) or part
        if isinstance(kind, type) and kind in _TYPES:
            return _TYPES[kind]
    return "string"
