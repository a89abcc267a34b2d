"""How many tokens an answer takes."""

from enum import StrEnum

from pydantic import Field

from service.metrics.base import Better, Case, MetricOptions, PlainMetric, Score, not_applicable, scored


class Kind(StrEnum):
    """Which tokens count."""

    TOTAL = "total"
    INPUT = "input"
    OUTPUT = "output"


class TokensOptions(MetricOptions):
    """Which tokens count."""

    kind: Kind = Field(Kind.TOTAL, description="Those of prompts, of answers, or both")


class Tokens(PlainMetric):
    """Tokens of all calls of models that the answer took, as providers count them; at least 0.

    Applicable to cases whose tokens were counted: a flow without a model has none.
    """

    name = "tokens"
    better = Better.LOWER
    high = None
    unit = "tokens"
    Options = TokensOptions
    options: TokensOptions

    @property
    def label(self) -> str:
        return self.name if self.options.kind is Kind.TOTAL else f"{self.name}:{self.options.kind}"

    def of(self, case: Case) -> Score:
        taken = case.taken
        count = {Kind.TOTAL: taken.total_tokens, Kind.INPUT: taken.input_tokens, Kind.OUTPUT: taken.output_tokens}
        value = count[self.options.kind]
        return not_applicable("no tokens were counted") if value is None else scored(value)
