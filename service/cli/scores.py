"""What evaluations say, as tables in a terminal: the figures of one, or two held against each other."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from service.cli.output import print_table, say
from service.reports.numbers import chance, figure, signed, whole

if TYPE_CHECKING:
    from rich.text import Text

VERDICTS = {
    "better": ("better", "green"),
    "worse": ("worse", "red"),
    "different": ("different", "yellow"),
    "unclear": ("may be chance", "dim"),
    "equal": ("equal", "dim"),
    "nothing": ("nothing to compare", "dim"),
}
"""Each verdict in words, and its colour."""

MOST_REASONS = 5
"""Reasons of errors that are told."""


def print_scores(summary: Mapping[str, Any]) -> None:
    """The summary of an evaluation, as `GET /evaluations/{id}/summary` answers it: a line for each measure and target;
    on stderr what failed and why."""
    several = len(summary["targets"]) > 1
    columns = ("measure", *(("target",) if several else ()), "mean", "95 % interval", "rows", "errors", "n/a", "")
    print_table(columns, _score_rows(summary, several=several))
    reasons: dict[str, int] = {}
    for target in summary["targets"]:
        for told in target["measures"].values():
            for reason, count in told.get("reasons", {}).items():
                reasons[reason] = reasons.get(reason, 0) + count
    if summary["failed"]:
        say(f"{whole(summary['failed'])} of {whole(summary['done'])} cases failed.")
    for reason in sorted(reasons, key=lambda each: -reasons[each])[:MOST_REASONS]:
        say(f"{reasons[reason]} errors: {' '.join(reason.split())}")
    if not summary["complete"]:
        say(f"It has not ended: {whole(summary['done'])} of {whole(summary['total'])} cases are done.")


def _score_rows(summary: Mapping[str, Any], *, several: bool) -> Iterator[tuple[object, ...]]:
    labels = dict.fromkeys(label for target in summary["targets"] for label in target["measures"])
    for label in labels:
        for place, target in enumerate(told for told in summary["targets"] if label in told["measures"]):
            told = target["measures"][label]
            shown = "" if place else _with_unit(label, told)
            yield (
                shown,
                *((target["label"],) if several else ()),
                figure(told["mean"]) if "mean" in told else "–",
                _interval(told),
                whole(told["rows"]),
                _red(whole(told["errors"]), told["errors"]),
                whole(told["notApplicable"]),
                _quantiles(told),
            )


def print_comparison(compared: Mapping[str, Any]) -> None:
    """Two evaluations, as `GET /evaluations/{id}/compare/{other}` answers it: a line for each measure of each pair of
    targets, differences being second less first; on stderr what could not be compared."""
    for number, pair in enumerate(compared["targets"]):
        if number:
            print_table((), ())
        say(f"{_named(compared['second'], pair['second'])} against {_named(compared['first'], pair['first'])}")
        columns = (
            *("measure", "verdict", "before", "after", "difference", "95 % interval", "p"),
            *("rows", "errors", "unpaired"),
        )
        print_table(columns, (_compared_row(told) for told in pair["measures"]))
    for what, sides in (("targets", "unmatchedTargets"), ("measures", "unmatchedMeasures")):
        left_out = sorted({label for labels in compared.get(sides, ()) for label in labels})
        if left_out:
            say(f"Only in one of both, so not compared: {what} {', '.join(left_out)}")
    if not compared["complete"]:
        say("One of them has not ended: these are the figures so far.")


def _compared_row(told: Mapping[str, Any]) -> tuple[object, ...]:
    words, colour = VERDICTS.get(told["verdict"], (told["verdict"], ""))
    before, after = told["means"] or (None, None)
    return (
        _with_unit(told["label"], told),
        _coloured(words, colour),
        "–" if before is None else figure(before),
        "–" if after is None else figure(after),
        "–" if told["difference"] is None else signed(told["difference"]),
        "–" if told["low"] is None else f"{signed(told['low'])} to {signed(told['high'])}",
        "–" if told["correctedP"] is None else chance(told["correctedP"]),
        whole(told["pairs"]),
        _red(f"{told['errors'][0]} / {told['errors'][1]}", sum(told["errors"])),
        whole(sum(told["unpaired"].values())),
    )


def _named(run: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    return f"{target['label']} ({run['name']}, version {run['version']})"


def _with_unit(label: str, told: Mapping[str, Any]) -> str:
    return f"{label}, {told['unit']}" if told.get("unit") else label


def _interval(told: Mapping[str, Any]) -> str:
    return f"{figure(told['low'])} to {figure(told['high'])}" if "low" in told else "–"


def _quantiles(told: Mapping[str, Any]) -> str:
    found = [(name, part["value"]) for name, part in told.items() if isinstance(part, Mapping) and "value" in part]
    return "  ".join(f"{name} {figure(value)}" for name, value in found)


def _red(text: str, count: int) -> "Text":
    return _coloured(text, "red" if count else "")


def _coloured(text: str, style: str) -> "Text":
    from rich.text import Text

    return Text(text, style)
