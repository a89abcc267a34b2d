"""How long an answer is."""

from enum import StrEnum

from pydantic import Field

from service.metrics.base import Better, Case, MetricOptions, PlainMetric, Score, not_applicable, scored
from service.metrics.wording import rouge_tokens, without_markers


class Unit(StrEnum):
    """What is counted."""

    CHARACTERS = "characters"
    WORDS = "words"


class LengthOptions(MetricOptions):
    """What is counted."""

    unit: Unit = Field(Unit.CHARACTERS, description="Characters of the whole answer, or words without source numbers")


class Length(PlainMetric):
    """Characters of the answer (blanks around it aside), or its words; at least 0. Neither long nor short is better.

    Applicable to rows that were answered.
    """

    name = "length"
    better = Better.NEITHER
    high = None
    unit = "characters or words"
    Options = LengthOptions
    options: LengthOptions

    @property
    def label(self) -> str:
        return self.name if self.options.unit is Unit.CHARACTERS else f"{self.name}:{self.options.unit}"

    def of(self, case: Case) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        if self.options.unit is Unit.WORDS:
            return scored(len(rouge_tokens(without_markers(case.answer))))
        return scored(len(case.answer.strip()))
