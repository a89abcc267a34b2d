"""Which of several settings are worth having."""

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.metrics.base import Better, Score, failed, not_applicable, scored
from service.metrics.stats import Verdict
from service.sweeps.front import Weighing, held_back, undominated
from service.sweeps.types import Front, Objective, Scores

QUALITY = Objective("ndcg@10", Better.HIGHER, bounds=(0.0, 1.0))
TIME = Objective("latency", Better.LOWER, "ms", median=True, bounds=(0.0, None))
TEXT = Objective("contextLength", Better.LOWER, "characters", bounds=(0.0, None))
ALL = (QUALITY, TIME, TEXT)


def candidate(
    _label: str, quality: Sequence[float | Score], time: float | None = 10.0, text: float | None = 1000.0
) -> Scores:
    """Scores of a candidate: a quality for each row, the same time and text for all."""
    made: dict[str, Mapping[int, Sequence[Score]]] = {
        QUALITY.label: {
            row: [value if isinstance(value, Score) else scored(value)] for row, value in enumerate(quality)
        }
    }
    for objective, value in ((TIME, time), (TEXT, text)):
        if value is not None:
            made[objective.label] = {row: [scored(value)] for row in range(len(quality))}
    return Scores(made)


def front(
    candidates: Sequence[Scores], objectives: Sequence[Objective], *, holdout: float = 0.0, seed: int = 0
) -> Front:
    """All of them weighed over all of their rows."""
    names = {name for each in candidates for name in each.rows[objectives[0].label]}
    weighing = Weighing(objectives, names, holdout=holdout, seed=seed)
    for each in candidates:
        weighing.add(each)
    return weighing.front()


def noisy(mean: float, rows: int, seed: int) -> list[float]:
    """Values about a mean."""
    chances = random.Random(seed)
    return [min(1.0, max(0.0, chances.gauss(mean, 0.2))) for _ in range(rows)]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.none(), st.tuples(*[st.integers(0, 3).map(float)] * 3)), max_size=12))
def test_the_front_is_what_nobody_dominates(points: list[tuple[float, ...] | None]) -> None:
    on = undominated(points)
    for place, point in enumerate(points):
        beaten = point is None or any(
            other is not None
            and all(a >= b for a, b in zip(other, point, strict=True))
            and any(a > b for a, b in zip(other, point, strict=True))
            for other in points
        )
        assert (place in on) is not beaten
    assert bool(on) is any(point is not None for point in points)


@settings(deadline=None, max_examples=50)
@given(st.sets(st.integers(0, 500), max_size=80), st.floats(0, 0.99), st.integers(0, 3))
def test_rows_are_held_back_by_share_and_seed_alone(names: set[int], share: float, seed: int) -> None:
    held = held_back(names, share, seed)
    assert held <= names
    assert len(held) == round(len(names) * share)
    assert held_back(sorted(names, reverse=True), share, seed) == held


def test_another_seed_holds_back_other_rows() -> None:
    names = set(range(100))
    assert held_back(names, 0.5, 1) != held_back(names, 0.5, 2)


def test_better_or_cheaper_is_on_the_front_and_dearer_for_the_same_is_not() -> None:
    good, poor = noisy(0.9, 60, 1), noisy(0.4, 60, 2)
    told = front(
        [
            candidate("good and slow", good, time=50, text=4000),
            candidate("poor and quick", poor, time=5, text=500),
            candidate("poor and slow", poor, time=50, text=4000),
        ],
        ALL,
    )
    assert [each.front for each in told.candidates] == [True, True, False]
    assert [each.ties for each in told.candidates] == [True, False, False]
    assert (told.best, told.chosen, told.rows, told.held_rows) == (0, 0, 60, 0)
    against = told.candidates[1].against
    assert against is not None
    assert against.verdict is Verdict.WORSE
    assert told.candidates[0].figures["latency"].value == 50


def test_what_is_a_little_quicker_is_not_on_the_front_for_that() -> None:
    told = front([candidate("a", [0.9, 0.8], time=10.0), candidate("b", [0.5, 0.4], time=9.9)], ALL)
    assert [each.front for each in told.candidates] == [True, False]


