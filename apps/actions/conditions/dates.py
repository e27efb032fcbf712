"""Date & Time, Date and Time, all in the account's timezone."""

import operator as op
import re
from datetime import UTC, date, datetime, time
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_time

from apps.actions.conditions.operators import (
    EMPTINESS,
    Operator,
    Reader,
    Uncomparable,
    betweens,
    comparison,
    quoted,
    trimmed,
)
from apps.actions.moments import UnreadableMoment, read_moment

_TIME_OF_DAY = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?")


def _moment(value: Any, what: str) -> datetime:
    """In UTC: Python takes no moment for equal across timezones in the hour that comes twice."""
    try:
        return read_moment(trimmed(value)).astimezone(UTC)
    except (UnreadableMoment, OverflowError):
        raise Uncomparable(f"{quoted(value)} is not {what}") from None


def _local(value: Any, what: str) -> datetime:
    moment = _moment(value, what)
    try:
        return moment.astimezone(timezone.get_default_timezone())
    except OverflowError:
        raise Uncomparable(f"{quoted(value)} is not {what}") from None


def _read_moment(value: Any) -> datetime:
    return _moment(value, "a date and time")


def _read_day(value: Any) -> date:
    return _local(value, "a date").date()


def _read_time(value: Any) -> time:
    """A time of day such as 09:30, or that of a date and time."""
    text = trimmed(value)
    if not _TIME_OF_DAY.fullmatch(text):
        return _local(value, "a time").time()
    try:
        found = parse_time(text)
    except ValueError:
        found = None
    if found is None:
        raise Uncomparable(f"{quoted(value)} is not a time")
    return found


def _is_inside_the_clock(value: time, both: tuple[time, time]) -> bool:
    """From the first to the second, past midnight when the second is the earlier one."""
    start, end = both
    return start <= value <= end if start <= end else value >= start or value <= end


def _orders(read: Reader, on: Reader) -> dict[str, Operator]:
    return {
        "is": comparison("is", read, op.eq),
        "is_not": comparison("isn't", read, op.ne),
        "on": comparison("on", on, op.eq),
        "after": comparison("after", read, op.gt),
        "before": comparison("before", read, op.lt),
        "not_before": comparison("not before", read, op.ge),
    }


DATE_TIME = {
    **_orders(_read_moment, on=_read_day),
    **betweens(_read_moment, "dates", "2026-03-01 09:00,2026-03-31 17:00"),
    **EMPTINESS,
}
DATE = {
    **_orders(_read_day, on=_read_day),
    **betweens(_read_day, "dates", "2026-03-01,2026-03-31"),
    **EMPTINESS,
}
TIME = {
    **_orders(_read_time, on=_read_time),
    **betweens(_read_time, "times", "09:00,17:00", _is_inside_the_clock),
    **EMPTINESS,
}
