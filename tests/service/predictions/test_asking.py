"""What callers send besides a question: read where it can be used, refused by name where not, whatever it is."""

import base64
import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.chatflows.types import Decision, HumanInput
from service.errors import ServiceError
from service.predictions import asking, contents, wire
from service.predictions.types import Question, UploadKind

T = TypeVar("T")

MOST = 16 * 1024 * 1024

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=4,
)
FIELDS = ("question", "chatId", "uploads", "form", "humanInput", "action", "leadEmail", "evaluation", "history", "vars")
UPLOAD = st.fixed_dictionaries(
    {"type": st.sampled_from([*UploadKind, "mystery"]) | JUNK},
    optional={
        "data": st.sampled_from(["data:image/png;base64,iVBORw0KGgo=", "http://a.example/b.png", "text"]) | JUNK,
        "name": st.text(max_size=30) | JUNK,
        "mime": st.text(max_size=10) | JUNK,
    },
)


def asked(**fields: Any) -> Question:
    """What a JSON body asks."""
    return wire.parse_json(json.dumps(fields).encode(), MOST).asked()


def form(fields: dict[str, str], *, files: bool = False) -> Question:
    """What the text parts of a form ask."""
    return wire.parse_form(fields, files=files).asked()


def outcome(call: Callable[[], T]) -> T | ServiceError:
    """What a call gives, or why it refuses."""
    try:
        return call()
    except ServiceError as error:
        return error


def test_everything_that_a_call_may_hold() -> None:
    question = asked(
        question="Hi",
        form={"name": "Ann\0", "days": 3, "more": [{"a": None}]},
        humanInput={"type": "reject", "startNodeId": "human_0", "feedback": "No."},
        action={"id": "a1", "mapping": {"approve": "Yes"}, "elements": []},
        leadEmail="ann@example.com",
        evaluation=True,
        overrideConfig={"sessionId": "s1", "vars": {"tone": "kind", "days": 3, "on": True, "none": None}, "topK": 8},
    )
    assert question.form == {"name": "Ann", "days": 3, "more": [{"a": None}]}
    assert question.human == HumanInput(Decision.REJECT, "human_0", "No.")
    assert question.action == {"id": "a1", "mapping": {"approve": "Yes"}, "elements": []}
    assert question.variables == {"tone": "kind", "days": 3, "on": True, "none": None}
    assert (question.lead, question.evaluation, question.session) == ("ann@example.com", True, "s1")
    assert question.overrides == {"topK": 8}


def test_turns_of_no_role_are_left_out() -> None:
    junk = [{"role": []}, {"role": {}, "content": "x"}, {"role": "userMessage", "content": []}, None, 5]
    assert asked(question="Hi", history=junk) == Question("Hi")


def test_null_is_nothing_everywhere() -> None:
    question = asked(**dict.fromkeys((*FIELDS, "overrideConfig", "streaming")))
    assert question == Question("")


def test_parts_of_forms_are_json_text_where_fields_are_objects() -> None:
    question = form(
        {
            "question": "Hi",
            "form": '{"name": "Ann"}',
            "humanInput": '{"type": "proceed", "startNodeId": "n"}',
            "history": '[{"role": "userMessage", "content": "Before"}]',
            "overrideConfig": '{"sessionId": "s1"}',
            "uploads": json.dumps([{"type": "file:full", "name": "a", "data": "text"}]),
            "vars": '{"tone": "kind"}',
            "action": "",
            "streaming": "true",
            "chunkSize": "5",
        }
    )
    assert question.form == {"name": "Ann"}
    assert question.human == HumanInput(Decision.PROCEED, "n")
    assert [turn.text for turn in question.history] == ["Before"]
    assert (question.session, question.streaming, question.variables) == ("s1", True, {"tone": "kind"})
    assert question.uploads[0].text == "text"
    assert question.overrides == {}


def test_beside_files_every_part_is_an_override_and_the_config_counts_more() -> None:
    fields = {"question": "Hi", "sessionId": "s1", "topK": "4", "overrideConfig": '{"topK": 8}', "chatId": "c"}
    question = form(fields, files=True)
    assert (question.session, question.chat, question.overrides) == ("s1", "c", {"topK": 8})
    assert form({}, files=True).text == ""


