"""Whether what helps was found first."""

from pydantic import Field

from service.metrics import prompts
from service.metrics.base import Case, Lent, Metric, Score, not_applicable, scored
from service.metrics.gold import DepthOptions
from service.metrics.judging import judged, verdicts
from service.metrics.ranking import average_precision


class ContextPrecisionOptions(DepthOptions):
    """How far down is looked."""

    k: int = Field(10, ge=1, le=50, description="Passages that the judge reads, best first")


class ContextPrecision(Metric):
    """sum over the first k passages of (precision down to it x whether it was useful) / useful ones among them, in
    [0, 1] (Ragas: context precision with a reference). Useful: a judge says that the expected answer rests on it; all
    passages are judged in one call. 0 where none was useful, and where nothing was found.

    Applicable to rows with an expected answer whose flow says what it retrieved.
    """

    name = "contextPrecision"
    needs_model = True
    Options = ContextPrecisionOptions
    options: ContextPrecisionOptions

    @property
    def label(self) -> str:
        return f"{self.name}@{self.options.k}"

    async def _score(self, case: Case, lent: Lent) -> Score:
        if case.found is None:
            return not_applicable("the flow does not say what it retrieved")
        expected = next((text for text in case.expected if text.strip()), "")
        if not expected:
            return not_applicable("the row has no expected answer")
        passages = case.found[: self.options.k]
        if not passages:
            return scored(0.0, useful=[])
        told = await judged(
            lent, prompts.useful(case.question, expected, passages), lambda value: verdicts(value, len(passages))
        )
        return scored(average_precision(told), useful=told)
