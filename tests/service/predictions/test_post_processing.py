"""Functions of owners that work on every answer."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from service.chatflows.run import Backing
from service.errors import Unprocessable
from service.predictions.post_processing import function_of
from tests.service.predictions.conftest import House
from tests.service.predictions.test_stops import begun, in_background
from tests.stubs.openai_server import Script


def processing(code: Any, *, enabled: Any = True) -> dict[str, Any]:
    """A flow's columns."""
    return {"chatbotConfig": json.dumps({"postProcessing": {"enabled": enabled, "customFunction": code}})}


class Upper:
    """Stands for JavaScript; `given` are the values of each call."""

    def __init__(self, made: Any = None) -> None:
        """Answers in capitals, or with `made`."""
        self.given: list[tuple[str, Mapping[str, Any]]] = []
        self.made = made

    async def __call__(self, code: str, values: Mapping[str, Any]) -> Any:
        self.given.append((code, values))
        if isinstance(self.made, Exception):
            raise self.made
        return values["$flow"]["rawOutput"].upper() if self.made is None else self.made


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Upper:
    """JavaScript that is switched on."""
    upper = Upper()

    def lent(*arguments: Any, **more: Any) -> Backing:
        return replace(Backing(*arguments, **more), script=upper)

    monkeypatch.setattr("service.predictions.backing.Backing", lent)
    return upper


def test_a_function_works_on_every_answer_and_nobody_sees_what_it_has_not(house: House, script: Upper) -> None:
    flow = house.writing(processing(json.dumps("return $flow.rawOutput.toUpperCase()")), memory={})
    assert house.client.get(f"/chatflows-streaming/{flow}").json() == {"isStreaming": False}
    body = house.ask(flow, streaming=True, chatId="c1").json()
    assert body["text"] == "THE STUB HAS AN ANSWER. IT COMES IN TWO SENTENCES."
    assert house.messages(flow)[1]["content"] == body["text"]
    assert len(body["sourceDocuments"]) == 2
    code, values = script.given[0]
    assert code == "return $flow.rawOutput.toUpperCase()"
    assert values["$flow"].keys() == {
        "chatflowId", "chatId", "sessionId", "input", "rawOutput", "chatHistory", "sourceDocuments", "usedTools",
        "artifacts",
    }  # fmt: skip
    assert values["$flow"]["chatHistory"][-1] == {"role": "apiMessage", "content": values["$flow"]["rawOutput"]}


def test_a_function_that_fails_fails_the_answer(house: House, script: Upper) -> None:
    script.made = Unprocessable("ReferenceError: x is not defined")
    flow = house.writing(processing("return x"))
    response = house.ask(flow)
    assert (response.status_code, response.json()["message"]) == (422, "ReferenceError: x is not defined")
    assert house.messages(flow) == []


def test_what_a_function_returns_becomes_text(house: House, script: Upper) -> None:
    script.made = {"a": 1}
    assert house.ask(house.writing(processing("return {a: 1}"))).json()["text"] == '{"a": 1}'


def test_an_answer_that_is_stopped_before_its_function_ran_stays_unseen(house: House, script: Upper) -> None:
    house.stub.script(Script(hang=True))
    flow = house.writing(processing("return 1"))
    thread, results = in_background(lambda: house.ask(flow, chatId="c1"))
    begun(house)
    house.client.put(f"/chatmessage/abort/{flow}/c1")
    thread.join(10)
    assert results[0].json()["text"] == house.messages(flow)[1]["content"] == ""
    assert script.given == []


def test_without_javascript_the_flow_is_refused_before_the_model_is_asked(house: House) -> None:
    response = house.own(house.writing(processing("return 1")))
    assert (response.status_code, response.json()["code"]) == (422, "flow_not_runnable")
    assert "JavaScript" in response.json()["message"]
    assert house.stub.requests == []


def test_only_an_enabled_function_counts() -> None:
    assert function_of({}) == function_of({"postProcessing": {"enabled": "true", "customFunction": "x"}}) == ""
    assert function_of({"postProcessing": {"enabled": True, "customFunction": " "}}) == ""
    assert function_of({"postProcessing": {"enabled": True, "customFunction": '"return 1"'}}) == "return 1"
