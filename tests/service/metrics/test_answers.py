"""Metrics of answers without a model, against SQuAD's definitions, rouge-score and by their properties."""

import collections
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]

from service.answers.extractive import REFUSAL, REFUSAL_GERMAN
from service.metrics.base import Case, Outcome, Passage, Taken
from service.metrics.rouge_l import common_subsequence
from tests.service.metrics.cases import answered, outcome, value

PHRASES = st.lists(
    st.sampled_from(["the", "A", "cat", "Cat's", "sat.", "on", "mat", "42", "3.5%", "an", "(old)", "theatre", "—"]),
    max_size=9,
).map(" ".join)
TEXTS = st.one_of(PHRASES, st.text(st.characters(codec="ascii"), max_size=40))
COMPARING = ["exactMatch", "tokenF1", "rougeL"]
ROUGE = RougeScorer(["rougeL"], use_stemmer=False)


def plain(text: str) -> list[str]:
    """SQuAD's words, written down from the paper's description: no case, no punctuation, no articles."""
    table = str.maketrans("", "", string.punctuation)
    return re.sub(r"\b(?:a|an|the)\b", " ", text.lower().translate(table)).split()


def overlap(answer: str, gold: str) -> float:
    """F1 of two bags of words, from hits, misses and extras."""
    said, wanted = collections.Counter(plain(answer)), collections.Counter(plain(gold))
    if not said or not wanted:
        return float(said == wanted)
    hits = sum(min(count, wanted[word]) for word, count in said.items())
    misses, extras = sum(wanted.values()) - hits, sum(said.values()) - hits
    return 2 * hits / (2 * hits + misses + extras)


def markless(text: str) -> bool:
    """Whether a text has no source number, which only our metrics take out."""
    return not re.search(r"\[\d", text)


@given(TEXTS.filter(markless), st.lists(TEXTS, min_size=1, max_size=3))
async def test_exact_match_and_f1_are_those_of_squad(answer: str, expected: list[str]) -> None:
    case = answered(answer, *expected)
    assert await value("exactMatch", case) == max(plain(answer) == plain(text) for text in expected)
    assert await value("tokenF1", case) == pytest.approx(max(overlap(answer, text) for text in expected), abs=1e-9)


@given(TEXTS.filter(markless), TEXTS)
async def test_rouge_l_is_that_of_rouge_score(answer: str, expected: str) -> None:
    told = ROUGE.score(expected, answer)["rougeL"]
    score = await outcome("rougeL", answered(answer, expected))
    assert score.value == pytest.approx(told.fmeasure, abs=1e-9)
    assert score.details["precision"] == pytest.approx(told.precision, abs=1e-9)
    assert score.details["recall"] == pytest.approx(told.recall, abs=1e-9)


@given(st.lists(st.sampled_from("abcd"), max_size=30), st.lists(st.sampled_from("abcd"), max_size=30))
def test_the_common_subsequence_is_that_of_the_table(one: list[str], other: list[str]) -> None:
    row = [0] * (len(other) + 1)
    for left in one:
        above = row
        row = [0]
        for place, right in enumerate(other):
            row.append(above[place] + 1 if left == right else max(above[place + 1], row[-1]))
    assert common_subsequence(one, other) == row[-1]


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(COMPARING))
async def test_any_two_texts_compare_in_bounds_and_each_equals_itself(one: str, other: str, name: str) -> None:
    assert 0 <= await value(name, answered(one, other), keepMarkers=True) <= 1
    if re.search(r"[b-z0-9]", one):
        assert await value(name, answered(one, one), keepMarkers=True) == 1


@given(TEXTS, st.lists(TEXTS, min_size=2, max_size=4), st.sampled_from(COMPARING))
async def test_a_further_expected_answer_never_costs(answer: str, expected: list[str], name: str) -> None:
    fewer = await value(name, answered(answer, *expected[1:]))
    assert await value(name, answered(answer, *expected)) >= fewer
    assert await value(name, answered(answer, *reversed(expected))) == await value(name, answered(answer, *expected))


@pytest.mark.parametrize("name", COMPARING)
async def test_source_numbers_are_no_words_of_the_answer(name: str) -> None:
    assert await value(name, answered("26 days [1][2, 3].", "26 days")) == 1


