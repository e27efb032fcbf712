"""The bell: "look at the due rows". A hint only; a lost one costs latency, never work."""

from datetime import datetime, timedelta

from django.db import connection

from apps.core import clock
from apps.core.due import is_postgresql

CHANNEL = "switchboard_due"
# Drains look by themselves this often, so only what is due sooner needs the bell.
LOOKS_EVERY = timedelta(seconds=1)
# There is no bell on SQLite: seconds between two looks.
SQLITE_LOOKS_EVERY = 0.05


def ring(due_at: datetime | None = None) -> None:
    """Wake the drains of all hosts, unless they will look in time anyway."""
    if is_postgresql() and (due_at is None or due_at < clock.now() + 2 * LOOKS_EVERY):
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def listen() -> None:
    """Hear the bell from now on. Each new connection has to listen anew."""
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")


def descriptor() -> int | None:
    """What becomes readable when it rings; None where there is no bell."""
    if not is_postgresql():
        return None
    connection.ensure_connection()
    return int(connection.connection.fileno())


def heard() -> bool:
    """Whether it rang since the last time."""
    with connection.wrap_database_errors:
        return bool(list(connection.connection.notifies(timeout=0)))
