"""drain(): the Django-Q task that does the work. It takes turns over the lanes until nothing is
due or its time is up; the clock (broker.py) hands out the next one when something wakes."""

import logging
from datetime import UTC, datetime
from multiprocessing import Value
from time import monotonic
from typing import Any

from django.db import connection

from apps.core import clock
from apps.core.due import is_postgresql
from apps.engine import calls, upkeep
from apps.engine.agenda import Agenda, look
from apps.engine.bell import LOOKS_EVERY, SQLITE_LOOKS_EVERY, heard, listen
from apps.engine.rounds import round_of_lanes

logger = logging.getLogger(__name__)

SECONDS = 40
HANGS_AFTER = 10
# After a look found rows due that could not be taken (an earlier message to the same address is
# under way, another host was faster), the next one comes after so many seconds.
BARREN_PAUSE = 0.1
# Seconds between two looks of a waiting drain whether it is to stop.
LOOKS_UP = 0.2


# What the bell mostly means, so that it is not looked up first.
RANG = Agenda({"runs": datetime.min.replace(tzinfo=UTC)})


class Floor:
    """What the processes of one cluster share: made before they fork, inherited by all."""

    def __init__(self) -> None:
        self.drains: Any = Value("i", 0)  # handed out and not finished
        self.stopping: Any = Value("b", 0)
        self.waiting: Any = Value("b", 0)  # one drain is there and waits for the bell
        # When a drain last found nothing to do (system-wide monotonic clock).
        self.barren_at: Any = Value("d", 0.0)

    def reset(self) -> None:
        """Before a (re)start: nobody of the former cluster is left."""
        self.drains.value = 0
        self.stopping.value = 0
        self.waiting.value = 0
        self.barren_at.value = 0.0


floor = Floor()


def drain(stays: bool = False) -> int:
    """Work until nothing is due and no call is under way; returns how many rows were taken.

    `stays`: then wait for the bell, if no other drain does, and work on: what is posted then need
    not wait until the clock has handed out a drain.

    Nothing is claimed after SECONDS. Calls that are under way then are waited for, but their runs
    make no more of them here, and the drain no longer counts as one: the clock may hand out the
    next.
    """
    total = 0
    until = monotonic() + SECONDS
    counted = True
    told: Agenda | None = None
    try:
        _limit_waits()
        while True:
            claiming = monotonic() < until and not floor.stopping.value
            calls.exchange().closing = not claiming
            if counted and not claiming:
                _leave()
                counted = False
            agenda = (told or look()) if claiming else Agenda({})
            upkeep.when_due()
            taken = round_of_lanes(agenda.due())
            total += taken
            if taken or told or _wait_for_answers(agenda, claiming):
                told = None
                continue
            told = _wait_for_bell(agenda, until) if stays and claiming else None
            if told is None:
                return total
    finally:
        if not total:
            floor.barren_at.value = monotonic()
        if counted:
            _leave()


def _wait_for_answers(agenda: Agenda, claiming: bool) -> bool:
    """Wait until a call has ended or, with `claiming`, a row may be due; False when no call is
    under way."""
    exchange = calls.exchange()
    if not exchange.in_flight:
        return False
    if not claiming:
        exchange.wait(LOOKS_EVERY.total_seconds())
    elif (bell := listen()) is not None:
        if not heard(bell):
            exchange.wait(_until_due(agenda), [bell.fileno()])
    else:
        exchange.wait(min(_until_due(agenda), SQLITE_LOOKS_EVERY))
    return True


def _wait_for_bell(agenda: Agenda, until: float) -> Agenda | None:
    """Wait until a row may be due, and say what may be; None when another drain waits already, when
    there is no bell, and when it is time to end."""
    bell = listen()
    if bell is None or not _sits_down():
        return None
    try:
        due = monotonic() + _until_due(agenda)
        while not floor.stopping.value and monotonic() < until:
            if heard(bell, min(max(0.0, due - monotonic()), LOOKS_UP)):
                return RANG
            if monotonic() >= due:
                return look()
        return None
    finally:
        floor.waiting.value = 0


def _sits_down() -> bool:
    with floor.waiting.get_lock():
        if floor.waiting.value:
            return False
        floor.waiting.value = 1
        return True


def _until_due(agenda: Agenda) -> float:
    """Seconds until the next row may be due, LOOKS_EVERY at the most; a while, if one is due that
    could not be taken."""
    wait = LOOKS_EVERY.total_seconds()
    if agenda.earliest is not None:
        wait = min(wait, (agenda.earliest - clock.now()).total_seconds())
    return wait if wait > 0 else BARREN_PAUSE


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
