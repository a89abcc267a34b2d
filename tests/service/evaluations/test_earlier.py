"""Rows that follow others bring what was said before them."""

import pytest

from service.chatflows.types import Role, Turn
from service.datasets.types import Gold, GoldKind, RowDraft
from service.evaluations.earlier import MOST_TURNS, earlier
from service.evaluations.types import MetricWish
from service.worker.runner import Runner
from tests.service.evaluations.lab import TOPICS, Lab, flow_target, store_target
from tests.stubs.openai_server import OpenAIStub, Script

HISTORY = [
    {"role": "userMessage", "content": "What do Canteen1, Canteen2 and Canteen3 say?"},
    {"role": "apiMessage", "content": "Canteen stands here."},
]


@pytest.mark.parametrize("given", [None, "Hello", {}, 7, [], [None, "Hello", {"role": "system", "content": "x"}]])
def test_metadata_without_turns_brings_none(given: object) -> None:
    assert earlier({"history": given}) == ()


def test_turns_are_read_from_the_newest_and_junk_among_them_is_left_out() -> None:
    many = [{"role": "userMessage", "content": f"{number}\x00"} for number in range(MOST_TURNS + 5)]
    turns = earlier({"history": [*many, {"role": ["apiMessage"], "content": "x"}, *HISTORY]})
    assert len(turns) == MOST_TURNS - 1
    assert turns[0] == Turn(Role.USER, "8")
    assert turns[-2:] == (
        Turn(Role.USER, "What do Canteen1, Canteen2 and Canteen3 say?"),
        Turn(Role.MODEL, "Canteen stands here."),
    )


async def test_a_document_store_is_asked_in_the_light_of_the_turns_before(lab: Lab, worker: Runner) -> None:
    store = await lab.shelf()
    gold = (Gold(GoldKind.QUOTE, "Canteen stands here."),)
    rows = [
        RowDraft("And what else?", "", gold, metadata={"history": HISTORY}),
        *(RowDraft("And what else?", "", (Gold(GoldKind.QUOTE, f"{topic} stands here."),)) for topic in TOPICS),
    ]
    dataset = await lab.dataset(rows)
    ended = await lab.end(await lab.make(dataset, store_target(store, topK=6), metrics=[MetricWish("recall@1")]))
    follow_up, *alone = await lab.results(ended)
    assert follow_up.scores["recall@1"].value == 1.0
    assert sum(result.scores["recall@1"].value or 0 for result in alone) <= 1  # one question, one best chunk


async def test_a_flow_is_told_of_the_turns_before(lab: Lab, worker: Runner, stub: OpenAIStub) -> None:
    stub.script(Script(reply="Nothing else."), times=None)
    flow = await lab.writing(await lab.shelf("Canteen"), stub.url)
    dataset = await lab.dataset([RowDraft("And what else?", "Nothing.", metadata={"history": HISTORY})])
    ended = await lab.end(await lab.make(dataset, flow_target(flow), metrics=[MetricWish("tokenF1")]))
    (result,) = await lab.results(ended)
    assert result.error == ""
    asked = "".join(str(request.body) for request in stub.requests)
    assert all(turn["content"] in asked for turn in HISTORY)
