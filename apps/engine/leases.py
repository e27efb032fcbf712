"""Leases whose time is over."""

from datetime import timedelta
from typing import Any

from apps.core import clock, jobs
from apps.core.due import LEASE, Due
from apps.engine.models import Run
from apps.messaging.models import Message

# No call takes longer than a minute (actions/http), and no lease is longer than this.
LONGEST = LEASE + timedelta(seconds=60)


def lanes() -> list[type[Due]]:
    return [Run, Message, *jobs.KINDS]


def expire() -> int:
    """Turn every lease that is over into what its row's state says; returns how many. Only for who
    has watched the database's clock for a while: after an outage, or when the clock was put on,
    leases seem to be over whose owners are about to commit what came back to them."""
    return sum(lane.expire() for lane in lanes())


def cut_down() -> None:
    """A lease of which nobody could have so much left was given before the clock was put back. Its
    owner carries it on itself, if it lives; if not, it ends no more than a minute late."""
    now = clock.now()
    for lane in lanes():
        rows: Any = lane._default_manager
        leased = rows.filter(state__in=list(lane.ON_EXPIRY))
        leased.filter(lease_until__gt=now + LONGEST + clock.STEP).update(lease_until=now + LEASE)
