"""Calendar periods: hours, days, ISO weeks and months, one or several together, by the clock of a
timezone. They are counted from the calendar's beginning, not from when a counter was made, so
that three months are a quarter and six hours begin at midnight."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

_MIDNIGHT = time(0)


class Period(NamedTuple):
    """From `start` until before `end`, both aware and in UTC."""

    start: datetime
    end: datetime


def period_of(moment: datetime, unit: str, every: int, zone: ZoneInfo) -> Period:
    """The period of `every` units (hour, day, week, month) that `moment` lies in."""
    local = moment.astimezone(zone)
    if unit == "hour" and every == 1:
        # The hour that comes twice when clocks are put back is two hours.
        start = local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        return Period(start, start + timedelta(hours=1))
    starts_at, ends_at = _WALLS[unit](local, every)
    start, end = (wall.replace(tzinfo=zone).astimezone(UTC) for wall in (starts_at, ends_at))
    return Period(start, end)


def _hours(local: datetime, every: int) -> tuple[datetime, datetime]:
    number = (local.toordinal() * 24 + local.hour) // every * every
    return _hour(number), _hour(number + every)


def _hour(number: int) -> datetime:
    day, hour = divmod(number, 24)
    return datetime.combine(date.fromordinal(day), time(hour))


def _days(local: datetime, every: int) -> tuple[datetime, datetime]:
    number = local.toordinal() // every * every
    return _day(number), _day(number + every)


def _weeks(local: datetime, every: int) -> tuple[datetime, datetime]:
    # The first day of the calendar, 1 January 1, is a Monday.
    number = (local.toordinal() - 1) // 7 // every * every
    return _day(number * 7 + 1), _day((number + every) * 7 + 1)


def _day(number: int) -> datetime:
    return datetime.combine(date.fromordinal(number), _MIDNIGHT)


def _months(local: datetime, every: int) -> tuple[datetime, datetime]:
    number = (local.year * 12 + local.month - 1) // every * every
    return _month(number), _month(number + every)


def _month(number: int) -> datetime:
    year, month = divmod(number, 12)
    return datetime(year, month + 1, 1)  # noqa: DTZ001


_WALLS = {"hour": _hours, "day": _days, "week": _weeks, "month": _months}