def test_what_flowise_does_not_read_in_forms_is_no_obstacle() -> None:
    assert form({"question": "Hi", "history": "junk", "overrideConfig": "{"}) == Question("Hi")
    with pytest.raises(asking.InvalidField, match="form: not valid JSON"):
        form({"question": "Hi", "form": "{"})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"form": "text"}, "form"),
        ({"form": []}, "form: must be an object"),
        ({"form": {"a": "x" * asking.MAX_FORM}}, "form: is longer"),
        ({"humanInput": {"type": "maybe", "startNodeId": "n"}}, "humanInput.type: must be proceed or reject"),
        ({"humanInput": {"type": "proceed", "startNodeId": 5}}, "humanInput.startNodeId"),
        ({"humanInput": {"type": "proceed", "startNodeId": "n", "feedback": {}}}, "humanInput.feedback"),
        ({"action": "go"}, "action"),
        ({"uploads": {}}, "uploads: must be a list"),
        ({"overrideConfig": {"vars": {str(n): 1 for n in range(201)}}}, "more than 200 variables"),
    ],
)
def test_what_cannot_be_used_is_named(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(asking.InvalidField) as refused:
        asked(question="Hi", **fields)
    assert told in refused.value.message


def test_values_that_lie_too_deep_are_refused() -> None:
    deep: Any = "x"
    for _ in range(asking.MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(asking.InvalidField, match="deeper than"):
        asked(form={"a": deep})
    with pytest.raises(ServiceError):
        wire.parse_json(b'{"form":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, MOST).asked()


def test_files_count_for_less_than_other_json() -> None:
    most = 100_000
    data = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 1000).decode()
    body: dict[str, Any] = {"question": "Hi", "uploads": [{"type": "file", "name": "a.png", "data": data}]}
    assert wire.parse_json(json.dumps(body).encode(), most).asked().uploads[0].data
    body["form"] = {str(n): n for n in range(12_000)}
    with pytest.raises(ServiceError, match="max_json"):
        wire.parse_json(json.dumps(body).encode(), most)
    with pytest.raises(ServiceError, match="max_json"):
        wire.parse_urlencoded(b"question=" + b"a" * most, most)


@given(st.dictionaries(st.sampled_from((*FIELDS, "overrideConfig")), JUNK, max_size=3))
def test_junk_is_read_or_refused_in_our_words(fields: dict[str, Any]) -> None:
    found = outcome(lambda: asked(**fields))
    assert isinstance(found, Question) or found.status in (400, 422)


@given(st.lists(UPLOAD, max_size=3))
def test_junk_among_uploads_is_named_by_its_place(uploads: list[Any]) -> None:
    found = outcome(lambda: asked(uploads=uploads).uploads)
    if isinstance(found, ServiceError):
        assert found.message.startswith("uploads[")
    else:
        assert [upload.place.partition("]")[0] for upload in found] == [f"uploads[{n}" for n in range(len(uploads))]


@given(st.binary(max_size=200), st.text(max_size=20) | st.sampled_from(["a.png", "a.pdf", "a.txt", "a.docx", "a.svg"]))
def test_what_a_file_is_is_told_or_refused(content: bytes, name: str) -> None:
    contents.picture_type(content)
    contents.sound_kind(content)
    found = outcome(lambda: contents.document_type("uploads[0]", name, content))
    assert found.message.startswith("uploads[0]") if isinstance(found, ServiceError) else "/" in found


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"\x1aE\xdf\xa3....", "audio/webm"),
        (b"OggS....", "audio/ogg"),
        (b"....ftypM4A ", "audio/mp4"),
        (b"RIFF....WAVEfmt ", "audio/wav"),
        (b"ID3....", "audio/mpeg"),
        (b"\xff\xfb....", "audio/mpeg"),
        (b"fLaC....", "audio/flac"),
    ],
)
def test_sounds_are_known_by_what_they_hold(head: bytes, mime: str) -> None:
    kind = contents.sound_kind(head)
    assert kind is not None
    assert kind.mime == mime
    assert contents.sound_kind(b"RIFF....WEBP") is None
    assert contents.sound_kind(b"\xff") is None
