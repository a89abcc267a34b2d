"""Questions that are proposed behind an answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.predictions import follow_ups
from service.predictions.follow_ups import DEFAULT, LONGEST, MOST, OURS, Wish, read, wished
from tests.service.predictions.conftest import House
from tests.service.predictions.test_stops import LONG, in_background, until
from tests.service.predictions.test_streams import events, text_of
from tests.stubs.openai_server import Lie, Script

QUESTIONS = ["Who approves it?", "May I carry it over?", "What of part time?"]
REPLY = json.dumps({"questions": QUESTIONS})


def column(house: House, provider: str = "chatOpenAI", **fields: Any) -> dict[str, Any]:
    """The flow's columns with proposals by the stub."""
    inputs = {"modelName": "gpt-small", "temperature": "0.3", "basepath": house.stub.url, **fields}
    config = {"status": True, "selectedProvider": provider, provider: inputs}
    return {"followUpPrompts": json.dumps(config), "chatbotConfig": json.dumps({"followUpPrompts": {"status": True}})}


def scripts(house: House, *every: Script) -> None:
    """What the stub does, request by request."""
    for script in every:
        house.stub.script(script)


def test_a_model_proposes_questions_behind_the_answer(house: House) -> None:
    scripts(house, Script(), Script(reply=REPLY), Script(), Script(reply=REPLY))
    flow = house.writing(column(house, prompt="Three questions for {history}, please."))
    plain = house.ask(flow).json()
    assert json.loads(plain["followUpPrompts"]) == QUESTIONS
    found = events(house.ask(flow, streaming=True).content)
    assert [name for name, _ in found[-2:]] == ["metadata", "end"]
    assert json.loads(dict(found)["metadata"]["followUpPrompts"]) == QUESTIONS
    user, answer = house.messages(flow)[:2]
    assert user["follow_up_prompts"] is None
    assert json.loads(answer["follow_up_prompts"]) == QUESTIONS
    first, second = house.stub.requests[:2]
    (message,) = second.body["messages"]
    assert message["content"].startswith("Three questions for ")
    assert 'kind="conversation">\nHuman: How many days of leave?\nAssistant: The stub has' in message["content"]
    assert second.body["model"] == "gpt-small"
    assert second.body["temperature"] == 0.3
    took = answer["usage"]
    assert took["calls"] == 2
    assert took["total_tokens"] == plain["usageMetadata"]["total_tokens"]
    assert first.body["model"] == "stub-model"


@pytest.mark.parametrize(
    "script",
    [Script(status=401), Script(lie=Lie.EMPTY_OBJECT), Script(reply="I cannot."), Script(reply="{]"), Script(reply="")],
    ids=lambda script: str(script)[:50],
)
def test_whatever_the_proposing_model_does_the_answer_is_whole(house: House, script: Script) -> None:
    scripts(house, Script(), script)
    flow = house.writing(column(house))
    found = events(house.ask(flow, streaming=True).content)
    assert text_of(found) == "The stub has an answer. It comes in two sentences."
    assert dict(found)["metadata"]["followUpPrompts"] == "[]"
    assert house.messages(flow)[1]["state"] == "complete"


def test_a_proposing_model_that_hangs_is_not_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_ups, "SECONDS", 0.2)
    scripts(house, Script(), Script(hang=True))
    body = house.ask(house.writing(column(house))).json()
    assert (body["text"][:4], body["followUpPrompts"]) == ("The ", "[]")
    assert until(lambda: house.stub.requests[-1].disconnected)


def test_a_client_that_stops_waits_for_no_proposals(house: House) -> None:
    scripts(house, Script(), Script(hang=True))
    flow = house.writing(column(house))
    thread, results = in_background(lambda: house.ask(flow, chatId="c1", streaming=True))
    until(lambda: len(house.stub.requests) == 2)
    house.client.put(f"/chatmessage/abort/{flow}/c1")
    thread.join(10)
    assert events(results[0].content)[-1][0] == "end"
    assert house.messages(flow)[1]["state"] == "complete"


def test_an_unknown_provider_and_a_failed_answer_propose_nothing(house: House) -> None:
    assert house.ask(house.writing(column(house, "chatMystery"))).json()["followUpPrompts"] == "[]"
    house.stub.script(Script(reply=LONG, stop_after=3), times=None)
    flow = house.writing(column(house))
    before = len(house.stub.requests)
    assert "metadata" not in dict(events(house.ask(flow, streaming=True).content))
    assert len(house.stub.requests) == before + 1


def test_a_flow_that_quotes_proposes_the_headings_of_what_it_quoted(house: House) -> None:
    flow = house.quoting()
    house.client.put(f"/chatflows/{flow}", json={"followUpPrompts": '{"status": true}'})
    assert json.loads(house.ask(flow).json()["followUpPrompts"]) == ["What does “Leave” say?"]
    house.client.put(f"/chatflows/{flow}", json={"followUpPrompts": '{"status": false}'})
    assert "followUpPrompts" not in house.ask(flow).json()


def test_the_column_is_read_as_flowise_writes_it() -> None:
    config = {"status": True, "selectedProvider": "ollama", "ollama": {"baseUrl": "http://h", "prompt": " "}}
    assert wished(json.dumps(config)) == Wish("chatOllama", DEFAULT, "", {"baseUrl": "http://h", "streaming": False})
    assert wished('{"status": true}') == Wish(OURS, DEFAULT, "", {})
    for nothing in (None, "", "{", "[]", "null", '{"status": "true"}', '{"selectedProvider": "chatOpenAI"}'):
        assert wished(nothing) is None


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        (REPLY, QUESTIONS),
        (f"Here you are:\n```json\n{REPLY}\n```", QUESTIONS),
        (json.dumps(QUESTIONS), QUESTIONS),
        (json.dumps({"result": {"questions": QUESTIONS}}), QUESTIONS),
        (json.dumps([{"question": item} for item in QUESTIONS]), QUESTIONS),
        (f"{{broken {REPLY}", QUESTIONS),
        ("1. Who approves it?\n2) May I carry it over?\n- *What of part time?*\n\nSee you.", QUESTIONS),
        ("為什麼？\nWarum?", ["為什麼？", "Warum?"]),
        (json.dumps({"questions": ["Why?", "Why?", "", 3, None, "x" * 301, "How\n now?"]}), ["Why?", "How now?"]),
        (json.dumps(["a?", "b?", "c?", "d?"]), ["a?", "b?", "c?"]),
        ("", []),
    ],
)
def test_questions_are_found_in_a_models_words(text: str, questions: list[str]) -> None:
    assert list(read(text)) == questions


@given(st.text(st.sampled_from('{}[]",:?\\ \n0aé-1.') | st.characters()))
def test_no_words_of_a_model_do_harm(text: str) -> None:
    found = read(text)
    assert len(found) <= MOST
    assert all(0 < len(item) <= LONGEST and "\n" not in item and "\0" not in item for item in found)
