"""drain(): the Django-Q task that does the work. It takes turns over the lanes until nothing is
due or its time is up; the clock (broker.py) hands out the next one when something wakes."""

import logging
from multiprocessing import Value
from time import monotonic
from typing import Any

from django.db import connection

from apps.core.due import is_postgresql
from apps.engine import delays
from apps.engine.turn import take_turn
from apps.messaging import delivery

logger = logging.getLogger(__name__)

SECONDS = 20
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
    """Work until nothing is due, at most SECONDS; returns how many rows were taken."""
    total = 0
    try:
        _limit_waits()
        until = monotonic() + SECONDS
        while monotonic() < until and not floor.stopping.value:
            taken = round_of_lanes()
            total += taken
            if not taken:
                break
    finally:
        if not total:
            floor.barren_at.value = monotonic()
        with floor.drains.get_lock():
            floor.drains.value = max(0, floor.drains.value - 1)
    return total


def round_of_lanes() -> int:
    """One turn of each lane, so that none starves another."""
    return delays.wake() + take_turn() + delivery.turn()


def _limit_waits() -> None:
    """Nobody waits long for the locks of others; and who hangs in the middle of a turn (a stopped
    process, a host that sleeps or is gone) loses it, so that its rows are free for others and can
    be cancelled."""
    if is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{HANGS_AFTER}s'")
