"""Summaries and comparisons of runs, against SciPy and by their properties."""

import math
import statistics
from itertools import pairwise

import numpy as np
import pytest
import scipy.stats  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from service.metrics.base import Better, Score, failed, not_applicable, scored
from service.metrics.resampling import Method, holm, mean_interval, percentile, quantile_interval, sign_flips
from service.metrics.stats import Rows, Summary, Verdict, compared, summary

SHARES = st.floats(0, 1, allow_nan=False)
VALUES = st.lists(SHARES, min_size=1, max_size=40)


def rows(*values: float) -> dict[int, list[Score]]:
    """A run with one score a row."""
    return {number: [scored(value)] for number, value in enumerate(values)}


def rng(seed: int = 7) -> np.random.Generator:
    """Chances of a seed."""
    return np.random.default_rng(seed)


@pytest.mark.parametrize("size", [3, 12, 60])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_intervals_are_those_of_scipy(size: int, level: float) -> None:
    values = rng(size).beta(5, 1, size)
    told = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=3000, confidence_level=level, method="BCa", rng=rng()
    ).confidence_interval
    found = mean_interval(values, rng(), level=level, resamples=3000)
    assert found is not None
    assert found.method is Method.BCA
    assert (found.low, found.high) == pytest.approx((told.low, told.high), abs=1e-9)


def test_many_rows_are_drawn_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    values = rng().random(50)
    whole = mean_interval(values, rng(), resamples=500)
    monkeypatch.setattr("service.metrics.resampling.AT_ONCE", 120)
    assert mean_interval(values, rng(), resamples=500) == whole


