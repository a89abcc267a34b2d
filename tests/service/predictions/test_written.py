"""What is gathered of a run, and when it is said."""

from collections.abc import Iterable

import pytest

from service.chatflows.types import (
    ActionWanted,
    Artifacts,
    FlowStatus,
    NodesExecuted,
    Passage,
    RunStatus,
    Sources,
    StepEvent,
    Structured,
    Thinking,
    Token,
    ToolsUsed,
    ToolUse,
)
from service.predictions.events import Said
from service.predictions.written import MAX_ANSWER, EndlessAnswer, Written

A, B, C = (Passage(name, name * 3, {}, 0.5) for name in "abc")


def said(events: Iterable[StepEvent], written: Written | None = None) -> list[Said]:
    """All that is said of a run."""
    written = written or Written()
    found = [event for taken in events for event in written.take(taken)]
    return [*found, *written.rest()]


def test_what_stands_behind_the_text_is_said_in_the_contracts_order() -> None:
    use = ToolUse("calculator", {"input": "1+1"}, "2")
    wanted = ActionWanted({"id": "1"})
    events: list[StepEvent] = [
        wanted,
        Artifacts(({"type": "png"},)),
        ToolsUsed((use,)),
        Sources((A,)),
        Token("Two"),
        Token("."),
    ]
    assert said(events) == [
        Token("Two"),
        Token("."),
        Sources((A,)),
        ToolsUsed((use,)),
        Artifacts(({"type": "png"},)),
        wanted,
    ]


def test_sources_of_flows_within_flows_and_of_tools_come_together_each_once() -> None:
    use = ToolUse("handbook", {}, "text", sources=(B, C))
    (*_, sources, _) = said([Token("x"), Sources((A, B)), Sources((B,)), ToolsUsed((use,)), ToolsUsed((use,))])
    assert sources == Sources((A, B, C))


def test_numbers_of_the_first_sources_stay_what_they_are() -> None:
    assert said([Sources((A, A, B)), Sources((C, A))]) == [Sources((A, A, B, C))]


def test_an_agentflow_says_everything_before_its_end_and_nothing_twice() -> None:
    begun, ended = FlowStatus(RunStatus.INPROGRESS), FlowStatus(RunStatus.FINISHED)
    nodes = NodesExecuted(())
    assert said([begun, Token("x"), Sources((A,)), nodes, ended]) == [begun, Token("x"), nodes, Sources((A,)), ended]


def test_a_structured_answer_and_a_text_do_not_mix() -> None:
    assert said([Structured({"a": 1}), Token("x")]) == [Structured({"a": 1})]
    written = Written()
    assert said([Token("x"), Structured({"a": 1})], written) == [Token("x")]
    assert written.answer == "x"


def test_text_that_is_held_back_is_said_when_it_was_worked_on() -> None:
    written = Written(holds=True)
    assert said([Token("raw"), Sources((A,))], written) == [Sources((A,))]
    assert written.answer == "raw"
    assert list(written.replace("clean")) == [Token("clean")]
    assert written.answer == "clean"


def test_text_that_is_held_back_goes_when_nothing_works_on_it() -> None:
    written = Written(holds=True)
    said([Token("raw")], written)
    written.withhold()
    assert written.answer == ""


def test_endless_thoughts_end_a_run_as_endless_answers_do() -> None:
    endless: list[StepEvent] = [Token("x" * (MAX_ANSWER + 1)), Thinking("x" * (MAX_ANSWER + 1))]
    for event in endless:
        with pytest.raises(EndlessAnswer):
            said([event])


def test_thoughts_are_no_part_of_the_answer() -> None:
    written = Written()
    assert said([Thinking("hm"), Thinking("", 1.5), Token("x")], written)[1] == Thinking("", 1.5)
    assert (written.answer, written.thoughts, written.thought_seconds) == ("x", ["hm", ""], 1.5)
