"""manage.py work: the background workers, restarted when they fail."""

import gc
import logging
import os
import signal
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections

from apps.core.processes import die_with_parent
from apps.engine.cluster import run_cluster
from apps.engine.drain import floor
from apps.engine.sweep import ensure_schedule, sweep

logger = logging.getLogger(__name__)

STOP_SECONDS = 30


class Command(BaseCommand):
    help = "Run the background workers. Any number of hosts may do so on one PostgreSQL database."

    def handle(self, *args: Any, **options: Any) -> None:
        self.child = 0
        self.stopping = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        # What is loaded by now stays for ever. Frozen, the collector never touches it, and the
        # processes that are forked from here go on sharing its memory.
        gc.collect()
        gc.freeze()
        while not self.stopping:
            status = self._one_cluster()
            if not self.stopping:
                logger.error("The workers ended with status %s and are started again", status)
                time.sleep(0.2)

    def _stop(self, signum: int, frame: Any) -> None:
        self.stopping = True
        floor.stopping.value = 1
        if self.child:
            os.kill(self.child, signal.SIGTERM)
            signal.alarm(STOP_SECONDS)
            signal.signal(signal.SIGALRM, lambda *_: os.kill(self.child, signal.SIGKILL))

    def _one_cluster(self) -> int:
        """Start one cluster in a child and wait for its end; returns its exit status."""
        if not self.stopping:
            floor.reset()
        self.child = os.fork()
        if not self.child:
            die_with_parent()
            status = 1
            try:
                ensure_schedule()
                sweep()
                connections.close_all()
                status = run_cluster()
            except BaseException:
                logger.exception("The workers could not go on")
            finally:
                os._exit(status)
        while True:
            try:
                _, status = os.waitpid(self.child, 0)
                return os.waitstatus_to_exitcode(status)
            except InterruptedError:
                continue
