"""The JSON shapes of schedules (contract 4.3)."""

import json
from typing import Any
from uuid import UUID

from pydantic import Field

from service.errors import BadRequest
from service.http.wire import Body, Date, Wire
from service.schedules.types import FlowSchedule, InputMode, RunStatus, ScheduledRun, Standing

TRIGGER = "AGENTFLOW"


class ScheduleRecord(Wire):
    """When an agentflow starts by itself, and with what."""

    id: UUID
    trigger_type: str = Field(TRIGGER, examples=[TRIGGER])
    target_id: UUID = Field(description="Id of the flow")
    node_id: str = Field(examples=["startAgentflow_0"])
    cron_expression: str = Field(examples=["0 9 * * 1-5"])
    timezone: str = Field(examples=["Europe/Berlin"])
    enabled: bool
    schedule_input_mode: InputMode
    default_input: str | None = Field(None, examples=["Run the daily report"])
    default_form: str | None = Field(None, description="Values of the form, as JSON text")
    last_run_at: Date | None = None
    next_run_at: Date | None = None
    end_date: Date | None = None
    workspace_id: UUID
    created_date: Date
    updated_date: Date


class ScheduleStatus(Wire):
    """Whether a flow's schedule is on, could be, and why not."""

    enabled: bool
    can_enable: bool
    reason: str | None = Field(None, examples=["End date is in the past"])
    record: ScheduleRecord | None


class ScheduleSwitch(Body):
    """On or off."""

    enabled: Any = Field(None, description="true or false", examples=[True])

    def wanted(self) -> bool:
        """What is wanted. Raises `BadRequest` for what is neither."""
        if not isinstance(self.enabled, bool):
            raise BadRequest('"enabled" must be a boolean')
        return self.enabled


class TriggerLog(Wire):
    """A time at which a flow was due, and what became of it."""

    id: UUID
    schedule_record_id: UUID
    trigger_type: str = Field(TRIGGER, examples=[TRIGGER])
    target_id: UUID
    execution_id: UUID | None = None
    status: RunStatus
    error: str | None = None
    elapsed_time_ms: int | None = Field(None, examples=[1200])
    scheduled_at: Date
    workspace_id: UUID
    created_date: Date


class TriggerLogs(Wire):
    """A page of them."""

    data: list[TriggerLog]
    total: int = Field(examples=[1])
    page: int = Field(examples=[1])
    limit: int = Field(examples=[20])


class LogIds(Body):
    """Rows that are to go."""

    log_ids: Any = Field(None, description="Ids of trigger logs", examples=[["5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"]])

    def chosen(self) -> list[UUID]:
        """Their ids; what is none names no row. Raises `BadRequest` for what is no list of texts."""
        if not isinstance(self.log_ids, list) or not all(isinstance(item, str) for item in self.log_ids):
            raise BadRequest("logIds must be a string[]")
        found = []
        for text in self.log_ids:
            try:
                found.append(UUID(text))
            except ValueError:
                continue
        return found


class LogsDeleted(Wire):
    """What went."""

    success: bool = True
    deleted_logs: int = Field(examples=[1])
    deleted_executions: int = Field(examples=[1])


def record(found: FlowSchedule) -> ScheduleRecord:
    """A schedule as callers read it."""
    plan = found.plan
    return ScheduleRecord(
        id=found.id,
        trigger_type=TRIGGER,
        target_id=found.chatflow,
        node_id=plan.node,
        cron_expression=plan.cron.expression,
        timezone=plan.cron.timezone,
        enabled=found.enabled,
        schedule_input_mode=plan.mode,
        default_input=plan.input,
        default_form=None if plan.form is None else json.dumps(plan.form, ensure_ascii=False),
        last_run_at=found.last_run_at,
        next_run_at=found.next_run_at,
        end_date=plan.end_at,
        workspace_id=found.workspace,
        created_date=found.created_at,
        updated_date=found.updated_at,
    )


def status(found: Standing) -> ScheduleStatus:
    """How a schedule stands; without a reason where there is none."""
    shown = None if found.schedule is None else record(found.schedule)
    enabled = found.schedule is not None and found.schedule.enabled
    reason = {} if found.reason is None else {"reason": found.reason}
    return ScheduleStatus(enabled=enabled, can_enable=found.can_enable, record=shown, **reason)


def log(found: ScheduledRun) -> TriggerLog:
    """A run as callers read it."""
    return TriggerLog(
        id=found.id,
        schedule_record_id=found.schedule,
        target_id=found.chatflow,
        execution_id=found.execution,
        status=found.status,
        error=found.error,
        elapsed_time_ms=found.elapsed_ms,
        scheduled_at=found.scheduled_at,
        workspace_id=found.workspace,
        created_date=found.created_at,
    )
