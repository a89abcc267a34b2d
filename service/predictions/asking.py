"""The parts of a call to a flow that are no plain texts: uploads, forms, a person's answer, variables (contract 1.1).

Clients send them as JSON, and in forms as JSON text. What cannot be used is refused with the field's name; null, and
what is left out, is nothing.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from service.chatflows.types import Decision, HumanInput
from service.errors import TooLarge, Unprocessable
from service.json_text import MOST_VALUES, TooManyValues, read
from service.predictions.text import clean
from service.predictions.types import Upload, UploadKind

MAX_FORM = 200_000
"""Characters of a form's values as JSON; of an answer to an action and of variables too."""
MAX_DEPTH = 32
"""How deep lists and objects of a form may lie in each other."""
MAX_VARIABLES = 200
MAX_NAME = 512
MAX_URL = 4_096
MAX_FEEDBACK = 20_000


class InvalidField(Unprocessable):
    """A field cannot be used."""

    code = "invalid_field"


def json_text(value: Any, field: str) -> Any:
    """A field that may come as JSON text; an empty text is nothing. Raises `InvalidField`, and `TooLarge` for a
    long one with more values than are read."""
    if not isinstance(value, str):
        return value
    try:
        return read(value, MOST_VALUES) if value.strip() else None
    except TooManyValues as error:
        raise TooLarge(f"max_values: {field}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidField(f"{field}: not valid JSON: {error}") from None


def uploads_of(value: Any) -> tuple[Upload, ...]:
    """The uploads of a call. Raises `InvalidField` naming the one that is none."""
    found = json_text(value, "uploads")
    if found is None:
        return ()
    if not isinstance(found, list):
        raise InvalidField("uploads: must be a list")
    return tuple(_upload(item, number) for number, item in enumerate(found))


def _upload(item: Any, number: int) -> Upload:
    place = f"uploads[{number}]"
    if not isinstance(item, Mapping):
        raise InvalidField(f"{place}: must be an object with type, name, data and mime")
    if item.get("type") not in list(UploadKind):
        raise InvalidField(f"{place}.type: must be one of {', '.join(UploadKind)}")
    kind = UploadKind(item["type"])
    name = _text(item.get("name"), f"{place}.name", MAX_NAME)
    mime = _text(item.get("mime"), f"{place}.mime", MAX_NAME)
    data = item.get("data")
    if not isinstance(data, str) or not data:
        raise InvalidField(f"{place}.data: must be a text that is not empty")
    if kind is UploadKind.URL and data[:5].lower() == "data:":
        kind = UploadKind.FILE
    if name:
        place = f"{place} '{name[:100]}'"
    if kind is UploadKind.FULL:
        return Upload(kind, place, name, mime, text=clean(data))
    if kind is UploadKind.URL:
        return Upload(kind, place, name, mime, text=_url(data, place))
    declared, content = _data_uri(data, place)
    return Upload(kind, place, name, mime or declared, data=content)


def _data_uri(data: str, place: str) -> tuple[str, bytes]:
    """The type and the bytes of a data URI."""
    head, comma, encoded = data.partition(",")
    if not comma or len(head) > MAX_NAME or head[:5].lower() != "data:" or not head.lower().endswith(";base64"):
        raise InvalidField(f"{place}: data: must be a data URI: data:TYPE;base64,BYTES")
    try:
        content = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField(f"{place}: data: is not base64") from None
    if not content:
        raise InvalidField(f"{place}: data: the file is empty")
    return clean(head[5:].partition(";")[0]), content


def _url(data: str, place: str) -> str:
    try:
        parts = urlsplit(data)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
    except ValueError:
        good = False
    if not good or len(data) > MAX_URL or not data.isprintable() or " " in data:
        raise InvalidField(f"{place}: data: must be an http(s) address of at most {MAX_URL} characters")
    return data


def _text(value: Any, field: str, most: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise InvalidField(f"{field}: must be a text of at most {most} characters")
    return clean(value)


def object_of(value: Any, field: str) -> Mapping[str, Any] | None:
    """An object whose values are kept as they are, texts cleaned; None for nothing. Raises `InvalidField`."""
    found = json_text(value, field)
    if found is None:
        return None
    if not isinstance(found, Mapping):
        raise InvalidField(f"{field}: must be an object")
    if len(json.dumps(found, ensure_ascii=False, default=str)) > MAX_FORM:
        raise InvalidField(f"{field}: is longer than {MAX_FORM} characters")
    cleaned: Mapping[str, Any] = _cleaned(found, field, MAX_DEPTH)
    return cleaned


def _cleaned(value: Any, field: str, depth: int) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping | list) and not depth:
        raise InvalidField(f"{field}: lies deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {clean(str(name)): _cleaned(item, field, depth - 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item, field, depth - 1) for item in value]
    return value


def human_of(value: Any) -> HumanInput | None:
    """A person's answer to a run that waits; without a node, to the one run of the conversation that waits. Raises
    `InvalidField`."""
    found = object_of(value, "humanInput")
    if not found:
        return None
    if found.get("type") not in list(Decision):
        raise InvalidField(f"humanInput.type: must be {' or '.join(Decision)}")
    node = _text(found.get("startNodeId"), "humanInput.startNodeId", MAX_NAME)
    return HumanInput(Decision(found["type"]), node, _text(found.get("feedback"), "humanInput.feedback", MAX_FEEDBACK))


def variables_of(value: Any) -> Mapping[str, Any]:
    """`overrideConfig.vars` by name, as they came: most flows open none, and what is not open may hold anything. What
    is no object names none. Raises `InvalidField`."""
    found = json_text(value, "overrideConfig.vars")
    if not isinstance(found, Mapping):
        return {}
    if len(found) > MAX_VARIABLES:
        raise InvalidField(f"overrideConfig.vars: has more than {MAX_VARIABLES} variables")
    return object_of(found, "overrideConfig.vars") or {}


def variable(name: str, value: Any) -> str:
    """A variable that the call may set; numbers and truth values as texts. Raises `InvalidField`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise InvalidField(f"overrideConfig.vars.{name[:100]}: must be a text, a number or a truth value")


def asks(text: str, uploads: Sequence[Upload]) -> bool:
    """Whether there is something to answer: a question, or something that was said, shown or brought."""
    return bool(text.strip() or uploads)
