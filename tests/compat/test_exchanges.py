"""What published clients send, replayed from files against a running service: statuses, shapes, streams, CORS."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.service.predictions.conftest import House

FILES = sorted((Path(__file__).parent / "exchanges").glob("*.json"))


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and str(UUID(value)) == value


def _is_date(value: Any) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value) is not None and bool(
        datetime.fromisoformat(value)
    )


TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "uuid": _is_uuid,
    "date": _is_date,
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "json": lambda value: isinstance(value, str) and json.loads(value) is not None,
    "any": lambda value: True,
}


def misfit(shape: Any, value: Any, where: str = "answer") -> str:
    """Where a value first differs from its shape; empty where it does not."""
    if isinstance(shape, str) and (named := re.fullmatch(r"<(\w+)(\??)>", shape)):
        fits = (value is None and bool(named[2])) or (value is not None and TYPES[named[1]](value))
        return "" if fits else f"{where}: {value!r} is no {named[1]}"
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{where}: {value!r} is no object"
        for name, inner in shape.items():
            if name not in value:
                return f"{where}.{name}: is not there"
            if found := misfit(inner, value[name], f"{where}.{name}"):
                return found
        return ""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{where}: {value!r} is no list"
        inner = shape[0] if shape else None
        texts = (misfit(inner, item, f"{where}[{place}]") for place, item in enumerate(value) if shape)
        return next((text for text in texts if text), "")
    return "" if shape == value else f"{where}: {value!r} is not {shape!r}"


def filled(value: Any, kept: Mapping[str, str]) -> Any:
    """A part of a request with what earlier calls kept."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: kept.get(found[1], found[0]), value)
    if isinstance(value, list):
        return [filled(item, kept) for item in value]
    if isinstance(value, dict):
        return {name: filled(item, kept) for name, item in value.items()}
    return value


def events_of(text: str) -> list[dict[str, Any]]:
    """The events of a stream in Flowise's frames."""
    frames = [frame for frame in text.split("\n\n") if frame and not frame.startswith(":")]
    assert all(frame.startswith("message:\ndata:{") and frame.count("\n") == 1 for frame in frames), text
    return [json.loads(frame.split("\n", 1)[1].removeprefix("data:")) for frame in frames]


class Replay:
    """A client at the service: one file after another request."""

    def __init__(self, house: House, flow: str) -> None:
        """`flow` is the id of the chatflow that it talks to."""
        self._house = house
        self.kept = {"flow": flow, "origin": "https://shop.example"}

    def send(self, call: Mapping[str, Any]) -> httpx.Response:
        """One call as it was recorded."""
        method, path = filled(call["send"], self.kept).split(" ", 1)
        headers = filled(call.get("headers", {}), self.kept)
        if call.get("key"):
            headers["Authorization"] = f"Bearer {self._house.key}"
        options: dict[str, Any] = {}
        if "body" in call:
            options["content"] = json.dumps(filled(call["body"], self.kept)).encode()
            headers.setdefault("Content-Type", "application/json")
        if "files" in call:
            options["files"] = [("files", (name, text.encode(), mime)) for name, mime, text in call["files"]]
            options["data"] = filled(call.get("fields", {}), self.kept)
        return httpx.request(method, f"{self._house.live.url}/api/v1{path}", headers=headers, timeout=60, **options)

    def check(self, call: Mapping[str, Any], response: httpx.Response) -> str:
        """What is wrong with the answer; empty where nothing is."""
        if response.status_code != call["status"]:
            return f"{response.status_code}: {response.text[:500]}"
        for name, value in filled(call.get("headers_back", {}), self.kept).items():
            if response.headers.get(name) != value:
                return f"{name}: {response.headers.get(name)!r} is not {value!r}"
        body: Any = {}
        if "events" in call:
            told = events_of(response.text)
            names = [name for name, _ in groupby(event["event"] for event in told)]
            if names != call["events"]:
                return f"events: {names}"
            body = next((event["data"] for event in told if event["event"] == "metadata"), {})
        elif response.headers.get("content-type", "").startswith("application/json"):
            body = response.json()
        elif "answer" in call:
            return "" if response.text == call["answer"] else f"text: {response.text[:200]!r}"
        for name, field in call.get("keep", {}).items():
            self.kept[name] = str(body[field])
        return misfit(filled(call["answer"], self.kept), body) if "answer" in call else ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_client_is_answered_as_it_was(house: House, file: Path) -> None:
    recorded = json.loads(file.read_text("utf-8"))
    columns = {
        name: json.dumps(value) if isinstance(value, dict) else value for name, value in recorded["flow"].items()
    }
    replay = Replay(house, house.writing(columns, memory={}))
    problems = []
    for place, call in enumerate(recorded["exchanges"]):
        if found := replay.check(call, replay.send(call)):
            problems.append(f"{place} {call['send']}: {found}")
    assert not problems, "\n".join(problems)


def test_a_shape_says_where_a_value_differs() -> None:
    shape = {"a": ["<int>"], "b": "<string?>", "c": {"d": "<uuid>"}, "e": "literal"}
    fitting: dict[str, Any] = {
        "a": [1, 2], "b": None, "c": {"d": "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"}, "e": "literal", "more": 1
    }  # fmt: skip
    assert misfit(shape, fitting) == ""
    assert misfit(shape, {**fitting, "a": [1, True]}) == "answer.a[1]: True is no int"
    assert misfit(shape, {name: fitting[name] for name in "abc"}) == "answer.e: is not there"
    assert misfit(shape, {**fitting, "e": 7}) == "answer.e: 7 is not 'literal'"