def test_of_those_as_good_as_the_best_what_takes_least_is_chosen() -> None:
    best = [0.4 + 0.005 * row for row in range(81)]
    near = [value + 0.01 if row % 3 else value - 0.022 for row, value in enumerate(best)]
    told = front([candidate("best", best, text=8000), candidate("near", near, text=1000)], ALL)
    assert (told.best, told.chosen) == (0, 1)
    assert told.candidates[1].ties


def test_a_difference_that_may_be_chance_is_not_taken_for_none() -> None:
    best = [1.0] * 12
    fewer = [1.0] * 8 + [0.0] * 4  # p = 1/8
    told = front([candidate("best", best, text=8000), candidate("fewer", fewer, text=10)], ALL)
    assert told.candidates[1].ties
    assert told.chosen == 0


def test_the_more_there_are_the_less_a_difference_says() -> None:
    best = [1.0] * 20
    worse = [1.0] * 14 + [0.0] * 6  # p = 1/32 for one of them
    alone = front([candidate("best", best), candidate("w", worse)], [QUALITY])
    assert not alone.candidates[1].ties
    many = front([candidate("best", best), *(candidate(f"w{number}", worse) for number in range(8))], [QUALITY])
    assert all(each.ties for each in many.candidates)
    assert many.candidates[1].p == pytest.approx(8 / 32)


def test_rows_held_back_have_no_part_in_the_choice() -> None:
    held = held_back(set(range(40)), 0.5, 7)
    lucky = [0.0 if row in held else 1.0 for row in range(40)]
    steady = [0.7] * 40
    told = front([candidate("steady", steady), candidate("lucky", lucky)], ALL, holdout=0.5, seed=7)
    assert (told.best, told.rows, told.held_rows) == (1, 20, 20)
    shown = told.candidates[1]
    assert shown.quality.mean is not None
    assert shown.quality.mean.value == 1
    assert shown.held is not None
    assert shown.held.mean is not None
    assert shown.held.mean.value == 0
    assert front([candidate("steady", steady)], ALL).candidates[0].held is None


def test_what_was_not_measured_for_all_is_not_weighed() -> None:
    told = front([candidate("a", [0.9], text=None), candidate("b", [0.8])], ALL)
    assert [each.label for each in told.objectives] == ["ndcg@10", "latency"]
    assert told.left_out == {"contextLength": "not measured for 1 of 2"}
    nothing = front([candidate("a", [0.9], time=None, text=None)], ALL)
    assert nothing.left_out == {"latency": "not measured", "contextLength": "not measured"}


def test_who_fails_often_is_not_on_the_front_however_good_the_rest_is() -> None:
    broken: list[float | Score] = [1.0] * 10 + [failed("no answer")] * 10
    told = front([candidate("broken", broken), candidate("steady", [0.6] * 20)], ALL)
    assert (told.best, told.chosen) == (1, 1)
    assert [each.front for each in told.candidates] == [False, True]
    assert told.candidates[0].quality.errors == 10
    alone = front([candidate("broken", broken)], ALL)
    assert (alone.best, alone.chosen) == (0, 0)


def test_without_a_quality_nobody_is_best() -> None:
    none: list[float | Score] = [not_applicable("the row has no gold sources")] * 3
    told = front([candidate("a", none), candidate("b", none)], ALL)
    assert (told.best, told.chosen) == (None, None)
    assert not any(each.front or each.ties for each in told.candidates)
    assert front([], ALL).best is None


def test_less_may_be_the_better_quality() -> None:
    less = Objective("length", Better.LOWER, bounds=(0.0, None))
    long = Scores({"length": {row: [scored(9)] for row in range(3)}})
    short = Scores({"length": {row: [scored(2)] for row in range(3)}})
    told = front([long, short], [less])
    assert (told.best, [each.front for each in told.candidates]) == (1, [False, True])


def test_what_takes_nothing_takes_less_than_anything() -> None:
    told = front([candidate("a", [0.5, 0.5], time=0.0), candidate("b", [0.5, 0.5], time=3.0)], ALL)
    assert [each.front for each in told.candidates] == [True, False]
