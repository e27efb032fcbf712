"""Django-Q's cluster for ordinary tasks, made to fail as a whole and to leave nobody behind.

A worker killed by a signal may hold a lock of the cluster's queues for ever, and Django-Q would go
on with a frozen cluster. So a death by signal ends the cluster, and the supervisor starts a new
one. Children die with their parent, whoever killed it.
"""

import logging
import os
import signal
from typing import Any

import django_q.cluster
from django.db import connections
from django_q.cluster import Cluster, Sentinel

from apps.core.processes import children_die_with_us
from apps.engine.sweep import ensure_schedule, sweep

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
    """Put right what the dead left behind, then run one cluster in this process until it is told to
    stop (0) or fails (FAILED). Until the cluster runs, being told to stop is simply the end."""
    ensure_schedule()
    sweep()
    connections.close_all()
    django_q.cluster.Sentinel = FailStopSentinel
    children_die_with_us()
    cluster = Cluster()
    stopping = False

    def stop(signum: int, frame: Any) -> None:
        nonlocal stopping
        stopping = True

    # Django-Q stops inside its signal handler, which can deadlock; ours only leaves word.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cluster.start()
    sentinel = cluster.sentinel
    while sentinel.is_alive() and not stopping:
        sentinel.join(0.2)
    if stopping:
        cluster.stop()
        return 0
    return FAILED
