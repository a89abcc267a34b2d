"""What an evaluation is, and what comes of it.

A *case* is a row of the dataset put to a target once: an evaluation has rows × targets × repeats of them. A *result*
is what came of a case. The same name makes *versions*, counted from the oldest that there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.datasets.types import GoldKind as NamedBy
from service.evaluators.types import EvaluatorType as EvaluatorType
from service.metrics.base import Better as Better
from service.metrics.base import Gold as Gold
from service.metrics.base import GoldKind as GoldKind
from service.metrics.base import Passage as Passage
from service.metrics.base import Score as Score
from service.metrics.base import Taken as Taken
from service.metrics.stats import Summary

GOLD_KINDS = {
    NamedBy.SOURCE: GoldKind.SOURCE,
    NamedBy.DOCUMENT: GoldKind.DOCUMENT,
    NamedBy.CHUNK: GoldKind.CHUNK,
    NamedBy.QUOTE: GoldKind.QUOTE,
}
"""How rows of datasets name a source, to how metrics do."""

KEPT_TEXT = 2_000
"""Characters that a result keeps of a passage."""
KEPT_TEXTS = 20
"""Passages of a result whose texts are kept, the first ones; of the others there are ids, sources and scores."""


class TargetKind(StrEnum):
    """What answers."""

    CHATFLOW = "chatflow"
    """A flow of any type, asked as by `internal-prediction`."""
    STORE = "documentStore"
    """A document store, asked as by `vectorstore/query`: there are passages and no answer."""


@dataclass(frozen=True, slots=True)
class TargetWish:
    """What a caller says of a target. `options`: of a chatflow its `overrideConfig` (what the flow's owner has opened,
    `sessionId` left out, as cases have sessions of their own); of a document store `topK`, `filter`, `strategy`,
    `retrieval` and `principals`, as of `vectorstore/query`."""

    kind: TargetKind
    id: UUID
    label: str = ""
    """Empty: the name of the flow or document store."""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target(TargetWish):
    """A target as it was when the evaluation was made."""

    name: str = field(default="", kw_only=True)
    type: str = field(default="", kw_only=True)
    """Of a flow `FlowType`, else empty."""
    updated_at: datetime | None = field(default=None, kw_only=True)
    """When the flow or document store had last been changed."""


class EvaluationType(StrEnum):
    """What callers of the contract call it (5.3): without a model that judges, or with one."""

    BENCHMARKING = "benchmarking"
    LLM = "llm"


@dataclass(frozen=True, slots=True)
class MetricWish:
    """A metric by its name, `recall` or `recall@5`, and its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measure:
    """What a case is scored by: a metric, or an evaluator as it was when the evaluation was made. `label` names it
    among the scores; no two of an evaluation have the same."""

    label: str
    metric: str
    """The name of the metric: for evaluators the one that grades as they say."""
    options: Mapping[str, Any]
    evaluator: UUID | None = None
    evaluator_type: EvaluatorType | None = None
    """None: this is no evaluator."""
    better: Better = Better.HIGHER
    low: float | None = None
    high: float | None = None
    unit: str = ""
    quantiles: tuple[float, ...] = ()

    @property
    def is_evaluator(self) -> bool:
        """Whether it passes and fails (`text`, `json`, `numeric`) or grades as a model was asked to (`llm`)."""
        return self.evaluator_type is not None


@dataclass(frozen=True, slots=True)
class Judge:
    """The chat model that judges: a node's name (`chatOpenAI`) with its inputs, `model` among them; `credential` is
    the id of one that is kept. An empty name stands for the service's own model."""

    name: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    credential: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How an evaluation is run: kept with it, and the same for every version."""

    targets: Sequence[Target]
    measures: Sequence[Measure]
    repeats: int = 1
    concurrency: int | None = None
    """Cases of it at the same time; None: as many as the service gives it."""
    retries: int = 3
    """How often a call is repeated that a provider's limits or a passing failure refused."""
    conversation: bool = False
    """The rows are one conversation, in their order, for each target and repeat (contract `datasetAsOneConversation`);
    otherwise each case is a conversation of its own."""
    judge: Judge | None = None

    @property
    def labels(self) -> list[str]:
        """Of the measures, in their order."""
        return [item.label for item in self.measures]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller wants evaluated. None for `metrics`: those of `planning.DEFAULT_METRICS`."""

    name: str
    dataset: UUID
    targets: Sequence[TargetWish]
    type: EvaluationType = EvaluationType.BENCHMARKING
    metrics: Sequence[MetricWish] | None = None
    evaluators: Sequence[UUID] = ()
    """Kept evaluators by their ids, those with a model too."""
    repeats: int = 1
    concurrency: int | None = None
    retries: int = 3
    conversation: bool = False
    judge: Judge | None = None


class EvaluationState(StrEnum):
    """Where an evaluation stands. The first three are open, and told by its job; the others are how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    """Every case has a result. Cases that failed are counted in it."""
    FAILED = "failed"
    """It could not be run to its end; what it has stays."""
    CANCELLED = "cancelled"
    """Somebody stopped it; what it has stays."""


