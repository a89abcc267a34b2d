"""The models that metrics are lent: the chat model that judges, and the bundled embedder."""

from typing import TYPE_CHECKING

from service.chatflows.graph import Node
from service.errors import Unprocessable
from service.evaluations.types import Judge
from service.plugins import resolve
from service.resources import Resources

if TYPE_CHECKING:
    from service.chatflows.steps.base import ModelStep


def check_judge(resources: Resources, judge: Judge) -> None:
    """Whether a judge can be asked. Raises `UnknownName`, `Unprocessable` naming the field."""
    step_of(resources, judge)


def step_of(resources: Resources, judge: Judge) -> "ModelStep":
    """The step of a chat model, not open yet. Raises as `check_judge`."""
    from service.chatflows.engine import default_model
    from service.chatflows.steps import STEPS
    from service.chatflows.steps.base import BadOption, ModelStep, Step

    if not judge.name:
        step: Step = default_model(resources.settings.chat_model)
    else:
        node = Node("judge", judge.name, "Judge", "", {**judge.inputs, "streaming": False}, "", judge.credential)
        kind: type[Step] = resolve(STEPS, judge.name, "chat model")
        try:
            step = kind.build(node, {})
        except BadOption as error:
            raise Unprocessable(f"judge.inputs.{error}") from None
    if not isinstance(step, ModelStep) or step.quotes:
        raise Unprocessable(f"judge.name: '{judge.name}' is no chat model that writes")
    return step
