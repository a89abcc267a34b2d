"""Predictions as Flowise's clients send them, and the shapes of what they read (contract 1.1, 1.2)."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from service.chatflows.types import Role, Turn
from service.errors import BadRequest, MissingPart, TooLarge, describe_validation
from service.http.forms import MAX_FIELDS
from service.http.wire import Body, IdText, Wire, id_text
from service.json_text import MOST_VALUES, TooManyValues, read
from service.predictions import asking
from service.predictions.asking import InvalidField
from service.predictions.text import clean
from service.predictions.types import Question, Upload, UploadKind
from service.viewers import claimed

MAX_ID = 512
"""Characters of chatId and sessionId."""
MAX_QUESTION = 100_000
MAX_TURNS = 200
"""Turns of `history` that are read, from the newest."""

JSON_PARTS = frozenset({"action", "form", "history", "humanInput", "overrideConfig", "principals", "uploads", "vars"})
"""Parts of forms that are JSON text."""
TOLERATED = frozenset({"history", "overrideConfig"})
"""Of these, such as are left out where they are no JSON: Flowise reads neither in forms."""
OWN_PARTS = JSON_PARTS | {"chatId", "evaluation", "leadEmail", "question", "resumable", "stopNodeId", "streaming"}
"""Parts of forms that are no overrides."""


def _cleaned(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


def _object_or_none(value: Any) -> Any:
    return value if isinstance(value, Mapping) else None


def _is_true(value: Any) -> bool:
    return value is True or value == "true"


Line = Annotated[str, BeforeValidator(_cleaned)]
Config = Annotated[dict[str, Any] | None, BeforeValidator(_object_or_none)]


_BULK = re.compile(rb"[A-Za-z0-9+/=]{1024,}")
"""What the bytes of a file look like in JSON."""


class PredictionBody(BaseModel):
    """A question to a chatflow. Every field but the question may be null or left out; unknown ones are ignored.

    Text that cannot be stored is cleaned here, not refused as in other bodies: people paste it into chats.
    """

    model_config = Body.model_config

    question: Line | None = Field(None, max_length=MAX_QUESTION, examples=["How many days of leave do I have?"])
    chat_id: Annotated[Line | None, IdText] = Field(
        None, max_length=MAX_ID, description="Id of the conversation, a number too; none: a new one"
    )
    streaming: Annotated[bool, BeforeValidator(_is_true)] = Field(
        False, description='true or "true": answer as a stream of events, where the flow can stream', examples=[False]
    )
    resumable: bool = Field(
        False,
        description="With `streaming`: frames carry ids, and a client that loses the stream goes on with it by sending"
        " the call again with the header Last-Event-ID; until it does, the model is not stopped",
        examples=[False],
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
    uploads: Any = Field(
        None,
        description='Files: `{"type", "name", "data", "mime"}`. `file`, `file:rag`, `audio`: a data URI; `file:full`:'
        " the text of a document; `url`: the address of a picture",
        examples=[[]],
    )
    form: Any = Field(None, description="Values of the form that starts an agentflow, by name", examples=[None])
    human_input: Any = Field(
        None,
        description='The answer to a run that waits: `{"type": "proceed" or "reject", "startNodeId", "feedback"}`. The'
        " node may be left out where one run of the conversation waits",
        examples=[None],
    )
    action: Any = Field(None, description="The answer to the pending action of a message", examples=[None])
    evaluation: Annotated[bool, BeforeValidator(_is_true)] = Field(
        False, description="Keep the messages apart as those of an evaluation; with a key only", examples=[False]
    )
    vars: Any = Field(None, description="As `overrideConfig.vars`, in forms", examples=[None])
    lead_email: Line | None = Field(None, max_length=320, description="Kept with the question")
    principals: Any = Field(
        None,
        description="Whom the answer is for: passages of documents that none of them may find are left out. Only for"
        " keys that may read every document; in forms JSON text",
        examples=[None],
    )

    def asked(self, header: str | None = None, files: Sequence[Upload] = ()) -> Question:
        """What is asked; `header`: `viewers.HEADER`, `files`: parts of a form. Raises `InvalidField`, `Unprocessable`
        naming the field."""
        overrides = self.override_config or {}
        session = id_text(overrides.get("sessionId"))
        if session is not None and (not isinstance(session, str) or len(session) > MAX_ID):
            raise InvalidField(f"overrideConfig.sessionId: must be a text of at most {MAX_ID} characters")
        return Question(
            text=self.question or "",
            chat=self.chat_id or "",
            session=clean(session or ""),
            history=_turns(self.history),
            streaming=self.streaming,
            resumable=self.resumable,
            lead=self.lead_email or None,
            principals=claimed(self.principals, header),
            overrides={name: value for name, value in overrides.items() if name not in ("sessionId", "vars")},
            variables={**asking.variables_of(overrides.get("vars")), **asking.variables_of(self.vars)},
            uploads=(*asking.uploads_of(self.uploads), *files),
            form=asking.object_of(self.form, "form"),
            human=asking.human_of(self.human_input),
            action=asking.object_of(self.action, "action"),
            evaluation=self.evaluation,
        )


class SourceDocument(Wire):
    """A passage that an answer rests on."""

    page_content: str = Field(examples=["Every employee has 30 days of leave a year."])
    metadata: dict[str, Any] = Field(examples=[{"source": "handbook.md", "heading": "Leave", "score": 0.83}])


class PredictionAnswer(Wire):
    """A whole answer. What a flow has none of is left out. Callers without a key are shown no inputs of tools, no
    prompts and models, and of usage the tokens in all."""

    text: str | None = Field(None, examples=["You have 30 days of leave a year [1]."])
    json_: Any = Field(None, alias="json", description="In place of `text`, where an output parser reads the answer")
    source_documents: list[SourceDocument] | None = None
    used_tools: list[dict[str, Any]] | None = Field(None, description="`tool`, `toolInput`, `toolOutput` of each use")
    artifacts: list[dict[str, Any]] | None = None
    action: dict[str, Any] | None = Field(None, description="What the run waits for")
    question: str | None = Field(None, examples=["How many days of leave do I have?"])
    form: dict[str, Any] | None = None
    chat_id: str
    chat_message_id: UUID = Field(description="Id of the stored answer")
    execution_id: str | None = Field(None, description="Of an agentflow")
    agent_flow_executed_data: list[dict[str, Any]] | None = Field(None, description="What the nodes did")
    is_stream_valid: bool = False
    session_id: str
    memory_type: str | None = Field(None, examples=["Buffer Memory"])
    follow_up_prompts: str | None = Field(None, description="JSON text of a list of questions to ask next")
    usage_metadata: dict[str, Any] | None = Field(
        None,
        description="What the models took; with a key also their calls, each model's share, and cost",
        examples=[{"input_tokens": 812, "output_tokens": 64, "total_tokens": 876}],
    )


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
        if role in list(Role) and isinstance(content, str) and content:
            turns.append(Turn(Role(role), clean(content)))
    return tuple(turns)


def parse_json(content: bytes, most: int) -> PredictionBody:
    """The body of a JSON call, which has at most `most` bytes besides the bytes of its files: JSON takes many times its
    size once it is read, a long text does not. Raises `MissingPart` without one, `BadRequest`, `InvalidField`,
    `TooLarge`."""
    if not content.strip():
        raise MissingPart("The body is missing")
    if len(content) > most and len(content) - sum(len(run[0]) for run in _BULK.finditer(content)) > most:
        raise _too_large(most)
    try:
        fields = read(content, MOST_VALUES)
    except TooManyValues as error:
        raise TooLarge(f"max_values: the body has {error}") from None
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BadRequest("The body must be a JSON object")
    return _validated(fields)


def parse_form(fields: Mapping[str, str], *, files: bool = False) -> PredictionBody:
    """The body of a form from its text parts. Where files came along all of them are overrides too, as the contract
    has it. Raises `MissingPart`, `InvalidField`."""
    values: dict[str, Any] = {name: value for name, value in fields.items() if value != ""}
    for name in values.keys() & JSON_PARTS:
        try:
            values[name] = asking.json_text(values[name], name)
        except InvalidField:
            if name not in TOLERATED:
                raise
            del values[name]
    if not fields and not files:
        raise MissingPart("The body is missing")
    if files:
        given = values.get("overrideConfig")
        more = {name: value for name, value in values.items() if name not in OWN_PARTS}
        values["overrideConfig"] = {**more, **(given if isinstance(given, dict) else {})}
    return _validated(values)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"max_json: a request body has at most {most} bytes besides its files")


def part(number: int, name: str | None, mime: str | None, content: bytes) -> Upload:
    """A file in a form. Raises `InvalidField` for an empty one."""
    shown = clean(name or "file")[: asking.MAX_NAME]
    place = f"files[{number}] '{shown[:100]}'"
    if not content:
        raise InvalidField(f"{place}: the file is empty")
    return Upload(UploadKind.FILE, place, shown, clean(mime or ""), data=content, part=True)


def parse_urlencoded(content: bytes, most: int) -> PredictionBody:
    """The body of a call from a plain HTML form. Raises `TooLarge` for more than `most` bytes, `BadRequest` for more
    fields than other forms may have."""
    if len(content) > most:
        raise _too_large(most)
    try:
        pairs = parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest(f"The form has more than {MAX_FIELDS} fields") from None
    return parse_form(dict(pairs))


def _validated(fields: Mapping[str, Any]) -> PredictionBody:
    try:
        return PredictionBody.model_validate(fields)
    except ValidationError as error:
        raise InvalidField(describe_validation(error.errors())) from None