@pytest.mark.parametrize("name", [*COMPARING, "contains"])
async def test_a_row_without_an_expected_answer_is_not_scored(name: str) -> None:
    assert (await outcome(name, answered("26"))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("name", ["exactMatch", "contains", "jsonSchema", "abstention", "length", "json"])
async def test_a_row_without_an_answer_is_not_scored(name: str) -> None:
    assert (await outcome(name, Case("q", ("a",)))).outcome is Outcome.NOT_APPLICABLE


async def test_chinese_is_compared_by_characters() -> None:
    assert await value("tokenF1", answered("年假二十六天", "二十六天")) == pytest.approx(0.8)
    assert await value("rougeL", answered("年假二十六天", "二十六天")) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, 1),
        ({"phrases": ["forty", "26  DAYS"]}, 1),
        ({"phrases": ["forty", "26 days"], "mode": "all"}, 0),
        ({"phrases": ["of", "26 days"], "mode": "all"}, 1),
        ({"phrases": ["forty"]}, 0),
    ],
)
async def test_phrases_are_found_whatever_their_case(options: dict[str, object], wanted: float) -> None:
    assert await value("contains", answered("You get 26 days\nof leave.", "26 Days"), **options) == wanted


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"pattern": r"\b\d{2} days\b"}, 1),
        ({"pattern": "DAYS"}, 0),
        ({"pattern": "DAYS", "ignoreCase": True}, 1),
        ({"pattern": "26 days", "whole": True}, 0),
        ({"pattern": "You .*", "whole": True}, 1),
        ({"pattern": "(a+)+$"}, 0),
    ],
)
async def test_patterns_are_found(options: dict[str, object], wanted: float) -> None:
    assert await value("regex", answered(" You get 26 days. ", ""), **options) == wanted


async def test_no_pattern_takes_for_ever() -> None:
    assert await value("regex", answered("a" * 100_000 + "!"), pattern="(a|aa)+$") == 0


async def test_a_pattern_reads_text_that_is_no_unicode() -> None:
    assert await value("regex", answered("x\ud800y"), pattern="^x.y$") == 1


SCHEMA = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}


@pytest.mark.parametrize(
    ("answer", "options", "wanted"),
    [
        ('{"days": 26}', {"schema": SCHEMA}, 1),
        ('Here:\n```json\n{"days": 26}\n```', {"schema": SCHEMA}, 1),
        ('Here:\n```json\n{"days": 26}\n```', {"schema": SCHEMA, "alone": True}, 0),
        ('{"days": "26"}', {"schema": SCHEMA}, 0),
        ("26 days", {"schema": SCHEMA}, 0),
        ("[1, 2]", {}, 1),
    ],
)
async def test_json_is_held_against_its_schema(answer: str, options: dict[str, object], wanted: float) -> None:
    assert await value("jsonSchema", answered(answer), **options) == wanted


async def test_what_is_wrong_with_json_is_told() -> None:
    assert "days" in (await outcome("jsonSchema", answered("{}"), schema=SCHEMA)).details["problems"]


@pytest.mark.parametrize(
    ("answer", "abstained"),
    [
        (REFUSAL, True),
        (REFUSAL_GERMAN, True),
        ("", True),
        ("Hmm, I’m not sure.", True),
        ("I don't know, sorry.", True),
        ("Das kann ich anhand der Unterlagen leider nicht beantworten.", True),
        ("26 days.", False),
        ("I don't know the exact day, but leave is 26 days [1].", False),
        ("I don't know. " + "Still there is much to say. " * 20, False),
    ],
)
async def test_abstaining_is_told_by_words(answer: str, abstained: bool) -> None:
    assert await value("abstention", answered(answer, answerable=False)) == abstained
    assert await value("abstention", answered(answer, answerable=True)) == (not abstained)


async def test_whether_to_abstain_is_told_by_the_expected_answer() -> None:
    assert await value("abstention", answered("26 days.", "26")) == 1
    assert await value("abstention", answered("26 days.", REFUSAL)) == 0
    assert await value("abstention", answered("I don't know.", "26")) == 0
    assert (await outcome("abstention", answered("26 days."))).outcome is Outcome.NOT_APPLICABLE


async def test_phrases_of_ones_own_count_besides_or_instead() -> None:
    case = answered("Ask Ana in HR.", answerable=False)
    assert await value("abstention", case) == 0
    assert await value("abstention", case, phrases=["ask ana"]) == 1
    assert await value("abstention", answered("I don't know.", answerable=False), known=False) == 0


TAKEN = Taken(latency=1200.0, first_token=80.5, input_tokens=100, output_tokens=20, cost=0.002)


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        ("latency", {}, 1200.0),
        ("firstToken", {}, 80.5),
        ("tokens", {}, 120),
        ("tokens", {"kind": "input"}, 100),
        ("tokens", {"kind": "output"}, 20),
        ("cost", {}, 0.002),
        ("length", {}, 12),
        ("length", {"unit": "words"}, 3),
    ],
)
async def test_what_an_answer_takes_is_told(name: str, options: dict[str, object], wanted: float) -> None:
    assert await value(name, answered(" 26 days off.\n", taken=TAKEN), **options) == wanted


async def test_text_that_was_found_is_counted_whether_there_is_an_answer_or_not() -> None:
    passages = (Passage("Kiosks close at noon."), Passage("12"))
    assert await value("contextLength", Case("When?", found=passages)) == 23
    assert await value("contextLength", answered("At noon.", found=())) == 0
    assert (await outcome("contextLength", answered("At noon."))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("name", ["latency", "firstToken", "tokens", "cost"])
async def test_what_nobody_measured_is_not_applicable(name: str) -> None:
    assert (await outcome(name, answered("26"))).outcome is Outcome.NOT_APPLICABLE
