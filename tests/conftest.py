import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apps.core import clock as core_clock
from apps.core import database_time, notices
from apps.core.http.outgoing import outgoing
from apps.core.trouble import kind_of
from apps.engine import calls, intake, mending, rate, rounds
from apps.engine.agenda import look
from apps.engine.rounds import round_of_lanes

PAYLOADS = Path(__file__).parent / "payloads"


class Clock:
    """A clock that stands until it is ticked."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

    def tick(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Time that stands still at 2026-03-02 12:00 UTC; `clock.tick(hours=2)` moves it."""
    standing = Clock()
    core_clock.use(lambda: standing.now)
    yield standing
    core_clock.use(None)


@pytest.fixture(autouse=True)
def _fresh_caches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ids are given out again in the next test, so nothing may be remembered by id, nor how much a
    turn got through. And no reading of the clock comes in between when statements are counted."""
    monkeypatch.setattr(database_time, "FRESH", 3600)
    from apps.engine import plan, turn

    intake._cache.clear()
    rate.forget()
    calls.forget()
    plan._cached.cache_clear()
    turn._reach = 20
    yield


@pytest.fixture(autouse=True)
def _lanes_break_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that goes on when a lane breaks must not hide a bug from the tests."""
    tell = rounds._tell

    def loudly(lane: str, error: Exception) -> None:
        if not isinstance(error, mending.InTrouble) and kind_of(error) is None:
            raise error
        tell(lane, error)

    monkeypatch.setattr(rounds, "_tell", loudly)
    monkeypatch.setattr(mending, "_passes", mending.Passes())
    monkeypatch.setattr(notices, "_said", {})
    monkeypatch.setattr(notices, "_unwritten", {})
    monkeypatch.setattr(rounds, "lanes", rounds.Lanes())


@pytest.fixture
def drain() -> Callable[[], int]:
    """Do everything that is due now, in this process; returns how many rows were taken."""

    def work() -> int:
        total = 0
        for _ in range(1000):
            taken = round_of_lanes(look().due())
            total += taken
            if not taken:
                if not outgoing().in_flight:
                    return total
                outgoing().wait(30)
        raise AssertionError("The work does not end")

    return work


@pytest.fixture
def post() -> Callable[..., Any]:
    """Post an event to a connector as an outside caller would."""

    def send(connector: Any, payload: Any = None, **kwargs: Any) -> Any:
        client = Client()
        path = f"/hooks/{connector.token}" + kwargs.pop("path", "")
        if payload is None and "data" not in kwargs:
            return client.post(path, **kwargs)
        kwargs.setdefault("content_type", "application/json")
        data = kwargs.pop("data", None)
        return client.post(path, data=json.dumps(payload) if data is None else data, **kwargs)

    return send


@pytest.fixture
def is_postgresql(db: None) -> bool:
    return connection.vendor == "postgresql"
