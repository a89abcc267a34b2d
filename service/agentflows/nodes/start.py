"""Where an agentflow begins: with a message, a form, a webhook's call, or by a schedule."""

import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.state import Moment
from service.agentflows.templates import Found, Template, changes, within
from service.agentflows.types import Done, FormWanted
from service.chatflows.types import StepEvent

FORM = "formInput"
INPUTS = ("chatInput", FORM, "webhookTrigger", "scheduleInput")


class Start(FlowNode):
    """Begins the flow and sets its state."""

    label = "Start"

    def read(self, maker: Maker) -> None:
        """How the flow begins, and with which state."""
        self.input = self.choice("startInputType", INPUTS)
        self.fields = tuple(_fields(self.rows("formInputTypes"))) if self.input == FORM else ()
        """Of its form: what each is called in `form`, and what people read."""
        self.updates = self.state("startState")
        self._forgets = self.flag("startEphemeralMemory")
        self._persists = self.flag("startPersistState")

    def check(self, form: Mapping[str, Any] | None) -> None:
        """Raises `FormWanted`, which names the fields, where the flow has a form and nothing of it has come: its places
        would be empty."""
        if not self.fields or any(name in (form or {}) for name, _ in self.fields):
            return
        told = ", ".join(name if label in ("", name) else f"{name} ({label})" for name, label in self.fields)
        raise FormWanted(f"form: this flow starts with a form: send the values of its fields as `form`: {told}")

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


def _fields(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for row in rows:
        name = str(row.get("name") or "").strip()
        if name:
            yield name, str(row.get("label") or "").strip()


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
