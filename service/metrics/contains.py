"""Whether phrases stand in the answer."""

from enum import StrEnum

from pydantic import Field

from service.metrics.base import Case, MetricOptions, PlainMetric, Score, not_applicable, scored
from service.metrics.gold import folded


class Mode(StrEnum):
    """How many of the phrases must be there."""

    ANY = "any"
    ALL = "all"


class ContainsOptions(MetricOptions):
    """Which phrases, and how many of them."""

    phrases: tuple[str, ...] = Field((), max_length=1000, description="Empty: the expected answers of the row")
    mode: Mode = Field(Mode.ANY, description="Whether one of them will do")


class Contains(PlainMetric):
    """1 when any (or all) of the phrases stand in the answer, else 0; case, blanks and Unicode's compatibility forms do
    not matter.

    Applicable to rows that were answered, with an expected answer unless the options name phrases.
    """

    name = "contains"
    Options = ContainsOptions
    options: ContainsOptions

    def of(self, case: Case) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        phrases = [phrase for phrase in self.options.phrases or case.expected if folded(phrase)]
        if not phrases:
            return not_applicable("the row has no expected answer, and no phrases are named")
        text = folded(case.answer)
        missing = [phrase for phrase in phrases if folded(phrase) not in text]
        holds = len(missing) < len(phrases) if self.options.mode is Mode.ANY else not missing
        return scored(float(holds), missing=missing)
