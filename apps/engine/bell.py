"""The bell: "look at the due rows". A hint only; a lost one costs latency, never work."""

from datetime import datetime, timedelta

from django.db import connection

from apps.core import clock
from apps.core.due import is_postgresql

CHANNEL = "switchboard_due"
# The clock looks by itself this often, so only what is due sooner needs the bell.
LOOKS_EVERY = timedelta(seconds=1)


def ring(due_at: datetime | None = None) -> None:
    """Wake the clocks of all workers, unless they will look in time anyway."""
    if is_postgresql() and (due_at is None or due_at < clock.now() + 2 * LOOKS_EVERY):
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")
