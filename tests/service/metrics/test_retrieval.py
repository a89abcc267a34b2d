"""Retrieval metrics, against ir-measures (trec_eval) and by their properties."""

import math
from collections.abc import Mapping, Sequence

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import RR, P, R, Success, nDCG

from service.metrics.base import Case, Gold, GoldKind, Outcome, Passage
from tests.service.metrics.cases import chunk, gold, made, outcome, value

NAMES = [f"c{number}" for number in range(12)]
FOUND = st.lists(st.sampled_from(NAMES), unique=True, max_size=12)
GRADES = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 4), min_size=1)
DEPTHS = st.integers(1, 15)
RETRIEVAL = ["recall", "precision", "mrr", "ndcg", "sourceHit"]


def case(found: Sequence[str], grades: Mapping[str, int]) -> Case:
    """A case of chunks by their ids."""
    return Case("q", gold=gold(**grades), found=tuple(map(chunk, found)))


@given(FOUND, GRADES, DEPTHS)
async def test_the_values_are_those_of_trec_eval(found: list[str], grades: dict[str, int], depth: int) -> None:
    measures = {
        "recall": R @ depth,
        "precision": P @ depth,
        "mrr": RR @ depth,
        "ndcg": nDCG @ depth,
        "sourceHit": Success @ depth,
    }
    run = {"q": {name: float(len(found) - rank) for rank, name in enumerate(found)}}
    told = ir_measures.calc_aggregate(list(measures.values()), {"q": grades}, run) if found else {}
    for name, measure in measures.items():
        assert await value(name, case(found, grades), k=depth) == pytest.approx(told.get(measure, 0.0), abs=1e-9)


@given(FOUND, GRADES, DEPTHS)
async def test_exponential_gains_are_those_of_the_formula(found: list[str], grades: dict[str, int], depth: int) -> None:
    gains = [2 ** grades.get(name, 0) - 1 for name in found[:depth]]
    best = sorted((2**grade - 1 for grade in grades.values()), reverse=True)[:depth]
    wanted = sum(g / math.log2(r) for r, g in enumerate(gains, 2)) / sum(
        g / math.log2(r) for r, g in enumerate(best, 2)
    )
    assert await value("ndcg", case(found, grades), k=depth, gain="exponential") == pytest.approx(wanted, abs=1e-9)


@given(FOUND, GRADES, DEPTHS)
async def test_binary_gains_do_not_look_at_grades(found: list[str], grades: dict[str, int], depth: int) -> None:
    same = dict.fromkeys(grades, 1)
    assert await value("ndcg", case(found, grades), k=depth, gain="binary") == await value(
        "ndcg", case(found, same), k=depth
    )


@given(FOUND, GRADES, DEPTHS, st.sampled_from(RETRIEVAL))
async def test_values_are_shares_whatever_the_order_of_the_gold(
    found: list[str], grades: dict[str, int], depth: int, name: str
) -> None:
    first = await value(name, case(found, grades), k=depth)
    turned = dict(reversed(grades.items()))
    assert 0 <= first <= 1
    assert await value(name, case(found, turned), k=depth) == pytest.approx(first, abs=1e-12)


@given(FOUND, GRADES, st.integers(1, 14))
async def test_looking_further_down_never_finds_less(found: list[str], grades: dict[str, int], depth: int) -> None:
    for name in ("recall", "mrr", "sourceHit"):
        here = await value(name, case(found, grades), k=depth)
        assert here <= await value(name, case(found, grades), k=depth + 1)


@given(FOUND, GRADES, DEPTHS, st.data())
async def test_moving_something_relevant_up_never_costs(
    found: list[str], grades: dict[str, int], depth: int, data: st.DataObject
) -> None:
    places = [place for place, name in enumerate(found) if place and name in grades and found[place - 1] not in grades]
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    better = [*found]
    better[place - 1], better[place] = better[place], better[place - 1]
    for name in RETRIEVAL:
        before = await value(name, case(found, grades), k=depth)
        assert await value(name, case(better, grades), k=depth) >= before - 1e-12


@pytest.mark.parametrize("name", RETRIEVAL)
async def test_a_row_without_gold_sources_is_not_scored(name: str) -> None:
    score = await outcome(name, Case("q", found=(chunk("a"),)))
    assert (score.outcome, score.value) == (Outcome.NOT_APPLICABLE, None)


@pytest.mark.parametrize("name", RETRIEVAL)
async def test_a_flow_that_does_not_say_what_it_found_is_not_scored(name: str) -> None:
    assert (await outcome(name, Case("q", gold=gold("a")))).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("name", RETRIEVAL)
async def test_finding_nothing_is_nought(name: str) -> None:
    assert await value(name, Case("q", gold=gold("a"), found=())) == 0


PASSAGE = Passage(
    "Unused  days expire on\n31 MARCH.", chunk_id="C-7", document_id="D-3", sources=("hr/Handbook.pdf", "The handbook")
)


@pytest.mark.parametrize(
    ("kind", "said", "met"),
    [
        (GoldKind.SOURCE, "handbook.pdf", True),
        (GoldKind.SOURCE, "hr/handbook.pdf", True),
        (GoldKind.SOURCE, "the handbook", True),
        (GoldKind.SOURCE, "book.pdf", False),
        (GoldKind.DOCUMENT, "d-3", True),
        (GoldKind.DOCUMENT, "d-33", False),
        (GoldKind.CHUNK, "c-7", True),
        (GoldKind.CHUNK, "d-3", False),
        (GoldKind.QUOTE, "days expire on 31 march", True),
        (GoldKind.QUOTE, "expire on 30 march", False),
    ],
)
async def test_gold_sources_are_met_by_what_names_them(kind: GoldKind, said: str, met: bool) -> None:
    assert await value("recall", Case("q", gold=(Gold(kind, said),), found=(PASSAGE,))) == met


async def test_a_second_chunk_of_a_document_gains_nothing_but_is_relevant() -> None:
    one = Gold(GoldKind.DOCUMENT, "d")
    found = tuple(Passage("", chunk_id=name, document_id="d") for name in "ab")
    both = Case("q", gold=(one,), found=found)
    assert await value("ndcg", both) == 1
    assert await value("precision", both, k=2) == 1


async def test_a_chunk_that_holds_everything_is_perfect_and_not_more() -> None:
    quotes = tuple(Gold(GoldKind.QUOTE, word) for word in ("unused", "march"))
    assert await value("ndcg", Case("q", gold=quotes, found=(PASSAGE,))) == 1
    assert await value("recall", Case("q", gold=quotes, found=(PASSAGE,))) == 1


async def test_gold_sources_named_twice_count_once() -> None:
    twice = (*gold("a", "b"), Gold(GoldKind.CHUNK, "A", 3.0))
    assert await value("recall", Case("q", gold=twice, found=(chunk("a"),))) == 0.5


async def test_a_chunk_that_comes_twice_counts_at_its_first_place() -> None:
    found = (chunk("x"), chunk("x"), chunk("a"))
    assert await value("mrr", Case("q", gold=gold("a"), found=found)) == 0.5


async def test_what_is_missing_is_told() -> None:
    score = await outcome("recall", Case("q", gold=gold("a", "b"), found=(chunk("a"),)))
    assert score.details["missing"] == ["chunk: b"]


def test_labels_say_how_far_down_was_looked() -> None:
    assert [made(name).label for name in RETRIEVAL] == ["recall@5", "precision@5", "mrr@10", "ndcg@10", "sourceHit@5"]
