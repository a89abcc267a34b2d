"""Ranking looks at few chunks and finds what looking at all of them finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.lexical.analysis import Group
from stores.lexical.base import POSTING, Statistics, rank, scored

CHUNKS = 60


@given(
    words=st.lists(st.sets(st.integers(1, CHUNKS - 1), max_size=CHUNKS), min_size=1, max_size=4),
    limit=st.integers(0, 70),
    split=st.booleans(),
)
def test_the_best_are_those_of_all_scores(words: list[set[int]], limit: int, split: bool) -> None:
    postings = {
        f"w{place}": np.array([(number, 1 + number % 3, 5 + number % 7) for number in sorted(numbers)], POSTING)
        for place, numbers in enumerate(words)
    }
    statistics = Statistics(CHUNKS, 8 * CHUNKS, CHUNKS)
    known = {word: scored(entries, statistics) for word, entries in postings.items() if len(entries)}
    groups = [Group((word,)) for word in postings] if split else [Group(tuple(postings))]
    hits = rank(groups, known, statistics, limit, None)
    everything = [number for number in range(CHUNKS) if hits.all_scores[number] > 0]
    best = sorted(everything, key=lambda number: (-hits.all_scores[number], number))[:limit]
    assert hits.numbers.tolist() == best
    assert hits.scores.tolist() == pytest.approx([float(hits.all_scores[number]) for number in best])
    again = rank(groups, known, statistics, limit, np.arange(CHUNKS, dtype=np.int32))
    assert again.numbers.tolist() == best
