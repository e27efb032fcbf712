"""The account's limit of outside calls: so many in any sixty seconds (product.md 0.15). The log
of calls is the bucket; who takes a slot holds the lock of shared rows until it commits."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from apps.core import clock
from apps.core.due import moment
from apps.engine.models import Call

WINDOW = timedelta(seconds=60)
# Calls of other hosts may be ahead by a moment; what is further ahead was made before the clock was
# put back, and says nothing about the last minute.
AHEAD = timedelta(seconds=5)
QUEUE = "limit"


def _recent() -> Any:
    now = clock.now()
    return Call.objects.filter(at__gt=now - WINDOW, at__lt=now + AHEAD)


def _look() -> tuple[int, bool]:
    """How many calls were made in the window, and whether runs stand in the queue: one statement,
    since each turn with calls asks."""
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), EXISTS (SELECT 1 FROM engine_queue WHERE name = %s)"
            " FROM engine_call WHERE at > %s AND at < %s",
            [QUEUE, moment(now - WINDOW), moment(now + AHEAD)],
        )
        made, stands = cursor.fetchone()
    return made, bool(stands)


def free() -> int | None:
    """How many slots are free now; None without a limit."""
    limit = settings.HTTP_PER_MINUTE
    return max(0, limit - _recent().count()) if limit else None


def next_free_at() -> datetime:
    """When the next slot is free, if none is now."""
    limit, now = settings.HTTP_PER_MINUTE, clock.now()
    times = list(_recent().order_by("-at").values_list("at", flat=True)[:limit])
    oldest: datetime = times[-1] if times and len(times) == limit else now
    return min(oldest, now) + WINDOW


class Slots:
    """The slots of one turn."""

    def __init__(self) -> None:
        self._free: int | None = None
        self._queue_stands = False

    def take(self, waits: bool = False, has_waited: bool = False) -> bool:
        """Take a slot for a call that is about to be committed. Who `waits` for one gets none while
        others stand in the queue for it, unless it comes from there."""
        limit = settings.HTTP_PER_MINUTE
        if not limit:
            return True
        if self._free is None:
            made, self._queue_stands = _look()
            self._free = max(0, limit - made)
        if self._free <= 0 or (waits and not has_waited and self._queue_stands):
            self._queue_stands = self._queue_stands or waits
            return False
        self._free -= 1
        return True
