"""Flows as targets: they are asked as by `internal-prediction`, in this process, and nothing is kept of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from uuid import UUID

from service.chatflows.types import (
    ActionWanted,
    Executed,
    NodesExecuted,
    Sources,
    Structured,
    Token,
    ToolsUsed,
    ToolUse,
    Turn,
)
from service.chatflows.types import Passage as FoundPassage
from service.errors import ServiceError, Unprocessable
from service.evaluations.searching import document_of, sources_of
from service.evaluations.types import Passage, Taken, Target
from service.metrics.citing import sentences
from service.predictions import service as predictions
from service.predictions import writing
from service.predictions.events import Event, Failure, Metadata, Spent
from service.predictions.service import Prediction
from service.predictions.text import clean, json_of
from service.predictions.types import Question
from service.resources import Resources

SHOWN = 2_000
"""Characters that are kept of what a tool was given, and of what it said."""
MOST_TOOLS = 50
WHOLE = 20_000
"""Characters that are kept of the whole body of an answer without a text."""
SECONDS = 60.0
"""For which is waited for a next event before it is looked again."""


class WaitsForPerson(Unprocessable):
    """The flow waits for a person, whom an evaluation has none of."""

    code = "flow_waits"


class Stopped(ServiceError):
    """The run was stopped before it had answered."""

    status, code = 503, "run_stopped"


@dataclass(frozen=True, slots=True)
class Answered:
    """What a target said to one question."""

    answer: str | None = None
    found: tuple[Passage, ...] | None = None
    taken: Taken = field(default_factory=Taken)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Heard:
    """What has been heard of a run so far."""

    begun: float
    """When it was called."""
    ready: float
    """When it began."""
    texts: list[str] = field(default_factory=list)
    structured: bool = False
    first: float | None = None
    passages: tuple[FoundPassage, ...] | None = None
    tools: tuple[ToolUse, ...] = ()
    nodes: tuple[Executed, ...] = ()
    metadata: Metadata | None = None
    failure: ServiceError | None = None

    def take(self, event: Event, now: float) -> None:
        """Note an event, heard at this time."""
        match event:
            case Token():
                self.first = self.first or now
                self.texts.append(event.text)
            case Structured():
                self.structured, self.texts = True, [clean(json_of(event.value, compact=False))]
            case Sources():
                self.passages = event.passages
            case ToolsUsed():
                self.tools = event.uses
            case NodesExecuted():
                self.nodes = event.nodes
            case ActionWanted():
                self.failure = WaitsForPerson()
            case Metadata():
                self.metadata = event
            case Failure():
                self.failure = event.error


async def answered_by(
    resources: Resources,
    workspace: UUID,
    target: Target,
    question: str,
    *,
    session: str,
    history: Sequence[Turn] = (),
    form: Mapping[str, Any] | None = None,
    documents: frozenset[str] = frozenset(),
) -> Answered:
    """What a flow answers, and what that took. `history`: the earlier turns of the conversation, as nothing is kept;
    `documents`: the documents that are looked for, by whatever id they are named.

    Raises what a prediction raises, and what its run fails with.
    """
    begun = perf_counter()
    asked = Question(
        text=clean(question),
        chat=session,
        session=session,
        history=history,
        streaming=True,
        overrides={name: value for name, value in target.options.items() if name not in ("sessionId", "vars")},
        variables=variables_in(target.options),
        form=form,
        evaluation=True,
        kept=False,
    )
    prediction = await predictions.ask(resources, target.id, asked, token=None, origin=None, member=workspace)
    heard = _Heard(begun, perf_counter())
    leave = prediction.running.attend()
    try:
        await _hear(prediction, heard)
    finally:
        leave()  # which stops the model, if this was cancelled
    ended = perf_counter()
    if heard.failure is not None:
        raise heard.failure
    if heard.metadata is None:
        raise Stopped
    return _answered(prediction, heard, ended, documents)


def variables_in(options: Mapping[str, Any]) -> Mapping[str, str]:
    """`vars` of a flow's options. Raises `Unprocessable`."""
    given = options.get("vars")
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(value, str) for value in given.values()):
        raise Unprocessable("options.vars: must be an object of texts")
    return {clean(str(name)): clean(value) for name, value in given.items()}


