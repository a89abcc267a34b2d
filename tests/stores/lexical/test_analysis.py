"""What counts as the same word."""

import pytest

from stores.lexical.analysis import LONGEST_TERM, Group, analyse, analyse_query
from stores.lexical.languages import detect

TEXTS = {
    "en": "The committee decided that the houses should be rebuilt before the winter comes.",
    "de": "Der Ausschuss hat beschlossen, dass die Häuser vor dem Winter gebaut werden sollen.",
    "fr": "Le comité a décidé que les maisons devraient être reconstruites avant l'hiver.",
    "es": "El comité decidió que las casas deberían reconstruirse antes del invierno.",
    "ru": "Комитет решил, что дома должны быть восстановлены до наступления зимы.",
    "zh": "委员会决定在冬天到来之前重建这些房屋。",
    "ja": "委員会は冬が来る前に家を再建することを決めました。",
    "ko": "위원회는 겨울이 오기 전에 집을 재건하기로 결정했습니다.",
    "th": "คณะกรรมการตัดสินใจว่าควรสร้างบ้านใหม่ก่อนฤดูหนาวจะมาถึง",
}


@pytest.mark.parametrize("language", TEXTS)
def test_the_language_of_a_sentence_is_told(language: str) -> None:
    assert analyse(TEXTS[language]).language == language


def test_a_text_too_short_to_tell_takes_the_default() -> None:
    assert detect("Haus") == "en"
    assert detect("", default="de") == "de"
    assert detect("1234 5678 9012 3456 7890 1234") == "en"


def test_words_are_folded_stemmed_and_stop_words_left_out() -> None:
    analysed = analyse("The RUNNING dogs' friends aren't running; it's Müller's café, and ﬁne.")
    assert analysed.terms == {"run": 2, "dog": 1, "friend": 1, "aren": 1, "muller": 1, "cafe": 1, "fine": 1}
    assert analysed.length == 8


def test_scripts_without_spaces_give_characters_and_pairs() -> None:
    assert analyse("重建房屋 2024").terms == dict.fromkeys(["重", "建", "房", "屋", "重建", "建房", "房屋", "2024"], 1)


def test_combining_marks_stay_inside_their_words() -> None:
    (group,) = analyse_query("हिन्दी", ["hi"])
    assert len(group.variants) == 1
    assert len(analyse("हिन्दी भाषा में लिखा हुआ एक वाक्य यहाँ है").terms) >= 6


@pytest.mark.parametrize(
    ("text", "whole", "part"), [("PA-22-150", "pa22150", "150"), ("1,250.50", "125050", "250"), ("v1.2", "v12", "v1")]
)
def test_codes_are_found_whole_and_by_parts(text: str, whole: str, part: str) -> None:
    assert {whole, part} <= analyse(f"see {text}").terms.keys()
    assert Group((whole,), optional=True) in analyse_query(text, ["en"])


def test_a_query_word_has_a_variant_for_each_language_that_reads_it_differently() -> None:
    assert analyse_query("Häuser", ["en", "de"]) == [Group(("hauser", "haus"))]
    assert analyse_query("dog", ["en", "de"]) == [Group(("dog",))]


def test_a_query_names_each_word_once() -> None:
    assert analyse_query("dog dogs DOG", ["en"]) == [Group(("dog",))]


def test_endless_words_are_cut() -> None:
    (term,) = analyse("a" * 10_000).terms
    assert len(term) == LONGEST_TERM
