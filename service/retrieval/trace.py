"""Why these chunks: what each stage of one query was given, found, cut and took, for people who ask.

A query that nobody wants explained carries `SILENT`, which keeps nothing.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from service.document_stores.ledger.types import ChunkRow

Fact = str | int | float | bool | None | Sequence[str]


class Scored(Protocol):
    """A chunk with a score, as searches and stages hand it on."""

    @property
    def number(self) -> int:
        """Its number in the indexes."""
        ...

    @property
    def score(self) -> float:
        """In [-1, 1], higher is better."""
        ...

    @property
    def parts(self) -> Mapping[str, float]:
        """Of what the score is made."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that a stage handed on."""

    number: int
    score: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cut:
    """A chunk that a stage left out, with the score it came with and the reason."""

    number: int
    score: float
    reason: str


class Notes:
    """Takes down what one stage does. This one forgets it at once."""

    def fact(self, name: str, value: Fact) -> None:
        """Something about the stage as a whole: a weight, a language, a model that was asked."""

    def cut(self, number: int, reason: str) -> None:
        """Why the stage leaves a chunk out."""

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Take the time of a part of the stage, in milliseconds; several of one name are added up."""
        yield

    def asked(self, questions: Iterable[str]) -> None:
        """The questions that are searched for from here on."""

    def handed(self, before: Iterable[Scored], after: Sequence[Scored], reason: str = "") -> None:
        """What the stage was given and what it hands on; `reason` why others are left out that nothing was said of."""


SILENT = Notes()
"""For queries that nobody wants explained."""


@dataclass(slots=True)
class StageTrace(Notes):
    """What one stage did."""

    name: str
    milliseconds: float = 0.0
    questions: list[str] = field(default_factory=list)
    """Those that the stage left to be searched for, or searched for."""
    candidates: list[Candidate] = field(default_factory=list)
    """What it handed on, best first."""
    left_out: list[Cut] = field(default_factory=list)
    facts: dict[str, Fact] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    """Milliseconds of its parts; they may overlap, as parts work at once."""
    reasons: dict[int, str] = field(default_factory=dict)

    def fact(self, name: str, value: Fact) -> None:
        self.facts[name] = value

    def cut(self, number: int, reason: str) -> None:
        self.reasons[number] = reason

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.times[name] = self.times.get(name, 0.0) + (time.perf_counter() - begun) * 1000

    def asked(self, questions: Iterable[str]) -> None:
        self.questions = list(questions)

    def handed(self, before: Iterable[Scored], after: Sequence[Scored], reason: str = "") -> None:
        self.candidates = [Candidate(item.number, item.score, dict(item.parts)) for item in after]
        kept = {item.number for item in after}
        self.left_out = [
            Cut(item.number, item.score, self.reasons.get(item.number, reason))
            for item in before
            if item.number not in kept
        ]


@dataclass(slots=True)
class Trace:
    """What the stages of one query did, in their order."""

    stages: list[StageTrace] = field(default_factory=list)
    chunks: dict[int, ChunkRow] = field(default_factory=dict)
    """Who the numbers are, as far as they may be shown."""

    @contextmanager
    def stage(self, name: str) -> Iterator[Notes]:
        """The notes of the next stage; its time ends with the context."""
        notes = StageTrace(name)
        self.stages.append(notes)
        begun = time.perf_counter()
        try:
            yield notes
        finally:
            notes.milliseconds = (time.perf_counter() - begun) * 1000
