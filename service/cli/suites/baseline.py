"""What `--save` writes of a run, and `--baseline` reads: rows and their scores, so that a later run can be held against
it row by row.

The format, version 1, is JSON in UTF-8:

    {"format": "ragstone.evaluation", "version": 1,
     "suite": name, "evaluation": {"id", "name", "version", "datasetName", "runDate"},
     "targets": [{"label": "retrieval", "measures": {"recall@5": {"metric": "recall", "better": "higher", "unit": …}}}],
     "rows": [{"key": "…", "input": question, "scores": {target: {measure: [score of each repeat]}}}]}

A score is a number, or null where the metric is not applicable, or `{"error": text}`. A row's key is made of its
question, its expected answer and its sources (`rows.key_of`): a row that was changed is another one.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.cli.exits import CommandError, UsageProblem
from service.cli.suites.outcome import MeasureInfo, Outcome, RowScores

if TYPE_CHECKING:
    from service.metrics.base import Score

FORMAT = "ragstone.evaluation"
VERSION = 1


def as_saved(outcome: Outcome) -> dict[str, Any]:
    """A run as it is kept."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "suite": outcome.suite,
        "evaluation": {
            name: outcome.evaluation.get(name) for name in ("id", "name", "version", "datasetName", "runDate")
        },
        "targets": [
            {"label": label, "measures": {item.label: item.as_json() for item in outcome.measures}}
            for label in outcome.targets
        ],
        "rows": [
            {
                "key": key,
                "input": row.question,
                "scores": {
                    target: {label: [_kept(score) for score in repeats] for label, repeats in measures.items()}
                    for target, measures in row.scores.items()
                },
            }
            for key, row in outcome.rows.items()
        ],
    }


def save(outcome: Outcome, file: Path) -> None:
    """Write a run into a file, whole. Raises `CommandError` when it cannot be written."""
    aside = file.with_name(file.name + ".part")
    try:
        with aside.open("w", encoding="utf-8") as stream:
            json.dump(as_saved(outcome), stream, ensure_ascii=False, indent=1)
            stream.write("\n")
        aside.replace(file)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error}") from None
    finally:
        aside.unlink(missing_ok=True)


class Baseline:
    """An earlier run, as it was saved."""

    def __init__(self, file: Path, data: Mapping[str, Any]) -> None:
        """`data` as `load` has checked it."""
        self.file = file
        self.measures: dict[str, dict[str, MeasureInfo]] = {
            target["label"]: {
                label: MeasureInfo(label, info["metric"], info["better"], info["unit"])
                for label, info in target["measures"].items()
            }
            for target in data["targets"]
        }
        self._rows = {row["key"]: row for row in data["rows"]}

    @property
    def targets(self) -> list[str]:
        """Labels of its targets."""
        return list(self.measures)

    def scores(self, target: str, label: str) -> "RowScores":
        """By row, the scores of a measure."""
        found = {}
        for key, row in self._rows.items():
            repeats = row["scores"].get(target, {}).get(label)
            if repeats is not None:
                found[key] = [_score(value) for value in repeats]
        return found


def load(file: Path) -> Baseline:
    """Read what `save` wrote. Raises `UsageProblem` for a file that is none, or of another version."""
    try:
        data = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageProblem(f"there is no baseline {file}; a run with --save {file} writes it") from None
    except (OSError, ValueError) as error:
        raise UsageProblem(f"the baseline {file} cannot be read: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageProblem(f"{file} is no baseline: `ragstone eval run --save FILE` writes one")
    if data.get("version") != VERSION:
        raise UsageProblem(
            f"the baseline {file} has version {data.get('version')} of the format, and this program reads {VERSION}:"
            " save it anew"
        )
    try:
        baseline = Baseline(file, data)
        for target, measures in baseline.measures.items():
            for label in measures:
                baseline.scores(target, label)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageProblem(f"the baseline {file} is damaged ({type(error).__name__}: {error}): save it anew") from None
    return baseline


def _kept(score: "Score") -> Any:
    if score.value is not None:
        return score.value
    return {"error": score.error} if score.error else None


def _score(kept: Any) -> "Score":
    from service.metrics.base import failed, not_applicable, scored

    if kept is None:
        return not_applicable("as the baseline says")
    if isinstance(kept, dict):
        return failed(str(kept["error"]))
    if isinstance(kept, bool) or not isinstance(kept, int | float) or not math.isfinite(kept):
        raise ValueError(f"no score: {kept!r}")
    return scored(kept)
