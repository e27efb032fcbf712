"""One round over the lanes of due rows. A lane that breaks does not stop the others: it rests for
a while, longer each time, and what it held is put back."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from django.db.models import F
from django.db.models.functions import Greatest

from apps.core import clock, jobs, notices
from apps.core.clock import uptime
from apps.core.due import owner
from apps.core.trouble import Trouble, kind_of, sentence
from apps.engine import calls, delays, dialling, mending, queues, schedules
from apps.engine import jobs as job_lane
from apps.engine.models import Run
from apps.engine.sweep import release
from apps.engine.turn import take_turn
from apps.messaging import delivery

logger = logging.getLogger(__name__)

# Seconds that a lane rests after it broke: the first time, and at most.
FIRST_REST, LONGEST_REST = 0.25, 15.0


@dataclass
class Rest:
    """A lane that broke and what it waits for."""

    seconds: float = 0.0
    until: float = 0.0


@dataclass
class Lanes:
    """How the lanes of this process fare."""

    resting: dict[str, Rest] = field(default_factory=dict)

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
    taken = _turn_of("schedules", schedules.fire) if "schedules" in due else 0
    # Before the runs: a delay that has ended is too late to be cancelled by one of them.
    taken += _turn_of("delays", delays.wake) if "delays" in due else 0
    taken += _turn_of("queues", queues.turn) if "queues" in due else 0
    taken += _turn_of("runs", partial(take_turn, "runs" in due, "suspects" in due))
    taken += _turn_of("messages", partial(delivery.turn, "messages" in due))
    return taken + (_turn_of("jobs", job_lane.turn) if "jobs" in due else 0)


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
        mending.renew_connection(error)
        recover()
        return 0
    lanes.worked(lane)
    return taken


def _tell(lane: str, error: Exception) -> None:
    if isinstance(error, mending.InTrouble):
        text = str(error)
    elif kind_of(error) not in (None, Trouble.OWN):
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
    Returns how many rows that were."""
    return _put_back_strays() + delivery.recover() + _put_back_jobs()


def _put_back_strays() -> int:
    mine = Run.objects.filter(state=Run.State.LEASED, lease_owner=owner())
    in_hand = set(calls.exchange().ids())
    strays = [(pk, call) for pk, call in mine.values_list("pk", "call") if call not in in_hand]
    dialling.never_left([call for _, call in strays if call is not None])
    if not strays:
        return 0
    return mine.filter(pk__in=[pk for pk, _ in strays]).update(
        state=Run.State.DUE,
        attempts=Greatest(F("attempts") - 1, 0),
        call=None,
        lease_until=None,
        lease_epoch=F("lease_epoch") + 1,
        wake_at=clock.now(),
    )


def _put_back_jobs() -> int:
    return sum(kind.expire(only_owners=[owner()]) for kind in jobs.KINDS)


def let_go() -> int:
    """At the end of this process: settle what was answered, and give up the calls and sends that
    are under way, at once and on purpose. Returns how many were given up."""
    exchange = calls.exchange()
    if exchange.answers():
        take_turn(runs=False, suspects=False)
    given_up = len(exchange.let_go()) + delivery.let_go()
    release([owner()])
    return given_up
