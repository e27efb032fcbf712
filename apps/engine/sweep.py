"""The sweep: every minute, and at every start, put right what dead workers left behind. What has to
know how long a lease is over is not of it: upkeep.py."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django_q.models import Failure, Schedule

from apps.core import clock
from apps.core.due import dead_owners
from apps.engine import bell, leases, order, queues
from apps.engine.dialling import abandon_stale
from apps.engine.models import DedupeKey
from apps.messaging import delivery

logger = logging.getLogger(__name__)

FAILURES_KEPT = timedelta(days=30)
EVERY_MINUTE = {
    "sweep": "apps.engine.sweep.sweep",
    # By itself: it may have hundreds of thousands of rows to drop, and leases can't wait for that.
    "prune calls": "apps.engine.call_log.prune",
    "prune files": "apps.core.transfer.files.prune",
    "prune notices": "apps.core.notices.prune",
}


def sweep() -> dict[str, int]:
    """Release leases of the dead, settle lost sends, drop what has expired; returns the counts.
    What one part raises is raised when all others are done."""
    parts: dict[str, Callable[[], int]] = {
        "released": release_leases_of_the_dead,
        "missed": order.release_missed,
        "queues": queues.mend,
        "settled": delivery.settle_unknown,
        "abandoned": abandon_stale,
        "forgotten": _forget,
        "pruned": _prune,
    }
    counts, broke = {}, None
    for name, part in parts.items():
        try:
            counts[name] = part()
        except Exception as error:
            broke = broke or error
            connection.close_if_unusable_or_obsolete()
    if broke is not None:
        raise broke
    return counts


def _forget() -> int:
    return DedupeKey.objects.filter(expires_at__lt=clock.now()).delete()[0]


def _prune() -> int:
    return int(Failure.objects.filter(stopped__lt=clock.now() - FAILURES_KEPT).delete()[0])


def release_leases_of_the_dead() -> int:
    """Leases of this host's processes that are gone need not run out first."""
    owners: set[str] = set()
    for lane in leases.lanes():
        rows: Any = lane._default_manager
        leased = rows.filter(state__in=list(lane.ON_EXPIRY))
        owners |= set(leased.values_list("lease_owner", flat=True).distinct())
    dead = dead_owners(list(owners))
    return release(dead) if dead else 0


def release(owners: list[str]) -> int:
    """Turn all that these hold into what its state says, and let others know; returns how much."""
    released = sum(lane.expire(only_owners=owners) for lane in leases.lanes())
    if released:
        bell.ring()
    return released


def bury(owner: str) -> None:
    """What a process that has just died held goes to others at once."""
    if release([owner]):
        delivery.settle_unknown()


def ensure_schedule() -> None:
    """What is done every minute are Django-Q schedules: make them once, correct them if somebody
    changed them."""
    for name, func in EVERY_MINUTE.items():
        Schedule.objects.update_or_create(
            name=name,
            defaults={
                "func": func,
                "schedule_type": Schedule.MINUTES,
                "minutes": 1,
                "repeats": -1,
            },
        )
