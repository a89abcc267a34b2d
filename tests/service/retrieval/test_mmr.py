"""Maximal marginal relevance, against the formula written out over plain numbers."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.retrieval.mmr import Mmr, MmrOptions, picked
from service.retrieval.trace import StageTrace
from tests.service.retrieval.library import Library, chunk, found

NUMBER = st.floats(-1, 1, allow_nan=False, width=32)


def independent(relevance: list[float], vectors: list[list[float]], balance: float, limit: int) -> list[float]:
    """The values for which chunks are picked, by the definition: every pair anew in every round."""
    left = list(range(len(relevance)))
    chosen: list[int] = []
    values: list[float] = []
    while left and len(chosen) < limit:
        best, place = max(
            (
                balance * relevance[item]
                - (1 - balance) * max((_cosine(vectors[item], vectors[other]) for other in chosen), default=0.0),
                -item,
            )
            for item in left
        )
        chosen.append(-place)
        left.remove(-place)
        values.append(best)
    return values


def _cosine(one: list[float], other: list[float]) -> float:
    lengths = sqrt(sum(x * x for x in one)) * sqrt(sum(x * x for x in other))
    return sum(x * y for x, y in zip(one, other, strict=True)) / lengths if lengths else 0.0


@given(
    items=st.lists(st.tuples(NUMBER, st.lists(NUMBER, min_size=3, max_size=3)), min_size=1, max_size=12),
    balance=st.floats(0, 1),
    limit=st.integers(1, 14),
)
def test_each_pick_is_worth_what_the_formula_says(
    items: list[tuple[float, list[float]]], balance: float, limit: int
) -> None:
    relevance, vectors = [score for score, _ in items], [vector for _, vector in items]
    rows = np.array(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    order = picked(np.array(relevance), units, balance, limit)
    assert len({place for place, _ in order}) == len(order) == min(limit, len(items))
    values = [value for _, value in order]
    assert values == pytest.approx(independent(relevance, vectors, balance, limit), abs=1e-5)
    assert values[1:] == sorted(values[1:], reverse=True), "no later pick was worth more, once there is one to repeat"


async def test_of_two_that_say_the_same_one_is_picked() -> None:
    library = Library.of(
        *(chunk(number) for number in (1, 2, 3)), vectors={1: [1.0, 0.0], 2: [1.0, 0.01], 3: [0.0, 1.0]}
    )
    hits = [found(library.rows[1], 0.9), found(library.rows[2], 0.89), found(library.rows[3], 0.5)]
    notes = StageTrace("mmr")
    chosen = await Mmr(MmrOptions(balance=0.5)).refine(hits, 2, await library.call(notes=notes))
    assert [item.number for item in chosen] == [1, 3]
    assert [item.score for item in chosen] == [0.9, 0.5], "scores stay those of the search"
    assert chosen[1].parts["mmr"] == pytest.approx(0.25)
    alone = await Mmr(MmrOptions(balance=1)).refine(hits, 2, await library.call())
    assert [item.number for item in alone] == [1, 2], "by relevance alone, nothing changes"


async def test_a_chunk_whose_vector_is_missing_repeats_nothing() -> None:
    library = Library.of(*(chunk(number) for number in (1, 2, 3)), vectors={1: [1.0, 0.0], 2: [1.0, 0.0]})
    hits = [found(library.rows[number], 0.9 - number / 100) for number in (1, 2, 3)]
    chosen = await Mmr().refine(hits, 2, await library.call())
    assert [item.number for item in chosen] == [1, 3]
    assert await Mmr().refine([], 2, await library.call()) == []


def test_it_picks_from_more_than_it_hands_on() -> None:
    assert Mmr().wanted(4) == 20
    assert Mmr().wanted(10) == 40
    assert Mmr(MmrOptions(fetch_k=7)).wanted(4) == 7
    assert Mmr(MmrOptions(fetch_k=2)).wanted(4) == 4
