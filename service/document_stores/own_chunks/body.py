"""Bodies with many chunks, read one chunk at a time: what is in memory is the body and one of them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from service.errors import TooLarge, Unprocessable
from service.json_text import MOST_VALUES, TooManyValues, Values, parsed

_SPACE = re.compile(r"[ \t\r\n]*")

NAME = "chunks"

Take = Callable[[Iterator[Any]], None]
"""Consumes the elements of an array."""


def read_body(body: bytes, take: Take) -> Any:
    """The JSON body of a request, its chunks given to `take`. Raises `ValueError` for what is no JSON, `TooLarge` for a
    long one with more values than are read; blocks."""
    try:
        return read_object(body.decode("utf-8-sig") or "{}", NAME, take)
    except TooManyValues as error:
        raise TooLarge(f"max_values: the body has {error}") from None


def read_form(fields: Mapping[str, str], take: Take) -> dict[str, str]:
    """The fields of a form without the one that holds chunks as JSON text. Raises `Unprocessable` and `TooLarge`;
    blocks."""
    text = fields.get(NAME, "")
    if text:
        try:
            elements = Elements(text)
            take(elements)
            if text[elements.end :].strip():
                raise json.JSONDecodeError("Extra data", text, elements.end)
        except TooManyValues as error:
            raise TooLarge(f"max_values: a chunk has {error}") from None
        except json.JSONDecodeError as error:
            raise Unprocessable(f"{NAME}: not valid JSON: {error}") from None
    return {key: value for key, value in fields.items() if key != NAME}


def read_object(text: str, name: str, take: Take) -> Any:
    """The JSON value in `text`; when it is an object whose member `name` is an array, that member is given to `take`,
    element by element, and left out of the value.

    Raises `ValueError` for what is no JSON, for a member `name` that stands there twice, and for a long text with more
    values besides than are read.
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        return parsed(text, MOST_VALUES)
    values = Values(text, together=True)
    members: dict[str, Any] = {}
    taken = False
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        key, at = values.at(at)
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
            members[key], at = values.at(at)
            if len(members) > MOST_VALUES:
                raise TooManyValues(f"more than {MOST_VALUES} values")
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
        self._values = Values(text)
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
        value, at = self._values.at(self._at)
        at = _skip(self._text, at)
        if self._text[at : at + 1] == "]":
            self.end = at + 1
        else:
            at = _skip(self._text, _expect(self._text, at, ","))
        self._at = at
        return value


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"{sign!r} is expected", text, at)
    return at + 1
