"""The published chat widget, unmodified, in a real browser, on a page of another origin."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.api_keys import service as api_keys
from tests.clients.conftest import drive
from tests.service.chatflows.flows import node, rag
from tests.service.predictions.conftest import House
from tests.service.predictions.live import DEFAULT_WORKSPACE
from tests.stubs.openai_server import Lie, Script

pytestmark = pytest.mark.clients

QUESTION = "How many days of leave?"
ANSWER = "You have 30 days of leave a year [1]."
GREETING = ["bot", "Hi there! How can I help?"]
OLD = "flowise-embed-2"


class Visitor:
    """Somebody at a page with the widget."""

    def __init__(self, house: House, chromium: str, picture: Path) -> None:
        """`picture` shows the page at the end."""
        self._given = {"apiHost": house.live.url, "chromium": chromium, "screenshot": str(picture)}

    def visit(self, flow: str, *questions: str | Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """Open the bubble and ask, or do what else visitors do (widget.mjs); what the driver saw."""
        return drive("widget.mjs", {**self._given, "chatflowid": flow, "questions": questions, **options})

    def told(self, flow: str, *questions: str, **options: Any) -> list[str]:
        """The widget's replies to the questions, each of which must have been typed: the input never stays locked."""
        seen = self.visit(flow, *questions, **options)["openings"]
        assert [opening["locked"] for opening in seen] == [False] * (len(questions) + 1)
        messages = seen[-1]["messages"]
        assert messages[0] == GREETING
        assert messages[1::2] == [["visitor", question] for question in questions]
        assert {who for who, _ in messages[2::2]} == {"bot"}
        return [text for _, text in messages[2::2]]


@pytest.fixture
def visitor(house: House, chromium: str, tmp_path: Path) -> Visitor:
    """A visitor."""
    return Visitor(house, chromium, tmp_path / "page.png")


def test_a_streamed_conversation_stands_there_after_a_reload(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply=ANSWER, token_delay=0.02), times=None)
    flow = house.writing(memory={})
    seen = visitor.visit(flow, QUESTION, "And in Bergen?", reload=True)
    _, first, second, reloaded = seen["openings"]
    assert first["messages"] == [GREETING, ["visitor", QUESTION], ["bot", ANSWER]]
    assert first["chips"] == ["Handbook", "Handbook"]
    assert second["messages"] == [*first["messages"], ["visitor", "And in Bergen?"], ["bot", ANSWER]]
    assert (reloaded["messages"], reloaded["chips"]) == (second["messages"], second["chips"])
    assert not any(opening["locked"] for opening in seen["openings"])
    assert seen["problems"] == []
    opening = [
        ["GET", f"/api/v1/chatflows-streaming/{flow}", 200],
        ["GET", f"/api/v1/public-chatbotConfig/{flow}", 200],
    ]
    asked = ["POST", f"/api/v1/prediction/{flow}", 200]
    assert seen["requests"] == [*opening, asked, asked, *opening]
    assert len({message["chat_id"] for message in house.messages(flow)}) == 1


def test_a_flow_that_cannot_stream_answers_whole(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply=ANSWER), times=None)
    flow = house.writing(memory={}, model={"streaming": False})
    seen = visitor.visit(flow, QUESTION, "And in Bergen?")["openings"][-1]
    assert seen["messages"][2::2] == [["bot", ANSWER]] * 2
    assert seen["chips"] == ["Handbook"] * 4


def test_a_quoted_answer(house: House, visitor: Visitor) -> None:
    assert visitor.told(house.quoting(), QUESTION) == ["Every employee has 30 days of paid leave a year. [1]"]


