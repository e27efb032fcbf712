"""drain(): the Django-Q task that does the work. It takes turns over the lanes until nothing is
due or its time is up; the clock (broker.py) hands out the next one when something wakes."""

import logging
from multiprocessing import Value
from time import monotonic
from typing import Any

from django.db import connection

from apps.core import clock
from apps.core.due import is_postgresql
from apps.engine import calls, delays, jobs, schedules
from apps.engine.agenda import earliest_due
from apps.engine.bell import LOOKS_EVERY, SQLITE_LOOKS_EVERY, heard, listen
from apps.engine.turn import take_turn
from apps.messaging import delivery

logger = logging.getLogger(__name__)

SECONDS = 40
HANGS_AFTER = 10


class Floor:
    """What the processes of one cluster share: made before they fork, inherited by all."""

    def __init__(self) -> None:
        self.drains: Any = Value("i", 0)  # handed out and not finished
        self.stopping: Any = Value("b", 0)
        # When a drain last found nothing to do (system-wide monotonic clock).
        self.barren_at: Any = Value("d", 0.0)

    def reset(self) -> None:
        """Before a (re)start: nobody of the former cluster is left."""
        self.drains.value = 0
        self.stopping.value = 0
        self.barren_at.value = 0.0


floor = Floor()


def drain() -> int:
    """Work until nothing is due and no call is under way; returns how many rows were taken.

    Nothing is claimed after SECONDS. Calls that are under way then are waited for, but their runs
    make no more of them here, and the drain no longer counts as one: the clock may hand out the
    next.
    """
    total = 0
    until = monotonic() + SECONDS
    counted = True
    try:
        _limit_waits()
        while True:
            claiming = monotonic() < until and not floor.stopping.value
            calls.exchange().closing = not claiming
            if counted and not claiming:
                _leave()
                counted = False
            taken = round_of_lanes() if claiming else take_turn(claiming=False)
            total += taken
            if not taken and not _wait_for_answers(claiming):
                return total
    finally:
        if not total:
            floor.barren_at.value = monotonic()
        if counted:
            _leave()


def round_of_lanes() -> int:
    """One turn of each lane, so that none starves another."""
    taken = schedules.fire() + delays.wake() + take_turn() + delivery.turn()
    return taken + jobs.turn(idle=not taken)


def _wait_for_answers(claiming: bool) -> bool:
    """Wait until a call has ended or, with `claiming`, a row may be due; False when no call is
    under way."""
    exchange = calls.exchange()
    if not exchange.in_flight:
        return False
    if not claiming:
        exchange.wait(LOOKS_EVERY.total_seconds())
    elif (bell := listen()) is not None:
        wait = _until_due()
        if not heard(bell):
            exchange.wait(wait, [bell.fileno()])
    else:
        exchange.wait(min(_until_due(), SQLITE_LOOKS_EVERY))
    return True


def _until_due() -> float:
    """Seconds until the next row may be due, LOOKS_EVERY at the most."""
    wait = LOOKS_EVERY.total_seconds()
    at = earliest_due()
    return wait if at is None else max(0.0, min(wait, (at - clock.now()).total_seconds()))


def _leave() -> None:
    with floor.drains.get_lock():
        floor.drains.value = max(0, floor.drains.value - 1)


def _limit_waits() -> None:
    """Nobody waits long for the locks of others; and who hangs in the middle of a turn (a stopped
    process, a host that sleeps or is gone) loses it, so that its rows are free for others and can
    be cancelled."""
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{HANGS_AFTER}s'")
