"""Whether everything that the expected answer needs was found."""

from service.metrics import prompts
from service.metrics.abstaining import abstains
from service.metrics.base import Case, Lent, Metric, Score, not_applicable, scored
from service.metrics.faithfulness import FaithfulnessOptions
from service.metrics.judging import judged, texts, verdicts


class ContextRecall(Metric):
    """Claims of the expected answer that the passages show / claims of the expected answer, in [0, 1] (Ragas: context
    recall). The judge is asked twice: for the claims, and for a verdict on each. 0 where nothing was found.

    Applicable to rows with an expected answer that claims something, whose flow says what it retrieved.
    """

    name = "contextRecall"
    needs_model = True
    Options = FaithfulnessOptions
    options: FaithfulnessOptions

    async def _score(self, case: Case, lent: Lent) -> Score:
        if case.found is None:
            return not_applicable("the flow does not say what it retrieved")
        expected = next((text for text in case.expected if text.strip()), "")
        if not expected or abstains(expected):
            return not_applicable("the row expects no answer that needs passages")
        if not case.found:
            return scored(0.0)
        stated = await judged(lent, prompts.claims(case.question, expected), lambda value: texts(value, "claims"))
        if not stated:
            return not_applicable("the expected answer claims nothing")
        told = await judged(
            lent,
            prompts.supported(stated, case.found[: self.options.passages]),
            lambda value: verdicts(value, len(stated)),
        )
        missing = [claim for claim, shown in zip(stated, told, strict=True) if not shown]
        return scored(sum(told) / len(told), claims=len(stated), missing=missing)
