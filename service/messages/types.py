"""Messages of conversations, and which of them are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.executions.types import Execution
from service.feedback.types import Feedback, Rating


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was stored. The JSON columns are lists or objects, None where the message has none."""

    id: UUID
    chatflow: UUID
    role: str
    content: str
    chat_type: str
    chat: str
    session: str
    memory: str | None
    lead_email: str | None
    follow_up_prompts: str | None
    execution: UUID | None
    source_documents: Any
    used_tools: Any
    file_annotations: Any
    agent_reasoning: Any
    reason_content: Any
    file_uploads: Any
    artifacts: Any
    action: Any
    created_at: datetime
    feedback: Feedback | None
    ran: Execution | None = None
    """What the run did that wrote it, where it was one of an agentflow."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages of a chatflow. What is empty or None leaves none out."""

    types: Sequence[str] = ()
    chat: str | None = None
    session: str | None = None
    memory: str | None = None
    message: UUID | None = None
    start: datetime | None = None
    end: datetime | None = None
    ratings: Sequence[Rating] = ()
    """Only answers with one of these ratings, each with the question before it."""
    everything: bool = True
    """Those too that were said to somebody with principals, and may rest on what not everybody may find."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How much is said, and how it was liked."""

    messages: int
    sessions: int
    feedback: int
    positive: int
