"""Answers from the sample handbook without a model: few sentences, the right ones, with their sources."""

import sys

import pytest

from service.answers.extractive import REFUSAL
from tests.quality.handbook import Handbook, questions, share, table


@pytest.mark.quality
async def test_the_handbook_answers_most_of_its_questions(
    handbook: Handbook, capsys: pytest.CaptureFixture[str]
) -> None:
    await handbook.upload()
    outcomes = [await handbook.outcome(question) for question in questions()]
    with capsys.disabled():
        sys.stdout.write(f"\n{table(outcomes)}\n")
    answerable = [outcome for outcome in outcomes if outcome.question.answerable]
    plain = [outcome for outcome in outcomes if outcome.question.kind in ("text", "number", "table")]
    absent = [outcome for outcome in outcomes if not outcome.question.answerable]
    assert share(plain, "right") >= 0.9
    assert share(answerable, "right") >= 0.75
    assert share(answerable, "sourced") >= 0.68
    assert share(absent, "right") >= 0.6


async def test_questions_to_a_few_files_are_answered_in_their_words(handbook: Handbook) -> None:
    await handbook.upload(["expenses-and-travel.pdf", "working-hours-and-leave.md", "it-security.html"])
    asked = {question.id: question for question in questions()}

    async def told(name: str) -> str:
        return str((await handbook.ask(asked[name].text, name))["text"])

    assert await told("hb-01") == "Submit every travel expense claim within 30 days of the end of the trip. [1]"
    assert "Country: United States, Full day: $64, Part day: $32, Hotel per night, at most: $210 [1]" in await told(
        "hb-15"
    )
    assert "A password has at least 14 characters. [1]" in await told("hb-08")
    for name in ("hb-03", "hb-11", "hb-14", "hb-35"):
        outcome = await handbook.outcome(asked[name])
        assert outcome.right, outcome
        assert outcome.sourced, outcome
    assert await told("hb-36") == REFUSAL


async def test_sources_say_where_they_stand(handbook: Handbook) -> None:
    await handbook.upload(["expenses-and-travel.pdf"])
    body = await handbook.ask("By when do I have to submit a travel expense claim?", "a")
    metadata = body["sourceDocuments"][0]["metadata"]
    assert metadata["source"] == "expenses-and-travel.pdf"
    assert metadata["title"] == "Expenses and travel"
    assert metadata["heading"].startswith("Expenses and travel")
    assert (metadata["page"], metadata["pages"]) == (1, 3)
