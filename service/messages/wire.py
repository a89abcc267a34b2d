"""The JSON shapes of messages, and how values of their filters are written (contract 6.5)."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import Field

from service.errors import Unprocessable
from service.executions.wire import ExecutionEntity
from service.executions.wire import entity as execution_entity
from service.feedback.types import Rating
from service.feedback.wire import FeedbackShown, shown
from service.http.wire import Date, Wire
from service.messages.types import Message, Totals
from service.predictions.text import clean


class ChatMessage(Wire):
    """A question (`userMessage`) or an answer (`apiMessage`)."""

    id: UUID
    role: str = Field(examples=["apiMessage"])
    chatflowid: UUID = Field(alias="chatflowid")
    execution_id: UUID | None = None
    content: str = Field(examples=["You have 30 days of leave. [1]"])
    source_documents: Any = None
    used_tools: Any = None
    file_annotations: Any = None
    agent_reasoning: Any = None
    reason_content: Any = None
    file_uploads: Any = None
    artifacts: Any = None
    action: Any = None
    chat_type: str = Field(examples=["EXTERNAL"])
    chat_id: str = Field(examples=["c1"])
    memory_type: str | None = None
    session_id: str | None = Field(None, examples=["c1"])
    created_date: Date
    lead_email: str | None = None
    follow_up_prompts: str | None = Field(None, description="JSON text")
    execution: ExecutionEntity | None = Field(
        None, description="The run that wrote it; of long lists only the newest ones with what their nodes did"
    )


class RatedMessage(ChatMessage):
    """A message with what was said of it."""

    feedback: FeedbackShown | None = None


class Stats(Wire):
    """A chatflow in numbers."""

    total_messages: int = Field(description="Questions and answers", examples=[12])
    total_sessions: int = Field(examples=[3])
    total_feedback: int = Field(examples=[2])
    positive_feedback: int = Field(examples=[1])


def message(found: Message, *, rated: bool) -> ChatMessage:
    """A message as callers read it; `rated`: with its feedback."""
    values = {
        "id": found.id,
        "role": found.role,
        "chatflowid": found.chatflow,
        "execution_id": found.execution,
        "content": found.content,
        "source_documents": found.source_documents,
        "used_tools": found.used_tools,
        "file_annotations": found.file_annotations,
        "agent_reasoning": found.agent_reasoning,
        "reason_content": found.reason_content,
        "file_uploads": found.file_uploads,
        "artifacts": found.artifacts,
        "action": found.action,
        "chat_type": found.chat_type,
        "chat_id": found.chat,
        "memory_type": found.memory,
        "session_id": found.session,
        "created_date": found.created_at,
        "lead_email": found.lead_email,
        "follow_up_prompts": found.follow_up_prompts,
        "execution": execution_entity(found.ran) if found.ran else None,
    }
    if rated:
        return RatedMessage(**values, feedback=shown(found.feedback) if found.feedback else None)
    return ChatMessage(**values)


def stats(found: Totals) -> Stats:
    """A chatflow's numbers as callers read them."""
    return Stats(
        total_messages=found.messages,
        total_sessions=found.sessions,
        total_feedback=found.feedback,
        positive_feedback=found.positive,
    )


def listed(name: str, values: Sequence[str] | None) -> tuple[str, ...]:
    """A parameter that may be one value, repeated, or a JSON array. Raises `Unprocessable`."""
    found: list[str] = []
    for value in values or ():
        if value.startswith("["):
            try:
                items = json.loads(value)
            except (ValueError, RecursionError):
                raise Unprocessable(f"{name}: '{value[:40]}' is no JSON array") from None
            found += [clean(str(item)) for item in items]
        elif value:
            found.append(value)
    return tuple(found)


def check_said(name: str, values: Sequence[str]) -> None:
    """Check that a filter says something. Raises `Unprocessable` for nothing, and for an empty list."""
    if not any(value.strip().removeprefix("[").removesuffix("]").strip() for value in values):
        raise Unprocessable(f"{name}: is empty; say what is to be deleted, or leave it out")


def message_id(value: str | None) -> UUID | None:
    """The id of a message in a query. Raises `Unprocessable`."""
    if not value:
        return None
    try:
        return UUID(value)
    except ValueError:
        raise Unprocessable(f"messageId: '{value[:40]}' is not the id of a message") from None


def rating(name: str, value: str) -> Rating:
    """A rating by its name. Raises `Unprocessable`."""
    try:
        return Rating(value)
    except ValueError:
        raise Unprocessable(f"{name}: must be {' or '.join(Rating)}, not '{value[:40]}'") from None
