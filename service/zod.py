"""Schemas written for Zod, read as JSON Schema. The text is parsed, never run: what is not known is named and refused.

z.object({ title: z.string().describe("its title"), tags: z.enum(["a", "b"]).array().max(2).optional() })
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

MOST = 50_000
"""Characters of a schema."""
DEEPEST = 40

_TOKEN = re.compile(
    r"(?P<skip>\s+|//[^\n]*|/\*.*?\*/)|(?P<text>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\$]|\$(?!\{))*`)"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<regex>/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*)"
    r"|(?P<name>[A-Za-z_$][\w$]*)|(?P<sign>[.,:(){}\[\];])|(?P<other>.)",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}

FORMATS = {
    "email": "email",
    "url": "uri",
    "uuid": "uuid",
    "datetime": "date-time",
    "date": "date",
    "time": "time",
    "ip": "ip",
    "cuid": "cuid",
    "cuid2": "cuid2",
    "ulid": "ulid",
    "nanoid": "nanoid",
    "emoji": "emoji",
    "base64": "base64",
}
"""Methods of `z.string()` that name a format."""

WITHOUT_EFFECT = frozenset(
    {"trim", "toLowerCase", "toUpperCase", "brand", "readonly", "finite", "safe", "strip", "catch"}
)
"""Methods that say nothing about what is accepted."""


class BadZod(ValueError):
    """A text that is no schema that can be read here; the message names the place."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(slots=True)
class _Kind:
    """A schema, and whether an object may lack it."""

    schema: dict[str, Any]
    optional: bool = False


def json_schema(text: str) -> dict[str, Any]:
    """The JSON Schema of a Zod expression. Raises `BadZod`."""
    if len(text) > MOST:
        raise BadZod(f"more than {MOST} characters")
    reader = _Reader(text)
    kind = reader.kind()
    reader.take_if(";")
    reader.end()
    return kind.schema


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None, "anything is a token"
        kind = str(match.lastgroup)
        if kind != "skip":
            found.append(_Token(kind, match.group(), at))
        if kind == "other":
            break  # no schema has it; to go on would look for its end again and again
        at = match.end()
    return found


def _place(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}"


