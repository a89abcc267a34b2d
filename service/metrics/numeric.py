"""Flowise's numeric evaluators."""

import operator
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field, field_validator

from service.errors import Unprocessable
from service.metrics.base import Case, MetricOptions, PlainMetric, Score, not_applicable, scored


class Measure(StrEnum):
    """What is measured, by Flowise's names. Times are in milliseconds."""

    TOTAL_TOKENS = "totalTokens"
    PROMPT_TOKENS = "promptTokens"
    COMPLETION_TOKENS = "completionTokens"
    LATENCY = "apiLatency"
    MODEL = "llm"
    CHAIN = "chain"
    LENGTH = "responseLength"


class Operator(StrEnum):
    """How the measure is held against the value, by Flowise's names."""

    EQUALS = "equals"
    NOT_EQUALS = "notEquals"
    GREATER = "greaterThan"
    LESS = "lessThan"
    GREATER_EQUAL = "greaterThanOrEquals"
    LESS_EQUAL = "lessThanOrEquals"


COMPARE: Mapping[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQUALS: operator.eq,
    Operator.NOT_EQUALS: operator.ne,
    Operator.GREATER: operator.gt,
    Operator.LESS: operator.lt,
    Operator.GREATER_EQUAL: operator.ge,
    Operator.LESS_EQUAL: operator.le,
}


class NumericOptions(MetricOptions):
    """Fields of the evaluator."""

    measure: Measure = Field(description="What is measured")
    operator: Operator = Field(Operator.LESS_EQUAL, description="How it is held against the value")
    value: int = Field(description="A whole number; of a text, the one that it begins with")

    @field_validator("value", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        if isinstance(value, float) and value == value and abs(value) < 1e300:
            return int(value)
        if isinstance(value, str) and "." in value:
            return value.strip().split(".")[0]
        return value


class Numeric(PlainMetric):
    """1 for a pass, 0 for a fail of `measure operator value`. The value is a whole number ("2000.7" counts as 2000);
    the length is that of the trimmed answer in characters.

    Applicable to rows whose measure was taken: what nobody measured is no fail.
    """

    name = "numeric"
    Options = NumericOptions
    options: NumericOptions

    def __init__(self, options: Any = None) -> None:
        """`options` are `NumericOptions`, which have no defaults."""
        if options is None:
            raise Unprocessable("metric 'numeric': measure: Field required")
        super().__init__(options)

    def of(self, case: Case) -> Score:
        value = _measured(case, self.options.measure)
        if value is None:
            return not_applicable(f"'{self.options.measure}' was not measured")
        return scored(float(COMPARE[self.options.operator](value, self.options.value)), measured=value)


def _measured(case: Case, measure: Measure) -> float | None:
    taken = case.taken
    match measure:
        case Measure.TOTAL_TOKENS:
            return taken.total_tokens
        case Measure.PROMPT_TOKENS:
            return taken.input_tokens
        case Measure.COMPLETION_TOKENS:
            return taken.output_tokens
        case Measure.LATENCY:
            return taken.latency
        case Measure.MODEL:
            return taken.model
        case Measure.CHAIN:
            return taken.chain
        case Measure.LENGTH:
            return None if case.answer is None else len(case.answer.strip())
