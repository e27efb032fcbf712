from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from apps.engine import turn
from apps.engine.models import Attempt, Run
from tests.factories import published


@pytest.fixture
def happen(post, drain, clock) -> Callable[..., Run]:
    """Publish the steps, post one event, do everything that is due; returns the run."""

    def act(*steps: Any, event: Any = None, **connector: Any) -> Run:
        made = published(*steps, **connector)
        assert post(made, {} if event is None else event).status_code == 202
        drain()
        return Run.objects.filter(connector=made).latest("pk")

    return act


@pytest.fixture
def told() -> Callable[..., Attempt]:
    """The newest timeline entry of a run for a kind."""

    def entry(run: Run, kind: str) -> Attempt:
        return Attempt.objects.filter(run=run, kind=kind).latest("pk")

    return entry


@pytest.fixture
def lost_turn(monkeypatch) -> list[bool]:
    """The first turn does all of its work and then loses its transaction; [True] once it did."""
    lost: list[bool] = []
    write = turn._write

    def lose_once(*args: Any) -> None:
        write(*args)
        if not lost:
            lost.append(True)
            raise OperationalError("database is locked")

    monkeypatch.setattr(turn, "_write", lose_once)
    return lost
