"""The bell: "look at the due rows". A hint only; a lost one costs latency, never work."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from apps.core import clock
from apps.core.due import is_postgresql

CHANNEL = "switchboard_due"
# The clock looks by itself this often, so only what is due sooner needs the bell.
LOOKS_EVERY = timedelta(seconds=1)
# There is no bell on SQLite: seconds between two looks.
SQLITE_LOOKS_EVERY = 0.05


def ring(due_at: datetime | None = None) -> None:
    """Wake the clocks of all workers, unless they will look in time anyway."""
    if is_postgresql() and (due_at is None or due_at < clock.now() + 2 * LOOKS_EVERY):
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def listen() -> Any:
    """This process's connection, made to hear the bell; None where there is no bell. Called again
    before each wait, since a connection may have been replaced."""
    global _listening
    if not is_postgresql():
        return None
    connection.ensure_connection()
    current = connection.connection
    if _listening is not current:
        current.execute(f"LISTEN {CHANNEL}")
        _listening = current
    return current


_listening: Any = None


def heard(bell: Any, seconds: float = 0) -> bool:
    """Whether it rang since the last time; waits for it up to so long."""
    return bool(list(bell.notifies(timeout=seconds, stop_after=1 if seconds else None)))
