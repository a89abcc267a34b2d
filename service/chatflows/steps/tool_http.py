"""What tools that call other hosts have in common: bounded calls through the egress client, failures told to models."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from service.chatflows.run import Run
from service.chatflows.steps.tool import ToolFailed
from service.egress.client import Fetched
from service.egress.errors import EgressError
from service.json_text import parsed

MAX_ANSWER = 2 * 1024 * 1024
"""Bytes of an answer that a tool reads."""

SECONDS = 30.0
"""What a call may take."""

_MARKUP = re.compile(r"</?(?:p|br|span|div|code|strong|em)\b[^<>]*>", re.IGNORECASE)
_PLACE = re.compile(r":([A-Za-z_]\w*)|\{([^{}/?#]+)\}")


async def fetched(
    run: Run,
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    seconds: float = SECONDS,
) -> Fetched:
    """What a host answers, whatever the status. A `body` that is no text is sent as JSON. Raises `ToolFailed`."""
    sent = dict(headers or {})
    data: bytes | None = None
    if body is not None:
        data = (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
        if not any(name.lower() == "content-type" for name in sent):
            sent["Content-Type"] = "application/json"
    try:
        egress = run.backing.defaults.egress
        return await egress.fetch(url, method=method, headers=sent, body=data, max_bytes=MAX_ANSWER, timeout=seconds)
    except EgressError as error:
        raise ToolFailed.by(error) from error


async def asked(run: Run, url: str, **given: Any) -> Any:
    """The JSON that a host answers with a success. Raises `ToolFailed`."""
    answer = await fetched(run, url, **given)
    try:
        answer.good()
        return parsed(text_of(answer))
    except EgressError as error:
        raise ToolFailed.by(error) from error
    except ValueError:
        raise ToolFailed(f"'{urlsplit(url).hostname}' gives an answer that is no JSON.") from None


def text_of(answer: Fetched) -> str:
    """The body as text."""
    try:
        return answer.body.decode(answer.charset or "utf-8", "replace")
    except LookupError:
        return answer.body.decode("utf-8", "replace")


def with_query(url: str, params: Mapping[str, Any]) -> str:
    """The URL with parameters added to its query; those without a value are left out."""
    given = {name: _plain(value) for name, value in params.items() if value is not None and value != ""}
    if not given:
        return url
    address, mark, fragment = url.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{urlencode(given, doseq=True)}{mark}{fragment}"


def with_path(url: str, params: Mapping[str, Any]) -> str:
    """The URL with its places `:name` and `{name}` filled; a value never leads out of its place.

    Raises `ToolFailed` for a value that is missing or would.
    """

    def filled(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in params and found[1]:
            return found[0]
        value = _plain(params.get(name, ""))
        text = value if isinstance(value, str) else ",".join(value)
        if text in ("", ".", ".."):
            raise ToolFailed(f"The value of '{name}' is missing, or cannot stand in a path.")
        return quote(text, safe="")

    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host}{slash}{_PLACE.sub(filled, path)}"


def _plain(value: Any) -> str | list[str]:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return [str(_plain(item)) for item in value]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def plain_text(value: Any) -> Any:
    """A text without the markup that the editor of agentflows puts around it."""
    return _MARKUP.sub("", value).strip() if isinstance(value, str) else value


def headers_of(value: Any) -> Any:
    """Headers by name from a JSON text, an object, or a list of `key` and `value`."""
    if isinstance(value, str):
        value = parsed(plain_text(value)) if value.strip() else {}
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not all(isinstance(item, Mapping) for item in value):
            raise ValueError("must be a JSON object")
        value = {item.get("key"): item.get("value") for item in value if item.get("key")}
    if isinstance(value, Mapping):
        return {str(name): str(item) for name, item in value.items()}
    raise ValueError("must be a JSON object")


def checked_url(value: str) -> str:
    """A URL that an author wrote. Raises `ValueError`."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http(s) URL")
    return value


def object_schema(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    """JSON Schema of an object."""
    return {"type": "object", "properties": dict(properties), **({"required": list(required)} if required else {})}


def shortened(text: str, most: int) -> str:
    """A text of `most` characters at most."""
    return text if len(text) <= most else text[:most]
