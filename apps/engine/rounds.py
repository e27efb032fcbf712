"""One round over the lanes of due rows. A lane that breaks does not stop the others: it rests for
a while, longer each time, and what it held is put back."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from math import inf

from django.db import transaction
from django.db.models import Case, F, When
from django.db.models.functions import Greatest

from apps.core import clock, notices
from apps.core.clock import uptime
from apps.core.due import owner
from apps.core.http.outgoing import outgoing
from apps.core.trouble import is_installations, renew_connection, sentence
from apps.engine import calls, delays, dialling, mending, queues, schedules, upkeep
from apps.engine import jobs as job_lane
from apps.engine.models import Run
from apps.engine.sweep import release
from apps.engine.turn import take_turn
from apps.messaging import delivery

logger = logging.getLogger(__name__)

# Seconds that a lane rests after it broke: the first time, and at most.
FIRST_REST, LONGEST_REST = 0.25, 15.0
# Seconds until it is tried again to put back what somebody had locked.
RECOVERS_AGAIN = 2.0


@dataclass
class Rest:
    """A lane that broke and what it waits for."""

    seconds: float = 0.0
    until: float = 0.0


@dataclass
class Lanes:
    """How the lanes of this process fare."""

    resting: dict[str, Rest] = field(default_factory=dict)
    # When to look again for what could not be put back, since it was locked (uptime).
    recovers_at: float = inf

    def may_work(self, lane: str) -> bool:
        rest = self.resting.get(lane)
        return rest is None or rest.until <= uptime()

    def worked(self, lane: str) -> None:
        if self.resting.pop(lane, None) is not None and not self.resting:
            notices.over()

    def broke(self, lane: str) -> None:
        rest = self.resting.setdefault(lane, Rest())
        rest.seconds = min(max(rest.seconds * 2, FIRST_REST), LONGEST_REST)
        rest.until = uptime() + rest.seconds


lanes = Lanes()


def round_of_lanes(due: Collection[str]) -> int:
    """One turn of each lane that is due, so that none starves another; runs whose calls and
    messages whose requests were answered go on in any case. Returns how many rows were taken."""
    if lanes.recovers_at <= uptime():
        recover()
    taken = _turn_of("schedules", schedules.fire) if "schedules" in due else 0
    # Before the runs: a delay that has ended is too late to be cancelled by one of them.
    taken += _turn_of("delays", delays.wake) if "delays" in due else 0
    taken += _turn_of("queues", queues.turn) if "queues" in due else 0
    taken += _turn_of("runs", partial(take_turn, "runs" in due, "suspects" in due))
    taken += _turn_of("messages", partial(delivery.turn, "messages" in due))
    return taken + (_turn_of("jobs", job_lane.turn) if "jobs" in due else 0)


def upkeep_if_due(idle: bool = True) -> None:
    """What is not there for any lane; it breaks and rests like one."""
    _turn_of("upkeep", partial(upkeep.when_due, idle))


def _turn_of(lane: str, work: Callable[[], int]) -> int:
    """A turn of one lane; 0 while it rests, and when the installation refuses it. Raises when the
    database can't be asked at all."""
    if not lanes.may_work(lane):
        return 0
    try:
        taken = work()
    except Exception as error:
        lanes.broke(lane)
        _tell(lane, error)
        renew_connection(error)
        recover()
        return 0
    lanes.worked(lane)
    return taken


def _tell(lane: str, error: Exception) -> None:
    if isinstance(error, mending.InTrouble):
        text = str(error)
    elif is_installations(error):
        text = sentence(error)
    else:
        logger.exception("The lane of %s broke", lane)
        return
    logger.warning("The lane of %s rests: %s", lane, text)
    notices.tell(text)


# --- after a loss, and at the end ----------------------------------------------------------------


def recover() -> int:
    """Put back what this process holds by the database's word and has not in hand: claims and
    intents whose commit was done, while the word of it was lost. Their requests have not left.
    Returns how many rows that were.

    A row that somebody has locked is left for a while, and holds up nobody: it may be a backend of
    ours that we have lost, and that is still about to commit.
    """
    runs, left = _put_back_strays()
    if not left:
        calls.exchange().meant.clear()
    messages, messages_left = delivery.recover()
    lanes.recovers_at = uptime() + RECOVERS_AGAIN if left or messages_left else inf
    return runs + messages + job_lane.recover()


@transaction.atomic
def _put_back_strays() -> tuple[int, int]:
    """How many were put back, and how many were left. The rows are locked, so that what is read of
    them is what is put back. A call that another worker has made, which is dead by now, stays the
    run's: whoever takes it on looks what became of it."""
    mine = Run.objects.filter(state=Run.State.LEASED, lease_owner=owner())
    in_hand = set(calls.exchange().ids())
    found = [pk for pk, call in mine.values_list("pk", "call") if call not in in_hand]
    if not found:
        return 0, 0
    free = mine.filter(pk__in=found).select_for_update(skip_locked=True, no_key=True)
    strays = list(free.order_by("pk").values_list("pk", "call"))
    never_left = [call for _, call in strays if call in calls.exchange().meant]
    dialling.never_left(never_left)
    back = mine.filter(pk__in=[pk for pk, _ in strays]).update(
        state=Run.State.DUE,
        attempts=Greatest(F("attempts") - 1, 0),
        call=Case(When(call__in=never_left, then=None), default=F("call")),
        lease_until=None,
        lease_epoch=F("lease_epoch") + 1,
        wake_at=clock.now(),
    )
    return back, len(found) - len(strays)


def let_go() -> int:
    """At the end of this process: take back what has not left, settle what was answered, and give
    up the calls and sends that are under way, at once and on purpose. Returns how many were given
    up."""
    outgoing().withdraw()
    exchange = calls.exchange()
    if exchange.answers():
        take_turn(runs=False, suspects=False)
    given_up = len(exchange.let_go()) + delivery.let_go()
    release([owner()])
    return given_up
