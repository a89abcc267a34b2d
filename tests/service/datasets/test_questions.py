"""Questions of chunks without a model, and what is made of a model's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets.drafting import Unfit, read
from service.datasets.questions import of_chunk

PASSAGE = "A sabbatical is a leave of three months.\nIt can be taken once, after five years of work."


@pytest.mark.parametrize(
    ("text", "heading", "asked", "answer"),
    [
        (
            "The travel desk is a team of four people in the finance department. It opens early.",
            "",
            "What is the travel desk?",
            "The travel desk is a team of four people in the finance department.",
        ),
        (
            "Das Gleitzeitkonto ist ein Konto für die Stunden, die über die Woche hinaus gehen.",
            "",
            "Was ist das Gleitzeitkonto?",
            "Das Gleitzeitkonto ist ein Konto für die Stunden, die über die Woche hinaus gehen.",
        ),
        (
            "Employees who work full time get 30 days of leave a year.",
            "Handbook > Leave",
            "Which figure is missing (under “Leave”): “Employees who work full time get … days of leave a year.”",
            "Employees who work full time get 30 days of leave a year.",
        ),
        (
            "Receipts must reach the finance department before the month ends.",
            "Travel",
            "What does “Travel” say about: Receipts, reach, finance, department?",
            "Receipts must reach the finance department before the month ends.",
        ),
    ],
)
def test_a_chunk_is_asked_for_by_its_best_sentence(text: str, heading: str, asked: str, answer: str) -> None:
    found = of_chunk(text, heading)
    assert found is not None
    assert (found.text, found.answer) == (asked, answer)
    assert found.quote in text


def test_a_chunk_without_a_sentence_is_asked_for_nothing() -> None:
    for text in ("", "# Heading\n", "one, two, three", "- a\n- b", "Who may take it?", "Yes."):
        assert of_chunk(text, "Heading") is None


@given(text=st.text(max_size=300), heading=st.text(max_size=60))
def test_whatever_a_chunk_holds_its_quote_stands_in_it(text: str, heading: str) -> None:
    found = of_chunk(text, heading)
    if found is not None:
        assert found.quote in text
        assert found.text.strip()
        assert found.answer


@pytest.mark.parametrize(
    "written",
    [
        '{"question": "How long is a sabbatical?", "answer": "Three months.", "quote": "a leave of three months"}',
        'Sure!\n```json\n{"question": "How long is a sabbatical?", "answer": "Three months."}\n```',
        '<think>{"question": "no"}</think>[{"question": "How long\\nis a sabbatical?", "answer": "Three months."}]',
    ],
)
def test_a_models_question_is_found_in_its_words(written: str) -> None:
    found = read(written, PASSAGE)
    assert (found.text, found.answer) == ("How long is a sabbatical?", "Three months.")
    assert found.quote in PASSAGE


def test_a_quote_that_does_not_stand_in_the_passage_is_left_out() -> None:
    form = '{{"question": "When can it be taken?", "answer": "Once.", "quote": "{}"}}'
    assert (
        read(form.format("three months. It can be taken once"), PASSAGE).quote == "three months.\nIt can be taken once"
    )
    assert read(form.format("whenever you like"), PASSAGE).quote == ""


@pytest.mark.parametrize(
    "written",
    [
        "",
        "I cannot.",
        "[]",
        "{}",
        '{"question": 7, "answer": "a"}',
        '{"question": "How long is it?", "answer": ""}',
        '{"question": "What does the passage say?", "answer": "Much."}',
        f'{{"question": "{"q" * 501}", "answer": "a"}}',
    ],
)
def test_what_is_no_question_with_an_answer_is_refused(written: str) -> None:
    with pytest.raises(Unfit):
        read(written, PASSAGE)
