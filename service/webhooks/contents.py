"""What the body of a call from outside says, and what of the call an agentflow sees."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from service import json_text
from service.errors import BadRequest, TooLarge
from service.executions.service import storable
from service.webhooks.types import ContentRefused, Trigger

FORM = "application/x-www-form-urlencoded"
PAYLOAD = "payload"
"""The field in which some senders put all that they say, as JSON."""

MAX_FIELDS = 10_000

SENSITIVE = frozenset(
    {
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token",
        "x-amz-security-token",
    }
)  # fmt: skip
"""Headers that agentflows are not shown: what opens doors belongs into no prompt and no log."""

REDACTED = "[REDACTED]"


def body_of(kind: str, content: bytes) -> Any:
    """The body, by its content type: JSON, the fields of a form, or the text as it is; None for none.

    Raises `BadRequest` for JSON that is none, `TooLarge` for a long one with more values than are read, and
    `ContentRefused` for a form with files.
    """
    mime = kind.partition(";")[0].strip().lower()
    if mime.startswith("multipart/"):
        raise ContentRefused("Content-Type multipart/form-data not allowed. Send JSON or a form without files")
    if not content:
        return None
    if mime == FORM:
        return _form(content)
    if mime == "application/json" or mime.endswith("+json") or not mime:
        try:
            return storable(json_text.parsed(content.decode(), json_text.MOST_VALUES))
        except json_text.TooManyValues as error:
            raise TooLarge(f"max_values: the body has {error}") from None
        except ValueError as error:
            if not mime:
                return _plain(content)
            raise BadRequest(f"The body is not valid JSON: {error}") from None
    return _plain(content)


def _form(content: bytes) -> Any:
    try:
        pairs = parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest(f"The form has more than {MAX_FIELDS} fields") from None
    fields = gathered(pairs)
    payload = fields.get(PAYLOAD)
    if isinstance(payload, str):
        try:
            return storable(json_text.parsed(payload, json_text.MOST_VALUES))
        except ValueError:
            return fields
    return fields


def _plain(content: bytes) -> str:
    return str(storable(content.decode("utf-8", "replace")))


def gathered(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Fields by name; several of one name are a list."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            before = found[name]
            found[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[name] = value
    cleaned: dict[str, Any] = storable(found)
    return cleaned


def shown_headers(trigger: Trigger, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as the agentflow sees them."""
    hidden = SENSITIVE | {trigger.header}
    return {name: REDACTED if name in hidden else str(storable(value)) for name, value in headers.items()}


def compact(value: Any) -> str:
    """JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
