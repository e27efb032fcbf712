"""One round over the lanes of due rows."""

from collections.abc import Collection

from apps.engine import delays, jobs, schedules
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
