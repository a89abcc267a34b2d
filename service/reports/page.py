"""Writes a report as one HTML page that needs nothing else: no script, no font, no picture, no other file.

Every text goes through the escaping of the template engine, which is on for all of the page; what is not escaped are
the plots (`charts`, written by an XML library) and the page's own style sheet, the one thing its policy lets in.
"""

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from service.metrics.resampling import Estimate
from service.metrics.stats import Verdict
from service.reports import charts, numbers
from service.reports.types import Measured, Pair, Report, Series

DRAWN = 6
"""Columns that plots show: there are so many colours that are told apart."""
PLOTTED = 24
"""Measures that have plots of their own."""
STEPS_PLOTTED = 8
"""Measures of a pair whose differences are drawn row by row."""
TIME = "ms"

Drawing = tuple[str, Markup]
"""What a plot shows, in words, and the plot."""

VERDICTS = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.DIFFERENT: "different",
    Verdict.UNCLEAR: "may be chance",
    Verdict.EQUAL: "equal",
    Verdict.NOTHING: "nothing to compare",
}


def policy() -> str:
    """The Content-Security-Policy of a page: nothing but its own style sheet, by its hash."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def rendered(report: Report) -> str:
    """The page. Work for a thread: it takes a second for many measures."""
    template = _environment().get_template("page.html")
    return template.render(
        report=report,
        policy=policy(),
        style=Markup(_style()),  # noqa: S704  # a file of ours
        drawn=DRAWN,
        overview=_overview(report),
        plots=[
            (measure, _plots(report, measure)) for measure in report.measures[:PLOTTED] if _has_values(report, measure)
        ],
        steps=[_steps(report, pair) for pair in report.pairs],
    )


def _overview(report: Report) -> Markup | None:
    """Means of all measures that lie between 0 and 1."""
    rows = [(measure.label, _means(report, measure)) for measure in report.measures if measure.is_share]
    known = [row for row in rows if any(row[1])]
    return charts.means(known) if known else None


def _means(report: Report, measure: Measured) -> list[Estimate | None]:
    found = [report.summaries.get((place, measure.label)) for place in range(min(len(report.columns), DRAWN))]
    return [None if told is None else told.mean for told in found]


def _lines(report: Report, measure: Measured) -> list[Series | None]:
    return [report.series.get((place, measure.label)) for place in range(min(len(report.columns), DRAWN))]


def _has_values(report: Report, measure: Measured) -> bool:
    return any(line is not None and len(line.values) for line in _lines(report, measure))


def _plots(report: Report, measure: Measured) -> list[Drawing]:
    lines = _lines(report, measure)
    told = charts.by_row_words(lines)
    drawings = [
        (told, charts.by_row(measure, lines)),
        ("How many rows have which value; under a bar, where it begins", charts.distribution(measure, lines)),
    ]
    if measure.unit == TIME:
        drawings.append(("Share of rows that took so long at most", charts.cumulative(measure, lines)))
    return drawings


def _steps(report: Report, pair: Pair) -> list[Drawing]:
    """The differences of a pair: of all shares with their intervals, then row by row."""
    shares = [
        (measure.label, [told.comparison.difference])
        for measure in report.measures
        if measure.is_share and (told := pair.held.get(measure.label)) is not None and told.comparison.difference
    ]
    drawings = [("Differences with their intervals", charts.means(shares, around_zero=True))] if shares else []
    moved = [
        (measure.label, told.steps)
        for measure in report.measures
        if (told := pair.held.get(measure.label)) is not None and told.steps.any()
    ]
    return drawings + [
        (f"{label}: difference of each row, the lowest first", charts.differences(label, steps))
        for label, steps in moved[:STEPS_PLOTTED]
    ]


@cache
def _style() -> str:
    return files("service.reports").joinpath("page.css").read_text("utf-8")


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("service.reports", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    found.filters |= {
        "figure": numbers.figure,
        "signed": numbers.signed,
        "short": charts.shortened,
        "whole": numbers.whole,
        "minute": _minute,
        "seconds": numbers.seconds,
        "chance": numbers.chance,
        "verdict": VERDICTS.__getitem__,
    }
    return found


def _minute(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
