"""Plots as SVG, drawn by pygal. They have no style, no script, no ids and no links of their own: the page's style sheet
colours them, in light and dark, and a strict Content-Security-Policy lets them be.

A plot has as many points as fit on it, whatever the number of rows: `MOST_DOTS` rows are drawn one by one, more are
gathered in groups that lie next to each other.
"""

import math
import re
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from markupsafe import Markup

from service.metrics.resampling import Estimate
from service.reports.numbers import figure, percent, signed, whole
from service.reports.types import Measured, Numbers, Series

WIDTH, HEIGHT = 480, 250
BAR = 20
"""Height of a horizontal bar with the space around it."""
MOST_DOTS = 300
GROUPS = 60
"""Groups that more rows are gathered in."""
POINTS = 101
"""Of a curve."""
BINS = 10
TICKS = 6
"""Steps between the figures of an axis, at most."""
LONGEST_LABEL = 28

SHARES = [0, 0.25, 0.5, 0.75, 1]

_DECIMALS = re.compile(r"(\d+\.\d)\d+")
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot hold."""
_PLACED = frozenset({"d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "width", "height"})
"""Attributes that hold numbers."""
_KEPT = _PLACED | {"class", "transform", "viewBox"}
_DROPPED = frozenset({"defs", "style", "script", "desc", "title", "comment"})
_SVG = "{http://www.w3.org/2000/svg}"


def means(rows: Sequence[tuple[str, Sequence[Estimate | None]]], *, around_zero: bool = False) -> Markup:
    """A bar for each figure of each row (a measure's label; a figure for each column), with its interval. Figures lie
    between 0 and 1, or `around_zero`, between -1 and 1."""
    columns = max((len(figures) for _, figures in rows), default=1)
    chart = _pygal().HorizontalBar(
        **_options(
            height=max(BAR * (len(rows) * max(columns, 2)) + 44, 120),
            range=_range_of(rows) if around_zero else (0, 1),
            value_formatter=signed if around_zero else figure,
        )
    )
    # drawn from below
    chart.x_labels = [shortened(label) for label, _ in reversed(rows)]
    chart.y_labels = ticks(*_range_of(rows)) if around_zero else SHARES
    for column in range(columns):
        chart.add(str(column), [_bar(figures[column]) for _, figures in reversed(rows)])
    return _drawn(chart, f"Mean of {len(rows)} measures with intervals")


def by_row(measure: Measured, lines: Sequence[Series | None]) -> Markup:
    """The value of each row, in the rows' order; of many rows the mean of groups. One series a column."""
    dots = _is_dotted(lines)
    chart = _pygal().XY(
        **_options(
            stroke=not dots,
            show_dots=dots,
            dots_size=2.5,
            x_value_formatter=whole,
            value_formatter=figure,
            **_scale(measure),
        )
    )
    chart.y_labels = SHARES if measure.is_share else ticks(*_ends(lines))
    chart.x_labels = ticks(
        1, max((line.places[-1] for line in lines if line and len(line.places)), default=1), integers=True
    )
    shift = 0.6 / max(len(lines), 1)
    for place, line in enumerate(lines):
        if line is None:
            points: list[tuple[float, float]] = []
        elif dots:
            points = list(zip((line.places + place * shift).tolist(), line.values.tolist(), strict=True))
        else:
            points = _grouped(line)
        chart.add(str(place), points)
    return _drawn(chart, f"{measure.label} by row")


def by_row_words(lines: Sequence[Series | None]) -> str:
    """What the points of `by_row` are."""
    if _is_dotted(lines):
        return "Each row, in the order of the dataset"
    most = max(len(line.values) for line in lines if line is not None)
    return f"Means of about {max(round(most / GROUPS), 1):,} neighbouring rows each, in the order of the dataset"


def distribution(measure: Measured, lines: Sequence[Series | None]) -> Markup:
    """How many rows have which value. One series a column."""
    edges = _edges(measure, [line.values for line in lines if line is not None and len(line.values)])
    chart = _pygal().Bar(**_options(value_formatter=whole, x_label_rotation=0, show_x_guides=False))
    chart.x_labels = [figure(edge) for edge in edges[:-1]]
    counts = [[] if line is None else _counted(line.values, edges) for line in lines]
    chart.y_labels = ticks(0, max((count for each in counts for count in each), default=1), integers=True)
    for place, each in enumerate(counts):
        chart.add(str(place), each)
    return _drawn(chart, f"Distribution of {measure.label}")


def cumulative(measure: Measured, lines: Sequence[Series | None]) -> Markup:
    """The share of rows that stay below a value: how to read latencies. One series a column."""
    chart = _pygal().XY(
        **_options(
            show_dots=False,
            range=(0, 1),
            value_formatter=percent,
            x_value_formatter=figure,
        )
    )
    chart.y_labels = SHARES
    chart.x_labels = ticks(*_ends(lines))
    shares = np.linspace(0, 1, POINTS)
    for place, line in enumerate(lines):
        values = np.array([]) if line is None else line.values
        points = zip(np.quantile(values, shares).tolist(), shares.tolist(), strict=True) if len(values) else ()
        chart.add(str(place), list(points))
    return _drawn(chart, f"Share of rows by {measure.label}")


def differences(label: str, steps: Numbers) -> Markup:
    """Second less first of every row, ascending: what lies below zero was better before."""
    most = steps[np.linspace(0, len(steps) - 1, min(len(steps), 2 * POINTS)).round().astype(int)]
    chart = _pygal().XY(
        **_options(
            show_dots=len(most) < 2,
            fill=True,
            value_formatter=signed,
            x_value_formatter=whole,
            height=200,
        )
    )
    chart.x_labels = ticks(1, len(steps), integers=True)
    chart.y_labels = ticks(min(float(steps[0]), 0.0), max(float(steps[-1]), 0.0))
    places = np.linspace(1, len(steps), len(most))
    chart.add("0", list(zip(places.tolist(), most.tolist(), strict=True)))
    return _drawn(chart, f"Differences in {label}, row by row")


def ticks(low: float, high: float, *, integers: bool = False) -> list[float]:
    """About five round figures from `low` to `high`, which cover zero where both sides of it do"""
    span = high - low
    if span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * TICKS >= span)
    step = max(round(step), 1) if integers else step
    first, last = math.ceil(round(low / step, 6)), math.floor(round(high / step, 6))
    return [round(place * step, 10) for place in range(first, last + 1)] or [low]


