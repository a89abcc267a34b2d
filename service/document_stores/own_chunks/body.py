"""Bodies with many chunks, read one chunk at a time: what is in memory is the body and one of them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from service.errors import Unprocessable
from service.json_text import parsed

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()

NAME = "chunks"

Take = Callable[[Iterator[Any]], None]
"""Consumes the elements of an array."""


def read_body(body: bytes, take: Take) -> Any:
    """The JSON body of a request, its chunks given to `take`. Raises `ValueError` for what is no JSON; blocks."""
    return read_object(body.decode("utf-8-sig") or "{}", NAME, take)


def read_form(fields: Mapping[str, str], take: Take) -> dict[str, str]:
    """The fields of a form without the one that holds chunks as JSON text. Raises `Unprocessable`; blocks."""
    text = fields.get(NAME, "")
    if text:
        try:
            elements = Elements(text)
            take(elements)
            if text[elements.end :].strip():
                raise json.JSONDecodeError("Extra data", text, elements.end)
        except json.JSONDecodeError as error:
            raise Unprocessable(f"{NAME}: not valid JSON: {error}") from None
    return {key: value for key, value in fields.items() if key != NAME}


def read_object(text: str, name: str, take: Take) -> Any:
    """The JSON value in `text`; when it is an object whose member `name` is an array, that member is given to `take`,
    element by element, and left out of the value.

    Raises `json.JSONDecodeError`, and `ValueError` for a member `name` that stands there twice.
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        return parsed(text)
    members: dict[str, Any] = {}
    taken = False
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        key, at = _value(text, at)
        if not isinstance(key, str):
            raise json.JSONDecodeError("A name in double quotes is expected", text, at)
        at = _skip(text, _expect(text, at, ":"))
        if key == name and text[at : at + 1] == "[":
            if taken:
                raise ValueError(f"{name}: stands in the body twice")
            taken, elements = True, Elements(text, at)
            take(elements)
            at = elements.end
        else:
            members[key], at = _value(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != "}":
            at = _skip(text, _expect(text, at, ","))
            if text[at : at + 1] == "}":
                raise json.JSONDecodeError("A member is expected", text, at)
    if _skip(text, at + 1) != len(text):
        raise json.JSONDecodeError("Extra data", text, at + 1)
    return members


class Elements(Iterator[Any]):
    """The elements of the array that begins at `start`; `end` is known when they are all read."""

    def __init__(self, text: str, start: int = 0) -> None:
        """Raises `json.JSONDecodeError` when no array begins there."""
        self._text = text
        self._at = _skip(text, _expect(text, start, "["))
        self._first = True
        self.end = -1

    def __next__(self) -> Any:
        if self.end >= 0:
            raise StopIteration
        if self._text[self._at : self._at + 1] == "]" and self._first:
            self.end = self._at + 1
            raise StopIteration
        self._first = False
        value, at = _value(self._text, self._at)
        at = _skip(self._text, at)
        if self._text[at : at + 1] == "]":
            self.end = at + 1
        else:
            at = _skip(self._text, _expect(self._text, at, ","))
        self._at = at
        return value


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except RecursionError:
        raise json.JSONDecodeError("Nested too deeply", text, at) from None


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"{sign!r} is expected", text, at)
    return at + 1
