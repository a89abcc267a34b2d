"""The whole way with a GGUF file: a chatflow in mode `gguf` answers over HTTP with its sources (extra `llm`)."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from service.settings import Settings
from tests.service.chatflows.flows import node, rag
from tests.service.predictions.conftest import House
from tests.service.predictions.live import Live
from tests.stubs.tiny_models import write_gguf

pytestmark = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="the extra llm is not installed")


@pytest.fixture(params=["local_model", "chat_model"])
def live(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[Live]:
    """The application with a model by either setting; the long prompt fits, and the answer ends it."""
    file = write_gguf(tmp_path / "tiny.gguf")
    value = file if request.param == "local_model" else f"local:{file}"
    with Live(settings.model_copy(update={request.param: value})) as live:
        yield live


def test_a_chatflow_in_mode_gguf_answers_with_sources(house: House) -> None:
    model = node("chatLocal_0", "chatLocal", "Chat Models", {"mode": "gguf", "maxTokens": 20})
    answer = house.ask(house.flow(rag(house.shelf.store, model=model)))
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["text"]) == 20
    assert answer.json()["sourceDocuments"]
