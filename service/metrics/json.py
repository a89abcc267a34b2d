"""Flowise's JSON evaluators."""

from enum import StrEnum

from pydantic import Field

from service.json_text import parsed
from service.metrics.base import Case, MetricOptions, PlainMetric, Score, not_applicable, scored


class Operator(StrEnum):
    """What the answer should be, by Flowise's names."""

    VALID = "IsValidJSON"
    INVALID = "IsNotValidJSON"


class JsonOptions(MetricOptions):
    """Fields of the evaluator."""

    operator: Operator = Field(Operator.VALID, description="Whether the answer should be JSON")


class Json(PlainMetric):
    """1 for a pass, 0 for a fail: whether the whole answer, trimmed and in lower case, is JSON (RFC 8259), or is not.

    Applicable to rows that were answered.
    """

    name = "json"
    Options = JsonOptions
    options: JsonOptions

    def of(self, case: Case) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        try:
            parsed(case.answer.lower().strip())
            valid = True
        except ValueError:
            valid = False
        return scored(float(valid is (self.options.operator is Operator.VALID)))
