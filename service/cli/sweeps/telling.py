"""What came of a sweep: a table for people, CSV and JSON for scripts."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.cli.exits import CommandError
from service.cli.output import print_table, say
from service.cli.sweeps.trials import INDEX, NOW, QUERY, Trial, shown
from service.spreadsheets import harmless

CHOSEN, FRONT, TIES = "->", "*", "="

Row = tuple[Trial, Mapping[str, Any]]
"""A trial, and what the service says of it."""


def results(trials: Sequence[Trial], front: Mapping[str, Any]) -> list[Row]:
    """The trials with what is said of them, the best first."""
    quality = front["objectives"][0]
    sign = -1 if quality["better"] == "higher" else 1

    def rank(row: Row) -> tuple[float, int]:
        figure = row[1]["figures"].get(quality["label"])
        return (sign * figure["value"] if figure is not None else float("inf"), row[0].number)

    return sorted(zip(trials, front["candidates"], strict=True), key=rank)


def chosen_of(trials: Sequence[Trial], front: Mapping[str, Any]) -> Trial | None:
    """The trial to take."""
    place = front["chosen"]
    return None if place is None else trials[place]


def print_front(trials: Sequence[Trial], front: Mapping[str, Any], *, everything: bool) -> None:
    """The table on stdout, and what is to be known of it on stderr."""
    rows = results(trials, front)
    some = [row for row in rows if everything or row[1]["front"] or not row[0].settings]
    tried, chosen = _tried(trials), chosen_of(trials, front)
    quality, *rest = front["objectives"]
    held, errors = bool(front["heldRows"]), any(candidate["errors"] for _, candidate in some)
    columns = ["", "#", *_short(tried), _heading(quality), *(["held back"] if held else [])]
    columns += [*map(_heading, rest), *(["errors"] if errors else [])]
    cells = []
    for trial, candidate in some:
        line = [_marks(candidate, chosen=trial is chosen), str(trial.number)]
        line += [shown(trial.settings[name]) if name in trial.settings else "now" for name in tried]
        line.append(_interval(candidate["figures"].get(quality["label"])))
        line += [_interval(candidate["held"])] if held else []
        line += [_interval(candidate["figures"].get(each["label"])) for each in rest]
        line += [str(candidate["errors"])] if errors else []
        cells.append(line)
    print_table(columns, cells)
    for text in _notes(trials, front, len(rows) - len(some)):
        say(text)


def _tried(trials: Sequence[Trial]) -> list[str]:
    """The settings that differ."""
    names = dict.fromkeys(name for trial in trials for name in trial.settings)
    order = (*INDEX, *QUERY)
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def _short(names: Sequence[str]) -> list[str]:
    """Inputs without their node, where that is clear."""
    ends = [name.rpartition(".")[2] for name in names]
    return [end if ends.count(end) == 1 else name for name, end in zip(names, ends, strict=True)]


def _heading(objective: Mapping[str, Any]) -> str:
    median = ", median" if objective["median"] else ""
    unit = f" in {objective['unit']}" if objective["unit"] else ""
    return f"{objective['label']}{unit}{median}"


def _marks(candidate: Mapping[str, Any], *, chosen: bool) -> str:
    return "".join((CHOSEN if chosen else "", FRONT if candidate["front"] else "", TIES if candidate["ties"] else ""))


def _interval(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "-"
    if figure["low"] is None:
        return _number(figure["value"])
    return f"{_number(figure['value'])} [{_number(figure['low'])}, {_number(figure['high'])}]"


def _number(value: float) -> str:
    """Three decimals for shares, three figures for what is small, whole numbers for what is large."""
    if value == 0 or 0.001 <= abs(value) < 10:
        return f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _notes(trials: Sequence[Trial], front: Mapping[str, Any], hidden: int) -> list[str]:
    quality, *rest = front["objectives"]
    rows, held = front["rows"], front["heldRows"]
    found = []
    if (chosen := chosen_of(trials, front)) is not None:
        takes = f", and takes least {_least(rest)}" if rest else ""
        name = f"#{chosen.number}" if chosen.settings else f"#0, {NOW},"
        found.append(f"{CHOSEN} suggested: {name} is within a standard error of the best{takes}.")
    else:
        found.append(f"Nothing could be measured by {quality['label']}: do the questions have what it needs?")
    found += [
        f"{FRONT:2} on the front of {', '.join(each['label'] for each in front['objectives'])}: no other is as good in"
        " all of it and better in something.",
        f"{TIES:2} as good in {quality['label']} as the best, as far as {rows} questions tell (paired test, corrected"
        f" for {len(trials)} settings).",
    ]
    found += [f"{label} is not weighed: {why}." for label, why in front["leftOut"].items()]
    if hidden:
        found.append(f"{hidden} more that others are better than: --all shows them.")
    if held:
        found.append(f"Chosen by {rows} questions; `held back` is what the other {held} say of it.")
    elif len(trials) > 2:
        found.append(
            f"The best of {len(trials)} looks better on the questions it was chosen by than it is; --holdout 0.5 keeps"
            " half of them back to tell."
        )
    return found


def _least(rest: Sequence[Mapping[str, Any]]) -> str:
    return ", then ".join(each["label"] for each in reversed(rest))


def write_csv(file: Path, trials: Sequence[Trial], front: Mapping[str, Any]) -> None:
    """All trials, a line each. Raises `CommandError`."""
    tried, objectives = _tried(trials), [each["label"] for each in front["objectives"]]
    chosen = chosen_of(trials, front)
    header = ["number", *tried]
    for label in objectives:
        header += [label, f"{label} low", f"{label} high"]
    header += ["held back", "held back low", "held back high", "front", "ties", "suggested", "p", "cases", "errors"]
    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(header)
            for trial, candidate in results(trials, front):
                cells: list[Any] = [trial.number]
                cells += [harmless(shown(trial.settings[name])) if name in trial.settings else "" for name in tried]
                for label in objectives:
                    cells += _three(candidate["figures"].get(label))
                cells += _three(candidate["held"])
                cells += [candidate["front"], candidate["ties"], trial is chosen, candidate["p"]]
                writer.writerow([*cells, candidate["cases"], candidate["errors"]])
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error}") from None


def _three(figure: Mapping[str, Any] | None) -> list[Any]:
    return ["", "", ""] if figure is None else [figure["value"], figure["low"], figure["high"]]


def as_json(trials: Sequence[Trial], front: Mapping[str, Any], evaluations: Sequence[str]) -> dict[str, Any]:
    """All of it for scripts, the best first."""
    chosen = chosen_of(trials, front)
    return {
        "evaluations": list(evaluations),
        "objectives": front["objectives"],
        "leftOut": front["leftOut"],
        "rows": front["rows"],
        "heldRows": front["heldRows"],
        "chosen": None if chosen is None else chosen.number,
        "trials": [
            {"number": trial.number, "settings": dict(trial.settings), **candidate}
            for trial, candidate in results(trials, front)
        ],
    }
