"""What a schedule of an agentflow is, and what became of each of its times."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.errors import BadRequest
from service.timetable import Cron as Cron


class CannotRun(BadRequest):
    """The schedule cannot be switched on."""

    code = "schedule_incomplete"


class InputMode(StrEnum):
    """What the flow is started with."""

    TEXT = "text"
    FORM = "form"
    NONE = "none"


class RunStatus(StrEnum):
    """What became of a time at which a flow was due."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    """The run before was still going, or had not begun."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the start node of a flow says of its times."""

    node: str
    cron: Cron
    mode: InputMode
    input: str = ""
    form: Mapping[str, Any] | None = None
    end_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FlowSchedule:
    """A schedule as it is kept. `run` is the newest run."""

    id: UUID
    workspace: UUID
    chatflow: UUID
    plan: Plan
    enabled: bool
    last_run_at: datetime | None
    next_run_at: datetime | None
    queued_at: datetime | None
    run: UUID | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """A time at which a flow was due, and what became of it."""

    id: UUID
    workspace: UUID
    chatflow: UUID
    schedule: UUID
    execution: UUID | None
    status: RunStatus
    error: str | None
    elapsed_ms: int | None
    scheduled_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a schedule is on, could be, and why not."""

    schedule: FlowSchedule | None
    can_enable: bool
    reason: str | None
