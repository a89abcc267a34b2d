"""The models that metrics are lent: the chat model that judges, and the bundled embedder."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.types import Usage
from service.errors import Unprocessable
from service.evaluations.patience import Patience
from service.evaluations.types import Attempt, Judge
from service.metrics.base import Lent
from service.plugins import resolve
from service.predictions.backing import backing
from service.predictions.events import Spent
from service.resources import Resources
from service.retrieval.base import Ask, Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


@dataclass(frozen=True, slots=True)
class Lender:
    """What the metrics of one evaluation are lent."""

    resources: Resources
    workspace: UUID
    patience: Patience
    """With the judge."""
    step: "ModelStep | None"
    """The judge; None: nobody judges."""

    def to_case(self, attempts: list[Attempt], spent: list[Usage]) -> Lent:
        """What one case is lent. What the judge refused is added to `attempts`, what it took to `spent`."""
        return Lent(None if self.step is None else self._ask(self.step, attempts, spent), self._embed)

    def _ask(self, step: "ModelStep", attempts: list[Attempt], spent: list[Usage]) -> Ask:
        run = Run(self.workspace, None, "", "", "", (), backing(self.resources), whole=True, spent=spent, kept=False)
        write = step.ask(run)

        async def ask(messages: Sequence[Message]) -> str:
            return await self.patience.call(lambda: write(messages), attempts, "judge: ")

        return ask

    async def _embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        embedder = await self.resources.embedders.get()
        return await embedder.embed_array(list(texts), urgent=True)


@asynccontextmanager
async def lender(
    resources: Resources, workspace: UUID, judge: Judge | None, patience: Patience
) -> AsyncIterator[Lender]:
    """The lender of an evaluation, its judge open. Raises `ServiceError` when the judge cannot be opened: its
    credential is gone, or its library is not there."""
    if judge is None:
        yield Lender(resources, workspace, patience, None)
        return
    step = step_of(resources, judge)
    try:
        await step.prepare(workspace, backing(resources))
        yield Lender(resources, workspace, patience, step)
    finally:
        await step.close()


def judged_shown(spent: Sequence[Usage], resources: Resources) -> dict[str, Any]:
    """What the judge took for one case."""
    return Spent.of(spent, resources.settings.prices).shown(full=True)
