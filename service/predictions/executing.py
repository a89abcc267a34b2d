"""Runs of agentflows are written down: which call begins an execution, and which one answers one that waits."""

from uuid import UUID

from service.agentflows.flow import AgentFlow
from service.chatflows import graph as graphs
from service.chatflows import service as chatflows
from service.chatflows.cache import KnownFlow
from service.chatflows.flow import Flow
from service.chatflows.run import Run
from service.chatflows.types import BrokenGraph, Chatflow, Decision, FlowType
from service.errors import Unauthorized
from service.executions import service as executions
from service.executions.service import Recording
from service.executions.types import Answer
from service.predictions.types import ChatType, Occasion, Question
from service.resources import Resources

SCHEDULE = "schedule"
"""Whose the runs are that a clock starts: whoever has a key of the workspace may answer them."""


START, WEBHOOK, CLOCK = "startAgentflow", "webhookTrigger", "scheduleInput"

KEY = "key:"
"""What the names of callers begin with who hold a key of the workspace."""


class OnlySigned(Unauthorized):
    """This flow is started by signed calls of its webhook."""

    code = "only_signed"


class OnlyByClock(Unauthorized):
    """This flow is started by a clock, and by whoever has a key of its workspace."""

    code = "only_by_clock"


async def _check_open(resources: Resources, flow: Chatflow) -> None:
    """What a clock starts is nothing that visitors may start, however they come by the flow's id, and a webhook that a
    secret closes is closed to them on every way. Raises `OnlyByClock`, `OnlySigned`."""
    try:
        nodes = graphs.parse(flow.flow_data).nodes.values()
    except BrokenGraph:
        return  # the flow's failure is told by whoever runs it
    inputs = next((node.inputs for node in nodes if node.name == START), {})
    if inputs.get("startInputType") == CLOCK:
        raise OnlyByClock
    if inputs.get("startInputType") != WEBHOOK:
        return
    now = await chatflows.get(resources.database, flow.workspace, flow.id)
    if now.webhook_secret_configured or inputs.get("webhookEnableAuth") is True:
        raise OnlySigned


async def recorded(
    resources: Resources,
    flow: Chatflow,
    compiled: Flow,
    run: Run,
    question: Question,
    kind: ChatType,
    *,
    keeps: bool,
    member: UUID | None,
    occasion: Occasion | None,
) -> tuple[Run, Recording | None]:
    """The run as it is to be run, and what writes it down; None for what is no agentflow.

    Raises `NothingWaits`, `AlreadyAnswered`, `AnotherNodeWaits`, `SeveralWait`, `OnlySigned`, `OnlyByClock`,
    `FormWanted`, and `BegunBefore` for an occasion that was taken."""
    if flow.type is not FlowType.AGENTFLOW and not isinstance(compiled, AgentFlow):
        return run, None
    if member is None and occasion is None and not run.caller.startswith(KEY):
        await _check_open(resources, flow)
    return await executions.begin(
        resources.database,
        run,
        caller=run.caller,
        kind=kind.value,
        answer=answer_of(question, member if occasion is None else None),
        execution=occasion.execution if occasion else None,
        once=occasion.once if occasion else None,
        kept=keeps,
        remembers=isinstance(compiled, AgentFlow) and compiled.remembers,
        admit=compiled.admit if isinstance(compiled, AgentFlow) else None,
    )


async def recorded_within(
    resources: Resources, known: KnownFlow, compiled: Flow, run: Run, parent: UUID | None, *, keeps: bool
) -> tuple[Run, Recording | None]:
    """`recorded`, of a flow that another flow calls; `parent` is the execution of that one. Raises `FormWanted`."""
    if not isinstance(compiled, AgentFlow):
        return run, None
    return await executions.begin(
        resources.database,
        run,
        caller=run.caller,
        kind=ChatType.INTERNAL.value,
        kept=keeps,
        remembers=compiled.remembers,
        admit=compiled.admit,
        parent=parent,
    )


def answer_of(question: Question, member: UUID | None) -> Answer | None:
    """What the call says to a run that waits, if it does: by `humanInput`, or as the answer to an action, whose label
    for a yes is the question then (contract 1.1)."""
    callers = frozenset() if member is None else frozenset({SCHEDULE})
    if question.human is not None:
        human = question.human
        return Answer(human.decision is Decision.PROCEED, human.node, human.feedback, callers=callers)
    if not question.action or not question.action.get("id"):
        return None
    labels = question.action.get("mapping")
    yes, no = (labels.get("approve"), labels.get("reject")) if isinstance(labels, dict) else (None, None)
    feedback = "" if question.text in (yes, no) else question.text
    return Answer(question.text == yes, feedback=feedback, action=str(question.action["id"]), callers=callers)


def said(run: Run, question: str) -> str:
    """What the user said, as messages keep it: the question, else the form, else the answer to a run that waited."""
    if question:
        return question
    if run.human is not None:
        return run.human.feedback or run.human.decision.value.capitalize()
    return "\n".join(f"{name}: {value}" for name, value in (run.form or {}).items())
