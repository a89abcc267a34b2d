"""What is weighed, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from service.metrics.base import Better
from service.metrics.stats import Comparison, Rows, Summary


@dataclass(frozen=True, slots=True)
class Objective:
    """Something that settings should be good at: a measure of evaluations, by its label."""

    label: str
    better: Better
    unit: str = ""
    median: bool = False
    """The median of all cases counts, as for times; else the mean of the rows."""
    bounds: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Figure:
    """What one objective says of one candidate, and between which values that of all such questions lies; None: the
    rows do not say."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target of an evaluation."""

    evaluation: UUID
    target: int
    """Its place in the evaluation, from 0."""
    label: str
    cases: int
    """With a score, repeats included."""
    failed: int
    """Whose quality is an error."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What was measured of one candidate: the scores of each row, by objective."""

    rows: Mapping[str, Rows]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What is said of one candidate."""

    figures: Mapping[str, Figure]
    """By objective; one that nothing was measured of is not there."""
    quality: Summary
    held: Summary | None
    """The quality of the rows that had no part in the choice; None where none were held back."""
    front: bool
    """No other candidate is as good in everything that is weighed and better in something."""
    against: Comparison | None
    """Paired with the best; None of the best itself, and where the quality of either is not known."""
    p: float | None
    """That of the comparison, corrected for the number of candidates."""
    ties: bool
    """The best one's quality is not better by more than chance may do. True of the best."""


@dataclass(frozen=True, slots=True)
class Front:
    """What is said of all candidates, in their order."""

    objectives: Sequence[Objective]
    """The quality first."""
    left_out: Mapping[str, str]
    """Objectives that are not weighed, and why."""
    candidates: Sequence[Weighed]
    best: int | None
    """The place of the one with the best quality; None: nobody has any."""
    chosen: int | None
    """The place of the one to take: of those on the front that tie with the best, what takes least."""
    rows: int
    """Rows that the choice is made by."""
    held_rows: int