class _Reader:
    """Reads one expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def fail(self, why: str) -> BadZod:
        """The error, with the place where it is."""
        at = self._tokens[self._next].at if self._next < len(self._tokens) else len(self._text)
        return BadZod(f"{_place(self._text, at)}: {why}")

    def peek(self) -> _Token | None:
        """The next token."""
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def take(self, sign: str) -> None:
        """The next token, which must be this sign."""
        if not self.take_if(sign):
            token = self.peek()
            raise self.fail(f"'{sign}' is missing" + (f" before '{token.text[:30]}'" if token else ""))

    def take_if(self, sign: str) -> bool:
        """Whether the next token was this sign; it is taken then."""
        token = self.peek()
        if token is None or token.text != sign or token.kind not in ("sign", "name"):
            return False
        self._next += 1
        return True

    def name(self) -> str:
        """The next token, which must be a name."""
        token = self.peek()
        if token is None or token.kind != "name":
            raise self.fail("a name is missing")
        self._next += 1
        return token.text

    def end(self) -> None:
        """Nothing may follow."""
        if token := self.peek():
            raise self.fail(f"'{token.text[:30]}' was not expected")

    def kind(self) -> _Kind:
        """`z.something(...).more(...)`."""
        with self.deeper():
            self.take("z")
            self.take(".")
            name = self.name()
            if name == "coerce":
                self.take(".")
                name = self.name()
            maker = _KINDS.get(name)
            if maker is None:
                raise self.fail(f"z.{name} is not known here. Known: {', '.join(sorted(_KINDS))}")
            self.take("(")
            kind = maker(self)
            self.take(")")
            while self.take_if("."):
                method = self.name()
                self.take("(")
                kind = self.changed(kind, method)
                self.take(")")
        return kind

    def changed(self, kind: _Kind, method: str) -> _Kind:
        """The kind after `.method(...)`, up to its closing bracket."""
        schema = kind.schema
        if method in ("optional", "nullish", "nullable", "default"):
            return self._lenient(kind, method)
        if method == "array":
            kind = _Kind({"type": "array", "items": schema})
        elif method == "describe":
            schema["description"] = str(self.value())
        elif method in ("or", "and"):
            schema = {"anyOf" if method == "or" else "allOf": [schema, self.kind().schema]}
            kind = _Kind(schema)
        elif method in ("strict", "passthrough"):
            schema["additionalProperties"] = method == "passthrough"
        elif method == "partial":
            schema.pop("required", None)
        elif method in FORMATS and schema.get("type") == "string":
            schema["format"] = FORMATS[method]
        elif method == "int":
            schema["type"] = "integer"
        elif method not in WITHOUT_EFFECT:
            return self._bounded(kind, method)
        self.rest()
        return kind

    def _lenient(self, kind: _Kind, method: str) -> _Kind:
        schema = kind.schema
        if method == "default":
            schema["default"] = self.value()
        if method in ("nullable", "nullish"):
            schema = {"anyOf": [schema, {"type": "null"}]}
        self.rest()
        return _Kind(schema, kind.optional or method != "nullable")

    def _bounded(self, kind: _Kind, method: str) -> _Kind:
        """Lengths and limits."""
        schema = kind.schema
        sort = {"string": "Length", "array": "Items"}.get(str(schema.get("type")), "")
        number = schema.get("type") in ("number", "integer")
        signs = {"positive": "exclusiveMinimum", "negative": "exclusiveMaximum"}
        signs |= {"nonnegative": "minimum", "nonpositive": "maximum"}
        bounds = {"gt": "exclusiveMinimum", "lt": "exclusiveMaximum", "gte": "minimum", "lte": "maximum"}
        bounds |= {"min": "minimum", "max": "maximum", "multipleOf": "multipleOf", "step": "multipleOf"}
        if number and method in signs:
            schema[signs[method]] = 0
        elif number and method in bounds:
            schema[bounds[method]] = self.number()
        elif sort and method in ("min", "max"):
            schema[f"{method}{sort}"] = self.number()
        elif sort and method == "length":
            schema[f"min{sort}"] = schema[f"max{sort}"] = self.number()
        elif sort and method == "nonempty":
            schema[f"min{sort}"] = 1
        elif sort == "Length" and method in ("startsWith", "endsWith", "includes", "regex"):
            told = {"startsWith": "Begins with", "endsWith": "Ends with", "includes": "Holds", "regex": "Matches"}
            before = f"{schema['description']}. " if "description" in schema else ""
            schema["description"] = f"{before}{told[method]} {self.value()}"
        else:
            raise self.fail(f".{method}() is not known here")
        self.rest()
        return kind

    def number(self) -> int | float:
        """The next value, which must be a number."""
        value = self.value()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail("a number is missing")
        return value

    def rest(self) -> None:
        """More arguments (messages, options), which say nothing about the schema."""
        while (token := self.peek()) and not (token.kind == "sign" and token.text == ")"):
            self.take_if(",")
            if (token := self.peek()) and token.text != ")":
                self.value()

    def value(self) -> Any:
        """A literal: text, number, true, false, null, list, object."""
        token = self.peek()
        if token is None:
            raise self.fail("a value is missing")
        if token.kind == "sign" and token.text in "[{":
            return self.several(self.value) if token.text == "[" else dict(self.members(self.value))
        self._next += 1
        if token.kind == "text":
            return _unescaped(token.text)
        if token.kind == "regex":
            return token.text
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        known = {"true": True, "false": False, "null": None, "undefined": None}
        if token.text not in known:
            self._next -= 1
            raise self.fail(f"'{token.text[:30]}' is not known here: only literal values are")
        return known[token.text]

    def several(self, one: Callable[[], Any]) -> list[Any]:
        """`[one, one, ...]`."""
        found = []
        with self.deeper():
            self.take("[")
            while not self.take_if("]"):
                found.append(one())
                if not self.take_if(","):
                    self.take("]")
                    break
        return found

    def members(self, one: Callable[[], Any]) -> list[tuple[str, Any]]:
        """`{name: one, ...}`."""
        found = []
        with self.deeper():
            self.take("{")
            while not self.take_if("}"):
                token = self.peek()
                if token is not None and token.kind == "text":
                    self._next += 1
                    name = _unescaped(token.text)
                else:
                    name = self.name()
                self.take(":")
                found.append((name, one()))
                if not self.take_if(","):
                    self.take("}")
                    break
        return found

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Within something. Raises `BadZod` for what is nested too deeply."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise self.fail("nested too deeply")
        yield
        self._depth -= 1


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[2] or found[3] or found[4]
        if code:
            return chr(min(int(code, 16), 0x10FFFF))
        return _ESCAPED.get(found[1], found[1])

    return _ESCAPE.sub(one, text[1:-1])


def _plain(**schema: Any) -> Callable[[_Reader], _Kind]:
    def make(reader: _Reader) -> _Kind:
        reader.rest()
        return _Kind(dict(schema))

    return make


def _object(reader: _Reader) -> _Kind:
    members: Mapping[str, _Kind] = dict(reader.members(reader.kind))
    required = [name for name, kind in members.items() if not kind.optional]
    schema: dict[str, Any] = {"type": "object", "properties": {name: kind.schema for name, kind in members.items()}}
    if required:
        schema["required"] = required
    return _Kind(schema)


def _array(reader: _Reader) -> _Kind:
    return _Kind({"type": "array", "items": reader.kind().schema})


def _enum(reader: _Reader) -> _Kind:
    return _Kind({"type": "string", "enum": [str(value) for value in reader.several(reader.value)]})


def _literal(reader: _Reader) -> _Kind:
    return _Kind({"const": reader.value()})


def _union(reader: _Reader) -> _Kind:
    token = reader.peek()
    if token is not None and token.kind == "text":  # discriminatedUnion names its member first
        reader.value()
        reader.take(",")
    kinds: list[_Kind] = reader.several(reader.kind)
    return _Kind({"anyOf": [kind.schema for kind in kinds]}, any(kind.optional for kind in kinds))


def _both(reader: _Reader) -> _Kind:
    first = reader.kind()
    reader.take(",")
    return _Kind({"allOf": [first.schema, reader.kind().schema]})


def _tuple(reader: _Reader) -> _Kind:
    kinds: list[_Kind] = reader.several(reader.kind)
    items = [kind.schema for kind in kinds]
    return _Kind({"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)})


def _record(reader: _Reader) -> _Kind:
    kind = reader.kind()
    if reader.take_if(","):
        kind = reader.kind()
    return _Kind({"type": "object", "additionalProperties": kind.schema})


def _wrapped(change: str) -> Callable[[_Reader], _Kind]:
    def make(reader: _Reader) -> _Kind:
        kind = reader.kind()
        schema = {"anyOf": [kind.schema, {"type": "null"}]} if change == "nullable" else kind.schema
        return _Kind(schema, kind.optional or change == "optional")

    return make


_KINDS: Mapping[str, Callable[[_Reader], _Kind]] = {
    "any": _plain(),
    "array": _array,
    "bigint": _plain(type="integer"),
    "boolean": _plain(type="boolean"),
    "date": _plain(type="string", format="date-time"),
    "discriminatedUnion": _union,
    "enum": _enum,
    "intersection": _both,
    "literal": _literal,
    "null": _plain(type="null"),
    "nullable": _wrapped("nullable"),
    "number": _plain(type="number"),
    "object": _object,
    "optional": _wrapped("optional"),
    "record": _record,
    "string": _plain(type="string"),
    "tuple": _tuple,
    "union": _union,
    "unknown": _plain(),
}
