"""Reads OpenAPI documents (versions 2 and 3), from YAML or JSON, within bounds."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from service.json_text import MAX_DEPTH, parsed

METHODS = ("get", "post", "put", "patch", "delete")
MAX_OPERATIONS = 200
MAX_PARTS = 500_000
"""Of a document."""

MAX_MERGED = 16
"""Mappings that one merge key of YAML may name."""

MAX_TEXT = 2 * 1024 * 1024
"""Characters of a document."""

MAX_NODES = 20_000
"""Parts of all schemas together, references filled in."""

MAX_REFERENCES = 12
"""Within each other; what lies deeper is described as any value."""

_KEPT = frozenset(
    {
        "type", "description", "enum", "format", "items", "properties", "required", "default", "minimum", "maximum",
        "minLength", "maxLength", "additionalProperties", "oneOf", "anyOf", "allOf", "nullable",
    }
)  # fmt: skip
"""What models are told of a schema."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. Parameters are JSON Schemas by name."""

    name: str
    method: str
    path: str
    about: str
    path_parameters: Mapping[str, Any]
    query_parameters: Mapping[str, Any]
    header_parameters: Mapping[str, Any]
    required: tuple[str, ...]
    body: Mapping[str, Any] | None

    @property
    def names(self) -> set[str]:
        """What a list of chosen operations may call it."""
        return {self.name, f"{self.method} {self.path}", f"{self.method.lower()} {self.path}"}


_OWN_CALL = """
const fetch = require('node-fetch');
const url = $url;
const options = $options;
try {
const response = await fetch(url, options);
const resp = await response.json();
return JSON.stringify(resp);
} catch (error) {
console.error(error);
return '';
}
"""
"""The code that editors put into the node: the plain call, which is made here without JavaScript."""


def is_own_call(code: str) -> bool:
    """Whether the code of a node is the plain call that editors put there, however it is spaced."""
    return _words(code) == _words(_OWN_CALL)


def _words(code: str) -> list[str]:
    return code.replace(";", " ").split()


def decoded(value: str) -> str:
    """The text of a file in a node: a data URI, with `,filename:NAME` behind it, or the text itself.

    Raises `ValueError`.
    """
    if not value.startswith("data:"):
        if value.startswith("FILE-STORAGE::"):
            raise ValueError("the file is kept by another installation; choose it again")
        return value
    head, _, data = value.partition(",")
    data = data.partition(",filename:")[0]
    if not head.endswith(";base64"):
        return unquote(data)
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("the file cannot be read: no text in base64") from None


