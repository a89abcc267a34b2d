"""What a sweep prints."""

import csv
from pathlib import Path
from typing import Any

import pytest

from service.cli.exits import CommandError
from service.cli.sweeps.telling import as_json, print_front, write_csv
from service.cli.sweeps.trials import Trial

TRIALS = [
    Trial(0, {}),
    Trial(2, {"k": 8, "chunk_size": 400, "chain.prompt": "=SUM(1)"}),
    Trial(1, {"k": 3}),
]


def figure(value: float, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """A figure of the service."""
    return {"value": value, "low": low, "high": high}


def candidate(
    quality: float, text: float, *, front: bool = False, ties: bool = False, errors: int = 0
) -> dict[str, Any]:
    """A candidate of the service."""
    return {
        "figures": {"ndcg@10": figure(quality, quality - 0.1, quality + 0.1), "contextLength": figure(text)},
        "held": figure(quality - 0.05),
        "front": front,
        "ties": ties,
        "difference": None,
        "p": None,
        "cases": 20,
        "errors": errors,
    }


def told(*candidates: dict[str, Any], chosen: int | None = 1, held: int = 0, **left_out: str) -> dict[str, Any]:
    """What the service says."""
    return {
        "objectives": [
            {"label": "ndcg@10", "better": "higher", "unit": "", "median": False},
            {"label": "contextLength", "better": "lower", "unit": "characters", "median": True},
        ],
        "leftOut": left_out,
        "candidates": list(candidates),
        "best": chosen,
        "chosen": chosen,
        "rows": 20,
        "heldRows": held,
    }


FRONT = told(
    candidate(0.5, 6000),
    candidate(0.8, 2500, front=True, ties=True),
    candidate(0.7, 12345.6, errors=2),
    cost="not measured",
)


def test_the_front_and_what_is_there_now_are_printed_the_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    print_front(TRIALS, FRONT, everything=False)
    out, said = capsys.readouterr()
    header, best, now = (line.split() for line in out.strip().splitlines())
    assert header == ["#", "chunk_size", "k", "prompt", "ndcg@10", "contextLength", "in", "characters,", "median"]
    assert best == ["->*=", "2", "400", "8", "=SUM(1)", "0.800", "[0.700,", "0.900]", "2,500"]
    assert now == ["0", "now", "now", "now", "0.500", "[0.400,", "0.600]", "6,000"]
    assert "suggested: #2 is within a standard error of the best, and takes least contextLength" in said
    assert "1 more that others are better than: --all shows them." in said
    assert "cost is not weighed: not measured." in said
    assert "--holdout 0.5" in said


def test_all_are_printed_with_their_errors_and_with_what_was_held_back(capsys: pytest.CaptureFixture[str]) -> None:
    print_front(TRIALS, {**FRONT, "heldRows": 5}, everything=True)
    out, said = capsys.readouterr()
    lines = out.strip().splitlines()
    assert len(lines) == 4
    assert "held back" in lines[0]
    assert lines[0].split()[-1] == "errors"
    assert lines[2].split()[-1] == "2"
    assert "Chosen by 20 questions; `held back` is what the other 5 say of it." in said
    assert "--holdout" not in said


def test_without_a_quality_nothing_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {**candidate(0, 0), "figures": {}}
    print_front(TRIALS, told(nothing, nothing, nothing, chosen=None), everything=True)
    out, said = capsys.readouterr()
    assert "Nothing could be measured by ndcg@10" in said
    assert out.splitlines()[1].split()[-2:] == ["-", "-"]


def test_files_hold_all_of_it_and_no_formula(tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    write_csv(file, TRIALS, FRONT)
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["number"] for row in rows] == ["2", "1", "0"]
    assert (rows[0]["chain.prompt"], rows[0]["suggested"], rows[0]["ndcg@10 low"]) == (
        "'=SUM(1)",
        "True",
        "0.7000000000000001",
    )
    with pytest.raises(CommandError, match="cannot be written"):
        write_csv(tmp_path / "no" / "all.csv", TRIALS, FRONT)
    shown = as_json(TRIALS, FRONT, ["e"])
    assert (shown["chosen"], [each["number"] for each in shown["trials"]]) == (2, [2, 1, 0])
    assert shown["trials"][0]["settings"]["k"] == 8
