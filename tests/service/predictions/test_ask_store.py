"""Questions to a document store without a chatflow."""

from uuid import uuid4

import pytest

from service.chatflows.types import Role, Sources, StepEvent, Token, Turn
from service.errors import NotFound
from service.predictions.service import ask_store
from tests.service.predictions.conftest import House
from tests.service.predictions.live import DEFAULT_WORKSPACE


def test_a_document_store_answers_with_its_sources(house: House) -> None:
    async def ask() -> list[StepEvent]:
        turns = (Turn(Role.USER, "When does the office open?"),)
        asked = ask_store(
            house.live.resources, DEFAULT_WORKSPACE, house.shelf.store, "How many days of leave?", history=turns, k=1
        )
        return [event async for event in asked]

    events = house.live.run(ask())
    assert "".join(event.text for event in events if isinstance(event, Token)).endswith("paid leave a year. [1]")
    (sources,) = (event for event in events if isinstance(event, Sources))
    assert [item.metadata["heading"] for item in sources.passages] == ["Leave"]


def test_an_unknown_document_store_is_said_to_be_so(house: House) -> None:
    async def ask() -> None:
        async for _ in ask_store(house.live.resources, DEFAULT_WORKSPACE, uuid4(), "Q"):
            pass

    with pytest.raises(NotFound, match="Document store"):
        house.live.run(ask())
