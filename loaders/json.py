"""JSON and JSON Lines as readable text."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeAlias

from langchain_core.documents import Document

from loaders.base import ADDED, Failure, Format, Loader, LoaderError, Source, document, required
from loaders.marks import Piece, joined
from loaders.tables import markdown_table
from loaders.text import read_text
from loaders.unicode import clean

_Json: TypeAlias = "bool | int | float | str | list[_Json] | dict[str, _Json] | None"

_TABLE_COLUMNS = 12
_TABLE_CELL = 200
LONGEST_ADDED = 10_000
"""Characters of the JSON text of a value that becomes metadata."""
MOST_DIGITS = 100
"""Of a whole number in metadata; a longer one stays a text."""
_TITLES = ("title", "name", "heading", "subject")


class JsonLoader(Loader):
    """A JSON file as one document: lists of small flat objects as Markdown tables, all else as `key: value` lines,
    records separated by blank lines, nested keys joined by dots.

    `pointersName` (comma-separated; Flowise's fileLoader says `pointerName`) reads only the values at these places:
    `/a/b` is a JSON pointer from the root, or from each record when the root is a list; a bare name is a key at any
    depth. `separateByObject` makes each element of a list at the root a document, with `row` from 1. `metadata` are
    JSON pointers by name: what a document has there is in its `ADDED`.
    """

    options: ClassVar[Mapping[str, Any]] = {"pointersName": "", "separateByObject": False, "metadata": None}

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document, or one for each record."""
        root = _parse(read_text(source))
        pointers = [
            part.strip()
            for part in str(options.get("pointersName") or options.get("pointerName") or "").split(",")
            if part.strip()
        ]
        title = _title(root)
        wanted = options.get("metadata") or {}
        if options.get("separateByObject") in (True, "true") and isinstance(root, list):
            yield from _separate(source, root, pointers, _standing(wanted, root))
            return
        if pointers:
            values = [text for record in _records(root) for text in _pointed(record, pointers)]
            made = required(
                document(source, "\n\n".join(values), title=title),
                f"pointersName: nothing stands at {', '.join(pointers)}.",
            )
        else:
            made = required(_whole(source, root, title), "The file holds no values.")
        yield _with_added(made, root, _standing(wanted, [root]))


class JsonLinesLoader(Loader):
    """JSON Lines as one document, written like a JSON list; with `pointerName` a document for each line that has the
    pointed value, with `line` from 1, and `metadata` as those of `JsonLoader`.
    """

    options: ClassVar[Mapping[str, Any]] = {"pointerName": "", "metadata": None}

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document, or one for each line."""
        lines = list(_lines(read_text(source)))
        pointer = str(options.get("pointerName") or "").strip()
        if not pointer:
            yield required(_whole(source, [record for _, record in lines], ""), "The file holds no values.")
            return
        found = False
        wanted = _standing(options.get("metadata") or {}, [record for _, record in lines])
        for number, record in lines:
            made = document(source, "\n\n".join(_pointed(record, [pointer])), title=_title(record), line=number)
            if made is not None:
                found = True
                yield _with_added(made, record, wanted)
        if not found:
            raise LoaderError(Failure.EMPTY, f"pointerName: nothing stands at {pointer}.")


def _parse(text: str, where: str = "The file") -> _Json:
    text = text.lstrip("\ufeff").strip("\x00")
    if not text.strip():
        raise LoaderError(Failure.EMPTY, "The file is empty.")
    try:
        return json.loads(text, strict=False, parse_int=_Digits, parse_float=_Digits)  # type: ignore[no-any-return]  # json is untyped
    except json.JSONDecodeError as error:
        raise LoaderError(Failure.CORRUPT, f"{where} is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise LoaderError(Failure.CORRUPT, f"{where} is nested too deeply.") from error


class _Digits(str):
    """A number as it is written: no rounding, no limit on digits."""


def _lines(text: str) -> Iterator[tuple[int, _Json]]:
    found = False
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), start=1):
        if line.strip():
            found = True
            yield number, _parse(line, f"Line {number}")
    if not found:
        raise LoaderError(Failure.EMPTY, "The file is empty.")


def _whole(source: Source, root: _Json, title: str) -> Document | None:
    rows = _table(root)
    pieces = [(True, markdown_table(rows))] if rows else list(_pieces(root, ""))
    text, _, is_marked = joined(pieces)
    return document(source, text, title=title, form=Format.MARKDOWN if is_marked else Format.TEXT)


def _pieces(value: _Json, path: str) -> Iterator[Piece]:
    """Lists of objects wherever they stand: a table below its key, or records that empty lines part; all else as
    lines."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _pieces(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and (not path or (len(value) > 1 and any(isinstance(inner, dict) for inner in value))):
        if path and (rows := _table(value)):
            yield False, f"\n{path}:"
            yield True, markdown_table(rows)
            return
        for number, inner in enumerate(value, start=1):
            lines = "\n".join(_key_lines(inner, f"{path}[{number}]" if path else ""))
            yield from [(False, f"\n{lines}\n")] if lines else []
    else:
        yield from ((False, line) for line in _key_lines(value, path))


def _separate(
    source: Source, records: list[_Json], pointers: list[str], wanted: Mapping[str, list[str]]
) -> Iterator[Document]:
    found = False
    for number, record in enumerate(records, start=1):
        text = "\n\n".join(_pointed(record, pointers)) if pointers else _readable(record)
        made = document(source, text, title=_title(record), row=number)
        if made is not None:
            found = True
            yield _with_added(made, record, wanted)
    if not found:
        raise LoaderError(Failure.EMPTY, "The list holds no values.")


def _records(root: _Json) -> list[_Json]:
    return root if isinstance(root, list) else [root]


def _title(root: _Json) -> str:
    if isinstance(root, dict):
        for key in _TITLES:
            value = root.get(key)
            if isinstance(value, str) and 0 < len(value.strip()) <= _TABLE_CELL:
                return value
    return ""


def _table(root: _Json) -> list[list[str]]:
    """Header and rows when `root` is a list of at least two small flat objects with much the same keys, else empty."""
    if not isinstance(root, list) or len(root) < 2:
        return []
    header: dict[str, None] = {}
    filled = 0
    for record in root:
        if not isinstance(record, dict) or not record:
            return []
        for key, value in record.items():
            if isinstance(value, (dict, list)):
                return []
            text = _scalar(value)
            if len(text) > _TABLE_CELL or "\n" in text:
                return []
            filled += 1
            header[key] = None
        if len(header) > _TABLE_COLUMNS:
            return []
    if filled * 2 < len(header) * len(root):
        return []
    rows = [[_scalar(record.get(key)) for key in header] for record in root if isinstance(record, dict)]
    return [list(header), *rows]


def _scalar(value: _Json) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _readable(record: _Json) -> str:
    return "\n".join(_key_lines(record, ""))


def _key_lines(value: _Json, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _key_lines(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        if any(isinstance(inner, (dict, list)) for inner in value):
            for number, inner in enumerate(value, start=1):
                yield from _key_lines(inner, f"{path}[{number}]")
        else:
            yield from _key_lines(", ".join(filter(None, map(_scalar, value))), path)
    else:
        text = _scalar(value)
        if text.strip():
            yield f"{path}: {text}" if path else text


def _pointed(record: _Json, pointers: list[str]) -> list[str]:
    """The readable values at `pointers` in `record`, in the order of the pointers."""
    found: list[_Json] = []
    for pointer in pointers:
        if pointer.startswith("/"):
            found += _at(record, _steps(pointer))
        else:
            found += _keyed(record, pointer)
    return [text for text in map(_readable, found) if text.strip()]


def _at(value: _Json, steps: list[str]) -> list[_Json]:
    for step in steps:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and len(key) < 10 and int(key) < len(value):
            value = value[int(key)]
        else:
            return []
    return [value]


def _steps(pointer: str) -> list[str]:
    return pointer[1:].split("/")


def _standing(wanted: Mapping[str, str], records: list[_Json]) -> dict[str, list[str]]:
    """The pointers, by steps, that lead anywhere in one of the records at least: others are texts, such as paths."""
    steps = {name: _steps(pointer) for name, pointer in wanted.items()}
    return {name: path for name, path in steps.items() if any(_at(record, path) for record in records)}


def _with_added(made: Document, record: _Json, wanted: Mapping[str, list[str]]) -> Document:
    """The document with what stands at the pointers in its record as `ADDED`; null where it has nothing there."""
    if wanted:
        values = {name: _typed(next(iter(_at(record, path)), None)) for name, path in wanted.items()}
        for name, value in values.items():
            if len(json.dumps(value)) > LONGEST_ADDED:
                where = "/".join(("", *wanted[name]))
                raise LoaderError(
                    Failure.TOO_LARGE, f"metadata.{name}: a value at {where} is longer than {LONGEST_ADDED} characters."
                )
        made.metadata[ADDED] = json.dumps(values)
    return made


def _typed(value: Any) -> Any:
    """A value as JSON has it, its texts cleaned; numbers that Python has not, or would round away, stay texts."""
    if isinstance(value, _Digits):
        if value.lstrip("-").isdecimal():
            return int(value) if len(value) <= MOST_DIGITS else str(value)
        number = float(value)
        return number if math.isfinite(number) else str(value)
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name): _typed(inner) for name, inner in value.items()}
    return [_typed(inner) for inner in value] if isinstance(value, list) else value


def _keyed(value: _Json, key: str) -> Iterator[_Json]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            else:
                yield from _keyed(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _keyed(inner, key)
