"""The map of scenarios names tests that there are."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

MAP = (ROOT / "tests" / "RELIABILITY.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", MAP)))
SCENARIOS = {"1", "2", "3", "5", "10", *map(str, range(12, 17)), *map(str, range(18, 27))}


def functions(path: Path) -> set[str]:
    """The names of the tests in a file."""
    nodes = ast.parse(path.read_text("utf-8")).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_map_names_is_there(path: str, name: str) -> None:
    assert name in functions(ROOT / "tests" / path)


def test_every_scenario_has_a_row_with_a_test() -> None:
    rows = {row.split("|")[1].strip(): row for row in MAP.splitlines() if row.startswith("| ")}
    assert rows.keys() >= SCENARIOS
    assert [number for number in SCENARIOS if "::" not in rows[number]] == []


def test_the_tests_of_scenarios_are_all_on_the_map() -> None:
    folder = ROOT / "tests" / "reliability"
    there = {
        (f"reliability/{path.name}", name)
        for path in folder.glob("test_*.py")
        for name in functions(path)
        if name.startswith("test_")
    }
    assert there <= set(NAMED)
