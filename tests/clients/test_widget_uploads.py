"""The published chat widget with all that visitors can do besides typing: pictures, files, prompts, thumbs, addresses.
What stands on the page is looked at, and what the service was sent and has kept."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api_keys import service as api_keys
from service.settings import load
from service.worker.runner import Runner
from tests.clients.test_widget import ANSWER, GREETING, QUESTION, Visitor
from tests.service.chatflows.flows import openai, rag
from tests.service.flow_upserts.flows import fake, filled, loader
from tests.service.predictions.conftest import House
from tests.service.predictions.live import DEFAULT_WORKSPACE, Live
from tests.service.predictions.test_uploads import file, said, uploads_of
from tests.service.predictions.uploads import NOTE, PNG, chain, talk
from tests.stubs.openai_server import Script

pytestmark = pytest.mark.clients


@pytest.fixture
def visitor(house: House, chromium: str, tmp_path: Path) -> Visitor:
    """A visitor."""
    return Visitor(house, chromium, tmp_path / "page.png")


def attached(*files: tuple[str, str, bytes], say: str = QUESTION) -> Any:
    """A question with files: name, type, content."""
    listed = [{"name": n, "mimeType": m, "base64": base64.b64encode(c).decode()} for n, m, c in files]
    return {"attach": listed, "say": say}


def chat_of(house: House, flow: str) -> str:
    """The one conversation of a flow."""
    (chat,) = {row["chat_id"] for row in house.messages(flow)}
    return str(chat)


@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "plain"])
def test_a_picture_is_shown_sent_and_there_after_a_reload(house: House, visitor: Visitor, streaming: bool) -> None:
    house.stub.script(Script(reply=ANSWER), times=None)
    flow = house.flow(talk(house.stub.url, streaming=streaming))
    seen = visitor.visit(flow, attached(("cat.png", "image/png", PNG)), "And now?", reload=True)
    assert seen["problems"] == []
    _, shown, after, reloaded = seen["openings"]
    assert shown["pictures"] == after["pictures"] == reloaded["pictures"] == 1
    assert shown["messages"] == [GREETING, ["visitor", QUESTION], ["bot", ANSWER]]
    assert said(house, 0)[1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert said(house, 1) == "And now?"
    assert file(house, flow, chat_of(house, flow), "cat.png").content == PNG
    assert ["GET", "/api/v1/get-upload-file", 200] in seen["requests"]


def test_a_picture_for_a_flow_that_reads_none_cannot_be_chosen(house: House, visitor: Visitor) -> None:
    (seen,) = visitor.visit(house.flow(chain(house.stub.url, sees=False)))["openings"]
    assert seen["inputs"] == 0


def test_a_document_is_read_and_goes_with_the_question(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply=ANSWER), times=None)
    config = {"fullFileUpload": {"status": True, "allowedUploadFileTypes": "text/plain,application/pdf"}}
    flow = house.flow(chain(house.stub.url), chatbotConfig=json.dumps(config))
    seen = visitor.visit(flow, attached(("note.txt", "text/plain", NOTE)), reload=True)
    assert seen["problems"] == []
    assert seen["openings"][1]["messages"][-1] == ["bot", ANSWER]
    assert "note.txt" in json.dumps(seen["openings"][-1])
    assert "4711" in said(house)
    chat = chat_of(house, flow)
    assert ["POST", f"/api/v1/attachments/{flow}/{chat}", 200] in seen["requests"]
    assert uploads_of(house, flow) == [[{"type": "stored-file:full", "name": "note.txt", "mime": "text/plain"}]]
    assert file(house, flow, chat, "note.txt").content == NOTE


def test_a_document_of_another_type_says_so_and_the_visitor_can_go_on(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply=ANSWER), times=None)
    config = {"fullFileUpload": {"status": True, "allowedUploadFileTypes": "application/pdf"}}
    flow = house.flow(chain(house.stub.url), chatbotConfig=json.dumps(config))
    seen = visitor.visit(flow, attached(("note.txt", "text/plain", NOTE)), QUESTION, QUESTION)["openings"]
    assert seen[1]["messages"][-1] == ["bot", "Unable to upload documents"]
    refusal = seen[2]["messages"][-1][1]  # the widget sends what is still attached as it is
    assert "note.txt" in refusal
    assert "application/pdf" in refusal
    assert not seen[-1]["locked"]
    assert seen[-1]["messages"][-1] == ["bot", ANSWER]


def test_thumbs_and_words_are_kept(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply=ANSWER), times=None)
    flow = house.writing({"chatbotConfig": json.dumps({"chatFeedback": {"status": True}})})
    seen = visitor.visit(flow, QUESTION, {"thumb": "down", "words": "It is 31."})
    assert seen["problems"] == []
    (found,) = house.client.get(f"/feedback/{flow}").json()
    assert (found["rating"], found["content"]) == ("THUMBS_DOWN", "It is 31.")
    assert found["messageId"] == str(house.messages(flow)[-1]["id"])


def test_a_visitor_who_leaves_an_address_is_known_with_the_question(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply=ANSWER), times=None)
    leads = {"status": True, "title": "Who are you?", "successMessage": "Thank you!", "name": True, "email": True}
    flow = house.writing({"chatbotConfig": json.dumps({"leads": leads})})
    lead = {"name": "Ann", "email": "ann@example.com"}
    seen = visitor.visit(flow, {"lead": lead}, QUESTION)
    assert seen["problems"] == []
    assert "Thank you!" in json.dumps(seen["openings"][1])
    (kept,) = house.client.get(f"/leads/{flow}").json()
    assert (kept["name"], kept["email"]) == ("Ann", "ann@example.com")
    asked, _ = house.messages(flow)
    assert asked["lead_email"] == "ann@example.com"
    assert asked["chat_id"] == kept["chatId"]


def test_a_starter_prompt_is_asked_with_a_press(house: House, visitor: Visitor) -> None:
    house.stub.script(Script(reply=ANSWER), times=None)
    flow = house.writing({"chatbotConfig": json.dumps({"starterPrompts": {"0": {"prompt": QUESTION}}})})
    seen = visitor.visit(flow, {"press": QUESTION})["openings"]
    assert seen[-1]["messages"] == [GREETING, ["visitor", QUESTION], ["bot", ANSWER]]


@pytest.mark.parametrize("streaming", [True, False], ids=["streamed", "plain"])
def test_a_follow_up_prompt_is_asked_with_a_press(house: House, visitor: Visitor, streaming: bool) -> None:
    def reply(messages: Any) -> str:
        return '{"questions": ["And in Oslo?"]}' if "JSON" in json.dumps(messages) else ANSWER

    house.stub.script(Script(reply=reply), times=None)
    provider = {"modelName": "stub-model", "basepath": house.stub.url, "prompt": "Propose: {history}"}
    wish = {"status": True, "selectedProvider": "chatOpenAI", "chatOpenAI": provider}
    columns = {
        "followUpPrompts": json.dumps(wish),
        "chatbotConfig": json.dumps({"followUpPrompts": {"status": True}}),
    }
    flow = house.flow(rag(house.shelf.store, model=openai(house.stub.url, streaming=streaming)), **columns)
    seen = visitor.visit(flow, QUESTION, {"press": "And in Oslo?"})
    assert seen["problems"] == []
    _, offered, pressed = seen["openings"]
    assert ["bot", "And in Oslo?"] in offered["messages"]
    assert [text for who, text in pressed["messages"] if who == "visitor"] == [QUESTION, "And in Oslo?"]


class Shop(Live):
    """The application with a worker, where widgets may upsert."""

    def __enter__(self) -> "Shop":
        super().__enter__()

        async def begin() -> tuple[asyncio.Event, asyncio.Task[None]]:
            stop = asyncio.Event()
            return stop, asyncio.create_task(Runner(self.resources, alone=True).run(stop))

        self._stop, self._work = self.run(begin())
        return self

    def __exit__(self, *about: Any) -> None:
        async def end() -> None:
            self._stop.set()
            await self._work

        self.run(end())
        super().__exit__(*about)


@pytest.fixture
def shop(tmp_path: Path, database_url: str) -> Iterator[Shop]:
    """It, on a socket."""
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12, "widget_upserts": True}
    with Shop(load({}, {**place, "egress_allow": "127.0.0.1"})) as shop:
        yield shop


def test_a_file_for_the_vector_store_is_found_by_the_conversation_that_brought_it(
    shop: Shop, chromium: str, tmp_path: Path
) -> None:
    _, secret = shop.run(api_keys.create(shop.resources.database, DEFAULT_WORKSPACE, "tests"))
    text = loader("textFile")
    text["data"]["inputParams"] = [{"name": "txtFile", "type": "file", "fileType": ".txt, .md"}]
    data = filled(text, stores={"store_0": ("memoryVectorStore", {"fileUpload": True})}, embedding=fake())
    headers = {"Authorization": f"Bearer {secret}"}
    body = {"name": "Shop", "type": "CHATFLOW", "flowData": data}
    with httpx.Client(base_url=f"{shop.url}/api/v1", headers=headers, timeout=60) as client:
        flow = str(client.post("/chatflows", json=body).json()["id"])
        house = House(shop, None, None, client, secret)  # type: ignore[arg-type]  # no stubs are needed
        visitor = Visitor(house, chromium, tmp_path / "page.png")
        question = "What is the door code of the archive?"
        seen = visitor.visit(flow, attached(("note.txt", "text/plain", NOTE), say=question), patience=30_000)
        assert seen["problems"] == []
        assert ["POST", f"/api/v1/vector/upsert/{flow}", 200] in seen["requests"]
        assert "4711" in seen["openings"][-1]["messages"][-1][1]
        assert uploads_of(house, flow) == [[{"type": "stored-file", "name": "note.txt", "mime": "text/plain"}]]
        again = visitor.visit(flow, question, patience=30_000)["openings"][-1]["messages"][-1][1]
        assert "4711" not in again
