"""One round over the lanes of due rows."""

from collections.abc import Collection

from django.db.models import F

from apps.core.due import owner
from apps.engine import calls, delays, jobs, schedules
from apps.engine.models import Run
from apps.engine.sweep import lanes, release
from apps.engine.turn import take_turn
from apps.messaging import delivery


def round_of_lanes(due: Collection[str]) -> int:
    """One turn of each lane that is due, so that none starves another; runs whose calls were
    answered go on in any case."""
    taken = schedules.fire() if "schedules" in due else 0
    # Before the runs: a delay that has ended is too late to be cancelled by one of them.
    taken += delays.wake() if "delays" in due else 0
    taken += take_turn("runs" in due, "suspects" in due)
    taken += delivery.turn() if "messages" in due else 0
    return taken + (jobs.turn() if "jobs" in due else 0)


def recover() -> None:
    """After trouble: what this process holds and nobody here works on is due again. Runs whose
    calls are under way stay."""
    stray = Run.objects.filter(state=Run.State.LEASED, lease_owner=owner())
    stray.exclude(pk__in=calls.exchange().asking).update(
        state=Run.State.DUE, lease_until=None, lease_epoch=F("lease_epoch") + 1
    )
    for lane in lanes():
        if lane is not Run:
            lane.expire(only_owners=[owner()])


def let_go() -> None:
    """At the end of this process: what it still holds need not wait until the lease is over. The
    calls that are under way count as lost."""
    release([owner()])
