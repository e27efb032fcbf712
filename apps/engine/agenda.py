"""What is due, over all lanes: one statement, each part of it a look at the start of a partial
index. It is asked before each round, so that a lane with nothing to do costs nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from apps.core import clock

# By lane, when its next row wakes. A suspect is among the runs, too.
_LANES = {
    "runs": "SELECT min(wake_at) FROM engine_run WHERE state = 'due'",
    "suspects": "SELECT wake_at FROM engine_run WHERE state = 'due' AND attempts > 0"
    " ORDER BY id LIMIT 1",
    "messages": "SELECT m.wake_at FROM messaging_message m"
    " JOIN messaging_channel c ON c.id = m.channel_id AND c.enabled"
    " WHERE m.state = 'queued' ORDER BY m.wake_at LIMIT 1",
    "delays": "SELECT min(wake_at) FROM engine_delay WHERE state = 'waiting'",
    "schedules": "SELECT min(next_at) FROM engine_schedule WHERE enabled",
}
_STATEMENT = f"SELECT {', '.join(f'({look})' for look in _LANES.values())}"


@dataclass(frozen=True)
class Agenda:
    """When each lane has something to do; lanes without any row are missing."""

    times: dict[str, datetime]

    @property
    def earliest(self) -> datetime | None:
        return min(self.times.values(), default=None)

    def due(self) -> set[str]:
        """The lanes that have something to do now."""
        now = clock.now()
        return {lane for lane, at in self.times.items() if at <= now}


def look() -> Agenda:
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT)
        times = zip(_LANES, cursor.fetchone(), strict=True)
    return Agenda({lane: _moment(at) for lane, at in times if at is not None})


def earliest_due() -> datetime | None:
    """When the next row of any lane wakes."""
    return look().earliest


def _moment(value: Any) -> datetime:
    """A time as the database gives it: SQLite has texts or naive times, in UTC."""
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
