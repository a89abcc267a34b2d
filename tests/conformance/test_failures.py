"""Failures whose messages tell how a flow is set up say so, and have a sentence that does not (ADR 0060)."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import service
from service.errors import ServiceError, Withheld

ROOMS = (
    "service.agentflows",
    "service.agents",
    "service.chatflows",
    "service.connectors",
    "service.credentials",
    "service.document_stores.search",
    "service.document_stores.space",
    "service.document_stores.vectors",
    "service.egress",
    "service.javascript",
    "service.providers",
    "service.retrieval",
    "service.tools",
)
"""Who knows credentials, hosts, prompts and settings."""

OF_THE_CALL = {
    "BrokenGraph": "ids of nodes, which the public graph shows",
    "FlowTimeout": "says no more than its sentence",
    "FormWanted": "the fields of a form that is shown to whoever fills it in",
    "Gone": "says no more than its sentence",
    "JavaScriptOff": "a setting of this software, the same everywhere",
    "NotWaiting": "says no more than its sentence",
    "OriginRefused": "the words that the owner wrote for it",
    "TooManySteps": "a number of this software",
    "UnknownComponent": "what the caller named",
    "UnreadableAnswer": "what a model said to this caller",
}
"""Classes of these rooms whose messages may be read by everybody, and what they tell."""


def classes(kind: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    for found in kind.__subclasses__():
        yield found
        yield from classes(found)


@pytest.fixture(scope="module")
def every() -> set[type[ServiceError]]:
    """All failures of the service."""
    for module in pkgutil.walk_packages(service.__path__, "service."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {kind for kind in classes() if kind.__module__.startswith("service.")}


def test_failures_of_the_rooms_that_know_configurations_are_private(every: set[type[ServiceError]]) -> None:
    rooms = {kind for kind in every if kind.__module__.startswith(ROOMS)}
    assert len(rooms) > 30
    assert {kind.__name__ for kind in rooms if not kind.private} == OF_THE_CALL.keys()


def test_the_public_text_is_a_sentence_that_names_nothing(every: set[type[ServiceError]]) -> None:
    for kind in every:
        if not kind.private:
            continue
        error = kind.__new__(kind)
        ServiceError.__init__(error, "Key of the board, at models.board.internal")
        error.__dict__.setdefault("answer", None)
        told = Withheld(error)
        assert (told.status, told.code) == (error.status, error.code)
        assert told.message.startswith(error.gist), kind
        assert told.message.endswith(f"in its log, at {error.reference}."), kind
        assert "board" not in told.message, kind
        assert error.gist.endswith("."), kind
        assert not set("{}'_`") & set(error.gist.replace("'s ", "s ")), kind
