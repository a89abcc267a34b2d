"""Where an agentflow begins: with a message, a form, a webhook's call, or by a schedule."""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.state import Moment
from service.agentflows.templates import Found, Template, Update, changes, within
from service.agentflows.types import Done
from service.chatflows.types import StepEvent

INPUTS = ("chatInput", "formInput", "webhookTrigger", "scheduleInput")


class Start(FlowNode):
    """Begins the flow and sets its state."""

    label = "Start"

    def read(self, maker: Maker) -> None:
        """How the flow begins, and with which state."""
        self.input = self.choice("startInputType", INPUTS)
        self.updates = Update.read(self.node.inputs.get("startState"))
        self._forgets = self.flag("startEphemeralMemory")
        self._persists = self.flag("startPersistState")

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """The state as the node sets it, with what the session's last run left where it persists."""
        run = moment.run
        state = changes(self.updates, moment, moment.asked)
        if self._persists and run.last is not None:
            state |= run.last.state
        output: dict[str, Any] = {}
        if moment.form is not None:
            output["form"] = dict(moment.form)
        if moment.webhook is not None:
            output["webhook"] = dict(moment.webhook)
        if moment.question or not output:
            output["question"] = moment.question
        if self._forgets:
            output["ephemeralMemory"] = True
        yield Done(output=output, input={"startInputType": self.input}, changes=state, forgets=self._forgets)


@dataclass(frozen=True, slots=True)
class _Call:
    """What the call of a webhook holds, by `$webhook`."""

    webhook: Mapping[str, Any]

    def find(self, name: str) -> Found | None:
        """Nothing else is known yet."""
        return Found(within(self.webhook, name.removeprefix("$webhook."))) if name.startswith("$webhook.") else None


def asked_by(webhook: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """What a webhook's call asks, by the start node's fields: a text of the node's, all of the call, or nothing."""
    match inputs.get("webhookInputMode") or "text":
        case "text":
            return Template.parse(inputs.get("webhookDefaultInput") or "").text(_Call(webhook))
        case "payload":
            return json.dumps(webhook, ensure_ascii=False, default=str)
    return ""
