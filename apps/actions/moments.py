"""Reckoning delays from dates (product.md, section 4). Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from apps.core.moments import UnreadableMoment, is_moment, read_moment

__all__ = ["UNITS", "UnreadableMoment", "is_moment", "read_moment", "shift"]

UNITS = [("minutes", "minutes"), ("hours", "hours"), ("days", "days")]


def shift(moment: datetime, amount: int, unit: str, zone: ZoneInfo | None = None) -> datetime:
    """`moment` moved by `amount` (negative: earlier) units. Days are days of the calendar in
    `zone` (the account's timezone by default): the same time of day, also where the clocks change;
    hours and minutes are elapsed time. Raises OverflowError beyond year 9999."""
    if unit == "days" and amount:
        local = moment.astimezone(zone or timezone.get_default_timezone())
        return (local + timedelta(days=amount)).astimezone(UTC)
    return moment.astimezone(UTC) + timedelta(**{unit: amount})