@pytest.mark.parametrize("size", [2, 5, 11])
def test_the_exact_test_is_that_of_scipy(size: int) -> None:
    steps = np.round(rng(size).normal(0.2, 1, size), 1)
    told = scipy.stats.permutation_test((steps,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flips(steps, rng()) == pytest.approx(told.pvalue, abs=1e-9)


def test_the_drawn_test_is_near_the_exact_one() -> None:
    steps = rng(3).normal(0.3, 1, 20)
    told = scipy.stats.permutation_test((steps,), np.mean, permutation_type="samples", n_resamples=30_000, rng=rng(1))
    assert sign_flips(steps, rng(), resamples=20_000) == pytest.approx(told.pvalue, abs=0.02)


def test_a_p_value_is_never_nought() -> None:
    assert sign_flips(np.ones(200), rng(), resamples=500) == pytest.approx(1 / 501)


def test_tests_of_equal_runs_seldom_see_a_difference() -> None:
    chances = rng()
    seen = [sign_flips(chances.normal(0, 1, 15), chances, resamples=400) < 0.05 for _ in range(200)]
    assert sum(seen) <= 22  # 10 are due; 22 or more come once in a thousand


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    chances = rng(11)
    held = 0
    for _ in range(200):
        interval = mean_interval(chances.beta(4, 2, 30), chances, resamples=600)
        assert interval is not None
        held += interval.low <= 4 / 6 <= interval.high
    assert held >= 176  # 190 are due


@given(VALUES)
def test_a_mean_lies_in_its_interval_whatever_the_order(values: list[float]) -> None:
    told = summary(rows(*values), resamples=200)
    assert told == summary(rows(*reversed(values)), resamples=200)
    assert told.mean is not None
    assert told.mean.value == pytest.approx(statistics.fmean(values), abs=1e-12)
    if told.mean.interval is not None:
        assert 0 <= told.mean.interval.low <= told.mean.interval.high <= 1


def test_rows_that_are_all_right_are_no_certainty() -> None:
    told = summary(rows(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)).mean
    assert told is not None
    assert told.interval is not None
    assert told.interval.method is Method.EXACT
    exact = scipy.stats.binomtest(10, 10).proportion_ci(0.95, "exact")
    assert (told.interval.low, told.interval.high) == pytest.approx((exact.low, exact.high), abs=1e-9)
    wrong = summary(rows(0, 0, 0)).mean
    none = scipy.stats.binomtest(0, 3).proportion_ci(0.95, "exact")
    assert wrong is not None
    assert wrong.interval is not None
    assert (wrong.interval.low, wrong.interval.high) == pytest.approx((none.low, none.high), abs=1e-9)


def test_rows_that_are_alike_between_the_bounds_have_no_interval() -> None:
    for run in (rows(0.5, 0.5, 0.5), rows(0.5)):
        told = summary(run)
        assert told.mean is not None
        assert (told.mean.value, told.mean.interval) == (0.5, None)
    unbounded = summary(rows(7.0, 7.0), bounds=(0.0, None)).mean
    assert unbounded is not None
    assert unbounded.interval is None


def test_errors_are_counted_and_never_averaged() -> None:
    run: Rows = {
        "a": [scored(1.0)],
        "b": [failed("the judge is away")],
        "c": [not_applicable("no gold")],
        "d": [scored(0.0)],
        "e": [failed("the judge is away")],
    }
    told = summary(run)
    assert (told.rows, told.errors, told.not_applicable) == (2, 2, 1)
    assert told.mean is not None
    assert told.mean.value == 0.5
    assert told.reasons == {"the judge is away": 2}


def test_a_run_of_errors_has_no_mean() -> None:
    told = summary({"a": [failed("gone")]})
    assert told == Summary(0, 0, 0, 1, reasons={"gone": 1})
    assert told.as_json() == {"rows": 0, "scores": 0, "notApplicable": 0, "errors": 1, "reasons": {"gone": 1}}


def test_repeats_of_a_row_are_one_row() -> None:
    told = summary({"a": [scored(1.0), scored(1.0), scored(1.0), failed("x")], "b": [scored(0.0)]})
    assert (told.rows, told.scores, told.errors) == (2, 4, 1)
    assert told.mean is not None
    assert told.mean.value == 0.5


def test_quantiles_are_told_with_their_intervals() -> None:
    values = rng().exponential(100, 80).tolist()
    told = summary(rows(*values), quantiles=(0.5, 0.95), bounds=(0.0, None))
    assert told.quantiles[0.5].value == pytest.approx(statistics.median(values))
    tail = told.quantiles[0.95]
    assert tail.value == pytest.approx(float(np.percentile(values, 95)))
    assert tail.interval is not None
    assert tail.interval.low <= tail.value <= tail.interval.high
    assert {"mean", "p50", "p95"} <= set(told.as_json())


def test_quantiles_need_values() -> None:
    assert percentile([3.0], 0.95) == 3.0
    assert quantile_interval(np.array([3.0]), 0.95, rng(), level=0.95, resamples=10) is None
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_the_same_scores_give_the_same_figures() -> None:
    values = rng().random(30).tolist()
    assert summary(rows(*values)) == summary(rows(*values))
    assert compared(rows(*values), rows(*reversed(values))) == compared(rows(*values), rows(*reversed(values)))


BASE = [0.1 * (number % 7) for number in range(30)]


@pytest.mark.parametrize(
    ("better", "verdict"),
    [(Better.HIGHER, Verdict.BETTER), (Better.LOWER, Verdict.WORSE), (Better.NEITHER, Verdict.DIFFERENT)],
)
def test_a_steady_gain_is_real(better: Better, verdict: Verdict) -> None:
    told = compared(rows(*BASE), rows(*(value + 0.05 + 0.01 * (n % 3) for n, value in enumerate(BASE))), better=better)
    assert told.verdict is verdict
    assert told.real
    assert told.difference is not None
    assert told.difference.value == pytest.approx(0.06)
    assert told.difference.interval is not None
    assert told.difference.interval.low > 0
    assert (told.pairs, told.higher, told.lower) == (30, 30, 0)


def test_a_gain_that_may_be_chance_is_unclear() -> None:
    told = compared(rows(0.5, 0.6, 0.7), rows(0.9, 0.8, 0.9))
    assert told.verdict is Verdict.UNCLEAR
    assert not told.real
    assert told.p == pytest.approx(0.25)


def test_equal_runs_are_equal() -> None:
    told = compared(rows(*BASE), rows(*BASE))
    assert (told.verdict, told.p) == (Verdict.EQUAL, 1.0)


def test_only_rows_of_both_runs_are_compared() -> None:
    first: Rows = {"a": [scored(1.0)], "b": [failed("x")], "c": [scored(0.0)]}
    second: Rows = {"a": [scored(1.0)], "b": [scored(1.0)], "d": [failed("y")]}
    told = compared(first, second)
    assert (told.pairs, told.alone, told.errors) == (1, (1, 1), (1, 1))
    nothing = compared({"a": [scored(1.0)]}, {"b": [scored(1.0)]})
    assert nothing.verdict is Verdict.NOTHING
    assert nothing.as_json()["verdict"] == "nothing"


@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=20))
def test_turning_a_comparison_round_turns_its_verdict(pairs: list[tuple[float, float]]) -> None:
    first, second = rows(*(one for one, _ in pairs)), rows(*(other for _, other in pairs))
    there, back = compared(first, second, resamples=200), compared(second, first, resamples=200)
    turned = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
    assert there.difference is not None
    assert back.difference is not None
    assert back.difference.value == pytest.approx(-there.difference.value, abs=1e-12)
    assert there.p is not None
    assert 0 < there.p <= 1
    assert there.p == pytest.approx(back.p, abs=1e-12)
    assert turned.get(there.verdict, there.verdict) is back.verdict


def test_many_comparisons_are_corrected_as_holm_does() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(SHARES, max_size=12))
def test_corrected_p_values_are_no_smaller_and_keep_their_order(given_values: list[float]) -> None:
    told = holm(given_values)
    assert all(before <= after <= 1 for before, after in zip(given_values, told, strict=True))
    order = sorted(range(len(told)), key=lambda place: given_values[place])
    assert all(told[a] <= told[b] for a, b in pairwise(order))


def test_no_figure_is_ever_nan() -> None:
    for values in ([1e-300, 0.0], [0.0, 1e-160], [1.0, 1.0 - 1e-16], [5e-324, 0.0, 1.0]):
        told = summary(rows(*values), resamples=100)
        assert told.mean is not None
        assert math.isfinite(told.mean.value)
        assert told.mean.interval is None or math.isfinite(told.mean.interval.low + told.mean.interval.high)
