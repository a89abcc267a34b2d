"""What a prediction is asked, and what is kept of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.chatflows.types import HumanInput, Turn
from service.executions.types import Once


class ChatType(StrEnum):
    """Where a message came in (contract 6.5)."""

    EXTERNAL = "EXTERNAL"
    INTERNAL = "INTERNAL"
    EVALUATION = "EVALUATION"
    MCP = "MCP"
    SCHEDULED = "SCHEDULED"
    WEBHOOK = "WEBHOOK"


class State(StrEnum):
    """How an answer ended. A failed one is kept when a part of it was written, and is no part of later history."""

    COMPLETE = "complete"
    ABORTED = "aborted"
    FAILED = "failed"


class UploadKind(StrEnum):
    """What a file is sent for (contract 1.1)."""

    FILE = "file"
    """A picture for a model that sees, or a document whose text goes before the question."""
    RAG = "file:rag"
    """Kept only: its client has upserted it."""
    FULL = "file:full"
    """The text of a document, which its client had read."""
    AUDIO = "audio"
    """What somebody said."""
    URL = "url"
    """The address of a picture."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that comes with a question. `place` is how messages name it: `uploads[0] 'cat.png'`."""

    kind: UploadKind
    place: str
    name: str
    mime: str
    """As its client says; what it holds decides. Empty: nothing is said."""
    data: bytes = b""
    """Of files, and of what somebody said."""
    text: str = ""
    """The text of `FULL`, the address of `URL`."""
    part: bool = False
    """A part of a form (contract 1.1): for the loader of the flow that takes such files, where it is opened."""


@dataclass(frozen=True, slots=True)
class Question:
    """A call to a flow, free of any wire format."""

    text: str
    chat: str = ""
    """Id of the conversation; empty: a new one."""
    session: str = ""
    """Session named by `overrideConfig`; empty: the chat's."""
    history: Sequence[Turn] = ()
    """Earlier turns that the caller sends along."""
    streaming: bool = False
    """Whether the caller would like the answer piece by piece."""
    resumable: bool = False
    """Whether a stream that breaks is to be gone on with: the model is not stopped at once then."""
    lead: str | None = None
    principals: Sequence[str] | None = None
    """Whom the caller says it asks for; None: it says nothing."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Inputs of nodes that the caller would like to change; the flow's owner says which it may."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """`overrideConfig.vars`: variables that the caller would like to change; the flow's owner says which it may."""
    uploads: Sequence[Upload] = ()
    form: Mapping[str, Any] | None = None
    """The values of the form that starts an agentflow."""
    human: HumanInput | None = None
    """A person's answer to a run that waits."""
    action: Mapping[str, Any] | None = None
    """The answer to the pending action of an earlier message: `id`, `mapping`, `elements` (contract 1.1)."""
    evaluation: bool = False
    """Whether its messages are to be kept apart as those of an evaluation; for callers with a key only."""
    kept: bool = True
    """False: nothing of it is stored, whatever the flow's owner says, nor of the flows that it calls."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What starts a flow where nobody asks it over HTTP: the call of another service, or a clock."""

    type: ChatType
    caller: str = ""
    """Whose its conversations are; empty: whoever calls."""
    execution: UUID | None = None
    """The id of the execution, where it was chosen before: the flow runs for it once."""
    webhook: Mapping[str, Any] | None = None
    """`$webhook`: body, headers and query of the call."""
    once: Once | None = None
    """What takes up a run that waits does this in the same transaction: it may refuse the answer."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer, as they are stored."""

    user_id: UUID
    answer_id: UUID
    chatflow: UUID
    caller: str
    session: str
    chat: str
    type: ChatType
    question: str
    answer: str
    state: State
    sources: Sequence[Mapping[str, Any]] | None
    usage: Mapping[str, Any] | None
    memory: str | None
    lead: str | None
    tools: Sequence[Mapping[str, Any]] | None = None
    artifacts: Sequence[Mapping[str, Any]] | None = None
    action: Mapping[str, Any] | None = None
    uploads: Sequence[Mapping[str, Any]] | None = None
    """What came with the question, as the row of its message names it."""
    reasoning: Mapping[str, Any] | None = None
    """What the model thought aloud: `thinking`, `thinkingDuration` (seconds)."""
    follow_ups: Sequence[str] | None = None
    """Questions that were proposed."""
    execution: UUID | None = None
    """The stored execution of an agentflow."""
