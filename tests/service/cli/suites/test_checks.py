"""What a run is judged by: thresholds, errors, an earlier run. What cannot be told has not passed."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from service.cli.exits import UsageProblem
from service.cli.suites.baseline import Baseline, as_saved, load, save
from service.cli.suites.checks import Check, Kind, Result, judge
from service.cli.suites.outcome import Broken, Outcome
from service.metrics.base import Score, failed, not_applicable, scored
from tests.service.cli.suites.making import Values, outcome, suite

MIXED = [1.0] * 18 + [0.0] * 2


def judged(run: Outcome, threshold: dict[str, Any], **changes: Any) -> list[Check]:
    """The checks of a threshold."""
    found = judge(run, suite(thresholds=[threshold], **changes), None)
    return [check for check in found if check.kind is Kind.THRESHOLD]


def alone(run: Outcome, threshold: dict[str, Any]) -> Check:
    """The one check of a threshold."""
    (check,) = judged(run, threshold)
    return check


@pytest.mark.parametrize(
    ("threshold", "result"),
    [
        ({"fail_under": 0.9}, Result.PASSED),
        ({"fail_under": 0.901}, Result.FAILED),
        ({"fail_over": 0.9}, Result.PASSED),
        ({"fail_over": 0.89}, Result.FAILED),
        ({"fail_under": 0.6, "statistic": "bound"}, Result.PASSED),
        ({"fail_under": 0.9, "statistic": "bound"}, Result.FAILED),
        ({"fail_over": 0.9, "statistic": "bound"}, Result.FAILED),
        ({"fail_under": 1.0, "statistic": "p50"}, Result.PASSED),
        ({"fail_under": 1.0, "statistic": "p99"}, Result.FAILED),
    ],
)
def test_a_threshold_is_of_the_mean_or_of_what_it_names(threshold: dict[str, Any], result: Result) -> None:
    check = alone(outcome({"retrieval": {"recall@5": MIXED}}), {"metric": "recall@5", **threshold})
    assert check.result is result
    assert bool(check.reason) is check.failed


def test_what_adding_up_leaves_over_fails_nothing() -> None:
    run = outcome({"retrieval": {"recall@5": [0.1] * 3 + [0.7]}})
    assert sum([0.1] * 3 + [0.7]) / 4 < 0.25 + 1e-12
    assert not alone(run, {"metric": "recall@5", "fail_under": 0.25}).failed


def test_a_failed_threshold_says_how_far_and_how_sure() -> None:
    reason = alone(outcome({"retrieval": {"recall@5": MIXED}}), {"metric": "recall@5", "fail_under": 0.95}).reason
    assert reason.startswith("recall@5 of 'retrieval' is 0.9000, under 0.95 (mean 0.9000 of 20 rows, interval 0.")


def test_a_threshold_is_for_every_target_or_for_those_that_it_names() -> None:
    run = outcome({"a": {"mrr@10": MIXED}, "b": {"mrr@10": [0.0] * 20}})
    targets = [{"flow": "a"}, {"flow": "b"}]
    both = judged(run, {"metric": "mrr@10", "fail_under": 0.5}, targets=targets)
    assert [(check.target, check.failed) for check in both] == [("a", False), ("b", True)]
    (one,) = judged(run, {"metric": "mrr@10", "fail_under": 0.5, "target": "a"}, targets=targets)
    assert (one.target, one.failed) == ("a", False)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([not_applicable("the row has no gold sources")] * 2, "applies to no case of 'retrieval': the row has no gold"),
        ([failed("the judge said nothing")] * 2, "applies to no case of 'retrieval': 2 errors"),
        ([], "applies to no case of 'retrieval': there is no case"),
    ],
)
def test_a_threshold_without_a_case_fails_with_the_reason(values: list[Score], said: str) -> None:
    check = alone(outcome({"retrieval": {"recall@5": values}}), {"metric": "recall@5", "fail_under": 0.0})
    assert check.failed
    assert said in check.reason


def test_a_threshold_of_what_was_not_measured_fails() -> None:
    check = alone(outcome({"retrieval": {"mrr@10": MIXED}}), {"metric": "recall@5", "fail_under": 0.0})
    assert (check.failed, check.reason) == (True, "recall@5 was not measured for 'retrieval'")


def test_one_row_has_no_bound() -> None:
    run = outcome({"retrieval": {"recall@5": [0.5]}})
    check = alone(run, {"metric": "recall@5", "fail_under": 0.1, "statistic": "bound"})
    assert check.failed
    assert "no interval" in check.reason


def errors(run: Outcome, **changes: Any) -> Check:
    """The check of errors."""
    return judge(run, suite(thresholds=[], **changes), None)[0]


BROKEN = Broken("retrieval", "When?", 0, "The provider said 500", {})


def test_an_error_fails_a_run_unless_it_is_allowed() -> None:
    run = outcome({"retrieval": {"recall@5": MIXED}}, broken=[BROKEN])
    assert errors(run).failed
    assert "'When?': The provider said 500" in errors(run).reason
    assert not errors(run, max_errors=1).failed


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_run_that_did_not_come_to_its_end_fails(state: str) -> None:
    check = errors(outcome({"retrieval": {"recall@5": MIXED}}, state=state), max_errors=99)
    assert (check.failed, f"the run {state}" in check.reason) == (True, True)


def test_a_run_without_a_case_fails() -> None:
    assert errors(outcome({"retrieval": {"recall@5": []}})).failed


# The baseline


def against(before: Values, after: Values, place: Path, *, unit: str = "", **rules: Any) -> Check:
    """A metric held against itself in an earlier run."""
    earlier = saved(outcome({"retrieval": {"recall@5": before}}, units={"recall@5": unit}), place)
    run = outcome({"retrieval": {"recall@5": after}}, units={"recall@5": unit})
    found = judge(run, suite(thresholds=[], baseline=rules), earlier)
    (check,) = [item for item in found if item.kind is Kind.BASELINE]
    return check


def saved(run: Outcome, place: Path) -> Baseline:
    """A run, written and read."""
    save(run, place / "baseline.json")
    return load(place / "baseline.json")


def test_the_same_run_is_not_worse(tmp_path: Path) -> None:
    check = against(MIXED, MIXED, tmp_path)
    assert (check.result, check.reason) == (Result.PASSED, "")
    assert check.found == "0.9000 → 0.9000, +0.0000 [+0.0000, +0.0000], equal"


def test_a_real_fall_fails_and_a_rise_does_not(tmp_path: Path) -> None:
    check = against(MIXED, [0.0] * 8 + MIXED[8:], tmp_path)
    assert check.failed
    assert check.reason.startswith("recall@5 of 'retrieval' is worse than in the baseline: 0.9000 → 0.5000, -0.4000 [")
    assert not against([0.0] * 8 + MIXED[8:], MIXED, tmp_path).failed


def test_a_fall_that_may_be_chance_passes(tmp_path: Path) -> None:
    check = against(MIXED, [0.0, *MIXED[1:]], tmp_path)
    assert not check.failed
    assert check.found.endswith("unclear")


def test_a_real_fall_within_the_tolerance_passes(tmp_path: Path) -> None:
    after = [value - 0.01 for value in MIXED]
    assert against(MIXED, after, tmp_path).failed
    assert not against(MIXED, after, tmp_path, tolerance=0.02).failed
    assert not against(MIXED, after, tmp_path, tolerance={"recall@5": 0.01}).failed
    assert against(MIXED, after, tmp_path, tolerance={"mrr@10": 1.0}).failed


def test_times_are_told_and_fail_nothing_unless_they_are_named(tmp_path: Path) -> None:
    before, after = [100.0 + number for number in range(20)], [10.0 + number for number in range(20)]
    assert against(before, after, tmp_path, unit="ms").result is Result.NOTED
    assert against(before, after, tmp_path, unit="ms", metrics=["recall@5"]).failed


def test_few_rows_are_said_to_tell_nothing(tmp_path: Path) -> None:
    check = against([1.0] * 4, [0.0] * 4, tmp_path)
    assert (check.failed, "fewer than 6 rows" in check.reason) == (False, True)


def test_a_baseline_of_other_rows_fails_rather_than_to_say_nothing(tmp_path: Path) -> None:
    earlier = saved(outcome({"retrieval": {"recall@5": MIXED}}), tmp_path)
    run = outcome({"retrieval": {"recall@5": MIXED}})
    run.rows = {f"other{key}": row for key, row in run.rows.items()}
    reasons = [check.reason for check in judge(run, suite(thresholds=[]), earlier) if check.failed]
    assert len(reasons) == 2
    assert "is in this run: save it anew" in reasons[-1]


def test_what_the_baseline_has_and_the_run_has_not_fails(tmp_path: Path) -> None:
    earlier = saved(outcome({"retrieval": {"recall@5": MIXED, "mrr@10": MIXED}}), tmp_path)
    run = outcome({"retrieval": {"recall@5": MIXED}})
    (check,) = [item for item in judge(run, suite(thresholds=[]), earlier) if item.failed]
    assert (check.measure, "and this run has not" in check.reason) == ("mrr@10", True)
    assert not any(
        item.failed for item in judge(run, suite(thresholds=[], baseline={"metrics": ["recall@5"]}), earlier)
    )


def test_what_applies_to_no_row_of_the_baseline_fails_nothing(tmp_path: Path) -> None:
    nothing = [not_applicable("nothing was asked for but passages")] * 20
    earlier = saved(outcome({"retrieval": {"recall@5": MIXED, "tokenF1": nothing}}), tmp_path)
    for values, shown in ((nothing, []), (MIXED, [Result.NOTED])):
        run = outcome({"retrieval": {"recall@5": MIXED, "tokenF1": values}})
        found = judge(run, suite(thresholds=[]), earlier)
        assert [check.result for check in found if check.measure == "tokenF1"] == shown
        assert not any(check.failed for check in found)


def test_what_had_values_and_has_none_now_fails(tmp_path: Path) -> None:
    earlier = saved(outcome({"retrieval": {"recall@5": MIXED, "mrr@10": MIXED}}), tmp_path)
    run = outcome({"retrieval": {"recall@5": MIXED, "mrr@10": [not_applicable("no gold")] * 20}})
    (check,) = [item for item in judge(run, suite(thresholds=[]), earlier) if item.failed]
    assert (check.measure, "no row that the baseline scores has a score now" in check.reason) == ("mrr@10", True)


def test_a_metric_that_only_the_rules_know_fails(tmp_path: Path) -> None:
    earlier = saved(outcome({"retrieval": {"recall@5": MIXED}}), tmp_path)
    run = outcome({"retrieval": {"recall@5": MIXED}})
    rules = {"metrics": ["recall@5", "ndcg@10"]}
    assert [check.measure for check in judge(run, suite(thresholds=[], baseline=rules), earlier) if check.failed] == [
        "ndcg@10"
    ]


def test_more_metrics_need_more_to_be_real(tmp_path: Path) -> None:
    after = [0.0] * 6 + MIXED[6:]  # six rows fall: p = 2 / 64
    others = {f"other{number}": MIXED for number in range(4)}
    assert against(MIXED, after, tmp_path).failed
    earlier = saved(outcome({"retrieval": {"recall@5": MIXED, **others}}), tmp_path)
    run = outcome({"retrieval": {"recall@5": after, **others}})
    assert not any(check.failed for check in judge(run, suite(thresholds=[]), earlier))
    assert any(check.failed for check in judge(run, suite(thresholds=[], baseline={"metrics": ["recall@5"]}), earlier))


def test_what_is_saved_is_read_back_as_it_was(tmp_path: Path) -> None:
    chances = random.Random(1)
    values: list[Score | float] = [scored(chances.random()), not_applicable("no gold"), failed("down"), 0.1 + 0.2]
    run = outcome({"retrieval": {"recall@5": values}, "answers": {"tokenF1": [chances.random()]}})
    read = saved(run, tmp_path)
    assert read.targets == ["retrieval", "answers"]
    for key, scores in run.scores("retrieval", "recall@5").items():
        kept = read.scores("retrieval", "recall@5")[key]
        assert [(item.outcome, item.value, item.error) for item in kept] == [
            (item.outcome, item.value, item.error) for item in scores
        ]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "other"}, "is no baseline"),
        ({"version": 2}, "has version 2 of the format"),
        ({"rows": [{"key": "k"}]}, "is damaged"),
        ({"targets": None}, "is damaged"),
    ],
)
def test_a_file_that_is_no_baseline_is_said_to_be_none(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(json.dumps({**as_saved(outcome({"retrieval": {"recall@5": MIXED}})), **changes}))
    with pytest.raises(UsageProblem, match=said):
        load(file)
    with pytest.raises(UsageProblem, match="a run with --save"):
        load(tmp_path / "none.json")
