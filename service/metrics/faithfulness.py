"""Whether the answer keeps to what was found."""

from pydantic import Field

from service.metrics import prompts
from service.metrics.abstaining import abstains
from service.metrics.base import Case, Lent, Metric, MetricOptions, Score, not_applicable, scored
from service.metrics.judging import judged, texts, verdicts


class FaithfulnessOptions(MetricOptions):
    """What the judge reads."""

    passages: int = Field(20, ge=1, le=100, description="Passages that the judge reads, best first")


class Faithfulness(Metric):
    """Claims of the answer that the passages show / claims of the answer, in [0, 1] (Ragas: Es et al. 2023). The judge
    is asked twice: for the claims, and for a verdict on each. Claims of an answer without any passage are shown by
    nothing: 0.

    Applicable to answers that claim something and do not abstain, of flows that say what they retrieved.
    """

    name = "faithfulness"
    needs_model = True
    Options = FaithfulnessOptions
    options: FaithfulnessOptions

    async def _score(self, case: Case, lent: Lent) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        if case.found is None:
            return not_applicable("the flow does not say what it retrieved")
        if abstains(case.answer):
            return not_applicable("the answer abstains")
        stated = await judged(lent, prompts.claims(case.question, case.answer), lambda value: texts(value, "claims"))
        if not stated:
            return not_applicable("the answer claims nothing")
        if not case.found:
            return scored(0.0, claims=len(stated), unsupported=stated)
        told = await judged(
            lent,
            prompts.supported(stated, case.found[: self.options.passages]),
            lambda value: verdicts(value, len(stated)),
        )
        unsupported = [claim for claim, shown in zip(stated, told, strict=True) if not shown]
        return scored(sum(told) / len(told), claims=len(stated), unsupported=unsupported)