async def _hear(prediction: Prediction, heard: _Heard) -> None:
    running, read = prediction.running, 0
    while not running.done or read < len(running.events):
        events = await running.read(read, SECONDS)
        now = perf_counter()
        read += len(events)
        for event in events:
            heard.take(event, now)


def _answered(prediction: Prediction, heard: _Heard, ended: float, documents: frozenset[str]) -> Answered:
    answer = "".join(heard.texts)
    details: dict[str, Any] = {}
    if heard.structured:
        details["structured"] = True
    elif not answer:
        details["body"] = clean(writing.answer(prediction).decode()[:WHOLE])
    if heard.tools:
        details["usedTools"] = [_tool(use) for use in heard.tools[:MOST_TOOLS]]
    if nested := [_nested(node) for node in heard.nodes]:
        details["nestedMetrics"] = nested
    if cited := sorted({number for sentence in sentences(answer) for number in sentence.cites}):
        details["cited"] = cited
    if (spent := _spent(heard)) is not None:
        details["models"] = spent.shown(full=True)["models"]
    found = None
    if heard.passages is not None:
        found = tuple(_passage(item, documents) for item in heard.passages)
    return Answered(answer, found, _taken(prediction, heard, ended), details)


def _spent(heard: _Heard) -> Spent | None:
    """What the models of the run took; None where nobody counted."""
    spent = heard.metadata.usage if heard.metadata is not None else None
    return spent if spent is not None and spent.models else None


def _taken(prediction: Prediction, heard: _Heard, ended: float) -> Taken:
    """Times in milliseconds. That to the first token is known of flows that write their answer piece by piece."""
    spent = _spent(heard)
    total = None if spent is None else spent.total
    first = heard.first if prediction.streams and not heard.structured else None
    return Taken(
        latency=_milliseconds(ended - heard.begun),
        first_token=None if first is None else _milliseconds(first - heard.begun),
        model=None if total is None or total.seconds is None else _milliseconds(total.seconds),
        chain=_milliseconds(ended - heard.ready),
        input_tokens=None if total is None else total.input,
        output_tokens=None if total is None else total.output,
        cost=total.cost if total is not None and spent is not None and spent.priced else None,
    )


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 3)


def _passage(item: FoundPassage, documents: frozenset[str]) -> Passage:
    return Passage(
        text=item.text,
        chunk_id=item.id,
        document_id=document_of(item.document, item.metadata, documents),
        sources=sources_of(item.metadata),
        score=item.score,
    )


def _tool(use: ToolUse) -> dict[str, Any]:
    given = json_of(dict(use.input))
    shown: dict[str, Any] = {
        "tool": use.tool,
        "toolInput": dict(use.input) if len(given) <= SHOWN else given[:SHOWN],
        "toolOutput": use.output[:SHOWN],
    }
    return shown if use.error is None else {**shown, "error": use.error[:SHOWN]}


def _nested(node: Executed) -> dict[str, Any]:
    """What a node of an agentflow took, by the contract's names (5.3)."""
    output, given = node.data.get("output"), node.data.get("input")
    shown: dict[str, Any] = {"nodeId": node.node, "nodeLabel": node.label, "status": node.status.value}
    used = output.get("usageMetadata") if isinstance(output, Mapping) else None
    if isinstance(used, Mapping):
        shown |= {
            "promptTokens": used.get("input_tokens", 0),
            "completionTokens": used.get("output_tokens", 0),
            "totalTokens": used.get("total_tokens", 0),
        }
    if isinstance(given, Mapping):
        for key in ("llmModel", "agentModel", "conditionAgentModel"):
            if isinstance(given.get(key), str):
                shown["provider"] = given[key]
    return shown
