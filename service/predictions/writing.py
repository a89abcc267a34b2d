"""Predictions as Flowise's clients read them: whole, or as a stream of events (contract 1.2, 1.3; clients.md)."""

from collections.abc import Sequence
from typing import Any

from service.chatflows.types import FlowStatus, FlowType, Sources, Structured, Thinking, Token, ToolsUsed
from service.errors import Withheld
from service.predictions.events import Abort, End, Event, Failure, Metadata
from service.predictions.service import Prediction
from service.predictions.showing import action, shown
from service.predictions.text import json_of

HEARTBEAT = b":heartbeat\n\n"
HEADERS = {"Cache-Control": "no-cache", "Connection": "keep-alive", "X-Accel-Buffering": "no"}
DONE = "[DONE]"

BEFORE = ("sourceDocuments", "usedTools", "artifacts")
"""What stands right behind the text in a whole answer."""
CHATFLOW = (*BEFORE, "action", "question", "chatId", "chatMessageId", "isStreamValid", "sessionId", "memoryType")
AGENTFLOW = (*BEFORE, "question", "form", "chatId", "chatMessageId", "followUpPrompts", "executionId")
AGENTFLOW_END = ("agentFlowExecutedData", "action", "sessionId")
ORDERS = {
    FlowType.AGENTFLOW: (*AGENTFLOW, *AGENTFLOW_END, "memoryType", "usageMetadata"),
    FlowType.CHATFLOW: (*CHATFLOW, "followUpPrompts", "usageMetadata"),
}
"""The keys of whole answers behind `text` or `json`, in the contract's order; other kinds of flow have a chatflow's."""

_BUBBLE = Token | Structured | Sources | Metadata | ToolsUsed
"""What the widget shows in a bubble of its own, which it makes at `start`."""
_BREAKS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def answer(prediction: Prediction) -> bytes:
    """The whole answer of a run that has ended, as JSON in the contract's order of keys. Raises the run's failure."""
    events = prediction.running.events
    for event in events:
        if isinstance(event, Failure):
            raise event.error if prediction.full else Withheld(event.error)
    agents = prediction.kind is FlowType.AGENTFLOW
    body: dict[str, Any] = {"text": "".join(event.text for event in events if isinstance(event, Token))}
    found: dict[str, Any] = {
        "chatId": prediction.chat,
        "chatMessageId": str(prediction.message),
        "sessionId": prediction.session,
    }
    if prediction.question or not agents:
        found["question"] = prediction.question
    if prediction.form is not None:
        found["form"] = prediction.form
    if not agents:
        found["isStreamValid"] = False
    if prediction.memory is not None:
        found["memoryType"] = prediction.memory
    for event in events:
        if isinstance(event, Structured):
            body = {"json": event.value}
        elif isinstance(event, Metadata):
            found |= _added(event, full=prediction.full)
        else:
            name, data = shown(event, full=prediction.full)
            found[name] = data  # of several the last one counts
    body.update((name, found[name]) for name in ORDERS.get(prediction.kind, ORDERS[FlowType.CHATFLOW]) if name in found)
    return json_of(body).encode("utf-8", "replace")


class Writer:
    """Writes events as Flowise streams them: `message:`, one line of JSON without a space before it, an empty line.

    `full`: for callers with a key (showing.py). `run`: frames carry ids, by which a client that lost the stream says
    what it has read: `RUN.EVENT.FRAMES`, the first event that it has not read whole, and how many of its frames it has.
    Writing then goes on at the event `start` behind `skip` of its frames; `before` are the earlier events.
    """

    def __init__(
        self, *, full: bool = False, run: str = "", start: int = 0, skip: int = 0, before: Sequence[Event] = ()
    ) -> None:
        """Nothing is written yet, or what came `before`."""
        self._full = full
        self._run = run
        self._event = start
        self._skip = skip
        self._started = any(isinstance(event, FlowStatus | _BUBBLE) for event in before)

    def write(self, events: Sequence[Event]) -> bytes:
        """The frames of the events, which follow those written before."""
        parts: list[bytes] = []
        for event in events:
            frames = self._frames(event)
            if self._run:
                frames = self._numbered(frames)
            parts += frames
            self._event += 1
        return b"".join(parts)

    def _numbered(self, frames: Sequence[bytes]) -> list[bytes]:
        skip, self._skip = self._skip, 0
        places = [f"{self._event}.{read}" for read in range(1, len(frames))] + [f"{self._event + 1}.0"]
        numbered = [f"id:{self._run}.{place}\n".encode() + part for place, part in zip(places, frames, strict=True)]
        return numbered[skip:]

    def _frames(self, event: Event) -> list[bytes]:
        if isinstance(event, Token):
            written = frame("token", event.text)
            if self._started:
                return [written]
            # the widget makes its bubble at `start`, which carries the first token; the token itself follows again
            self._started = True
            return [frame("start", event.text), written]
        opening: list[bytes] = []
        if isinstance(event, FlowStatus):
            self._started = True  # it makes the widget's bubble too
        elif isinstance(event, _BUBBLE) and not self._started:
            self._started = True
            opening = [frame("start", ""), frame("token", "")]
        return [*opening, self._frame(event)]

    def _frame(self, event: Event) -> bytes:
        match event:
            case Metadata():
                return frame("metadata", _metadata(event, full=self._full))
            case Failure():
                return frame("error", event.error.message if self._full else event.error.withheld())
            case Abort():
                return frame("abort", DONE)
            case End():
                return frame("end", DONE)
            case Structured():
                return frame("token", json_of(event.value))
            case Thinking():
                more = {} if event.seconds is None else {"duration": event.seconds}
                return frame("thinking", event.text, **more)
        return frame(*shown(event, full=self._full))


def _metadata(event: Metadata, *, full: bool) -> dict[str, Any]:
    data: dict[str, Any] = {
        "chatId": event.chat,
        "chatMessageId": event.message,
        "question": event.question,
        "sessionId": event.session,
    }
    if event.memory is not None:
        data["memoryType"] = event.memory
    if event.action is not None:
        data["action"] = action(event.action, full=full)
    return {**data, **_added(event, full=full)}


def _added(event: Metadata, *, full: bool) -> dict[str, Any]:
    """What streams and whole answers have alike of a run that has ended well."""
    added: dict[str, Any] = {}
    if event.follow_ups is not None:
        added["followUpPrompts"] = json_of(event.follow_ups)  # JSON text, encoded once (Annex 2 no. 10)
    if event.execution is not None:
        added["executionId"] = event.execution
    if event.usage is not None:
        added["usageMetadata"] = event.usage.shown(full=full)
    return added


def frame(name: str, data: Any, **beside: Any) -> bytes:
    """One event, byte for byte as the contract has it (1.3); `beside` are further keys of its object.

    Two texts are written as escapes, which leaves the JSON's meaning alone: the colon after the word data, which the
    Python SDK would take out together with the word, and line separators, at which other clients would cut the line.
    """
    line = json_of({"event": name, "data": data, **beside})
    if "data:" in line:
        line = line.replace("data:", "data\\u003a")
    if not line.isascii():
        line = line.translate(_BREAKS)
    return b"message:\ndata:" + line.encode("utf-8", "replace") + b"\n\n"