OPEN = frozenset({EvaluationState.QUEUED, EvaluationState.RUNNING, EvaluationState.PAUSED})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation as it is kept. Counts are of cases."""

    id: UUID
    workspace: UUID
    name: str
    version: int
    """From 1, of those that have this name, the oldest first."""
    versions: int
    """How many have this name."""
    type: EvaluationType
    dataset: UUID
    """It may be gone by now."""
    dataset_name: str
    dataset_updated_at: datetime
    """When the dataset had last been changed as the rows were taken."""
    plan: Plan
    rows: int
    total: int
    done: int
    """Cases with a result, whether they failed or not."""
    failed: int
    """Cases whose flow or search failed."""
    state: EvaluationState
    error: Mapping[str, Any] | None
    """Why it failed or was cancelled: `status`, `code`, `message`."""
    job: UUID | None
    """None: the job has been forgotten."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_latest(self) -> bool:
        """Whether there is no newer one of this name."""
        return self.version == self.versions


@dataclass(frozen=True, slots=True)
class Held:
    """An evaluation that is held against others until the end of a transaction. `outcome`: None while it is open."""

    job: UUID | None
    outcome: EvaluationState | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an evaluation is."""

    id: UUID
    state: EvaluationState
    stage: str
    done: int
    total: int
    failed: int
    rate: float | None
    """Cases a second."""
    eta_seconds: float | None
    job: UUID | None


@dataclass(frozen=True, slots=True)
class EvaluatedRow:
    """A row of the dataset as it was when the evaluation was made."""

    id: UUID
    """Of this row of the evaluation."""
    row: UUID
    """Of the dataset's row, which may be gone by now."""
    place: int
    """From 0, in the dataset's order."""
    question: str
    expected: str
    gold: Sequence[Gold] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that failed and was repeated. `waited`: seconds until the next one."""

    error: str
    status: int
    waited: float


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case."""

    place: int
    target: int
    """The place of the target in the plan, from 0."""
    repeat: int
    """From 0."""
    answer: str | None = None
    """None: nothing was asked for but passages, or it failed."""
    found: Sequence[Passage] | None = None
    """What was retrieved, best first; texts are cut to `KEPT_TEXT`, and those of the first `KEPT_TEXTS` are kept
    alone. None: the flow does not say."""
    taken: Taken = field(default_factory=Taken)
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else is known, as JSON: `usedTools`, `nestedMetrics`, `models`, `structured`, `judge`, `cited`."""
    scores: Mapping[str, Score] = field(default_factory=dict)
    """By the labels of the plan's measures, in their order."""
    error: str = ""
    """Why the flow or the search failed, behind all attempts."""
    attempts: Sequence[Attempt] = ()
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A result with the row that it is of."""

    row: EvaluatedRow
    result: Result


class Sort(StrEnum):
    """In which order results come."""

    ORDER = "order"
    """Of the rows, then of the targets, then of the repeats."""
    SCORE = "score"
    """Worst first, by a measure."""
    SLOWEST = "slowest"


@dataclass(frozen=True, slots=True)
class ResultFilter:
    """Which results. None leaves none out; `errors`: those that failed, or whose scores hold an error (True), or the
    others (False). `label`: the measure of `Sort.SCORE`."""

    target: int | None = None
    errors: bool | None = None
    sort: Sort = Sort.ORDER
    label: str = ""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A score, and the row and repeat that it is of: what summaries and comparisons are made of."""

    place: int
    row: UUID
    """Of the dataset's row."""
    repeat: int
    score: Score


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """What an evaluation says of one target."""

    target: int
    cases: int
    """With a result."""
    failed: int
    measures: Mapping[str, Summary]
    """By label, in the plan's order."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What an evaluation says. `complete`: it has ended, so that this will not change."""

    targets: Sequence[TargetSummary]
    passed: int
    """Verdicts of evaluators that pass, over all cases; of those with a model none is a verdict."""
    refused: int
    """Verdicts that do not."""
    broken: int
    """Verdicts that could not be had: errors, and cases that there is no verdict on, as one without an answer."""
    latency: float | None
    """Mean milliseconds of an answer, over all cases."""
    complete: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """What evaluators said of all cases, and how long an answer took: milliseconds, on average."""

    passed: int = 0
    refused: int = 0
    broken: int = 0
    """Verdicts that could not be had."""
    latency: float | None = None


@dataclass(frozen=True, slots=True)
class OutdatedTarget:
    """Whether a target was changed since. None: it is gone."""

    target: Target
    outdated: bool | None


@dataclass(frozen=True, slots=True)
class Outdated:
    """What was changed since an evaluation was made. `dataset`: None: it is gone."""

    dataset: bool | None
    targets: Sequence[OutdatedTarget]

    @property
    def any(self) -> bool:
        """Whether running it again may say something else."""
        return self.dataset is True or any(item.outdated for item in self.targets)
