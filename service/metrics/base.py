"""The port of metrics: what is held against what (`Case`), and what comes of it (`Score`).

A metric is made once from its options, keeps nothing of a case, and may be asked for many at once. It does no I/O but
through what it is `Lent`: a chat model that judges, an embedder.

"Applicable" means that a case has what the formula needs. A row without gold sources says nothing about retrieval: its
score is *not applicable*, which is neither 0 nor part of a mean. A judge or a provider that fails is an *error* with
its text, counted beside the mean. No score is ever NaN, and no failure is ever a pass.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from service.errors import ServiceError
from service.retrieval.base import Ask

Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]
"""Vectors of texts, a row each, in their order. Raises `ProviderError`."""

LONGEST_ERROR = 500
"""Characters of an error that are kept."""


class GoldKind(StrEnum):
    """How a gold source is named."""

    SOURCE = "source"
    """The name of a file or page, as chunks carry it."""
    DOCUMENT = "document"
    """The id of a document."""
    CHUNK = "chunk"
    """The id of a chunk."""
    QUOTE = "quote"
    """Text that must stand in a chunk."""


@dataclass(frozen=True, slots=True)
class Gold:
    """Something that should be found. `grade` says how much it matters, above 0; 1 where nobody graded."""

    kind: GoldKind
    value: str
    grade: float = 1.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found. Empty texts stand for what is not known of it; `number` is what answers cite it by."""

    text: str
    chunk_id: str = ""
    document_id: str = ""
    sources: tuple[str, ...] = ()
    """Names of where it comes from: file, page, title."""
    number: int | None = None
    """None: its place among those found, from 1."""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What an answer took. None: nobody measured. Times are in milliseconds, cost in the currency of the prices."""

    latency: float | None = None
    """From the call to the whole answer."""
    first_token: float | None = None
    model: float | None = None
    """The share of chat models in `latency`."""
    chain: float | None = None
    """The share of the flow without its edges."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None

    @property
    def total_tokens(self) -> int | None:
        """Both; None unless both were counted."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Case:
    """A row of a dataset with what became of it in one run."""

    question: str
    expected: tuple[str, ...] = ()
    """Answers that are right, each for itself; none: nobody said. The first is the one that judges are shown."""
    gold: tuple[Gold, ...] = ()
    answerable: bool | None = None
    """Whether the knowledge base holds the answer; None: it is told from `expected`, see `abstention`."""
    answer: str | None = None
    """None: nothing was asked for but passages."""
    found: tuple[Passage, ...] | None = None
    """What was retrieved, best first; None: the flow does not say, which is not the same as nothing."""
    taken: Taken = field(default_factory=Taken)
    failure: str = ""
    """Why the flow or the search failed; every score of the case is then this error."""


class Outcome(StrEnum):
    """What came of scoring a case."""

    VALUE = "value"
    NOT_APPLICABLE = "notApplicable"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Score:
    """A finite value, or why there is none. Make one by `scored`, `not_applicable` or `failed`."""

    outcome: Outcome
    value: float | None = None
    reason: str = ""
    """Why it is not applicable, or what failed."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the value is made of, fit for JSON."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for a score that is neither a finite value nor says why there is none."""
        if (self.outcome is Outcome.VALUE) is not (self.value is not None and math.isfinite(self.value)):
            raise ValueError(f"a score of {self.outcome} with the value {self.value}")
        if (self.outcome is Outcome.VALUE) is bool(self.reason):
            raise ValueError(f"a score of {self.outcome} with the reason '{self.reason}'")

    @property
    def error(self) -> str:
        """What failed; empty where nothing did."""
        return self.reason if self.outcome is Outcome.ERROR else ""

    def as_json(self) -> dict[str, Any]:
        """Its own words for JSON: `value`, `notApplicable` or `error`, and `details` where there are any."""
        said = self.value if self.outcome is Outcome.VALUE else self.reason
        return {str(self.outcome): said, **({"details": dict(self.details)} if self.details else {})}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Score":
        """The score that `as_json` wrote. Raises `ValueError` for anything else."""
        named = [outcome for outcome in Outcome if outcome in kept]
        if len(named) != 1:
            raise ValueError(f"not a score: {str(kept)[:200]}")
        said, details = kept[named[0]], kept.get("details") or {}
        if named[0] is Outcome.VALUE:
            return cls(named[0], float(said), details=details)
        return cls(named[0], reason=str(said), details=details)


def scored(value: float, **details: Any) -> Score:
    """A value. Raises `ValueError` when it is not finite."""
    return Score(Outcome.VALUE, float(value), details=details)


def not_applicable(reason: str, **details: Any) -> Score:
    """The case lacks what the formula needs."""
    return Score(Outcome.NOT_APPLICABLE, reason=reason, details=details)


def failed(error: str, **details: Any) -> Score:
    """Something failed that is no fault of the case: counted, never averaged."""
    return Score(Outcome.ERROR, reason=error.strip()[:LONGEST_ERROR] or "failed without a word", details=details)


class Unjudged(Exception):
    """A judge or an embedder was asked, and what came back cannot be used. The message says why."""


@dataclass(frozen=True, slots=True)
class Lent:
    """What metrics may use besides the case."""

    ask: Ask | None = None
    """The chat model that judges."""
    embed: Embed | None = None

    @property
    def judge(self) -> Ask:
        """The chat model. Raises `Unjudged` where there is none."""
        if self.ask is None:
            raise Unjudged("this metric needs a chat model, and none is configured for the run")
        return self.ask

    async def vectors(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Unit vectors of texts, a row each. Raises `Unjudged` without an embedder, and for vectors that are of the
        wrong count, not finite or zero."""
        if self.embed is None:
            raise Unjudged("this metric needs an embedder, and none is configured for the run")
        rows = np.asarray(await self.embed(texts), np.float64)
        if rows.ndim != 2 or len(rows) != len(texts):
            raise Unjudged(f"the embedder gave {len(rows) if rows.ndim else 0} vectors for {len(texts)} texts")
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise Unjudged("the embedder gave a vector that is zero or not finite")
        return np.asarray(rows / lengths)


