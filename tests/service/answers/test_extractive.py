"""Extractive answers quote what answers the question, and refuse when nothing does."""

import re
from collections.abc import AsyncIterator, Sequence
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from service.answers.extractive import CANDIDATES, REFUSAL, REFUSAL_GERMAN, Embed, Passage, answer
from service.providers.embedding.onnx import OnnxEmbedder

LEAVE = """## Annual leave

Everybody gets 26 days of annual leave a year. Unused days expire on 31 March of the following year.

| Country | Annual leave | Public holidays |
|---|---|---|
| Portugal | 25 days | 14 |
| Germany | 30 days | 10 |
"""
LAPTOP = """## Stolen devices

If a laptop is stolen, call the security line within one hour. The canteen is open from 12:00 to 13:45.
A theft must also be reported to the local police."""
GERMAN = "Die Betriebsvereinbarung tritt am 1. März 2024 in Kraft. Sie kann mit sechs Monaten Frist gekündigt werden."
HANDBOOK = (Passage(LEAVE, 1), Passage(LAPTOP, 2), Passage(GERMAN, 3))


@pytest.fixture
async def embed() -> AsyncIterator[Embed]:
    embedder = OnnxEmbedder(threads=1)
    yield partial(embedder.embed_array, urgent=True)
    await embedder.aclose()


async def test_the_sentence_that_answers_is_quoted_with_its_source_number(embed: Embed) -> None:
    found = await answer("What do I do when my laptop is stolen?", HANDBOOK, embed)
    assert found.found
    assert "call the security line within one hour. [2]" in found.text
    assert "canteen" not in found.text
    assert found.used == (2,)


async def test_a_table_row_is_read_out_with_its_header(embed: Embed) -> None:
    found = await answer("How many days of annual leave do people in Portugal get?", HANDBOOK, embed)
    assert "Country: Portugal, Annual leave: 25 days, Public holidays: 14 [1]" in found.text
    assert "|" not in found.text


async def test_german_questions_are_answered_from_german_text(embed: Embed) -> None:
    found = await answer("Wann tritt die Betriebsvereinbarung in Kraft?", HANDBOOK, embed)
    assert found.text.startswith("Die Betriebsvereinbarung tritt am 1. März 2024 in Kraft. [3]")


async def test_what_no_passage_tells_is_refused_in_the_language_of_the_question(embed: Embed) -> None:
    refused = await answer("What is the capital of Mongolia?", HANDBOOK, embed)
    assert (refused.text, refused.found, refused.used, refused.quotes) == (REFUSAL, False, (), ())
    german = await answer("Wie heißt die Hauptstadt der Mongolei und wer regiert sie?", HANDBOOK, embed)
    assert german.text == REFUSAL_GERMAN


async def test_pieces_join_to_the_text_and_quotes_are_spans_of_their_passages(embed: Embed) -> None:
    found = await answer("When do unused days expire, and what do I do when my laptop is stolen?", HANDBOOK, embed)
    assert "".join(found.pieces) == found.text
    assert len(found.quotes) > 1
    for quote in found.quotes:
        cited = HANDBOOK[quote.passage].text[quote.start : quote.end]
        assert quote.text == cited or cited.startswith("|")
    places = [(quote.passage, quote.start) for quote in found.quotes]
    assert places == sorted(places)


async def test_sentences_that_add_nothing_are_left_out(embed: Embed) -> None:
    claims = (
        "Submit every travel expense claim within 30 days. Enter the claim in Wayfare with a photograph of each"
        " receipt. Approved claims are paid every Thursday."
    )
    found = await answer("By when do I have to submit a travel expense claim?", [Passage(claims, 1)], embed)
    assert found.text == "Submit every travel expense claim within 30 days. [1]"


async def test_a_list_item_is_quoted_with_what_introduces_it_once(embed: Embed) -> None:
    rules = (
        "When you travel with a van, bring along:\n\n- your driving licence for the van\n- a yellow case for the van"
    )
    found = await answer("What do I bring along when I travel with a van?", [Passage(rules, 1)], embed)
    assert found.text.count("When you travel with a van, bring along:") == 1
    assert found.text.startswith("When you travel with a van, bring along: your driving licence for the van [1]")


async def test_names_that_no_passage_holds_count_against_an_answer(embed: Embed) -> None:
    offices = [Passage("The address of our office in Leeds is Unit 7, Tannery Mills.", 1)]
    known = await answer("What is the address of our office in Leeds?", offices, embed)
    unknown = await answer("What is the address of our office in Singapore?", offices, embed)
    assert known.evidence > unknown.evidence + 0.3


async def test_the_numbers_of_an_answer_are_those_of_its_sources_alone(embed: Embed) -> None:
    paper = "Water boils at 100 degrees Celsius at sea level.[12][13] It boils earlier in the mountains [2, 4]."
    found = await answer("At how many degrees does water boil at sea level?", (Passage(paper, 1),), embed)
    assert found.found
    assert set(re.findall(r"\[[^\]]*\]", found.text)) == {"[1]"}
    assert "sea level.(12)(13)" in found.text


async def test_overlapping_chunks_are_quoted_once(embed: Embed) -> None:
    twice = (Passage(LAPTOP, 1), Passage(LAPTOP, 2))
    found = await answer("What do I do when my laptop is stolen?", twice, embed)
    assert found.text.count("security line") == 1


@pytest.mark.parametrize("passages", [(), (Passage("", 1),), (Passage("# Only a heading", 1),)])
async def test_nothing_to_read_is_a_refusal_without_embedding(passages: tuple[Passage, ...]) -> None:
    async def never(_texts: Sequence[str]) -> NDArray[np.float32]:
        raise AssertionError("nothing is embedded")

    refused = await answer("What is this?", passages, never)
    assert not refused.found
    assert refused.pieces == (REFUSAL,)


async def test_an_answer_embeds_a_bounded_number_of_texts(embed: Embed) -> None:
    calls: list[int] = []

    async def counted(texts: Sequence[str]) -> NDArray[np.float32]:
        calls.append(len(texts))
        return await embed(texts)

    long = tuple(
        Passage(" ".join(f"Rule {number}.{index} is kept." for index in range(40)), number) for number in range(9)
    )
    await answer("Which rule is kept?", long, counted)
    assert calls == [CANDIDATES + 1]
