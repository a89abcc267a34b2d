"""Words of a question are found again in a text, whatever their endings."""

import pytest

from service.answers.words import Question, content_words, is_german, meets, names, words


@pytest.mark.parametrize(
    ("word", "other"),
    [("day", "days"), ("submit", "submission"), ("calibrated", "calibration"), ("urlaub", "urlaubstage"), ("7", "7")],
)
def test_words_with_the_same_stem_meet(word: str, other: str) -> None:
    assert meets(word, other)
    assert meets(other, word)


@pytest.mark.parametrize(
    ("word", "other"), [("record", "recommend"), ("2023", "2024"), ("day", "dye"), ("it", "item"), ("12", "120")]
)
def test_other_words_do_not(word: str, other: str) -> None:
    assert not meets(word, other)


def test_small_words_do_not_count_unless_there_are_no_others() -> None:
    assert content_words("What is the price of the laptop?") == ["price", "laptop"]
    assert content_words("Who are you?") == ["who", "are", "you"]


def test_scripts_without_spaces_count_by_pairs() -> None:
    assert words("年假多少天") == ["年假", "假多", "多少", "少天"]


def test_coverage_is_the_weighted_share_of_the_words_found() -> None:
    question = Question("price of the laptop", ["a laptop", "a price"], idf={"price": 3.0, "laptop": 1.0}.__getitem__)
    assert question.coverage("The prices rose.") == pytest.approx(0.75)
    assert question.coverage("Nothing.") == 0.0


def test_a_word_that_no_passage_holds_weighs_most() -> None:
    question = Question("laptop in Singapore", ["one laptop", "two laptops"])
    assert question.coverage("laptop") < 0.5


def test_the_language_of_a_question_is_told_by_its_small_words() -> None:
    assert is_german("Wie viele Tage habe ich?")
    assert not is_german("How many days do I have?")


def test_names_are_what_is_written_large_within_a_sentence_and_figures() -> None:
    assert names("Which office in Singapore opened in 2024, and may I visit?") == ["2024", "singapore"]
    assert names("Bekomme ich in Hamburg 3 Tage?") == ["3"]
    assert names("WHAT IS THIS?") == []
