"""When schedules are due: pure functions, with summer time."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Unprocessable
from service.timetable import Cron, Every, cron, every, next_after, spelled

BERLIN = ZoneInfo("Europe/Berlin")


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def test_a_cron_expression_is_read_by_the_clocks_of_its_zone() -> None:
    nightly = cron("0 3 * * *", "Europe/Berlin")
    assert next_after(nightly, datetime(2026, 1, 10, 12, tzinfo=UTC)) == datetime(2026, 1, 11, 2, tzinfo=UTC)
    assert next_after(nightly, datetime(2026, 7, 10, 12, tzinfo=UTC)) == datetime(2026, 7, 11, 1, tzinfo=UTC)
    assert next_after(cron("0 3 * * *", None), datetime(2026, 7, 10, 12, tzinfo=UTC)).hour == 3


def test_an_hour_that_summer_time_leaves_out_counts_as_the_next_minute() -> None:
    at = next_after(Cron("30 2 * * *", "Europe/Berlin"), berlin("2026-03-28T12:00:00"))
    assert at.astimezone(BERLIN).isoformat() == "2026-03-29T03:00:00+02:00"


def test_an_hour_that_comes_twice_counts_once() -> None:
    nightly = Cron("30 2 * * *", "Europe/Berlin")
    first = next_after(nightly, berlin("2026-10-24T12:00:00"))
    assert first.astimezone(BERLIN).isoformat() == "2026-10-25T02:30:00+02:00"
    second = next_after(nightly, first)
    assert second.astimezone(BERLIN).isoformat() == "2026-10-26T02:30:00+01:00"
    assert next_after(nightly, first + timedelta(minutes=40)) == second  # asked within the second pass of the hour


def test_hourly_means_every_hour_that_passes() -> None:
    moment, seen = berlin("2026-10-25T00:30:00").astimezone(UTC), []
    for _ in range(4):
        moment = next_after(Cron("0 * * * *", "Europe/Berlin"), moment)
        seen.append(moment)
    assert [later - earlier for earlier, later in pairwise(seen)] == [timedelta(hours=1)] * 3


@given(
    st.sampled_from(["0 3 * * *", "*/7 * * * *", "30 2 * * 0", "15 1-4 * * *", "0 0 29 2 *", "59 23 L * *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)
def test_the_next_time_always_lies_ahead(expression: str, zone: str, after: datetime) -> None:
    moment = after.replace(tzinfo=UTC)
    found = next_after(cron(expression, zone), moment)
    assert found > moment
    assert next_after(cron(expression, zone), found) > found


@given(st.integers(60, 10**6), st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)), st.integers(0, 10**7))
def test_an_interval_keeps_its_phase_however_late_it_is_asked(seconds: int, anchor: datetime, late: int) -> None:
    due = anchor.replace(tzinfo=UTC)
    now = due + timedelta(seconds=late)
    found = next_after(Every(seconds), now, due)
    assert now < found <= now + timedelta(seconds=seconds)
    assert (found - due) % timedelta(seconds=seconds) == timedelta(0)


def test_an_interval_that_waits_for_a_far_time_counts_from_now() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert next_after(Every(3600), now, now + timedelta(days=1)) == now + timedelta(hours=1)
    assert next_after(Every(3600), now) == now + timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1m", 60), ("90m", 5400), ("6h", 21600), (" 2 D ", 172800), ("1w", 604800)]
)
def test_intervals_are_read_and_written(text: str, seconds: int) -> None:
    assert every(text) == Every(seconds)
    assert every(spelled(seconds)) == Every(seconds)


@pytest.mark.parametrize("text", ["", "6", "h", "0h", "59s", "-1h", "367d", "1.5h", "99999999999h", "٣h"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable, match=r"schedule\.every"):
        every(text)


@pytest.mark.parametrize(
    ("expression", "zone", "field"),
    [
        ("0 3 * *", None, "cron"),
        ("0 0 3 * * *", None, "cron"),
        ("60 * * * *", None, "cron"),
        ("0 0 31 2 *", None, "cron"),
        ("@daily", None, "cron"),
        ("", None, "cron"),
        ("a b c d e", None, "cron"),
        ("0 3 * * *", "Europe/Atlantis", "timezone"),
        ("0 3 * * *", "../../etc/passwd", "timezone"),
        ("0 3 * * *", "/etc/localtime", "timezone"),
    ],
)
def test_what_is_no_cron_schedule_is_refused(expression: str, zone: str | None, field: str) -> None:
    with pytest.raises(Unprocessable, match=rf"schedule\.{field}"):
        cron(expression, zone)


def test_a_sixth_field_is_the_second_where_it_is_taken() -> None:
    checked = cron("30 15 9 * * 1-5", "UTC", with_second=True)
    assert next_after(checked, datetime(2026, 1, 2, 10, tzinfo=UTC)) == datetime(2026, 1, 5, 9, 15, 30, tzinfo=UTC)
    for expression in ("30 15 9 * * 1-5", "*/5 15 9 * * *"):
        with pytest.raises(Unprocessable):
            cron(expression, "UTC", with_second=expression.startswith("*"))
