"""The clock is the broker: Django-Q asks it for tasks, and it answers with a drain whenever a row
is due. Ordinary tasks and schedules go through it unchanged, from Django-Q's own table."""

import logging
from time import monotonic, sleep
from typing import Any

from django import db
from django.conf import settings
from django.db import connection
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from apps.core import clock
from apps.engine.agenda import earliest_due
from apps.engine.bell import LOOKS_EVERY, SQLITE_LOOKS_EVERY, heard, listen
from apps.engine.drain import BARREN_PAUSE, floor

logger = logging.getLogger(__name__)

# A drain that is there already gets so many seconds to find what has just become due.
LEAD = 0.02
# Seconds between two looks whether a drain has ended, while no more may start.
BUSY_PAUSE = 0.02
DRAIN = "drain"


class DueBroker(ORM):
    """An ORM broker whose dequeue() is the clock. It keeps its connection (and its LISTEN) open
    and survives a database that goes away."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._bell: Any = None
        self._drain = SignedPackage.dumps(
            {
                "id": DRAIN,
                "name": DRAIN,
                "func": "apps.engine.drain.drain",
                "args": (),
                "kwargs": {"stays": True},
            }
        )

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        return OrmQ.objects

    def dequeue(self) -> list[tuple[Any, str]] | None:
        try:
            return self._ordinary_tasks() or self._drain_when_due()
        except db.Error as error:
            logger.warning("The clock lost its database and tries again: %s", error)
            db.close_old_connections()
            connection.close()
            self._bell = None
            sleep(1)
            return None

    def acknowledge(self, task_id: Any) -> Any:
        return None if task_id == DRAIN else super().acknowledge(task_id)

    def fail(self, task_id: Any) -> Any:
        return self.acknowledge(task_id)

    def _ordinary_tasks(self) -> list[tuple[Any, str]] | None:
        if not OrmQ.objects.filter(key=self.list_key, lock__lt=timezone.now()).exists():
            return None
        tasks: list[tuple[Any, str]] | None = super().dequeue()
        return tasks

    def _drain_when_due(self) -> list[tuple[Any, str]] | None:
        """Hand out a drain if a row is due and a drain may start, else wait: for the bell, for
        the next row, for a look around at the latest."""
        if floor.drains.value >= settings.DRAINS:
            # All hands are busy and look for themselves before they stop: each bell of a flood
            # would only keep the clock busy, too.
            self._rest(BUSY_PAUSE)
            return None
        self._bell = listen()
        wait = LOOKS_EVERY.total_seconds()
        due_at = earliest_due()
        if due_at is not None:
            wait = min(wait, (due_at - clock.now()).total_seconds())
        if floor.drains.value and wait > -LEAD:
            wait += LEAD
        if wait <= 0:
            looked = monotonic() - floor.barren_at.value
            # What has become due since that look was not there to be found.
            if looked >= min(BARREN_PAUSE, -wait):
                with floor.drains.get_lock():
                    floor.drains.value += 1
                return [(DRAIN, self._drain)]
            wait = BARREN_PAUSE - looked
        self._wait(wait)
        return None

    @staticmethod
    def _rest(seconds: float) -> None:
        sleep(seconds)

    def _wait(self, seconds: float) -> None:
        if self._bell is None:
            sleep(min(seconds, SQLITE_LOOKS_EVERY))
        else:
            heard(self._bell, seconds)
