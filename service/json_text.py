"""JSON that stands in texts of requests, read within bounds."""

import json
import re
from collections.abc import Callable, Mapping
from json.decoder import JSONArray, JSONObject  # type: ignore[attr-defined]  # as is what follows
from json.scanner import py_make_scanner  # type: ignore[attr-defined]  # documented by its use in json.decoder
from typing import Any

MAX_DEPTH = 100
"""Objects and lists within each other; deeper ones are made to exhaust whoever walks through them."""


AT_ONCE = 1024 * 1024
"""Characters or bytes of JSON that are read at once. Reading in C lets no other thread run before its end: 100 MB of
small values would hold up the whole process for ten seconds."""

MOST_VALUES = 200_000
"""Values in a JSON text that is longer than that: small values take twenty times their text."""

_NEEDLESS = re.compile(r"""\\([\[\]{}"'])""")


class TooManyValues(ValueError):
    """A JSON text holds more values than are read."""


class _Steps(json.JSONDecoder):
    """Reads value by value, so that other threads run in between; strings and numbers in C, as ever."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        if most is not None:
            self.parse_array = lambda state, scan: JSONArray(state, self._counted(scan))
            self.parse_object = lambda state, strict, scan, *rest: JSONObject(state, strict, self._counted(scan), *rest)
        self._left = self._most = most or 0
        self.scan_once = py_make_scanner(self)

    def _counted(self, scan: Callable[[str, int], Any]) -> Callable[[str, int], Any]:
        def step(text: str, at: int) -> Any:
            self._left -= 1
            if self._left < 0:
                raise TooManyValues(f"more than {self._most} values")
            return scan(text, at)

        return step


def read(text: str | bytes, most: int | None = None) -> Any:
    """The JSON value, as `json.loads` gives it. Long texts belong into a thread of their own.

    Raises `ValueError` for what is no JSON, and `TooManyValues` for a text longer than `AT_ONCE` with more than `most`.
    """
    if len(text) <= AT_ONCE:
        return json.loads(text)
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    return _Steps(most).decode(text.removeprefix("\ufeff"))


class Values:
    """Reads values where they begin in a text, one by one: short ones at once, long ones in steps.

    `together`: they are all kept, so that they are short, and few enough, together.
    """

    def __init__(self, text: str, most: int = MOST_VALUES, *, together: bool = False) -> None:
        self.text = text
        self._most = most
        self._together = _Steps(most) if together else None
        self._at_once = AT_ONCE if together else len(text)
        self._start = 0
        self._window = text[:AT_ONCE]

    def at(self, place: int) -> tuple[Any, int]:
        """The value that begins at `place`, and where it ends. Raises as `read`, and `ValueError` for one nested too
        deeply."""
        try:
            found = self._short(place)
            if found is None and self._start != place:
                self._start, self._window = place, self.text[place : place + AT_ONCE]
                found = self._short(place)
            return found or (self._together or _Steps(self._most)).raw_decode(self.text, place)
        except RecursionError:
            raise json.JSONDecodeError("Nested too deeply", self.text, place) from None

    def _short(self, place: int) -> tuple[Any, int] | None:
        """The value, if it lies within the window, and there is room for it; else None, whatever is wrong."""
        whole = self._start + len(self._window) == len(self.text)
        if not 0 <= place - self._start < len(self._window) or not self._at_once:
            return None
        try:
            value, end = _AT_ONCE.raw_decode(self._window, place - self._start)
        except json.JSONDecodeError:
            return None
        if end == len(self._window) and not whole:  # a number may go on
            return None
        if self._together is not None:
            self._at_once = max(self._at_once - (self._start + end - place), 0)
        return value, self._start + end


_AT_ONCE = json.JSONDecoder()


def parsed(text: str, most: int | None = None) -> Any:
    """The value in a JSON text. Raises as `read`, and `ValueError` for what is nested deeper than `MAX_DEPTH`."""
    try:
        value = read(text, most)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check_depth(value)
    return value


def lenient(text: str) -> Any:
    """The value in a JSON text that people or models wrote: JSON5 (names without quotes, single quotes, a last comma,
    comments) counts too, and backslashes before quotes and brackets that need none. Raises `ValueError`."""
    try:
        return parsed(text)
    except ValueError:
        if len(text) > AT_ONCE:
            raise
        for written in (text, _NEEDLESS.sub(r"\1", text)):
            found = _json5(written)
            if found:
                return found[0]
        raise


def _json5(text: str) -> tuple[Any, ...]:
    """The value alone; nothing where there is none."""
    import pyjson5

    try:
        return (pyjson5.decode(text, MAX_DEPTH),)
    except pyjson5.Json5DecoderException:
        return ()


def check_depth(value: object, most: int = MAX_DEPTH) -> None:
    """Raises `ValueError` for a JSON value that is nested deeper than `most`."""
    level: list[object] = [value]
    for _ in range(most + 1):
        level = [item for part in level for item in _parts(part) if isinstance(item, Mapping | list)]
        if not level:
            return
    raise ValueError(f"nested more than {most} deep")


def _parts(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []
