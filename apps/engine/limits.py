"""The account's limit of outside calls: so many in any sixty seconds (product.md 0.15). The log
of calls is the bucket; who takes a slot holds the lock of shared rows until it commits."""

from datetime import datetime, timedelta

from django.conf import settings

from apps.core import clock
from apps.engine.models import Call

WINDOW = timedelta(seconds=60)
# Calls of other hosts may be ahead by a moment; what is further ahead was made before the clock was
# put back, and says nothing about the last minute.
AHEAD = timedelta(seconds=5)


class Slots:
    """The slots of one turn."""

    def __init__(self) -> None:
        self._used: int | None = None

    def take(self) -> datetime | None:
        """Take a slot for a call that is about to be committed; returns None, or when the next
        one is free."""
        limit = settings.HTTP_PER_MINUTE
        if not limit:
            return None
        now = clock.now()
        recent = Call.objects.filter(at__gt=now - WINDOW, at__lt=now + AHEAD)
        if self._used is None:
            self._used = recent.count()
        if self._used < limit:
            self._used += 1
            return None
        times = list(recent.order_by("-at").values_list("at", flat=True)[:limit])
        oldest = times[-1] if len(times) == limit else now
        return min(oldest, now) + WINDOW
