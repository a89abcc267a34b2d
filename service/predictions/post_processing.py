"""A function of the flow's owner that works on every answer: `chatbotConfig.postProcessing = {enabled,
customFunction}` (contract 4.2). It is JavaScript, and runs where all JavaScript of users runs: apart from the service
(`Backing.script`). A flow that has one is not streamed, as nobody may see what it has not worked on."""

import json
from collections.abc import Mapping
from typing import Any

from service.chatflows.run import Run, Script
from service.chatflows.types import FlowNotRunnable, Role
from service.predictions.showing import source_document, used_tool
from service.predictions.text import clean
from service.predictions.written import Written

NO_SCRIPT = (
    "chatbotConfig.postProcessing: needs JavaScript, which the operator of this service has not switched on; turn"
    " post-processing off, or ask for it"
)


def function_of(config: Mapping[str, Any]) -> str:
    """The function in a chatbotConfig; empty where post-processing is off. Raises `FlowNotRunnable`."""
    said = config.get("postProcessing")
    if not isinstance(said, Mapping) or said.get("enabled") is not True:
        return ""
    code = said.get("customFunction")
    if isinstance(code, str) and code[:1] == '"':  # Flowise keeps it as JSON text
        try:
            code = json.loads(code)
        except (ValueError, RecursionError):
            raise FlowNotRunnable("chatbotConfig.postProcessing.customFunction: is not JSON text") from None
    if not isinstance(code, str) or not code.strip():
        return ""
    return code


def check(code: str, script: Script | None) -> None:
    """Refuse a flow whose function cannot be run. Raises `FlowNotRunnable`."""
    if code and script is None:
        raise FlowNotRunnable(NO_SCRIPT)


async def process(code: str, run: Run, written: Written) -> str:
    """The text that the function makes of an answer. Raises `Unprocessable` with the script's error."""
    assert run.backing.script is not None, "check() has looked"
    raw = written.answer
    turns = [{"role": turn.role.value, "content": turn.text} for turn in run.history]
    turns += [{"role": Role.USER.value, "content": run.question}, {"role": Role.MODEL.value, "content": raw}]
    flow = {
        "chatflowId": str(run.chatflow),
        "chatId": run.chat,
        "sessionId": run.session,
        "input": run.question,
        "rawOutput": raw,
        "chatHistory": turns,
        "sourceDocuments": [source_document(item) for item in written.sources or ()],
        "usedTools": [used_tool(item) for item in written.tools or ()],
        "artifacts": list(written.artifacts or ()),
    }
    made = await run.backing.script(code, {"$flow": flow, "$vars": dict(run.variables), "$input": run.question})
    return clean(made if isinstance(made, str) else json.dumps(made, ensure_ascii=False, default=str))
