"""Readings of the database's clock, for clock.py.

Whoever connects takes one. Long-lived processes take others as they go: a drain with each of its
looks (engine/agenda.py), web processes and Django-Q's tasks by `refresh`. SQLite has no clock but
the host's.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse

from apps.core import clock
from apps.core.due import is_postgresql

# Seconds for which a reading is good enough for who does not look around anyway.
FRESH = 5.0


def expression() -> str:
    """The SQL of what a reading needs: something to select."""
    return "clock_timestamp()" if is_postgresql() else "NULL"


def note(value: Any, asked: Any) -> None:
    """Take what `expression` gave as a reading; `asked` is `clock.elapsed()` before that."""
    clock.read(_shown(value), asked)


def _shown(value: datetime | None) -> datetime:
    return value or clock.host()


def take() -> None:
    """Take a reading by a statement of its own."""
    asked = clock.elapsed()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression()}")
        note(cursor.fetchone()[0], asked)


def refresh(**kwargs: Any) -> None:
    """Take a reading if the last one is older than FRESH; a receiver of signals, too. Never inside
    a transaction, which may be broken already. A database that is not there is left to the
    statement that comes next: it has somebody to tell."""
    if clock.is_fresh(FRESH) or not is_postgresql() or connection.in_atomic_block:
        return
    try:
        take()
    except Error:
        connection.close_if_unusable_or_obsolete()


def connected(connection: Any, **kwargs: Any) -> None:
    """A new connection begins with a reading: nothing is written without one."""
    if connection.alias == "default" and is_postgresql():
        take()


class DatabaseTime:
    """Middleware: what a request writes has the database's time."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        refresh()
        return self._get_response(request)