def read(text: str) -> dict[str, Any]:
    """The document. Raises `ValueError`. Large ones take a while: call it in a thread."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"the document has more than {MAX_TEXT} characters")
    try:
        value = parsed(text) if text.lstrip().startswith("{") else _from_yaml(text)
    except ValueError as error:
        raise ValueError(f"the document is no JSON or YAML: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("paths"), dict):
        raise ValueError("the document describes no API: it has no paths")
    return value


def _from_yaml(text: str) -> Any:
    """The value of a YAML text of plain types. Raises `ValueError`."""
    import yaml

    try:
        return _plain(yaml.load(text, Loader=_yaml_loader(text)), [MAX_PARTS])  # noqa: S506  # makes plain values only
    except (yaml.YAMLError, RecursionError, TypeError) as error:
        raise ValueError(str(error).replace("\n", " ")[:300]) from None


def _yaml_loader(text: str) -> Any:
    """A loader of plain values that is safe for this text. Raises `ValueError` for one that is nested so deeply that it
    would use up the stack of the C library, and with it end the process."""
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for event in yaml.parse(text, Loader=base):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")

    class Loader(base):  # type: ignore[misc]  # chosen when it is needed
        """Bounds what merge keys (`<<`) copy: each may take in all of several others, which take in others."""

        merged = 0

        def flatten_mapping(self, node: Any) -> None:
            """Put into a mapping what its merge key names."""
            merges = [value for key, value in node.value if key.tag == "tag:yaml.org,2002:merge"]
            for value in merges:
                self.merged += len(value.value) if isinstance(value, yaml.SequenceNode) else 1
            if len(merges) > 1 or any(
                len(value.value) > MAX_MERGED for value in merges if isinstance(value, yaml.SequenceNode)
            ):
                raise ValueError("it merges too much")
            super().flatten_mapping(node)
            self.merged += len(node.value) if merges else 0
            if self.merged > MAX_PARTS:
                raise ValueError("it merges too much")

    return Loader


def _plain(value: Any, left: list[int], depth: int = 0) -> Any:
    """A value of JSON's types; `left` are the parts that it may yet have, those that it refers to each time."""
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        raise ValueError("it is too large, or nested too deeply")
    if isinstance(value, Mapping):
        return {str(name): _plain(item, left, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, left, depth + 1) for item in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def server_of(document: Mapping[str, Any]) -> str:
    """The API's address, as the document says; may be relative. Raises `ValueError` for none."""
    servers = document.get("servers")
    if isinstance(servers, list) and servers and isinstance(servers[0], Mapping):
        url = str(servers[0].get("url") or "")
        variables = servers[0].get("variables")
        for name, item in variables.items() if isinstance(variables, Mapping) else ():
            if isinstance(item, Mapping):
                url = url.replace(f"{{{name}}}", str(item.get("default", "")))
        if url:
            return url
    if document.get("host"):
        schemes = document.get("schemes")
        scheme = schemes[0] if isinstance(schemes, list) and schemes else "https"
        return f"{scheme}://{document['host']}{document.get('basePath') or ''}"
    raise ValueError("the document names no server; give its address as selectedServer")


def operations(document: Mapping[str, Any]) -> Sequence[Operation]:
    """The operations, in the document's order, `MAX_OPERATIONS` at most. Raises `ValueError` for more."""
    reader = _Reader(document)
    found: list[Operation] = []
    for path, item in document["paths"].items():
        if not str(path).startswith("/"):
            continue  # no path: behind a server's address it would name another host
        shared = item.get("parameters") if isinstance(item, Mapping) else None
        for method in METHODS:
            operation = item.get(method) if isinstance(item, Mapping) else None
            if isinstance(operation, Mapping):
                found.append(reader.operation(str(path), method, operation, shared))
        if len(found) > MAX_OPERATIONS:
            raise ValueError(f"the document has more than {MAX_OPERATIONS} operations; choose some (selectedEndpoints)")
    return found


class _Reader:
    """Reads the parts of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._nodes = 0

    def operation(self, path: str, method: str, given: Mapping[str, Any], shared: Any) -> Operation:
        """An operation with its parameters and body."""
        kinds: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
        required, body = [], self._body(given.get("requestBody"))
        own = given.get("parameters")
        for raw in [*(shared if isinstance(shared, list) else ()), *(own if isinstance(own, list) else ())]:
            parameter = self._resolved(raw)
            name, place = str(parameter.get("name") or ""), str(parameter.get("in") or "")
            schema = self._schema(
                parameter.get("schema") or {k: v for k, v in parameter.items() if k in ("type", "enum")}
            )
            if place == "body":
                body = schema
            elif name and place in kinds:
                about = parameter.get("description")
                kinds[place][name] = {**schema, **({"description": str(about)[:500]} if about else {})}
                if parameter.get("required") is True:
                    required.append(name)
        name = str(given.get("operationId") or f"{method}_{path}")
        about = str(given.get("description") or given.get("summary") or f"{method.upper()} {path}")[:1000]
        parts = (kinds["path"], kinds["query"], kinds["header"])
        return Operation(name, method.upper(), path, about, *parts, tuple(required), body)

    def _body(self, raw: Any) -> dict[str, Any] | None:
        content = self._resolved(raw).get("content")
        if not isinstance(content, Mapping):
            return None
        chosen = content.get("application/json") or next(iter(content.values()), None)
        schema = self._schema(chosen.get("schema") if isinstance(chosen, Mapping) else {})
        return {"type": "object", **schema}

    def _resolved(self, raw: Any) -> Mapping[str, Any]:
        """What a reference within the document stands for."""
        for _ in range(MAX_REFERENCES):
            if not isinstance(raw, Mapping):
                return {}
            reference = raw.get("$ref")
            if not isinstance(reference, str):
                return raw
            raw = self._at(reference)
        return {}

    def _at(self, reference: str) -> Any:
        found: Any = self._document if reference.startswith("#/") else None
        for part in reference[2:].split("/"):
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def _schema(self, raw: Any, depth: int = 0) -> dict[str, Any]:
        """A schema with its references filled in, of what models understand. Raises `ValueError` for endless ones."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ValueError("the document's schemas are too large; choose some operations (selectedEndpoints)")
        if depth > MAX_REFERENCES:
            return {}
        schema = self._resolved(raw)
        made: dict[str, Any] = {}
        for name, value in schema.items():
            if name not in _KEPT:
                continue
            if name == "properties" and isinstance(value, Mapping):
                made[name] = {str(key): self._schema(item, depth + 1) for key, item in value.items()}
            elif name in ("items", "additionalProperties") and isinstance(value, Mapping):
                made[name] = self._schema(value, depth + 1)
            elif name in ("oneOf", "anyOf", "allOf") and isinstance(value, list):
                made[name] = [self._schema(item, depth + 1) for item in value]
            elif name not in ("properties", "items", "oneOf", "anyOf", "allOf", "nullable"):
                made[name] = value
        if made.get("required") is not None and not isinstance(made["required"], list):
            del made["required"]
        if schema.get("nullable") is True and isinstance(made.get("type"), str):
            made["type"] = [made["type"], "null"]
        return made
