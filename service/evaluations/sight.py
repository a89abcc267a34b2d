"""Who may ask document stores in evaluations, and read what they found."""

from service.errors import Forbidden
from service.evaluations.types import Evaluation, Plan, Target, TargetKind, Wish
from service.http.access import Caller
from service.viewers import READS_EVERYTHING, believed


class NotForYou(Forbidden):
    """Passages of documents that this caller may not read."""

    code = "passages_not_shown"


def check_asker(caller: Caller, asked_for: Wish | Plan) -> None:
    """Results show what document stores hold, to whomever their options name: who asks them must be able to read them
    anyway. Raises `Forbidden`."""
    if any(item.kind is TargetKind.STORE for item in asked_for.targets) and not believed(caller):
        raise Forbidden(f"This key lacks the permission {_ENOUGH}.")


def check_reader(caller: Caller, *evaluations: Evaluation) -> None:
    """Passages that were found for somebody in particular are for those alone who may read every document. Raises
    `NotForYou`."""
    for evaluation in evaluations:
        if any(_for_somebody(item) for item in evaluation.plan.targets) and not believed(caller):
            raise NotForYou(
                f"The evaluation asked in the name of somebody: its results need the permission {_ENOUGH} too."
            )


def _for_somebody(target: Target) -> bool:
    return target.kind is TargetKind.STORE and bool(target.options.get("principals"))


_ENOUGH = " or ".join(sorted(READS_EVERYTHING))
