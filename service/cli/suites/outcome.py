"""What came of a run: figures as the service sums them up, scores row by row, and the cases that went wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.cli.client import Client
from service.cli.suites.rows import key_of

if TYPE_CHECKING:
    from service.metrics.base import Score

PAGE = 500
"""Results in one request."""

RowScores = dict[str, "list[Score]"]
"""The scores of a measure by row, of each repeat."""


@dataclass(frozen=True, slots=True)
class MeasureInfo:
    """What a measure is: its label, the metric that it is made with, which way it should go, what it counts."""

    label: str
    metric: str
    better: str
    unit: str

    def as_json(self) -> dict[str, str]:
        """For a baseline."""
        return {"metric": self.metric, "better": self.better, "unit": self.unit}


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """A row with its scores, by target and measure, of each repeat."""

    question: str
    scores: dict[str, dict[str, "list[Score]"]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broken:
    """A case that failed, or a score of which is an error. `measures`: the errors of scores, by label."""

    target: str
    question: str
    repeat: int
    error: str
    measures: Mapping[str, str]

    @property
    def reason(self) -> str:
        """What went wrong, in one text."""
        return self.error or "; ".join(f"{label}: {text}" for label, text in self.measures.items())


@dataclass(slots=True)
class Outcome:
    """A run that has ended."""

    suite: str
    evaluation: Mapping[str, Any]
    state: str
    targets: Sequence[str]
    """Labels, in order."""
    measures: Sequence[MeasureInfo]
    summaries: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """By target and measure, as `metrics.stats.Summary.as_json` has them."""
    cases: int
    rows: dict[str, RowOutcome] = field(default_factory=dict)
    """By key, in the dataset's order."""
    broken: list[Broken] = field(default_factory=list)

    def scores(self, target: str, label: str) -> RowScores:
        """By row, the scores of a measure."""
        return {key: row.scores[target][label] for key, row in self.rows.items() if label in row.scores.get(target, {})}

    def reason(self, target: str, label: str) -> str:
        """Why a measure applies to no case, as most of them say."""
        said: dict[str, int] = {}
        for repeats in self.scores(target, label).values():
            for score in repeats:
                if score.value is None:
                    said[score.reason] = said.get(score.reason, 0) + 1
        return max(said, key=lambda text: said[text]) if said else "there is no case"


def read_outcome(client: Client, suite: str, evaluation: Mapping[str, Any], state: str) -> Outcome:
    """What the service has of a run, of which `evaluation` tells as it was made. Rows are gone through page by page."""
    summary = client.get(f"/evaluations/{evaluation['id']}/summary")
    measures = [
        MeasureInfo(item["label"], item["metric"], item["better"], item["unit"]) for item in evaluation["measures"]
    ]
    figures = {target["label"]: target["measures"] for target in summary["targets"]}
    outcome = Outcome(suite, evaluation, state, list(figures), measures, figures, 0)
    keys: dict[str, str] = {}
    seen: dict[str, int] = {}
    for item in _results(client, str(evaluation["id"])):
        if item["rowId"] not in keys:
            keys[item["rowId"]] = key_of(item["question"], item["expected"], item["sources"], seen)
        _take(outcome, keys[item["rowId"]], item)
    return outcome


def _results(client: Client, evaluation_id: str) -> Iterator[Mapping[str, Any]]:
    page = 1
    while True:
        found = client.get(f"/evaluations/{evaluation_id}/results", page=page, limit=PAGE)["data"]
        yield from found
        if len(found) < PAGE:
            return
        page += 1


def _take(outcome: Outcome, key: str, item: Mapping[str, Any]) -> None:
    from service.metrics.base import Score

    row = outcome.rows.setdefault(key, RowOutcome(item["question"]))
    measures = row.scores.setdefault(item["targetLabel"], {})
    errors = {}
    for label, kept in item["scores"].items():
        score = Score.from_json(kept)
        measures.setdefault(label, []).append(score)
        if score.error:
            errors[label] = score.error
    outcome.cases += 1
    if item["error"] or errors:
        outcome.broken.append(Broken(item["targetLabel"], item["question"], item["repeat"], item["error"], errors))
