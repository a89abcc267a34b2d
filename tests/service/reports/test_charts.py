"""Plots: what they hold, and what they never do."""

import importlib
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.metrics.base import Better
from service.metrics.resampling import Estimate, Interval, Method
from service.reports import charts
from service.reports.types import Measured, Series
from tests.service.reports.samples import ATTACK, LATENCY, RECALL

SVG = "{http://www.w3.org/2000/svg}"
ALLOWED = {"svg", "g", "path", "rect", "circle", "text", "tspan", "title", "line"}


def estimate(value: float) -> Estimate:
    """A figure with an interval of 0.1 either way."""
    return Estimate(value, Interval(value - 0.1, value + 0.1, 0.95, Method.BCA))


def series(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Series:
    """Values of the rows from 1."""
    return Series(np.arange(1.0, len(values) + 1), values)


def every(measure: Measured = RECALL, rows: int = 30) -> list[str]:
    """One plot of each kind."""
    chances = np.random.default_rng(rows)
    lines = [series(chances.random(rows)), None, series(chances.random(rows))]
    return [
        charts.means([(measure.label, [estimate(0.5), None, Estimate(0.7, None)])]),
        charts.means([(measure.label, [estimate(-0.05)])], around_zero=True),
        charts.by_row(measure, lines),
        charts.distribution(measure, lines),
        charts.cumulative(measure, lines),
        charts.differences(measure.label, np.sort(chances.normal(0, 1, rows))),
    ]


@pytest.mark.parametrize("rows", [0, 1, 2, 30, 5000])
@pytest.mark.parametrize("measure", [RECALL, LATENCY])
def test_plots_hold_shapes_and_texts_and_nothing_that_acts(measure: Measured, rows: int) -> None:
    for svg in every(measure, rows) if rows else every(measure, 1)[:5]:
        root = ElementTree.fromstring(svg)  # noqa: S314  # ours
        assert {element.tag.removeprefix(SVG) for element in root.iter()} <= ALLOWED
        names = {name for element in root.iter() for name in element.attrib}
        assert not {name for name in names if name.startswith("on") or name in ("style", "id", "href", "class_")}
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert not re.search(r"nan|inf|None", svg)


def test_texts_of_users_stay_texts() -> None:
    measure = Measured(ATTACK, Better.HIGHER, 0.0, 1.0, "")
    for svg in every(measure):
        assert "<script" not in svg
        assert "<img" not in svg
        assert "\x07" not in svg
        ElementTree.fromstring(svg)  # noqa: S314  # ours


def test_a_bar_reaches_its_value_and_its_whiskers_their_bounds() -> None:
    root = ElementTree.fromstring(charts.means([("recall@5", [estimate(0.5)])]))  # noqa: S314  # ours
    (bar,) = [item for item in root.iter(f"{SVG}rect") if "reactive" in item.get("class", "")]
    (whiskers,) = [item for item in root.iter(f"{SVG}path") if "nofill" in item.get("class", "")]
    start, width = float(bar.get("x", "0")), float(bar.get("width", "0"))
    ends = [float(number) for number in re.findall(r"[ML](\S+) ", whiskers.get("d", ""))]
    assert min(ends) == pytest.approx(start + width * 0.8, abs=0.5)
    assert max(ends) == pytest.approx(start + width * 1.2, abs=0.5)
    (title,) = [item.text for item in root.iter(f"{SVG}title")]
    assert title == "recall@5: 0.5"


def test_many_rows_are_drawn_in_groups_and_take_no_more_room() -> None:
    few = charts.by_row(RECALL, [series(np.linspace(0, 1, charts.MOST_DOTS))])
    many = charts.by_row(RECALL, [series(np.linspace(0, 1, 100_000))])
    assert few.count("<circle") == charts.MOST_DOTS
    assert many.count("<circle") == 0
    assert len(many) < len(few)
    assert "1,667 neighbouring rows" in charts.by_row_words([series(np.linspace(0, 1, 100_000))])
    assert len(charts.differences("x", np.linspace(-1, 1, 100_000))) < 10_000


def test_a_distribution_counts_every_row_also_those_far_out() -> None:
    values = np.array([1.0] * 50 + [2.0] * 49 + [1e6])
    root = ElementTree.fromstring(charts.distribution(LATENCY, [series(values)]))  # noqa: S314  # ours
    titles = [str(item.text) for item in root.iter(f"{SVG}title")]
    assert sum(int(title.rpartition(": ")[2].replace(",", "")) for title in titles) == 100


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.booleans())
def test_axes_have_few_figures_within_their_range(low: float, span: float, integers: bool) -> None:
    found = charts.ticks(low, low + span, integers=integers)
    assert 1 <= len(found) <= charts.TICKS + 2
    assert found == sorted(found)
    slack = 1e-6 * max(abs(low), span, 1)
    assert len(found) == 1 or low - slack <= found[0] <= found[-1] <= low + span + slack


@pytest.mark.parametrize(
    ("low", "high", "integers", "expected"),
    [
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 1, True, [0, 1]),
        (1, 3, True, [1, 2, 3]),
        (-0.14, 0.15, False, [-0.1, -0.05, 0, 0.05, 0.1, 0.15]),
        (5, 5, False, [5]),
        (1, 10_000, True, [2000, 4000, 6000, 8000, 10000]),
    ],
)
def test_the_figures_of_axes_are_round(low: float, high: float, integers: bool, expected: list[float]) -> None:
    assert charts.ticks(low, high, integers=integers) == expected


def test_what_draws_lets_others_look_for_modules_that_are_not_there() -> None:
    charts.by_row(RECALL, [series(np.array([0.5]))])
    with pytest.raises(ModuleNotFoundError):  # a warning would be an error here
        importlib.import_module("not_there_at_all")