@pytest.mark.parametrize(
    ("failure", "streaming"),
    [
        (Script(status=500), True),
        (Script(status=401), True),
        (Script(hang=True), True),
        (Script(lie=Lie.EMPTY_OBJECT), True),
        (Script(stop_after=0), True),
        (Script(status=500), False),
        (Script(hang=True), False),
    ],
    ids=["500", "401", "hangs", "lies", "breaks off", "500 whole", "hangs whole"],
)
@pytest.mark.parametrize("patience", [3.0], ids=["soon"])
def test_a_failing_model_is_shown_and_another_question_can_be_asked(
    house: House, visitor: Visitor, failure: Script, streaming: bool
) -> None:
    house.stub.script(failure, times=None)
    for reply in visitor.told(house.writing(model={"streaming": streaming}), QUESTION, "And in Bergen?"):
        assert "model" in reply or "provider" in reply
        assert not reply.startswith("{")


def test_an_answer_that_breaks_off_keeps_its_beginning_and_says_why(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply=ANSWER, stop_after=3))
    house.stub.script(Script(reply=ANSWER), times=None)
    seen = visitor.visit(house.writing(), QUESTION, QUESTION)["openings"][-1]["messages"]
    _, asked, beginning, reason, *rest = seen
    assert (asked, beginning) == (["visitor", QUESTION], ["bot", "You have 30"])
    assert "provider" in reason[1]
    assert rest == [["visitor", QUESTION], ["bot", ANSWER]]


@pytest.mark.parametrize("widget", ["flowise-embed", OLD])
def test_visitors_are_told_that_a_flow_cannot_run_and_not_how_it_is_made(
    house: House, visitor: Visitor, widget: str
) -> None:
    flow = house.flow(rag(house.shelf.store, model=node("m", "chatMystery", "Chat Models", {"streaming": True})))
    replies = visitor.told(flow, QUESTION, "Again?", widget=widget)
    assert ["Whoever runs this service" in reply for reply in replies] == [True, True]
    assert not any("chatMystery" in reply for reply in replies)


@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "plain"])
def test_a_question_that_is_too_long_is_refused_and_the_next_answered(
    house: House, visitor: Visitor, streaming: bool
) -> None:
    house.stub.script(Script(reply=ANSWER), times=None)
    refusal, answer = visitor.told(house.writing(model={"streaming": streaming}), "x" * 100_001, QUESTION)
    assert "question" in refusal
    assert answer == ANSWER


def test_a_flow_bound_to_a_key_says_so_and_takes_the_key_of_the_page(house: House, visitor: Visitor) -> None:
    bound, secret = house.live.run(api_keys.create(house.live.resources.database, DEFAULT_WORKSPACE, "page"))
    flow = house.quoting()
    house.client.put(f"/chatflows/{flow}", json={"apikeyid": str(bound.id)})
    needed = "Unauthorized: this chatflow needs its API key"
    assert visitor.told(flow, QUESTION, QUESTION) == [needed, needed]
    assert "30 days" in visitor.told(flow, QUESTION, key=secret)[0]


def test_an_unknown_flow_is_named(visitor: Visitor) -> None:
    (reply,) = visitor.told("5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11", QUESTION)
    assert reply == "Chatflow 5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11 not found"


def test_a_page_that_the_flow_does_not_allow_gets_nothing(house: House, visitor: Visitor) -> None:
    config = json.dumps({"allowedOrigins": ["https://shop.example"]})
    (reply,) = visitor.told(house.flow(rag(house.shelf.store), chatbotConfig=config), QUESTION)
    assert "30 days" not in reply


def test_starter_prompts_are_offered(house: House, visitor: Visitor) -> None:
    config = json.dumps({"starterPrompts": {"0": {"prompt": QUESTION}}})
    (seen,) = visitor.visit(house.flow(rag(house.shelf.store), chatbotConfig=config))["openings"]
    assert seen["messages"] == [GREETING, ["bot", QUESTION]]


def test_an_older_widget_streams_too(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply=ANSWER), times=None)
    seen = visitor.visit(house.writing(), QUESTION, widget=OLD)
    assert seen["openings"][-1]["messages"][1:3] == [["visitor", QUESTION], ["bot", ANSWER]]
    assert not seen["openings"][-1]["locked"]
    assert seen["problems"] == []
