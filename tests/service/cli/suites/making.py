"""Suites and runs to try with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from service.cli.suites.outcome import Broken, MeasureInfo, Outcome, RowOutcome
from service.cli.suites.suite import Suite
from service.metrics.base import Score, scored
from service.metrics.stats import summary

SUITE: dict[str, Any] = {
    "name": "Offices",
    "document_stores": [{"name": "Notes", "files": "notes"}],
    "dataset": {"file": "rows.jsonl"},
    "targets": [{"label": "retrieval", "document_store": "Notes"}],
    "metrics": ["recall@5"],
    "thresholds": [{"metric": "recall@5", "fail_under": 0.9}],
}

ROWS = '{"input": "When does the office open?", "output": "At nine.", "sources": ["a.md"]}\n'


def suite(**changes: Any) -> Suite:
    """The suite with other keys; None takes a key out."""
    return Suite.model_validate({key: value for key, value in {**SUITE, **changes}.items() if value is not None})


def folder(place: Path, rows: str = ROWS, **changes: Any) -> Path:
    """A folder with a suite and what it names; returns the suite's file."""
    (place / "notes").mkdir(exist_ok=True)
    (place / "notes" / "a.md").write_text("# Opening hours\n\nThe office opens at nine.")
    (place / "rows.jsonl").write_text(rows)
    kept = {key: value for key, value in {**SUITE, **changes}.items() if value is not None}
    file = place / "suite.yaml"
    file.write_text(yaml.safe_dump(kept))
    return file


Values = Sequence[Score | float]


def outcome(
    scores: Mapping[str, Mapping[str, Values]],
    *,
    state: str = "completed",
    broken: Sequence[Broken] = (),
    units: Mapping[str, str] | None = None,
    better: Mapping[str, str] | None = None,
) -> Outcome:
    """A run with these scores by target and measure, a row each."""
    labels = list(dict.fromkeys(label for measures in scores.values() for label in measures))
    infos = [
        MeasureInfo(label, label.partition("@")[0], (better or {}).get(label, "higher"), (units or {}).get(label, ""))
        for label in labels
    ]
    rows: dict[str, RowOutcome] = {}
    figures: dict[str, dict[str, Any]] = {}
    cases = 0
    for target, measures in scores.items():
        figures[target] = {}
        cases += max(map(len, measures.values()), default=0)
        for label, values in measures.items():
            made = [item if isinstance(item, Score) else scored(item) for item in values]
            for place, score in enumerate(made):
                row = rows.setdefault(f"k{place}", RowOutcome(f"Question {place}?"))
                row.scores.setdefault(target, {}).setdefault(label, []).append(score)
            figures[target][label] = summary(
                dict(enumerate([score] for score in made)), quantiles=(0.5, 0.95)
            ).as_json()
    evaluation = {"id": "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11", "name": "Offices", "version": 2}
    return Outcome("Offices", evaluation, state, list(scores), infos, figures, cases, rows, list(broken))
