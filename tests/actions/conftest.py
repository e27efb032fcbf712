from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.utils.module_loading import import_string
from django_q.models import OrmQ

from apps.core.http.guard import AllowList
from apps.engine import group
from apps.engine.models import Attempt, Run
from tests.factories import published
from tests.mailboxes import Mailbox, receiving
from tests.servers import Server, serving


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
    write = group._write

    def lose_once(*args: Any) -> None:
        write(*args)
        if not lost:
            lost.append(True)
            raise OperationalError("database is locked")

    monkeypatch.setattr(group, "_write", lose_once)
    return lost


@pytest.fixture
def server(settings) -> Iterator[Server]:
    """A server on loopback, which may be called as often as a test likes."""
    settings.HTTP_ALLOW = AllowList.read(["127.0.0.1"])
    settings.HTTP_PER_MINUTE = 0
    with serving() as made:
        yield made


@pytest.fixture
def smtp(settings) -> Iterator[Mailbox]:
    """A real mail server that keeps what it gets."""
    with receiving() as made:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", made.port
        yield made


@pytest.fixture
def run_tasks() -> Callable[[], int]:
    """Do what is queued for Django-Q, as its workers would; returns how many tasks there were."""

    def work() -> int:
        queued = list(OrmQ.objects.order_by("pk"))
        for row in queued:
            row.delete()
            task = row.task
            func = import_string(task["func"]) if isinstance(task["func"], str) else task["func"]
            func(*task["args"], **task["kwargs"])
        return len(queued)

    return work
