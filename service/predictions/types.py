"""What a prediction is asked, and what is kept of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.chatflows.types import Turn


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
    lead: str | None = None
    principals: Sequence[str] | None = None
    """Whom the caller says it asks for; None: it says nothing."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Inputs of nodes that the caller would like to change; the flow's owner says which it may."""


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
