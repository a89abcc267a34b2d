"""What scripts of nodes are given, and the refusal where the operator has not switched JavaScript on."""

import json
from collections.abc import Mapping
from typing import Any

from service.chatflows.run import Backing, Run
from service.chatflows.steps.base import Step
from service.chatflows.types import FlowNotRunnable, Problem, ProblemKind
from service.javascript.types import OFF


def need_script(step: Step, backing: Backing) -> None:
    """Raises `FlowNotRunnable`, naming the node and the setting, where no JavaScript is run."""
    if backing.script is None:
        text = f"{step.title}: {OFF}"
        raise FlowNotRunnable(text, [Problem(step.node.id, text, ProblemKind.SETTING)])


def values(run: Run, given: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The globals of a script: `$flow`, `$vars`, and each of what is given by its name behind a `$`."""
    flow = {
        "chatflowId": str(run.chatflow or ""),
        "sessionId": run.session,
        "chatId": run.chat,
        "input": run.question,
        "state": dict(state or {}),
    }
    named = {name if name.startswith("$") else f"${name}": value for name, value in given.items()}
    return {"$input": run.question, **named, "$flow": flow, "$vars": dict(run.variables)}


def as_text(value: Any) -> str:
    """What a script returned, as text: objects as JSON, nothing as an empty text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
