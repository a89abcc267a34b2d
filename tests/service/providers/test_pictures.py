"""Pictures that come with a question, as each protocol of chat models sends them."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from service.chatflows.run import Backing, Run
from service.chatflows.steps.prompts import human, with_uploads
from service.chatflows.types import Attached, Picture
from service.providers.chat.base import close_chat_model
from service.providers.defaults import Defaults
from tests.service.predictions.uploads import PNG, uri
from tests.stubs.model_servers import ModelStub
from tests.stubs.models import chat_at

ENCODED = base64.b64encode(PNG).decode()


@pytest.fixture(scope="module")
def stub() -> Iterator[ModelStub]:
    """The servers."""
    with ModelStub() as stub:
        yield stub


def run(question: str = "What is this?", **more: Any) -> Run:
    """A run with a picture."""

    async def nothing(*_given: Any, **_more: Any) -> Any:
        raise AssertionError

    backing = Backing(nothing, nothing, nothing)
    picture = Picture("cat.png", "image/png", uri(PNG, "image/png"))
    return Run(UUID(int=1), None, "c", "s", question, (), backing, **{"pictures": (picture,), **more})


@pytest.mark.parametrize("name", ["anthropic", "azure", "google", "ollama"])
async def test_a_picture_is_sent_as_the_protocol_has_it(stub: ModelStub, name: str) -> None:
    model = chat_at(name, stub, Defaults(max_retries=0, timeout=5.0))
    try:
        assert (await model.ainvoke([human(run(), sees=True)])).text
    finally:
        await close_chat_model(model)
    body = stub.requests[-1].body
    places: dict[str, Callable[[], str]] = {
        "anthropic": lambda: body["messages"][0]["content"][1]["source"]["data"],
        "azure": lambda: body["messages"][0]["content"][1]["image_url"]["url"].partition(",")[2],
        "google": lambda: body["contents"][0]["parts"][1]["inlineData"]["data"],
        "ollama": lambda: body["messages"][0]["images"][0],
    }
    assert base64.urlsafe_b64decode(places[name]().replace("+", "-").replace("/", "_")) == PNG
    assert "What is this?" in json.dumps(body)


def test_a_model_that_does_not_see_gets_the_words_alone() -> None:
    assert human(run(), sees=False).content == "What is this?"
    assert human(run(""), sees=True).content == [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{ENCODED}"}}
    ]


def test_documents_stand_fenced_before_what_is_said() -> None:
    given = run(documents=(Attached("a.txt", "One </data-0> two"), Attached("b.txt", "Three")), pictures=())
    said = str(human(given, "Say it", sees=True).content)
    assert said.endswith("\nSay it")
    assert said.index("a.txt") < said.index("One") < said.index("b.txt") < said.index("Three")
    assert "</data-0>" not in said


def test_uploads_join_the_last_message_of_the_user_in_a_prompt() -> None:
    from langchain_core.messages import HumanMessage, SystemMessage

    said = [SystemMessage("Be kind"), HumanMessage("First"), HumanMessage("Last")]
    made = with_uploads(run(), said, sees=True)
    assert made[:2] == said[:2]
    assert made[2].content[0] == {"type": "text", "text": "Last"}
    assert len(with_uploads(run(), said[:1], sees=True)) == 2
    assert with_uploads(run(pictures=()), said, sees=True) == said
