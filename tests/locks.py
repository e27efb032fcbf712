"""Other connections that wait for locks of this test (PostgreSQL), told by what the server says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep
from typing import Any

from django.db import connection

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock'"
)


def locks_waited_for() -> int:
    """How many connections to this database wait for a lock now."""
    with connection.cursor() as cursor:
        # What the server says is kept for the length of a transaction, unless it is told to forget.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(WAITING)
        return int(cursor.fetchone()[0])


def until_locks_are_waited_for(count: int, limit: float = 30) -> None:
    """Until so many others are stuck behind a lock."""
    end = monotonic() + limit
    while locks_waited_for() < count:
        assert monotonic() < end, f"{locks_waited_for()} instead of {count} wait for a lock"
        sleep(0.01)


class Other:
    """Work on a connection of its own, in a thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
        finally:
            connection.close()

    def gets_as_far_as_it_can(self) -> None:
        """Until it has ended, or waits for a lock that this thread's transaction holds."""
        end = monotonic() + 30
        while self._thread.is_alive() and not locks_waited_for():
            assert monotonic() < end, "It neither ended nor waits"
            sleep(0.01)

    def result(self) -> Any:
        self._thread.join(30)
        assert not self._thread.is_alive(), "It did not end"
        if self._error is not None:
            raise self._error
        return self._result


@contextmanager
def meanwhile(work: Callable[[], Any]) -> Iterator[Other]:
    """`work` by somebody else, begun here; it has ended when the block is left."""
    other = Other(work)
    try:
        yield other
    finally:
        other.result()
