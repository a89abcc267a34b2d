"""What a report shows: figures and texts, without anything of how they are kept or drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from service.metrics.base import Better
from service.metrics.stats import Comparison, Summary, Verdict

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """A target of a run, as people name it."""

    label: str
    kind: str
    """`chatflow` or `documentStore`."""
    name: str
    options: str
    """As JSON; empty where it has none."""


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation: what was run, how, when. `letter` tells two runs apart; empty where there is one."""

    id: str
    name: str
    version: int
    letter: str
    dataset: str
    dataset_changed: datetime
    rows: int
    cases: int
    done: int
    failed: int
    state: str
    error: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    targets: Sequence[Asked]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further settings by their names, as text."""


@dataclass(frozen=True, slots=True)
class Column:
    """What is measured: a target of a run. `label` is what tables call it, the run's letter included."""

    run: int
    target: int
    label: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What scores: a metric or an evaluator."""

    label: str
    better: Better
    low: float | None
    high: float | None
    unit: str

    @property
    def is_share(self) -> bool:
        """Whether it lies between 0 and 1, so that it can be drawn beside others."""
        return (self.low, self.high) == (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Series:
    """The values of a measure in a column: a mean of the repeats for each row that has one, in the rows' order."""

    places: Numbers
    """Numbers of the rows, from 1."""
    values: Numbers


@dataclass(frozen=True, slots=True)
class Held:
    """A measure of two columns, held against each other row by row."""

    comparison: Comparison
    p: float | None
    """Corrected for the number of measures; None: no row has a value in both."""
    verdict: Verdict
    """By the corrected p value."""
    steps: Numbers
    """Second less first of each row that both have, ascending."""
    unpaired: int = 0
    """Rows that have a value in one of both at most, or were changed between them."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns that are compared."""

    first: int
    """The place of the column among the report's."""
    second: int
    held: Mapping[str, Held]
    """By the label of the measure."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of a score: its text, and whether it is an error."""

    label: str
    text: str
    failed: bool
    why: str = ""
    """The error, or why it is not applicable."""


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk that was retrieved. `gold`: it holds what should be found."""

    number: int
    source: str
    text: str
    score: str
    gold: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A row put to a target, with what came of it."""

    column: int
    place: int
    """The number of the row, from 1."""
    repeat: int
    """From 1; 0 where rows are not repeated."""
    question: str
    expected: str
    gold: Sequence[str]
    """What should be found, as people name it."""
    missed: Sequence[str]
    """What of it was not."""
    answer: str | None
    error: str
    latency: float | None
    """Milliseconds."""
    marks: Sequence[Mark]
    found: Sequence[Found] | None
    """None: the flow does not say."""
    more: int
    """Chunks that were found besides."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Cases that are worth a look."""

    key: str
    """An anchor."""
    title: str
    note: str
    cases: Sequence[Case]


@dataclass(frozen=True, slots=True)
class Fault:
    """An error, how often it came, and in which columns."""

    reason: str
    count: int
    columns: Sequence[str]
    where: Sequence[str]
    """Labels of the measures that failed so."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that a page shows. Tables are by (column's place, measure's label)."""

    title: str
    written: datetime
    version: str
    """Of the service that wrote it."""
    runs: Sequence[Run]
    columns: Sequence[Column]
    measures: Sequence[Measured]
    summaries: Mapping[tuple[int, str], Summary]
    series: Mapping[tuple[int, str], Series]
    pairs: Sequence[Pair]
    listings: Sequence[Listing]
    faults: Sequence[Fault]
    remarks: Sequence[str] = ()
    """What a reader should know before the figures, such as that a run has not ended."""
