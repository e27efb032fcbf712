"""The only source of time: the database's clock, so that all hosts have one and the same.

A process reads it now and then (database_time.py) and in between carries the reading on by the time
that has passed since its host was started, which no step of any clock changes. A process that has
not read it yet takes its host's clock. Tests tick a clock of their own.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

# It goes on while the host is asleep; where there is no such clock, asleep counts as a step.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A clock that is found to be off by more was put on or back; by less, it goes a little wrong.
STEP = timedelta(seconds=5)


def host() -> datetime:
    """What the host's own clock shows."""
    return datetime.now(UTC)


def _seconds() -> float:
    return time.clock_gettime(_ELAPSED)


def elapsed() -> timedelta:
    """The time since the host was started."""
    return timedelta(seconds=_seconds())


def uptime() -> float:
    """The same in seconds."""
    return elapsed().total_seconds()


class Line:
    """What the database's clock shows, as a line through what was read of it."""

    def __init__(self) -> None:
        # What it showed when the host was started, going by the newest reading.
        self.began: datetime | None = None
        # The same in seconds since 1970: `now` is asked for many times in a turn.
        self.since: float | None = None
        # By how much it was put on (or, below nought, back) while this process read it.
        self.stepped = timedelta()
        # When it was read last.
        self.read_at = timedelta()
        self._lock = Lock()

    def read(self, shown: datetime, asked: timedelta) -> None:
        """The line moves no further than it must to agree with the reading, which is as good as the
        answer was quick. The first one is taken for as late as it can be: better ones then move the
        line on, and what was written with it is not due a little later."""
        with self._lock:
            answered = elapsed()
            earliest, latest = shown - answered, shown - asked
            if self.began is None:
                self.began = earliest
            moved = min(max(self.began, earliest), latest) - self.began
            if abs(moved) > STEP + (answered - self.read_at) / 1000:
                self.stepped += moved
            self.began += moved
            self.since = self.began.timestamp()
            self.read_at = answered


_line = Line()
_source: Callable[[], datetime] | None = None


def now() -> datetime:
    """The current moment, aware, in UTC."""
    if _source is not None:
        return _source()
    since = _line.since
    return host() if since is None else datetime.fromtimestamp(since + _seconds(), UTC)


def steady() -> timedelta:
    """For waits that only this process knows of: a time that goes evenly whatever becomes of the
    database's clock. It means nothing to another process."""
    return elapsed() if _source is None else _source() - _EPOCH


def read(shown: datetime, asked: timedelta) -> None:
    """Note what the database's clock has `shown` at some moment between `asked` (see `elapsed`) and
    now."""
    _line.read(shown, asked)


def stepped() -> timedelta:
    """By how much in all this process saw the database's clock put on; back is below nought."""
    return _line.stepped


def is_fresh(seconds: float) -> bool:
    """Whether the last reading is no older than so many seconds. A test's clock always is."""
    if _source is not None:
        return True
    return _line.began is not None and elapsed() - _line.read_at <= timedelta(seconds=seconds)


def use(source: Callable[[], datetime] | None) -> None:
    """Read the time from `source` (tests, rehearsals); None goes back to the database's clock."""
    global _source
    _source = source
