"""Clocks that are put on and back: the host's, and the database's as its readings show it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from apps.core import clock, database_time, due
from apps.engine import clock_steps, upkeep
from apps.engine.agenda import look

HOUR, MINUTE, MOMENT = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=3)
BOTH_WAYS = pytest.mark.parametrize("step", [HOUR, -HOUR])
STATE = [(clock, "_line"), (clock_steps, "witness"), (upkeep, "_done_at")]


class Clocks:
    """`database` and `host` are how far each is ahead of the true time, in which time passes by
    itself and by `tick`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = self.host = self.passed = timedelta()
        self._owner = due.owner()
        really = clock._seconds
        monkeypatch.setattr(due, "owner", lambda: self._owner)
        for module, name in STATE:
            monkeypatch.setattr(module, name, getattr(module, name))  # to be put back
        monkeypatch.setattr(clock, "_seconds", lambda: really() + self.passed.total_seconds())
        monkeypatch.setattr(clock, "host", lambda: self.true + self.host)
        monkeypatch.setattr(database_time, "_shown", lambda value: self.true + self.database)
        self._processes: dict[str, list[Any]] = {}
        self.restart()

    @property
    def true(self) -> datetime:
        return datetime.now(UTC) + self.passed

    @property
    def shown(self) -> datetime:
        """What the database's clock shows."""
        return self.true + self.database

    def step(self, by: timedelta) -> None:
        """Put the database's clock on. On SQLite that is the host's."""
        self.database += by
        if connection.vendor == "sqlite":
            self.host = self.database

    def tick(self, **by: float) -> None:
        self.passed += timedelta(**by)

    def watch(self, **for_: float) -> None:
        """Let time pass, looking now and then, as a drain does that has nothing to do."""
        until = self.passed + timedelta(**for_)
        while self.passed < until:
            self.tick(seconds=1)
            look()
            upkeep.when_due()

    def restart(self) -> None:
        """From here on, this is a process that has just been started, and has read no clock."""
        clock._line, clock_steps.witness = clock.Line(), clock_steps.Witness()
        upkeep._done_at = None

    @contextmanager
    def process(self, name: str) -> Iterator[None]:
        """What is done here, is done by another process."""
        owner, self._owner = self._owner, name
        ours = [getattr(module, attribute) for module, attribute in STATE]
        self.restart()
        for (module, attribute), value in zip(STATE, self._processes.get(name, []), strict=False):
            setattr(module, attribute, value)
        yield
        self._owner = owner
        self._processes[name] = [getattr(module, attribute) for module, attribute in STATE]
        for (module, attribute), value in zip(STATE, ours, strict=True):
            setattr(module, attribute, value)


def left(row: Any, clocks: Clocks) -> timedelta:
    """How long until it wakes, by the database's clock."""
    row.refresh_from_db()
    wake_at: datetime = row.wake_at
    return wake_at - clocks.shown


def close(one: Any, other: Any, by: timedelta = MOMENT) -> bool:
    return bool(abs(one - other) < by)
