"""Runs a function in JavaScript, apart from the service."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any
from uuid import UUID

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.state import Moment
from service.agentflows.templates import Template, changes, shown
from service.agentflows.types import BadValue, Done
from service.chatflows.run import Backing
from service.chatflows.types import FlowNotRunnable, Problem, ProblemKind, StepEvent
from service.errors import Unprocessable
from service.javascript.types import OFF


class CustomFunction(FlowNode):
    """Runs a function in JavaScript on values of the flow."""

    label = "Custom Function"
    foreign = "result of a function"

    def read(self, maker: Maker) -> None:
        """The function and its values."""
        self._code = self.text("customFunctionJavascriptFunction")
        if not self._code.strip():
            maker.problem("customFunctionJavascriptFunction: there is no function")
        self._given = {
            str(row.get("variableName")).strip().removeprefix("$"): Template.parse(row.get("variableValue"))
            for row in self.rows("customFunctionInputVariables")
            if str(row.get("variableName") or "").strip()
        }
        self.updates = self.state("customFunctionUpdateState")

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Refuses the node where the operator has not switched JavaScript on."""
        if backing.script is None:
            text = f"{self.title}: {OFF}"
            raise FlowNotRunnable(text, [Problem(self.node.id, text, ProblemKind.SETTING)])

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """What the function returns. Raises `BadValue` with the script's error."""
        script = moment.run.backing.script
        assert script is not None, "prepare() has checked that"
        given = {name: template.value(moment) for name, template in self._given.items()}
        try:
            value = await script(self._code, values_of(moment, given))
        except Unprocessable as error:
            raise BadValue(f"{self.title}: {error.message}") from error
        text = shown(value)
        yield Done(
            text=text,
            output={"content": value if isinstance(value, str) else text, "value": value},
            input={"inputVariables": given, "code": self._code},
            changes=changes(self.updates, moment, value),
        )


def values_of(moment: Moment, given: Mapping[str, Any]) -> dict[str, Any]:
    """The globals of a script: the node's own as `$name`, and `$flow`, `$vars`, `$input`."""
    run = moment.run
    flow = {
        "chatflowId": str(run.chatflow or ""),
        "sessionId": run.session,
        "chatId": run.chat,
        "input": moment.asked,
        "state": dict(moment.state),
        "form": dict(moment.form or {}),
    }
    known = {"$flow": flow, "$vars": dict(run.variables), "$input": moment.asked}
    if moment.webhook is not None:
        known["$webhook"] = dict(moment.webhook)
    return {**{f"${name}": value for name, value in given.items()}, **known}
