"""Django-Q's cluster, made to fail as a whole and to leave nobody behind.

A worker killed by a signal may hold a lock of the cluster's queues for ever, and Django-Q would go
on with a frozen cluster. So a death by signal ends the cluster, and `manage.py work` starts a new
one. Children die with their parent, whoever killed it.
"""

import logging
import os
import signal
from typing import Any

import django_q.cluster
from django_q.cluster import Cluster, Sentinel

from apps.core.processes import die_with_parent
from apps.engine.drain import floor

logger = logging.getLogger(__name__)

RECYCLED = -2
FAILED = 70  # exit status that asks the supervisor for a restart


class FailStopSentinel(Sentinel):  # type: ignore[misc]
    def reincarnate(self, process: Any) -> None:
        timer = getattr(process, "timer", None)
        if timer is not None and int(timer.value) == RECYCLED:
            super().reincarnate(process)
            return
        logger.critical(
            "A background process ended (exit code %s); the cluster restarts",
            process.exitcode,
        )
        for child in [*self.pool, self.monitor, self.pusher]:
            if child is not None and child.is_alive():
                child.kill()
        os._exit(FAILED)


def run_cluster() -> int:
    """Run one cluster in this process until it is told to stop (0) or fails (FAILED)."""
    django_q.cluster.Sentinel = FailStopSentinel
    os.register_at_fork(after_in_child=die_with_parent)
    cluster = Cluster()

    def stop(signum: int, frame: Any) -> None:
        floor.stopping.value = 1

    # Django-Q stops inside its signal handler, which can deadlock; ours only leaves word.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    cluster.start()
    sentinel = cluster.sentinel
    while sentinel.is_alive() and not floor.stopping.value:
        sentinel.join(0.2)
    if floor.stopping.value:
        cluster.stop()
        return 0
    return FAILED
