"""Flowise's text evaluators."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from service.errors import Unprocessable
from service.metrics.base import Case, MetricOptions, PlainMetric, Score, not_applicable, scored


class Operator(StrEnum):
    """How the answer is held against the value, by Flowise's names."""

    CONTAINS_ANY = "ContainsAny"
    CONTAINS_ALL = "ContainsAll"
    CONTAINS_NONE = "DoesNotContainAny"
    CONTAINS_NOT_ALL = "DoesNotContainAll"
    STARTS = "StartsWith"
    STARTS_NOT = "NotStartsWith"


class TextOptions(MetricOptions):
    """Fields of the evaluator."""

    operator: Operator = Field(Operator.CONTAINS_ANY, description="How the answer is held against the value")
    value: str = Field(max_length=50_000, description="Texts, separated by commas; one for those of the beginning")


class Text(PlainMetric):
    """1 for a pass, 0 for a fail. Both sides in lower case, trimmed. Of the texts between the commas: `ContainsAny`
    passes when one stands in the answer, `ContainsAll` when all do, `DoesNotContainAny` when none does,
    `DoesNotContainAll` when one is missing; `StartsWith` and `NotStartsWith` take the value as one text. Blank texts
    between commas do not count.

    Applicable to rows that were answered.
    """

    name = "text"
    Options = TextOptions
    options: TextOptions

    def __init__(self, options: Any = None) -> None:
        """`options` are `TextOptions`. Raises `Unprocessable` for a value without any text."""
        if options is None or not options.value.replace(",", " ").strip():
            raise Unprocessable("metric 'text': value: names no text")
        super().__init__(options)

    def of(self, case: Case) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        return scored(float(self._passes(case.answer.lower().strip())))

    def _passes(self, answer: str) -> bool:
        value = self.options.value.lower().strip()
        held = [part.strip() in answer for part in value.split(",") if part.strip()]
        match self.options.operator:
            case Operator.CONTAINS_ANY:
                return any(held)
            case Operator.CONTAINS_ALL:
                return all(held)
            case Operator.CONTAINS_NONE:
                return not any(held)
            case Operator.CONTAINS_NOT_ALL:
                return not all(held)
            case Operator.STARTS:
                return answer.startswith(value)
            case Operator.STARTS_NOT:
                return not answer.startswith(value)
