"""What came with earlier questions of a conversation is seen again by the later ones: of this conversation, of this
caller, and no more of it than the settings allow."""

import json
import re
from typing import Any

import httpx
import pytest

from tests.service.agentflows import flows as agentflows
from tests.service.chatflows.flows import node, openai, rag
from tests.service.predictions.conftest import House
from tests.service.predictions.test_uploads import Pictures, kept
from tests.service.predictions.uploads import NOTE, PNG, chain, note, picture, talk, upload, uri
from tests.stubs.model_servers import ModelStub

FIRST, LATER = "What is this?", "And what more is in it?"
HERE = {"chatId": "c1"}


def prompt(house: House, index: int = -1) -> str:
    """All that a model was sent, as text; without the random codes of fences, in which any number may stand."""
    return re.sub("[0-9a-f]{16}", "", json.dumps(house.stub.requests[index].body["messages"]))


def seen(house: House) -> list[str]:
    """The addresses of the pictures that a model was sent last."""
    contents = [message["content"] for message in house.stub.requests[-1].body["messages"]]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def follow(house: House, flow: str, *, streaming: bool = False, **body: Any) -> None:
    """A later question, without files."""
    answer = house.ask(flow, LATER, streaming=streaming, **{**HERE, **body})
    assert answer.status_code == 200, answer.text


def begin(house: House, flow: str, *uploads: dict[str, Any]) -> None:
    """The first question, with files."""
    answer = house.ask(flow, FIRST, uploads=list(uploads), **HERE)
    assert answer.status_code == 200, answer.text


def limited(house: House, **limits: int) -> None:
    """Other settings for the rest of the test."""
    resources = house.live.resources
    object.__setattr__(resources, "settings", resources.settings.model_copy(update=limits))


@pytest.mark.parametrize("shape", ["talk", "rag", "agentflow"])
@pytest.mark.parametrize("streaming", [False, True])
def test_a_later_question_sees_documents_and_pictures_with_the_turn_they_came_with(
    house: House, shape: str, streaming: bool
) -> None:
    url = house.stub.url
    if shape == "agentflow":
        flow = house.flow(agentflows.chain(agentflows.llm(house.stub, allowImageUploads=True)), type="AGENTFLOW")
    else:
        model = openai(url, allowImageUploads=True)
        flow = house.flow(talk(url) if shape == "talk" else rag(house.shelf.store, model=model))
    begin(house, flow, picture(), note(), upload("file:full", "a.pdf", "The lift is out of order."))
    follow(house, flow, streaming=streaming)
    *_, earlier, _answer, asked = house.stub.requests[-1].body["messages"]
    assert asked["content"] == LATER
    words, shown = earlier["content"]
    assert shown["image_url"]["url"] == uri(PNG, "image/png")
    assert words["text"].endswith(FIRST)
    assert words["text"].index("<data-") < words["text"].index("4711") < words["text"].index("out of order")
    assert 'title="note.txt"' in words["text"]


def test_nobody_else_sees_them(house: House) -> None:
    flow = house.flow(talk(house.stub.url))
    begin(house, flow, note(), picture())
    follow(house, flow, chatId="c2")
    assert "4711" not in prompt(house)
    follow(house, flow, overrideConfig={"sessionId": "s2"})
    assert "4711" not in prompt(house)
    assert house.client.post(f"/prediction/{flow}", json={"question": LATER, **HERE}).status_code == 200
    assert "4711" not in prompt(house)
    other = house.flow(talk(house.stub.url))
    follow(house, other)
    assert "4711" not in prompt(house)
    follow(house, flow)
    assert "4711" in prompt(house)


def test_a_chain_that_remembers_nothing_sees_nothing_again(house: House) -> None:
    flow = house.flow(chain(house.stub.url))
    begin(house, flow, note(), picture())
    follow(house, flow)
    assert "4711" not in prompt(house)
    assert seen(house) == []


