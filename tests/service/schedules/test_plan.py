"""The times of an agentflow, read out of its start node."""

from datetime import UTC, datetime
from typing import Any

import pytest

from service.schedules.plan import plan_of
from service.schedules.types import CannotRun, InputMode
from service.timetable import next_after

FORM = {"scheduleInputMode": "form", "scheduleFormInputTypes": [{}]}
CRON = {"scheduleType": "cronExpression", "scheduleCronExpression": "0 9 * * 1-5", "scheduleDefaultInput": "report"}
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def picked(**inputs: Any) -> dict[str, Any]:
    """What was picked in a calendar."""
    return {"scheduleType": "visualPicker", "scheduleInputMode": "none", **inputs}


@pytest.mark.parametrize(
    ("inputs", "expression"),
    [
        (CRON, "0 9 * * 1-5"),
        ({**CRON, "scheduleCronExpression": " 30 0 9 * * 1 "}, "30 0 9 * * 1"),
        (picked(scheduleFrequency="hourly", scheduleOnMinute="30"), "30 * * * *"),
        (picked(scheduleFrequency="hourly", scheduleOnMinute=0), "0 * * * *"),
        (picked(scheduleFrequency="daily", scheduleOnTime="09:05"), "5 9 * * *"),
        (picked(scheduleFrequency="weekly", scheduleOnTime="18:00", scheduleOnDayOfWeek="1, 3,7"), "0 18 * * 1,3,7"),
        (picked(scheduleFrequency="weekly", scheduleOnTime="18:00", scheduleOnDayOfWeek=["2"]), "0 18 * * 2"),
        (picked(scheduleFrequency="monthly", scheduleOnTime="00:00", scheduleOnDayOfMonth="1,L"), "0 0 1,L * *"),
    ],
)
def test_times_are_read(inputs: dict[str, Any], expression: str) -> None:
    plan = plan_of("start", inputs)
    assert plan.cron.expression == expression
    assert next_after(plan.cron, MONDAY) > MONDAY


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({}, "non-empty"),
        ({**CRON, "scheduleCronExpression": "every day"}, "five fields"),
        ({**CRON, "scheduleCronExpression": "* * 30 2 *"}, "day-of-month"),
        ({**CRON, "scheduleCronExpression": "*/5 * * * * *"}, "five fields"),
        ({**CRON, "scheduleTimezone": "Mars/Olympus"}, "Mars"),
        ({**CRON, "scheduleInputMode": "voice"}, "Input Mode"),
        ({**CRON, "scheduleDefaultInput": "<p></p>"}, "Default input"),
        ({**CRON, "scheduleInputMode": "form"}, "form field"),
        ({**CRON, **FORM, "scheduleFormDefaults": "["}, "object"),
        ({**CRON, **FORM, "scheduleFormDefaults": "[1]"}, "object"),
        ({**CRON, "scheduleEndDate": "soon"}, "end date"),
        (picked(), "Frequency is required"),
        (picked(scheduleFrequency="yearly"), "Invalid frequency"),
        (picked(scheduleFrequency="hourly"), "On Minute"),
        (picked(scheduleFrequency="hourly", scheduleOnMinute=60), "On Minute"),
        (picked(scheduleFrequency="daily"), "On Time is required"),
        (picked(scheduleFrequency="daily", scheduleOnTime="24:00"), "On Time"),
        (picked(scheduleFrequency="weekly", scheduleOnTime="09:00"), "On Day of Week is required"),
        (picked(scheduleFrequency="weekly", scheduleOnTime="09:00", scheduleOnDayOfWeek="L"), "On Day of Week"),
        (picked(scheduleFrequency="monthly", scheduleOnTime="09:00", scheduleOnDayOfMonth="0"), "On Day of Month"),
    ],
)
def test_what_lacks_something_says_what(inputs: dict[str, Any], reason: str) -> None:
    with pytest.raises(CannotRun, match=reason):
        plan_of("start", inputs)


def test_a_form_has_its_values() -> None:
    form = {"scheduleInputMode": "form", "scheduleFormInputTypes": [{"name": "team"}]}
    assert plan_of("s", {**CRON, **form, "scheduleFormDefaults": '{"team": "a"}'}).form == {"team": "a"}
    assert plan_of("s", {**CRON, **form, "scheduleFormDefaults": {"n": 1}}).form == {"n": 1}
    assert plan_of("s", {**CRON, **form}).form == {}
    assert plan_of("s", CRON).mode is InputMode.TEXT


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2026-01-31T12:00:00.000Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 11, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, 22, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_the_last_day_is_one_of_the_time_zone(text: str, end: datetime) -> None:
    assert plan_of("s", {**CRON, "scheduleTimezone": "Europe/Berlin", "scheduleEndDate": text}).end_at == end
