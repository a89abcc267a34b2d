"""Citation correctness: which sentences are backed by the sources that they name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answers.extractive import Passage as Quoted
from service.answers.extractive import answer
from service.metrics.base import Case, Lent, Outcome, Passage
from service.metrics.citing import Sentence, figures, sentences
from service.providers.embedding.onnx import OnnxEmbedder
from tests.service.metrics.cases import answered, chunk, letters, made, outcome, value

LEAVE = "Everybody gets 26 days of annual leave a year. Unused days expire on 31 March of the following year."
THEFT = "If a laptop is stolen, call the security line within one hour. The fine is 1,250 euros."
FOUND = (chunk("leave", LEAVE), chunk("theft", THEFT))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Everybody gets 26 days of annual leave [1].", 1),
        ("Everybody gets 26 days of annual leave. [1] Stolen laptops: call the security line [2].", 1),
        ("Everybody gets 26 days of annual leave [2].", 0),
        ("Everybody gets 27 days of annual leave [1].", 0),
        ("Everybody gets 26 days of annual leave [3].", 0),
        ("Everybody gets 26 days of annual leave [1, 2].", 1),
        ("Everybody gets 26 days of annual leave [1](#leave).", 1),
        ("Everybody gets 26 days of annual leave.", 0),
        ("Everybody gets 26 days of annual leave [1]. They can be spent in Portugal.", 0.5),
        ("The fine is 1.250 euros [2].", 1),
        ("Penguins live in the Antarctic [1].", 0),
        ("# Leave\n\n- 26 days of annual leave [1]\n- unused days expire on 31 March [1]\n", 1),
    ],
)
async def test_a_sentence_must_stand_in_what_it_cites(text: str, wanted: float) -> None:
    assert await value("citationCorrectness", answered(text, found=FOUND)) == wanted


async def test_what_is_wrong_is_told() -> None:
    text = "Everybody gets 27 days of annual leave [1]. Call the line [9]. It is so."
    score = await outcome("citationCorrectness", answered(text, found=FOUND))
    assert [item["problem"] for item in score.details["wrong"]] == [
        "a figure of it does not stand in its sources",
        "there is no source 9",
        "it cites nothing",
    ]
    assert (score.details["sentences"], score.details["uncited"]) == (3, 1)


async def test_sentences_without_a_number_can_be_ignored() -> None:
    text = "Everybody gets 26 days of annual leave [1]. They can be spent in Portugal."
    assert await value("citationCorrectness", answered(text, found=FOUND), uncited="ignored") == 1
    none = await outcome("citationCorrectness", answered("They can.", found=FOUND), uncited="ignored")
    assert none.outcome is Outcome.NOT_APPLICABLE


async def test_sources_have_the_numbers_that_answers_give_them() -> None:
    found = (Passage(LEAVE, number=7),)
    assert await value("citationCorrectness", answered("26 days of annual leave [7].", found=found)) == 1
    assert await value("citationCorrectness", answered("26 days of annual leave [1].", found=found)) == 0


async def test_meaning_backs_a_sentence_too_but_never_another_figure() -> None:
    metric = made("citationCorrectness", similarity=0.9, coverage=1)
    lent = Lent(embed=letters)
    same = answered("Staff gets 26 days of annual leave a year [1].", found=FOUND)
    assert (await metric.score(same)).value == 0
    assert (await metric.score(same, lent)).value == 1
    other = answered("Staff gets 27 days of annual leave a year [1].", found=FOUND)
    assert (await metric.score(other, lent)).value == 0


@pytest.mark.parametrize("case", [Case("q"), answered("26 [1]"), answered("I don't know.", found=FOUND)])
async def test_it_needs_an_answer_with_its_sources(case: Case) -> None:
    assert (await outcome("citationCorrectness", case)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("question", ["How many days of annual leave?", "What if my laptop is stolen?"])
async def test_answers_of_the_service_itself_are_correct(question: str) -> None:
    embedder = OnnxEmbedder(threads=1)
    texts = [Quoted(passage.text, place) for place, passage in enumerate(FOUND, 1)]
    given_answer = await answer(question, texts, embedder.embed_array, threshold=0)
    await embedder.aclose()
    assert await value("citationCorrectness", Case(question, answer=given_answer.text, found=FOUND)) == 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1,000.50 and 1.000,50", {"1000.50"}),
        ("3\u202f000 or 3 000", {"3000"}),
        ("in 2024 300 people", {"2024", "300"}),
        ("on 5.5.2024 at 12:30", {"5.5.2024", "12", "30"}),
        ("3,5 %", {"3.5"}),
    ],
)
def test_figures_are_the_same_however_they_are_written(text: str, wanted: set[str]) -> None:
    assert figures(text) == wanted


def test_numbers_belong_to_the_sentence_before_them() -> None:
    assert sentences("It is so. [1][2] It is not [3-5]!") == [
        Sentence("It is so .", (1, 2)),
        Sentence("It is not !", (3, 4, 5)),
    ]


@given(st.text(max_size=200))
async def test_any_answer_has_a_share(text: str) -> None:
    score = await outcome("citationCorrectness", answered(text, found=FOUND))
    assert score.outcome is Outcome.NOT_APPLICABLE or 0 <= (score.value or 0) <= 1