def test_what_a_memory_leaves_out_is_left_out_with_its_files(house: House) -> None:
    memory = node("memory_0", "bufferWindowMemory", "Memory", {"k": 1}, label="Buffer Window Memory")
    flow = house.flow(talk(house.stub.url).replace(*_swapped(memory)))
    begin(house, flow, note())
    follow(house, flow)
    assert "4711" in prompt(house)
    follow(house, flow)
    assert "4711" not in prompt(house)


def _swapped(memory: dict[str, Any]) -> tuple[str, str]:
    plain = node("memory_0", "bufferMemory", "Memory", label="Buffer Memory")
    return json.dumps(plain), json.dumps(memory)


def test_a_model_that_sees_no_pictures_any_more_is_shown_none(house: House) -> None:
    flow = house.flow(talk(house.stub.url))
    begin(house, flow, picture(), note())
    blind = talk(house.stub.url).replace('"allowImageUploads": true', '"allowImageUploads": false')
    assert house.client.put(f"/chatflows/{flow}", json={"flowData": blind}).status_code == 200
    follow(house, flow)
    assert seen(house) == []
    assert "4711" in prompt(house)


def test_a_quoting_flow_quotes_documents_of_earlier_questions(house: House) -> None:
    flow = house.quoting()
    begin(house, flow, note())
    answer = house.ask(flow, "What is the door code of the archive?", **HERE).json()
    assert "4711" in answer["text"]
    assert "note.txt" in json.dumps(answer["sourceDocuments"])


def test_the_newest_come_first_and_no_more_than_allowed(house: House) -> None:
    flow = house.flow(talk(house.stub.url))
    limited(house, earlier_text=60, earlier_pictures=1)
    begin(house, flow, note("old.txt", b"old " * 30), picture("old.png"))
    follow(house, flow, uploads=[note("new.txt", b"new " * 10), picture("new.png")])
    follow(house, flow)
    words = prompt(house)
    assert words.count("new ") == 10
    assert 0 < words.count("old ") <= 5
    assert len(seen(house)) == 1
    assert "new.txt" in words


def test_pictures_at_addresses_are_told_again_or_kept(house: House) -> None:
    flow = house.flow(talk(house.stub.url))
    address = "https://pictures.example.com/a/cat.png"
    begin(house, flow, upload("url", "cat.png", address))
    follow(house, flow)
    assert seen(house) == [address]
    assert kept(house) == []
    with ModelStub() as ollama, Pictures() as site:
        model = {"baseUrl": ollama.root, "modelName": "m", "allowImageUploads": True, "streaming": True}
        flow = house.flow(rag(house.shelf.store, model=node("ollama_0", "chatOllama", "Chat Models", model)))
        begin(house, flow, upload("url", "cat.png", f"{site.url}/cat"))
        follow(house, flow)
        pictures = [message.get("images") or [] for message in ollama.requests[-1].body["messages"]]
        assert [uri(PNG).partition(",")[2]] in pictures
        assert site.asked == ["/cat"]
        place = {"chatflowId": flow, "chatId": "c1", "fileName": "cat.png"}
        assert httpx.get(f"{house.live.url}/api/v1/get-upload-file", params=place).status_code == 404


def test_they_go_with_their_conversation(house: House) -> None:
    flow = house.flow(talk(house.stub.url))
    begin(house, flow, note(), picture())
    assert house.client.delete(f"/chatmessage/{flow}", params={"chatId": "c1"}).status_code == 200
    follow(house, flow)
    assert "4711" not in prompt(house)


def test_a_flow_that_keeps_nothing_has_nothing_to_show_again(house: House) -> None:
    columns = {"apiConfig": json.dumps({"conversations": {"store": False}})}
    flow = house.flow(talk(house.stub.url), **columns)
    begin(house, flow, note())
    follow(house, flow)
    assert NOTE.decode()[:20] not in prompt(house)


def test_texts_count_as_files_do(house: House) -> None:
    limited(house, attachment_space=100)
    flow = house.flow(talk(house.stub.url))
    answer = house.ask(flow, FIRST, uploads=[upload("file:full", "a", "x" * 200)], **HERE)
    assert answer.status_code == 413
    assert "attachment_space" in answer.text
