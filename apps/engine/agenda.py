"""What is due, over all lanes: one statement, each part of it a look at the start of a partial
index. It is asked before each round, so that a lane with nothing to do costs nothing."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from django.db import connection

from apps.core import clock, database_time, jobs
from apps.core.due import read_moment
from apps.engine import clock_steps

# By lane, when its next row wakes. A suspect is among the runs, too.
_LANES = {
    "runs": "SELECT min(wake_at) FROM engine_run WHERE state = 'due'",
    # Of the first ones: one that was put off must not hide those behind it.
    "suspects": "SELECT min(wake_at) FROM (SELECT wake_at FROM engine_run"
    " WHERE state = 'due' AND attempts > 0 ORDER BY attempts, id LIMIT 200) AS suspects",
    "messages": "SELECT m.wake_at FROM messaging_message m"
    " JOIN messaging_channel c ON c.id = m.channel_id AND c.enabled"
    " WHERE m.state = 'queued' ORDER BY m.wake_at LIMIT 1",
    "delays": "SELECT min(wake_at) FROM engine_delay WHERE state = 'waiting'",
    "queues": "SELECT min(wake_at) FROM engine_queue",
    "schedules": "SELECT min(next_at) FROM engine_schedule WHERE enabled",
}


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
    """Also a reading of the database's clock. If that was put on or back, what must not follow it
    is put right first, and looked at again."""
    agenda, stepped = _look()
    return _look()[0] if clock_steps.seen(stepped) else agenda


def _look() -> tuple[Agenda, float]:
    """And Installation.clock_stepped."""
    asked = clock.elapsed()
    with connection.cursor() as cursor:
        cursor.execute(_statement())
        *times, stepped, shown = cursor.fetchone()
    database_time.note(shown, asked)
    lanes = zip([*_LANES, "jobs"], times, strict=True)
    return Agenda({lane: read_moment(at) for lane, at in lanes if at is not None}), stepped or 0.0


@cache
def _statement() -> str:
    """Made when all kinds of jobs are known."""
    parts = [*_LANES.values(), jobs.earliest(), clock_steps.RECORDED]
    looked_up = ", ".join(f"({each})" for each in parts)
    return f"SELECT {looked_up}, {database_time.expression()}"
