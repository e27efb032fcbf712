"""What follows when the database's clock is put on or back under the workers.

Dates and delays that operators chose follow the clock. Durations do not: leases, waits of retries,
whatever is put off for moments. Each drain sees the step by its own readings. It carries on the
leases that it holds itself; the waits, which are nobody's, are carried on by whoever comes first.
`Installation.clock_stepped` is what has been put right in all, so that a step is put right once,
however many processes saw it, and one that was asleep during two steps knows what is left for it.
docs/adr/0016 says why.
"""

import logging
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q

from apps.core import clock
from apps.core.models import Installation
from apps.engine import leases
from apps.engine.models import Delay, Queue, Run

logger = logging.getLogger(__name__)

RECORDED = "SELECT clock_stepped FROM core_installation WHERE id = 1"
# A delay of an action that is no longer than this is a duration, too: nobody means a time of day by
# it.
SHORT = timedelta(minutes=1)
# Two readings further apart than this leave open what happened between them.
GAP = timedelta(seconds=10)


class Witness:
    """What this process has seen of the database's clock by its looks."""

    def __init__(self) -> None:
        # Of clock.stepped(), how much is put right; and what was recorded at the last look.
        self.handled: timedelta | None = None
        self.recorded = 0.0
        # Since when (clock.elapsed) it has seen the clock go evenly, and when it saw it last.
        self._even_since = timedelta()
        self._seen_at: timedelta | None = None
        self._connection: Any = None

    @property
    def even_for(self) -> timedelta:
        """How long the clock has gone evenly before its eyes, without an outage."""
        return timedelta() if self._seen_at is None else self._seen_at - self._even_since

    def see(self, stepped: timedelta) -> None:
        """It has just looked. A new connection means that the former one was lost."""
        now = clock.elapsed()
        went_on = self._seen_at is not None and now - self._seen_at <= GAP
        if stepped or not went_on or self._connection is not connection.connection:
            self._even_since = now
        self._seen_at, self._connection = now, connection.connection


witness = Witness()


def seen(recorded: float) -> bool:
    """After a look, which found so much `recorded`: put right what the clock's step since the last
    look has made wrong. True if there was one."""
    if witness.handled is None:  # Its first look: it holds nothing yet.
        witness.handled = clock.stepped()
    stepped = clock.stepped() - witness.handled
    if stepped:
        logger.warning(
            "The database's clock was put %s by %s", _way(stepped), _whole_seconds(abs(stepped))
        )
        recorded = _put_right(stepped, witness.recorded)
        witness.handled += stepped
    witness.recorded = recorded
    witness.see(stepped)
    return bool(stepped)


def _way(stepped: timedelta) -> str:
    return "on" if stepped > timedelta() else "back"


def _whole_seconds(by: timedelta) -> timedelta:
    return timedelta(seconds=round(by.total_seconds()))


def _put_right(stepped: timedelta, before: float) -> float:
    """Returns what is recorded then. Whoever else saw the step waits for this transaction and finds
    the step recorded."""
    with transaction.atomic():
        Installation.current()
        ours: Any = Installation.objects.select_for_update().get(pk=1)
        left = stepped - timedelta(seconds=ours.clock_stepped - before)
        for lane in leases.lanes():
            lane.carry_leases(stepped)
        if abs(left) > clock.STEP:
            for lane in leases.lanes():
                lane.carry_waits(left)
            _carry_delays(left)
            ours.clock_stepped += left.total_seconds()
            ours.save(update_fields=["clock_stepped"])
    return float(ours.clock_stepped)


def _carry_delays(by: timedelta) -> None:
    durations().update(wake_at=F("wake_at") + by, created_at=F("created_at") + by)
    Queue.objects.update(wake_at=F("wake_at") + by)


def durations() -> Any:
    """The delays that wait for so long, not until a time: of retries, of runs that are held, and
    short ones."""
    retried = Run.objects.filter(pk=OuterRef("run_id"), tries__gt=0)
    held, short = Q(action_uid=None), Q(wake_at__lte=F("created_at") + SHORT)
    return Delay.objects.filter(held | short | Exists(retried), state=Delay.State.WAITING)