NOTHING_LENT = Lent()
"""Enough for metrics without a model."""


class Better(StrEnum):
    """Which way a metric should go."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


class MetricOptions(BaseModel):
    """Base of options: camelCase names, nothing unknown."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Metric(ABC):
    """A formula over a case. Its class docstring says formula, source, range, and what makes a case applicable."""

    name: ClassVar[str]
    """Its row in the table."""
    better: ClassVar[Better] = Better.HIGHER
    low: ClassVar[float | None] = 0.0
    """The least value there can be; None: no bound."""
    high: ClassVar[float | None] = 1.0
    unit: ClassVar[str] = ""
    """What the value counts; empty for shares."""
    quantiles: ClassVar[tuple[float, ...]] = ()
    """What is told of a run besides the mean: 0.95 is the value that 95 % of the cases stay below."""
    needs_model: ClassVar[bool] = False
    needs_embedder: ClassVar[bool] = False
    Options: ClassVar[type[MetricOptions]] = MetricOptions

    def __init__(self, options: Any = None) -> None:
        """`options` are this class's `Options`; None takes the defaults. Raises `Unprocessable` for options that
        cannot be used together."""
        self.options = self.Options() if options is None else options

    @property
    def label(self) -> str:
        """How reports and thresholds name it, options that matter included: `recall@5`."""
        return self.name

    @final
    async def score(self, case: Case, lent: Lent = NOTHING_LENT) -> Score:
        """What the case is worth. Failures of the case and of what is lent become errors; cancelling comes through."""
        if case.failure:
            return failed(case.failure)
        try:
            return await self._score(case, lent)
        except ServiceError as error:
            return failed(error.message)
        except (Unjudged, TimeoutError, OSError) as error:
            return failed(str(error) or type(error).__name__)

    @abstractmethod
    async def _score(self, case: Case, lent: Lent) -> Score:
        """As `score`. May raise `ServiceError`, `Unjudged`, `TimeoutError` and `OSError` of what is lent."""


class PlainMetric(Metric):
    """A metric that needs nothing but the case."""

    async def _score(self, case: Case, lent: Lent) -> Score:
        return self.of(case)

    @abstractmethod
    def of(self, case: Case) -> Score:
        """What the case is worth."""
