"""What evaluations say, in a terminal: every figure of the routes' answers stands in its column."""

from typing import Any

import pytest

from service.cli.scores import print_comparison, print_scores

RECALL = {"rows": 20, "scores": 20, "notApplicable": 3, "errors": 0, "mean": 0.85, "low": 0.7, "high": 0.95}
LATENCY = {
    "rows": 1200,
    "scores": 1200,
    "notApplicable": 0,
    "errors": 2,
    "mean": 1234.5,
    "p95": {"value": 2500.0, "low": 2400.0, "high": 2600.0},
    "reasons": {"the model\nanswered 503": 2},
}


def summary(*labels: str, **more: Any) -> dict[str, Any]:
    """As `GET /evaluations/{id}/summary` answers."""
    targets = [{"label": label, "measures": {"recall@5": RECALL, "latency": LATENCY}} for label in labels]
    return {"done": 40, "total": 40, "failed": 0, "complete": True, "targets": targets, **more}


def rows(text: str) -> list[list[str]]:
    """The lines of a table, split where there are two blanks or more."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_a_run_is_a_line_for_each_measure(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores(summary("hybrid"))
    shown = capsys.readouterr()
    assert rows(shown.out) == [
        ["measure", "mean", "95 % interval", "rows", "errors", "n/a"],
        ["recall@5", "0.85", "0.7 to 0.95", "20", "0", "3"],
        ["latency", "1,234", "–", "1,200", "2", "0", "p95 2,500"],
    ]
    assert shown.err == "2 errors: the model answered 503\n"


def test_targets_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores(summary("hybrid", "dense", failed=3, complete=False, done=30))
    shown = capsys.readouterr()
    found = rows(shown.out)
    assert [line[:2] for line in found[1:]] == [
        ["recall@5", "hybrid"],
        ["dense", "0.85"],
        ["latency", "hybrid"],
        ["dense", "1,234"],
    ]
    assert "3 of 30 cases failed." in shown.err
    assert "30 of 40 cases are done" in shown.err


def test_two_runs_are_told_with_their_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    measure = {
        "label": "recall@5",
        "verdict": "better",
        "means": [0.7, 0.85],
        "difference": 0.15,
        "low": 0.05,
        "high": 0.25,
        "correctedP": 0.02,
        "pairs": 20,
        "errors": [0, 1],
        "unpaired": {"changed": 1, "error": 1},
    }
    nothing = {
        **measure,
        "label": "tokenF1",
        "verdict": "nothing",
        "means": None,
        "difference": None,
        "low": None,
        "high": None,
        "correctedP": None,
        "pairs": 0,
    }
    runs = {"first": {"name": "Nightly", "version": 1}, "second": {"name": "Nightly", "version": 2}}
    pair = {"first": {"label": "k"}, "second": {"label": "k"}, "measures": [measure, nothing]}
    print_comparison({**runs, "complete": False, "targets": [pair], "unmatchedTargets": [["old"], ["new"]]})
    shown = capsys.readouterr()
    assert rows(shown.out) == [
        ["measure", "verdict", "before", "after", "difference", "95 % interval", "p", "rows", "errors", "unpaired"],
        ["recall@5", "better", "0.7", "0.85", "+0.15", "+0.05 to +0.25", "0.020", "20", "0 / 1", "2"],
        ["tokenF1", "nothing to compare", "–", "–", "–", "–", "–", "0", "0 / 1", "2"],
    ]
    assert "k (Nightly, version 2) against k (Nightly, version 1)" in shown.err
    assert "not compared: targets new, old" in shown.err
    assert "has not ended" in shown.err