def shortened(text: str) -> str:
    """A label that fits beside a plot."""
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1].rstrip() + "…"


@cache
def _pygal() -> Any:
    """The library, without the finder that it leaves behind: that is of an older protocol, so that Python 3.11 warns
    of every module that is looked for afterwards and is not there."""
    import pygal  # type: ignore[import-untyped]  # it has no types

    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]
    return pygal


def _options(**more: Any) -> dict[str, Any]:
    fonts = {f"{part}_font_size": 13 for part in ("label", "major_label", "value", "legend", "no_data", "title")}
    plain: dict[str, Any] = {
        "title": None,
        "width": WIDTH,
        "height": HEIGHT,
        "margin": 8,
        "margin_right": 18,
        "spacing": 6,
        "js": [],
        "css": [],
        "classes": ["plot-svg"],
        "no_prefix": True,
        "disable_xml_declaration": True,
        "show_legend": False,
        "truncate_label": -1,
        "no_data_text": "no values",
        "style": _pygal().style.Style(font_family="sans-serif", **fonts),
    }
    return plain | more


def _scale(measure: Measured) -> dict[str, Any]:
    return {"range": (0, 1)} if measure.is_share else {}


def _ends(lines: Sequence[Series | None]) -> tuple[float, float]:
    """The least and the greatest value; zero, where it is near, as the least."""
    values = np.concatenate([line.values for line in lines if line is not None] or [np.zeros(1)])
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (0.0 if 0 <= low < high / 2 else low), high


def _bar(estimate: Estimate | None) -> Any:
    if estimate is None:
        return None
    if estimate.interval is None:
        return estimate.value
    return {"value": estimate.value, "ci": {"low": estimate.interval.low, "high": estimate.interval.high}}


def _range_of(rows: Sequence[tuple[str, Sequence[Estimate | None]]]) -> tuple[float, float]:
    """From the least bound to the greatest, zero included."""
    ends = [0.0]
    for _, figures in rows:
        for estimate in figures:
            if estimate is not None:
                interval = estimate.interval
                ends += [estimate.value] if interval is None else [estimate.value, interval.low, interval.high]
    low, high = min(ends), max(ends)
    return (low, high) if low < high else (-0.1, 0.1)


def _is_dotted(lines: Sequence[Series | None]) -> bool:
    return sum(len(line.values) for line in lines if line is not None) <= MOST_DOTS


def _grouped(line: Series) -> list[tuple[float, float]]:
    """The mean of rows that lie next to each other, in `GROUPS` groups."""
    return [
        (float(places.mean()), float(values.mean()))
        for places, values in zip(np.array_split(line.places, GROUPS), np.array_split(line.values, GROUPS), strict=True)
        if len(values)
    ]


def _counted(values: Numbers, edges: Numbers) -> list[int]:
    counts: list[int] = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist()
    return counts


def _edges(measure: Measured, values: Sequence[Numbers]) -> Numbers:
    """Where the bars of a distribution begin and end; the last one holds the few that lie far out."""
    if measure.is_share:
        return np.linspace(0, 1, BINS + 1)
    if not values:
        return np.array([0.0, 1.0])
    together = np.concatenate(values)
    low, high = float(together.min()), float(np.quantile(together, 0.99))
    if low >= 0 and low < high / 4:
        low = 0.0
    return np.linspace(low, high if high > low else low + 1, BINS + 1)


def _drawn(chart: Any, title: str) -> Markup:
    """The plot as an element of a page, which a screen reader calls by its title."""
    chart.add_xml_filter(lambda root: _cleaned(root, title))
    return Markup(chart.render(is_unicode=True))  # noqa: S704  # written by an XML library, texts escaped


def _cleaned(root: Any, title: str) -> Any:
    """The tree with nothing but shapes, texts, classes and, for each value, a title to show when it is pointed at."""
    for parent in list(root.iter()):
        told = [
            _text(child) for child in parent if _tag(child) == "desc" and child.get("class") in ("value", "x_label")
        ]
        for child in list(parent):
            if _tag(child) in _DROPPED:
                parent.remove(child)
        for name in list(parent.attrib):
            if name not in _KEPT:
                del parent.attrib[name]
            elif name in _PLACED | {"transform"}:
                parent.set(name, _DECIMALS.sub(r"\1", parent.get(name)))
        if told:
            parent.insert(0, _titled(root, ": ".join(reversed(told))))
    root.set("role", "img")
    root.set("aria-label", _UNWRITABLE.sub("\ufffd", title))
    return root


def _titled(root: Any, text: str) -> Any:
    title = root.makeelement(_SVG + "title", {})
    title.text = text
    return title


def _tag(element: Any) -> str:
    """The name of an element; of comments "comment"."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else "comment"


def _text(element: Any) -> str:
    return str(element.text or "")
