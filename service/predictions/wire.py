"""Predictions as Flowise's clients send and read them (contract 1.1 to 1.3, clients.md)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from service.chatflows.types import (
    ActionWanted,
    Artifacts,
    Executed,
    FlowStatus,
    NodesExecuted,
    NodeStatus,
    Role,
    Sources,
    Structured,
    Thinking,
    Token,
    ToolCalls,
    ToolsUsed,
    Turn,
)
from service.errors import BadRequest, MissingPart, Unprocessable, describe_validation
from service.http.wire import Body, Wire
from service.predictions.events import Abort, End, Event, Failure, Metadata
from service.predictions.service import Prediction, source_document, used_tool
from service.predictions.text import clean
from service.predictions.types import Question
from service.viewers import claimed

MAX_ID = 512
"""Characters of chatId and sessionId."""
MAX_QUESTION = 100_000
MAX_TURNS = 200
"""Turns of `history` that are read, from the newest."""

HEARTBEAT = b":heartbeat\n\n"
HEADERS = {"Cache-Control": "no-cache", "Connection": "keep-alive", "X-Accel-Buffering": "no"}
DONE = "[DONE]"

WHOLE = frozenset({"sourceDocuments", "usedTools", "artifacts", "agentFlowExecutedData", "action"})
"""Events whose last one stands in a whole answer too."""

_BREAKS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class InvalidField(Unprocessable):
    """A field cannot be used."""

    code = "invalid_field"


def _cleaned(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


def _object_or_none(value: Any) -> Any:
    return value if isinstance(value, Mapping) else None


def _is_true(value: Any) -> bool:
    return value is True or value == "true"


Line = Annotated[str, BeforeValidator(_cleaned)]
Config = Annotated[dict[str, Any] | None, BeforeValidator(_object_or_none)]


class PredictionBody(BaseModel):
    """A question to a chatflow. Every field but the question may be null or left out; unknown ones are ignored.

    Text that cannot be stored is cleaned here, not refused as in other bodies: people paste it into chats.
    """

    model_config = Body.model_config

    question: Line | None = Field(None, max_length=MAX_QUESTION, examples=["How many days of leave do I have?"])
    chat_id: Line | None = Field(None, max_length=MAX_ID, description="Id of the conversation; none: a new one")
    streaming: Annotated[bool, BeforeValidator(_is_true)] = Field(
        False, description='true or "true": answer as a stream of events, where the flow can stream', examples=[False]
    )
    override_config: Config = Field(
        None,
        description="`sessionId` names the session. Other keys are inputs of the flow's nodes, for this call; what the"
        " flow's `apiConfig.overrideConfig` does not open changes nothing",
        examples=[{"sessionId": "s1", "topK": 8}],
    )
    history: Any = Field(
        None,
        description='Earlier turns, `{"role": "userMessage" or "apiMessage", "content": text}`, put before the stored',
        examples=[[{"role": "userMessage", "content": "Hello"}]],
    )
    uploads: list[Any] | None = Field(None, description="Files; this chatflow takes none", examples=[[]])
    lead_email: Line | None = Field(None, max_length=320, description="Kept with the question")
    principals: Any = Field(
        None,
        description="Whom the answer is for: passages of documents that none of them may find are left out. Only for"
        " keys that may read every document; in forms JSON text",
        examples=[None],
    )

    def asked(self, header: str | None = None) -> Question:
        """What is asked; `header`: `viewers.HEADER`. Raises `InvalidField`, `Unprocessable` naming the field."""
        if self.question is None or not self.question.strip():
            raise InvalidField("question: is missing")
        if self.uploads:
            raise InvalidField("uploads: no step of this service takes files with a question; send none")
        session = (self.override_config or {}).get("sessionId")
        if session is not None and (not isinstance(session, str) or len(session) > MAX_ID):
            raise InvalidField(f"overrideConfig.sessionId: must be a text of at most {MAX_ID} characters")
        return Question(
            text=self.question,
            chat=self.chat_id or "",
            session=clean(session or ""),
            history=_turns(self.history),
            streaming=self.streaming,
            lead=self.lead_email or None,
            principals=claimed(self.principals, header),
            overrides={name: value for name, value in (self.override_config or {}).items() if name != "sessionId"},
        )


class SourceDocument(Wire):
    """A passage that an answer rests on."""

    page_content: str = Field(examples=["Every employee has 30 days of leave a year."])
    metadata: dict[str, Any] = Field(examples=[{"source": "handbook.md", "heading": "Leave", "score": 0.83}])


class PredictionAnswer(Wire):
    """A whole answer. `sourceDocuments` and `memoryType` are left out where the flow has none."""

    text: str = Field(examples=["You have 30 days of leave a year [1]."])
    source_documents: list[SourceDocument] | None = None
    question: str = Field(examples=["How many days of leave do I have?"])
    chat_id: str
    chat_message_id: UUID = Field(description="Id of the stored answer")
    is_stream_valid: bool = False
    session_id: str
    memory_type: str | None = Field(None, examples=["Buffer Memory"])


class Aborted(Wire):
    """The run was told to stop, if there is one."""

    status: int = 200
    message: str = Field("Chat message aborted", examples=["Chat message aborted"])


def _turns(history: Any) -> tuple[Turn, ...]:
    """The turns in a `history` field; junk is tolerated and left out, as items without content are."""
    if not isinstance(history, list):
        return ()
    turns = []
    for item in history[-MAX_TURNS:]:
        role, content = (item.get("role"), item.get("content")) if isinstance(item, dict) else (None, None)
        if role in set(Role) and isinstance(content, str) and content:
            turns.append(Turn(Role(role), clean(content)))
    return tuple(turns)


def parse_json(content: bytes) -> PredictionBody:
    """The body of a JSON call. Raises `MissingPart` without one, `BadRequest`, `InvalidField`."""
    if not content.strip():
        raise MissingPart("The body is missing")
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BadRequest("The body must be a JSON object")
    return _validated(fields)


def parse_form(parts: Iterable[tuple[str, Any]]) -> PredictionBody:
    """The body of a multipart call: text parts are fields. Raises `InvalidField` for a file."""
    fields: dict[str, Any] = {}
    for name, value in parts:
        if not isinstance(value, str):
            raise InvalidField(f"{name}: no step of this service takes files with a question; send none")
        fields[name] = value
    fields.pop("uploads", None)
    if fields.get("principals"):
        try:
            fields["principals"] = json.loads(fields["principals"])
        except (ValueError, RecursionError) as error:
            raise InvalidField(f"principals: not valid JSON: {error}") from None
    if not fields:
        raise MissingPart("The body is missing")
    return _validated(fields)


def parse_urlencoded(content: bytes) -> PredictionBody:
    """The body of a call from a plain HTML form."""
    return parse_form(parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True))


def _validated(fields: Mapping[str, Any]) -> PredictionBody:
    try:
        return PredictionBody.model_validate(fields)
    except ValidationError as error:
        raise InvalidField(describe_validation(error.errors())) from None


def answer(prediction: Prediction) -> bytes:
    """The whole answer of a run that has ended, as JSON in the contract's order of keys. Raises the run's failure."""
    events = prediction.running.events
    for event in events:
        if isinstance(event, Failure):
            raise event.error
    body: dict[str, Any] = {"text": "".join(event.text for event in events if isinstance(event, Token))}
    for event in events:
        if isinstance(event, Structured):
            body = {"json": event.value}
    for event in events:
        name, data = _shown(event)
        if name in WHOLE:
            body[name] = data
    body["question"] = prediction.question
    body["chatId"] = prediction.chat
    body["chatMessageId"] = str(prediction.message)
    body["isStreamValid"] = False
    body["sessionId"] = prediction.session
    if prediction.memory is not None:
        body["memoryType"] = prediction.memory
    return _json(body).encode("utf-8", "replace")


class Writer:
    """Writes events as Flowise streams them: `message:`, one line of JSON without a space before it, an empty line."""

    def __init__(self) -> None:
        """Nothing is written yet."""
        self._started = False

    def write(self, events: Sequence[Event]) -> bytes:
        """The frames of the events."""
        return b"".join(frame for event in events for frame in self._frames(event))

    def _frames(self, event: Event) -> Iterable[bytes]:
        if isinstance(event, FlowStatus):
            self._started = True  # it makes the widget's bubble too
        if isinstance(event, Token | Structured | Sources | Metadata | ToolsUsed) and not self._started:
            # the widget makes its bubble at `start`, which carries the first token; the token itself follows again
            self._started = True
            first = event.text if isinstance(event, Token) else ""
            yield frame("start", first)
            if not isinstance(event, Token):
                yield frame("token", first)
        if isinstance(event, Token):
            yield frame("token", event.text)
        elif isinstance(event, Metadata):
            yield frame("metadata", _metadata(event))
        elif isinstance(event, Failure):
            yield frame("error", event.error.message)
        elif isinstance(event, Abort):
            yield frame("abort", DONE)
        elif isinstance(event, End):
            yield frame("end", DONE)
        elif isinstance(event, Structured):
            yield frame("token", _json(event.value))
        elif isinstance(event, Thinking):
            more = {} if event.seconds is None else {"duration": event.seconds}
            yield frame("thinking", event.text, **more)
        else:
            yield frame(*_shown(event))


def _shown(event: Event) -> tuple[str, Any]:
    """The name and the data of an event that stands under the same name in streams and in whole answers."""
    match event:
        case Sources():
            return "sourceDocuments", [source_document(passage) for passage in event.passages]
        case ToolCalls():
            return "calledTools", [{"tool": name, "toolInput": given} for name, given in event.calls]
        case ToolsUsed():
            return "usedTools", [used_tool(use) for use in event.uses]
        case Artifacts():
            return "artifacts", list(event.items)
        case FlowStatus():
            return "agentFlowEvent", event.status.value
        case NodeStatus():
            about = {"nodeId": event.node, "nodeLabel": event.label, "status": event.status.value}
            return "nextAgentFlow", about if event.error is None else {**about, "error": event.error}
        case NodesExecuted():
            return "agentFlowExecutedData", [_executed(node) for node in event.nodes]
        case ActionWanted():
            return "action", event.action
    return "", None


def _executed(node: Executed) -> dict[str, Any]:
    return {
        "nodeId": node.node,
        "nodeLabel": node.label,
        "data": node.data,
        "previousNodeIds": list(node.previous),
        "status": node.status.value,
    }


def _metadata(event: Metadata) -> dict[str, Any]:
    data = {
        "chatId": event.chat,
        "chatMessageId": event.message,
        "question": event.question,
        "sessionId": event.session,
    }
    if event.memory is not None:
        data["memoryType"] = event.memory
    return data


def frame(name: str, data: Any, **beside: Any) -> bytes:
    """One event, byte for byte as the contract has it (1.3); `beside` are further keys of its object.

    Two texts are written as escapes, which leaves the JSON's meaning alone: the colon after the word data, which the
    Python SDK would take out together with the word, and line separators, at which other clients would cut the line.
    """
    line = _json({"event": name, "data": data, **beside}).replace("data:", "data\\u003a")
    if not line.isascii():
        line = line.translate(_BREAKS)
    return b"message:\ndata:" + line.encode("utf-8", "replace") + b"\n\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
