"""Reads the times of an agentflow out of the fields of its start node."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from service import timetable
from service.chatflows import graph as graphs
from service.chatflows.types import BrokenGraph, Chatflow, FlowType
from service.errors import Unprocessable
from service.schedules.types import CannotRun, InputMode, Plan

START = "startAgentflow"
INPUT = "scheduleInput"
EMPTY = ("", "<p></p>")
"""What an editor of rich text leaves where nothing was written."""


def start_of(flow: Chatflow) -> tuple[str, Mapping[str, Any]] | None:
    """Id and fields of the start node of an agentflow that starts by a clock; None for every other flow."""
    if flow.type is not FlowType.AGENTFLOW:
        return None
    try:
        nodes = graphs.parse(flow.flow_data).nodes.values()
    except BrokenGraph:
        return None
    start = next((node for node in nodes if node.name == START), None)
    if start is None or start.inputs.get("startInputType") != INPUT:
        return None
    return start.id, start.inputs


def plan_of(node: str, inputs: Mapping[str, Any]) -> Plan:
    """What the fields say. Raises `CannotRun` with what is missing."""
    zone = _text(inputs, "scheduleTimezone") or "UTC"
    expression = _picked(inputs) if inputs.get("scheduleType") == "visualPicker" else _written(inputs)
    try:
        cron = timetable.cron(expression, zone, with_second=True)
    except Unprocessable as error:
        raise CannotRun(error.message.removeprefix("schedule.")) from None
    mode = inputs.get("scheduleInputMode") or InputMode.TEXT
    if mode not in set(InputMode):
        raise CannotRun("Schedule Input Mode is required")
    plan = Plan(node, cron, InputMode(mode), end_at=_end(inputs.get("scheduleEndDate"), zone))
    if plan.mode is InputMode.TEXT:
        text = _text(inputs, "scheduleDefaultInput")
        if text in EMPTY:
            raise CannotRun("Default input is required to enable schedule")
        return Plan(node, cron, plan.mode, text, None, plan.end_at)
    if plan.mode is InputMode.FORM:
        if not inputs.get("scheduleFormInputTypes"):
            raise CannotRun("At least one form field must be defined to enable schedule")
        return Plan(node, cron, plan.mode, "", _form(inputs.get("scheduleFormDefaults")), plan.end_at)
    return plan


def _written(inputs: Mapping[str, Any]) -> str:
    expression = _text(inputs, "scheduleCronExpression")
    if not expression:
        raise CannotRun("Cron expression must be a non-empty string")
    return expression


def _picked(inputs: Mapping[str, Any]) -> str:
    """The cron expression of what was picked in a calendar."""
    frequency = inputs.get("scheduleFrequency")
    if frequency == "hourly":
        return f"{_number(inputs.get('scheduleOnMinute'), 'On Minute', 0, 59)} * * * *"
    if frequency not in ("daily", "weekly", "monthly"):
        raise CannotRun(f"Invalid frequency: {frequency}" if frequency else "Frequency is required")
    hour, colon, minute = _text(inputs, "scheduleOnTime").partition(":")
    if not colon:
        raise CannotRun("On Time is required for daily/weekly/monthly frequency")
    moment = f"{_number(minute, 'On Time', 0, 59)} {_number(hour, 'On Time', 0, 23)}"
    if frequency == "weekly":
        days = _days(inputs.get("scheduleOnDayOfWeek"), "On Day of Week", 1, 7)
        return f"{moment} * * {days}"
    if frequency == "monthly":
        return f"{moment} {_days(inputs.get('scheduleOnDayOfMonth'), 'On Day of Month', 1, 31, last=True)} * *"
    return f"{moment} * * *"


def _days(value: Any, name: str, least: int, most: int, *, last: bool = False) -> str:
    """Days, separated by commas or in a list; `last`: `L` stands for a month's last one."""
    given = [str(item) for item in value] if isinstance(value, list) else str(value or "").split(",")
    days = [item.strip() for item in given if item.strip()]
    if not days:
        raise CannotRun(f"{name} is required")
    return ",".join("L" if last and day == "L" else str(_number(day, name, least, most)) for day in days)


def _number(value: Any, name: str, least: int, most: int) -> int:
    text = str(value if value is not None else "").strip()
    if not (text.isascii() and text.isdigit() and least <= int(text[:4]) <= most):
        raise CannotRun(f"{name} must be an integer between {least} and {most}")
    return int(text)


def _end(value: Any, zone: str) -> datetime | None:
    """The moment from which on nothing runs; a date without a time is the whole of that day."""
    if not value:
        return None
    try:
        found = datetime.fromisoformat(str(value).strip())
    except ValueError:
        raise CannotRun("Invalid end date") from None
    if found.tzinfo is None:
        if len(str(value).strip()) <= len("2026-01-31"):
            found = datetime.combine(found.date(), time.max)
        found = found.replace(tzinfo=ZoneInfo(zone))
    return found.astimezone(UTC)


def _form(value: Any) -> Mapping[str, Any]:
    """The values of the form."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise CannotRun("Default Form Values must be a JSON object") from None
    if not value:
        return {}
    if not isinstance(value, Mapping):
        raise CannotRun("Default Form Values must be a JSON object")
    return value


def _text(inputs: Mapping[str, Any], name: str) -> str:
    value = inputs.get(name)
    return value.strip() if isinstance(value, str) else ""
