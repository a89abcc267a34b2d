"""Chunks are cut into sentences, items and rows in any of the languages that the product meets."""

from hypothesis import given
from hypothesis import strategies as st

from service.answers.units import LONGEST, units


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


@given(st.text(alphabet=st.sampled_from('ab A1.!?。\n|#-*`[]() \t"z.B'), max_size=300))
def test_every_unit_is_a_span_of_its_chunk_in_order(chunk: str) -> None:
    end = 0
    for unit in units(chunk):
        assert end <= unit.start < unit.end <= len(chunk)
        assert unit.text
        end = unit.end
