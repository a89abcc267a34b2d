"""When something is due by a clock: a cron expression in a time zone, or an interval.

Both are pure: given a moment they name the next one, so that a schedule that was missed is due once and not once for
every time it was missed.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.errors import Unprocessable

UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LONGEST = 366 * 86400
_EVERY = re.compile(r"([0-9]{1,9})\s*([mhdw])")


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields (minute, hour, day of month, month, day of week) read as the clocks of a time zone show them; a sixth
    one in front of them is the second.

    As with Debian's cron, an hour that a summer-time change leaves out counts as the first minute after it, and one
    that comes twice counts once.
    """

    expression: str
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Every:
    """A fixed interval in seconds, whatever the clocks show."""

    seconds: int


Schedule = Cron | Every


def cron(expression: str, timezone: str | None, *, with_second: bool = False) -> Cron:
    """A checked cron schedule; `with_second`: it may have a sixth field, one number in front of the others. Raises
    `Unprocessable` naming the field."""
    checked = Cron(" ".join(expression.split()), timezone or "UTC")
    try:
        ZoneInfo(checked.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Unprocessable(
            f"schedule.timezone: {checked.timezone[:60]!r} is unknown; use a name such as Europe/Berlin"
        ) from None
    parts = checked.expression.split()
    if with_second and len(parts) == 6 and parts[0].isascii() and parts[0].isdecimal():
        del parts[0]
    if len(parts) != 5:
        raise Unprocessable("schedule.cron: give five fields: minute hour day month weekday, such as `0 3 * * *`")
    next_after(checked, datetime(2024, 1, 1, tzinfo=UTC))
    return checked


def every(text: str) -> Every:
    """An interval such as `30m`, `6h`, `1d`, `2w`. Raises `Unprocessable`."""
    match = _EVERY.fullmatch(text.strip().lower())
    seconds = int(match[1]) * UNITS[match[2]] if match else 0
    if not 60 <= seconds <= LONGEST:
        raise Unprocessable("schedule.every: give a number and m, h, d or w, such as `6h`; from 1m to 366d")
    return Every(seconds)


def next_after(schedule: Schedule, after: datetime, anchor: datetime | None = None) -> datetime:
    """The first moment after `after` (aware) at which the schedule is due, in UTC.

    Intervals count from `anchor`, the moment that was due before, so that they do not drift; without one from `after`.
    Raises `Unprocessable` for an expression that is no cron expression, or that no day ever meets.
    """
    if isinstance(schedule, Every):
        step = timedelta(seconds=schedule.seconds)
        if anchor is None or anchor > after:
            return (after + step).astimezone(UTC)
        return (anchor + ((after - anchor) // step + 1) * step).astimezone(UTC)
    return _next_cron(schedule, after)


def _next_cron(schedule: Cron, after: datetime) -> datetime:
    from cronsim import CronSim, CronSimError

    after = after.astimezone(UTC)
    try:
        for found in CronSim(schedule.expression, after.astimezone(ZoneInfo(schedule.timezone))):
            # Wall clocks that go back name a minute twice: only what lies ahead in time counts.
            if (moment := found.astimezone(UTC)) > after:
                return moment
    except CronSimError as error:
        raise Unprocessable(f"schedule.cron: {error} in {schedule.expression[:100]!r}") from None
    raise Unprocessable(f"schedule.cron: {schedule.expression[:100]!r} names no day that ever comes")


def spelled(seconds: int) -> str:
    """An interval as `every` reads it, in its largest whole unit."""
    unit = next(unit for unit in ("w", "d", "h", "m") if seconds % UNITS[unit] == 0)
    return f"{seconds // UNITS[unit]}{unit}"
