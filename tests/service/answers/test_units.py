"""Chunks are cut into sentences, items and rows in any of the languages that the product meets."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answers.units import LONGEST, inert, shown, units


def texts(chunk: str) -> list[str]:
    return [unit.text for unit in units(chunk)]


def test_sentences_end_at_marks_and_not_at_abbreviations() -> None:
    chunk = "Dr. Smith came at 10 p.m. on Monday. He paid £4.50, e.g. for lunch. J. R. Hartley left in 2004. Then?"
    assert texts(chunk) == [
        "Dr. Smith came at 10 p.m. on Monday.",
        "He paid £4.50, e.g. for lunch.",
        "J. R. Hartley left in 2004.",
    ]


def test_german_abbreviations_and_ordinals_do_not_end_a_sentence() -> None:
    chunk = "Das gilt z. B. am 1. März 2024 für Nr. 5 im 3. Stock. Fragen beantwortet u. a. Prof. Weiß. Ende gut."
    assert texts(chunk) == [
        "Das gilt z. B. am 1. März 2024 für Nr. 5 im 3. Stock.",
        "Fragen beantwortet u. a. Prof. Weiß.",
        "Ende gut.",
    ]


def test_chinese_and_japanese_sentences_need_no_spaces() -> None:
    assert texts("他来了。他说：「好！」她走了！これはペンです。") == [
        "他来了。",
        "他说：「好！」",
        "她走了！",
        "これはペンです。",
    ]


def test_headings_and_questions_are_context_and_no_answers() -> None:
    chunk = (
        "## Leave\n\nAll have 26 days.\n\nHow do I apply?\nIn the portal. Two weeks before.\n\n## Sick days\n\nCall."
    )
    assert [(unit.text, unit.context) for unit in units(chunk, "Handbook")] == [
        ("All have 26 days.", "Leave"),
        ("In the portal.", "How do I apply?"),
        ("Two weeks before.", "How do I apply?"),
        ("Call.", "Sick days"),
    ]


def test_table_rows_read_as_text_under_their_header() -> None:
    chunk = "| Country | Days | Note |\n|---|---:|---|\n| Portugal | **25** days | |\n| Germany | 30 days | a \\| b |\n"
    assert [(unit.text, unit.is_row) for unit in units(chunk)] == [
        ("Country: Portugal, Days: 25 days", True),
        ("Country: Germany, Days: 30 days, Note: a | b", True),
    ]


def test_rows_without_a_header_are_joined_by_commas() -> None:
    assert texts("| Portugal | 25 days |\n| Germany | 30 days |") == ["Portugal, 25 days", "Germany, 30 days"]


def test_list_items_lose_their_marks_and_line_breaks_inside_a_sentence_are_soft() -> None:
    chunk = "- Bring your\n  **passport**.\n- See [the form](http://forms.example/a).\n1. Sign."
    assert texts(chunk) == ["Bring your passport.", "See the form.", "Sign."]


def test_a_run_without_sentence_ends_is_cut_between_words() -> None:
    chunk = "word " * 400
    assert all(len(text) <= LONGEST and text.strip("word ") == "" for text in texts(chunk))


def test_a_short_line_above_running_text_is_its_heading() -> None:
    chunk = "Handing in a claim\nSubmit every travel expense claim within 30 days of the end of the trip, and\nkeep it."
    (unit,) = units(chunk)
    assert unit.context == "Handing in a claim"
    assert unit.text.startswith("Submit every")


def test_lines_and_fields_are_read_together() -> None:
    receipt = "PAYMENT\nVisa Card ending in 4782\nAuth 847392"
    assert [(unit.text, unit.is_row) for unit in units(receipt)] == [
        ("PAYMENT, Visa Card ending in 4782, Auth 847392", True)
    ]
    record = "term: Blind drift\ndefinition: A slow error. Found late.\nowner: Laboratory"
    assert texts(record) == ["term: Blind drift, definition: A slow error. Found late. owner: Laboratory"]


def test_a_long_record_is_cut_between_its_fields() -> None:
    chunk = "name: Long\n" + "\n".join(f"field{number}: {'word ' * 30}." for number in "abcdef")
    found = units(chunk)
    assert len(found) > 1
    assert all(len(unit.text) <= LONGEST + 10 for unit in found)
    assert [unit.context for unit in found[1:]] == ["name: Long"] * (len(found) - 1)


def test_wrapped_lines_are_one_sentence_whatever_the_next_begins_with() -> None:
    chunk = "Die Beschäftigten erhalten für jeden Tag im Büro eine\nPauschale von\n30 Euro, die monatlich gezahlt wird."
    assert len(texts(chunk)) == 1


def test_list_items_know_what_introduces_them() -> None:
    chunk = "Bring along:\n\n- your passport\n- a pen\n\nThat is all."
    assert [(unit.text, unit.lead) for unit in units(chunk)] == [
        ("your passport", "Bring along:"),
        ("a pen", "Bring along:"),
        ("That is all.", ""),
    ]


@given(st.text(alphabet=st.sampled_from('ab A1.!?。\n|#-*`[]() \t"z.B'), max_size=300))
def test_every_unit_is_a_span_of_its_chunk_in_order(chunk: str) -> None:
    end = 0
    for unit in units(chunk):
        assert end <= unit.start < unit.end <= len(chunk)
        assert unit.text
        end = unit.end


MARKS = st.lists(
    st.sampled_from(["!", "[", "]", "(", ")", "<", "/", "img", " ", "\\", "http://e.vil/x", "\n", "a"])
).map("".join)


@given(MARKS)
def test_what_is_quoted_is_inert(text: str) -> None:
    found = inert(shown(text))
    assert not re.search(r"!\[|\]\(|\]\[|<[a-zA-Z/!?]", found)
    assert inert(found) == found


def test_ordinary_text_is_quoted_as_it_is() -> None:
    text = "Is a[0] < b[1][2] and c<5? Yes! See https://portal.example.com/leave [sic], or <5 days."
    assert inert(text) == text.replace("[1][2]", "[1] [2]")


@pytest.mark.parametrize("marks", ["[1]", "[12][13]", "[2, 3]", "[4–6]"])
def test_numbers_of_a_document_do_not_read_as_those_of_sources(marks: str) -> None:
    found = inert(f"It boils at 100 degrees.{marks} It freezes {marks}.")
    assert not re.search(r"\[[\d, –]+\]", found)
    assert found.replace("(", "[").replace(")", "]") == f"It boils at 100 degrees.{marks} It freezes {marks}."
