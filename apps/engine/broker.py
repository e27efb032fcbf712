"""The broker of ordinary tasks and schedules: Django-Q's own table, asked in a way that survives a
database that goes away."""

import logging
from collections.abc import Callable
from time import sleep
from typing import Any

from django.db import connection
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ

logger = logging.getLogger(__name__)

# Seconds between two looks for a task while there is none, and after the database was lost.
LOOKS_EVERY = 1.0


class PatientBroker(ORM):
    """Django-Q ends its pusher and its monitor when their broker raises anything, and with them
    ends the cluster. This one raises nothing; it keeps its connection open while it is good."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        return OrmQ.objects

    def dequeue(self) -> list[tuple[Any, str]] | None:
        """The next tasks; None, after a pause, when there are none or the database is away."""
        tasks = self._patiently(self._tasks)
        if not tasks:
            sleep(LOOKS_EVERY)
            return None
        return list(tasks)

    def delete(self, task_id: Any) -> None:
        """What was done and can't be deleted now is done again, as Django-Q has it."""
        self._patiently(lambda: ORM.delete(self, task_id))

    def _tasks(self) -> Any:
        due = OrmQ.objects.filter(key=self.list_key, lock__lt=timezone.now())
        return super().dequeue() if due.exists() else None

    @staticmethod
    def _patiently(ask: Callable[[], Any]) -> Any:
        """Its answer; None when the connection was cut, which may come as any error."""
        try:
            return ask()
        except Exception as error:
            logger.warning("The broker lost its database and tries again: %s", error)
            connection.close()
            return None
