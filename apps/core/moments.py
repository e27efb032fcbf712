"""Reading dates from what others send. Pure."""

import re
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime


class UnreadableMoment(ValueError):
    """Neither an ISO date nor a timestamp."""


def read_moment(value: Any, zone: ZoneInfo | None = None) -> datetime:
    """A moment from an ISO date or date-time or a Unix timestamp (10 digits: seconds, 13:
    milliseconds). Without a time it is midnight, without an offset local time, in `zone` (the
    account's timezone by default)."""
    local = zone or timezone.get_default_timezone()
    text = str(value).strip()
    try:
        stamp = re.fullmatch(r"([0-9]{10}|[0-9]{13})(\.[0-9]+)?", text)
        if stamp:
            seconds = Decimal(text) / (1000 if len(stamp[1]) == 13 else 1)
            return datetime.fromtimestamp(float(seconds), UTC)
        day = parse_date(text)
        if day is not None:
            return datetime.combine(day, time.min, local)
        moment = parse_datetime(text)
    except (ValueError, OverflowError, OSError, InvalidOperation):
        moment = None
    if moment is None:
        raise UnreadableMoment(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=local)


def is_moment(text: str) -> bool:
    """Whether read_moment can read it."""
    try:
        read_moment(text)
    except UnreadableMoment:
        return False
    return True
